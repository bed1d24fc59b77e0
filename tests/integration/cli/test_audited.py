"""Each operation that acts leaves one entry in the audit log, through each door.

The bridge is a whole one, with the embedded backend, a Git host and a Slack workspace beside it;
the doors are the real command line, Slack's commands, and the console's forms over HTTP.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from bridge.cli.backend import person
from bridge.console.visitors import BY_LINK
from bridge.core.configuration.fields import SOURCES
from bridge.core.events import COMMAND_HOST, CONSOLE_HOST, Action
from bridge.operations.base import Door
from bridge.operations.every import OPERATIONS
from bridge.ports.inbox import DeliveryState
from bridge.ports.outcomes import Stage, Subscription
from tests.scenes.dokploy import KEY, adoptable
from tests.worlds.cli import Cli
from tests.worlds.console import fields_of
from tests.worlds.embedded import until
from tests.worlds.previewed import HEAD, held, up
from tests.worlds.three_doors import GRACE, NAME, Given, ThreeDoors, three_doors

BY = {
    Door.COMMAND_LINE: (COMMAND_HOST, person().name),
    Door.CHATS: ("slack", GRACE.name),
    Door.CONSOLE: (CONSOLE_HOST, BY_LINK.person.called),
}


# ── what each needs, so that it can be done ──────────────────────────────────

APP: Given = {"app": "shop/web"}
BRANCH: Given = APP | {"branch": "next"}
GATE: Given = {"scope": "shop/web", "reason": "a release"}
HOOK: Given = {"repositories": NAME}


async def nothing(_: ThreeDoors) -> Given:
    return {}


async def twice(stage: ThreeDoors) -> Given:
    """Have two versions deployed."""
    await stage.deployed()
    stage.origin.repository.commit("feat: more", {"web/index.html": "second"})
    await stage.deployed()
    return {}


async def once(stage: ThreeDoors) -> Given:
    await stage.deployed()
    return {}


async def waiting(stage: ThreeDoors) -> Given:
    """Have a gate hold a deployment."""
    if "BRIDGE_RULES" not in stage.environment:
        await stage.command("lock", "shop/web", "-m", "a release")
    await stage.both.world.ask(Action.DEPLOY, (await stage.app()).id)
    await until(stage.both.world.states, lambda those: those == ["held"])
    return {}


def after(*words: str) -> Callable[[ThreeDoors], Awaitable[Given]]:
    """Return what calls a command before."""

    async def prepare(stage: ThreeDoors) -> Given:
        await stage.command(*words)
        return {}

    return prepare


async def promotable(stage: ThreeDoors) -> Given:
    """Have a version in one app, and another app that is pinned and has none."""
    backend = stage.both.world.backend
    assert backend is not None
    other = await backend.app("api", stage.origin.clone_url, publishDirectory="web")
    await backend.save_git(other["applicationId"], stage.origin.clone_url)
    await stage.both.knows("shop/api")
    await stage.command("pin", "shop/web", "--yes")
    await stage.deployed("shop/api")
    return {}


async def drafted(stage: ThreeDoors) -> Given:
    """Have a change shown, as the dialog does."""
    shown = await stage.web.post("/console/do/provider set git", data=BRANCH)
    return dict(json.loads(fields_of(shown.text, 'name="call"')[1]["call"]))


async def failing(stage: ThreeDoors) -> Given:
    journal, card = stage.both.world.stores.journal, Subscription("x", "x", "x", ("x",), {})
    await journal.subscribe([card])
    await journal.mark_failed(card.id, 99, "not_in_channel", due_at=None)
    return {}


async def previewed(stage: ThreeDoors) -> Given:
    await up(stage.both.world.stores.journal, await stage.app(), 12)
    return {}


async def forked(stage: ThreeDoors) -> Given:
    await held(stage.both.world.stores.journal, await stage.app(), 12)
    return {}


async def pushed(stage: ThreeDoors) -> Given:
    id_ = await stage.both.world.commit(stage.origin, "feat: more", {"web/index.html": "second"})
    await stage.both.world.ended(1)
    return {"delivery": id_}


async def file(_: ThreeDoors) -> Given:
    Path(".env").write_text("LEVEL=debug\n")
    return {}


Prepare = Callable[[ThreeDoors], Awaitable[Given]]
PREVIEW: Given = {"preview": "shop/web#12"}
LOCKED, HOOKED = after("lock", "shop/web", "-m", "x"), after("hooks", "install", NAME, "--yes")
CASES: Mapping[str, tuple[Given, Prepare]] = {
    "deploy": (APP, nothing),
    "redeploy": (APP, nothing),
    "cancel": (APP, waiting),
    "rollback": (APP, twice),
    "promote": (APP | {"source": "shop/api"}, promotable),
    "clear": (APP, once),
    "provider disconnect": (APP, nothing),
    "provider undo": (APP, after("provider", "set", "git", "shop/web", "--branch=x", "--yes")),
    "provider": (APP, drafted),
    "feedback retry": ({"every": True}, failing),
    "lock": (GATE, nothing),
    "unlock": ({"scope": "shop/web"}, LOCKED),
    "freeze": (GATE, nothing),
    "unfreeze": ({"scope": "shop/web"}, after("freeze", "shop/web", "-m", "x")),
    "approve": (APP, waiting),
    "override": (APP | {"reason": "it mends it"}, waiting),
    "adopt": ({"apps": "shop/web"}, nothing),
    "pin": (APP, nothing),
    "unpin": (APP, after("pin", "shop/web", "--yes")),
    "previews stop": (PREVIEW, previewed),
    "previews extend": (PREVIEW, previewed),
    "previews approve": (PREVIEW | {"commit": HEAD[:12]}, forked),
    "replay": ({}, pushed),
    **{f"provider set {one}": (BRANCH, nothing) for one in ("git", "github", "gitlab", "gitea")},
    "provider set docker": (APP | {"image": "nginx:1.27"}, nothing),
    "build set": (APP | {"publish_directory": "public"}, nothing),
    "env set": (APP | {"variables": "LEVEL=debug"}, nothing),
    "env import": (APP | {"file": ".env"}, file),
    "hooks install": (HOOK, nothing),
    "hooks remove": (HOOK, HOOKED),
    "hooks rotate": (HOOK, HOOKED),
}
"""What is asked for, and what has to be there before."""

AT_DOKPLOY: Mapping[str, Given] = {
    "adopt": {},
    "provider set github": {},
    "provider set gitlab": {
        "sourceType": "gitlab",
        "gitlabId": "x",
        "gitlabProjectId": 7,
        "gitlabOwner": "my-org",
        "gitlabRepository": "mono",
        "gitlabPathNamespace": NAME,
        "gitlabBranch": "main",
    },
    "provider set gitea": {
        "sourceType": "gitea",
        "giteaId": "x",
        "giteaOwner": "my-org",
        "giteaRepository": "mono",
        "giteaBranch": "main",
    },
}
"""What the embedded backend has not, with the fields of the app that a Dokploy has instead."""

TOLD_AS = {
    "hooks install": "hooks create",
    "provider": "provider set",
    **{f"provider set {one}": "provider set" for one in SOURCES},
    "env import": "env set",
}
"""What the log calls what was done, where it has a name of its own at every door."""

AT_HOST = f"github {NAME}"
OF_NO_APP = {
    "feedback retry": "all that fail",
    "replay": "1",
    **dict.fromkeys(("hooks install", "hooks remove", "hooks rotate"), AT_HOST),
}
"""What the log says it was about, if no app; of a replay, the webhook's number."""


def settings_of(name: str, stack: AsyncExitStack) -> dict[str, str]:
    if name == "approve":
        rule = {"apps": "shop/*", "approvals": 1, "approvals_by": "anyone"}
        return {"BRIDGE_RULES": json.dumps([rule])}
    if name in AT_DOKPLOY:
        url, handler = stack.enter_context(adoptable({"app_web"}))
        handler.written["app_web"] |= AT_DOKPLOY[name]
        return {"BRIDGE_DOKPLOY_URL": url, "BRIDGE_DOKPLOY_API_KEY": KEY}
    return {}


# ── the table ────────────────────────────────────────────────────────────────


def test_every_operation_that_acts_is_tried() -> None:
    assert sorted(CASES) == sorted(one.name for one in OPERATIONS.values() if one.acts)
    assert TOLD_AS.keys() | AT_DOKPLOY.keys() | OF_NO_APP.keys() <= CASES.keys()


@pytest.mark.parametrize(
    ("name", "door"),
    [(name, door) for name in CASES for door in Door if door not in OPERATIONS[name].not_at],
)
async def test_what_is_done_is_recorded_once(
    name: str, door: Door, tmp_path: Path, cli: Cli
) -> None:
    given, prepare = CASES[name]
    async with AsyncExitStack() as stack:
        settings = settings_of(name, stack)
        stage = await stack.enter_async_context(three_doors(tmp_path, cli, settings))
        given = {**given, **await prepare(stage)}
        before = len(await stage.audited())

        await stage.asked(door, name, given)

        await until(stage.audited, lambda those: len(those) > before and those[0].over)
        await until(
            lambda: stage.both.world.stores.inbox.newest(9),
            lambda those: all(one.state is not DeliveryState.KEPT for one in those),
        )
        found = (await stage.audited())[: -before or None]
        about = OF_NO_APP.get(name, "shop/web")
        id_ = "" if name in OF_NO_APP else (await stage.app()).id
        assert [(one.by.door, one.by.name, one.what, one.app, one.app_id) for one in found] == [
            (*BY[door], TOLD_AS.get(name, name), about, id_)
        ]
        assert found[0].result.stage in (Stage.DONE, Stage.TOLD), found[0].outcome
