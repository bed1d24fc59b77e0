"""Hands that fill in forms: dialogs of the fake workspace, as Slack sends what is done in them."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bridge.chats.slack.blocks import name_of
from tests.fakes.slack.hands import ADA, SHOP, Answered, Hands
from tests.fakes.slack.methods import TEAM
from tests.fakes.slack.server import FakeSlack

View = dict[str, Any]


@dataclass(frozen=True)
class Forms:
    """What people do in dialogs, and what becomes of the dialogs."""

    slack: FakeSlack
    hands: Hands

    async def open(self, app: str, *, user: str = ADA, channel: str = SHOP) -> View:
        """Open the dialog that configures an app; once it is filled."""
        before = set(self.slack.views)
        await self.hands.type(app, command="/provider", user=user, channel=channel)
        new = await self.slack.until(lambda: set(self.slack.views) - before)
        return await self.filled(next(iter(new)))

    async def filled(self, id_: str) -> View:
        """A dialog, once it shows more than that it is being read."""

        def ready() -> View | None:
            view = self.slack.views[id_]
            return view if "Reading" not in str(view["blocks"]) else None

        return dict(await self.slack.until(ready))

    async def says(self, id_: str, words: str) -> View:
        """A dialog, once it says so."""

        def found() -> View | None:
            view = self.slack.views[id_]
            return view if words in str(view["blocks"]) else None

        return dict(await self.slack.until(found))

    async def submit(self, view: View, *, user: str = ADA, **changed: Any) -> Answered:
        """Submit a dialog with some fields changed, by name; it goes on as Slack would have it."""
        answered = await self.hands.submit(view, values_of(view, changed), user=user)
        self._go_on(view, answered.body)
        return answered

    async def pushed(self, view: View, *, user: str = ADA, **changed: Any) -> View:
        """The same; the dialog that comes on top of it."""
        answered = await self.submit(view, user=user, **changed)
        assert answered.body.get("response_action") == "push", answered.body
        return dict(list(self.slack.views.values())[-1])

    async def act(self, view: View, action_id: str, *, user: str = ADA, **changed: Any) -> Answered:
        """Press a button, or change a field that others depend on."""
        block, element = element_of(view, action_id, changed)
        values = values_of(view, changed)
        sent = values.get(block, {}).get(action_id, {"value": element.get("value", "")})
        action = {
            "action_id": action_id,
            "block_id": block,
            "type": element["type"],
            "action_ts": f"{time.time():.6f}",
        }
        payload = {
            "type": "block_actions",
            "user": {"id": user, "username": user.lower(), "team_id": TEAM},
            "team": {"id": TEAM, "domain": "test"},
            "api_app_id": "A0BRIDGE",
            "container": {"type": "view", "view_id": view["id"]},
            "trigger_id": self.slack.trigger(),
            "view": view | {"state": {"values": values}},
            "actions": [action | sent],
        }
        return await self.hands._send("interactive", payload, "")

    async def suggest(self, view: View, action_id: str, typed: str = "") -> list[str]:
        """Type into a searchable list; what is offered."""
        block, _ = element_of(view, action_id, {})
        payload = {
            "type": "block_suggestion",
            "user": {"id": ADA, "team_id": TEAM},
            "team": {"id": TEAM, "domain": "test"},
            "api_app_id": "A0BRIDGE",
            "container": {"type": "view", "view_id": view["id"]},
            "action_id": action_id,
            "block_id": block,
            "value": typed,
            "view": view,
        }
        answered = await self.hands._send("interactive", payload, "")
        return [one["value"] for one in answered.body["options"]]

    def close(self, view: View) -> None:
        """Close a dialog."""
        del self.slack.views[view["id"]]

    def _go_on(self, view: View, body: Mapping[str, Any]) -> None:
        """What Slack does with the answer to a submitted dialog."""
        match body.get("response_action"):
            case "push":
                id_ = f"V{len(self.slack.views):03d}P{time.monotonic_ns()}"
                new = {**body["view"], "id": id_, "team_id": TEAM, "hash": self.slack.ts()}
                self.slack.views[id_] = new | {"state": {"values": {}}}
            case "update":
                kept = self.slack.views[view["id"]]
                kept.update({**body["view"], "hash": self.slack.ts()})
            case None:
                self.slack.views.pop(view["id"], None)


def values_of(view: View, changed: Mapping[str, Any]) -> dict[str, Any]:
    """What the fields of a dialog hold, with some changed."""
    values: dict[str, Any] = {}
    for block in view["blocks"]:
        if block["type"] != "input":
            continue
        element = block["element"]
        name, kind = name_of(block["block_id"]), element["type"]
        values[block["block_id"]] = {
            element["action_id"]: {"type": kind} | _held(kind, element, name, changed)
        }
    unknown = set(changed) - {name_of(block_id) for block_id in values}
    assert not unknown, f"no fields {unknown} among {list(values)}"
    return values


def _held(
    kind: str, element: Mapping[str, Any], name: str, changed: Mapping[str, Any]
) -> dict[str, Any]:
    new = changed.get(name)
    if kind in ("checkboxes", "multi_static_select"):
        held = [{"value": one} for one in changed[name]] if name in changed else None
        return {"selected_options": element.get("initial_options", []) if held is None else held}
    if "select" in kind:
        chosen = {"value": new} if new else None
        return {"selected_option": chosen if name in changed else element.get("initial_option")}
    return {"value": new if name in changed else element.get("initial_value")}


def element_of(
    view: View, action_id: str, changed: Mapping[str, Any]
) -> tuple[str, dict[str, Any]]:
    """A block's id, and the element in it; of several the one of a changed field."""
    found = [
        (str(block.get("block_id", "b")), element)
        for block in view["blocks"]
        for element in [*block.get("elements", ()), block.get("element") or {}]
        if element.get("action_id") == action_id
    ]
    fitting = [one for one in found if name_of(one[0]) in changed] or found
    assert fitting, f"there is no {action_id} in {[b.get('block_id') for b in view['blocks']]}"
    return fitting[0]
