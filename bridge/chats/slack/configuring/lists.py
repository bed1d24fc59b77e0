"""The searchable lists of the dialog: repositories and branches, as the backend has them."""

from collections.abc import Callable
from typing import Any

from bridge.chats.slack.configuring.asking import allowed
from bridge.chats.slack.configuring.views import read_about
from bridge.chats.slack.drawing import names
from bridge.chats.slack.drawing.blocks import MOST_OPTIONS, Element, option
from bridge.chats.slack.drawing.fields import OPTION_VALUE, depends_on
from bridge.chats.slack.parts import Parts
from bridge.core.errors import BridgeError
from bridge.ports.chats import Place


def register(bolt: Any, parts: Parts) -> None:
    """Listen to what is looked for."""
    bolt.options(names.PROVIDER_REPOSITORY)(_listed(parts))
    bolt.options(names.PROVIDER_BRANCH)(_listed(parts))

    async def on_choice(ack: Any) -> Any:
        return await ack()

    bolt.action(names.PROVIDER_BRANCH)(on_choice)  # nothing depends on it


def _listed(parts: Parts) -> Callable[..., Any]:
    async def on_list(ack: Any, body: dict[str, Any]) -> Any:
        task = await parts.background.in_time(_options(parts, body), "a list")
        return await ack(options=task.result() if task.done() else [])

    return on_list


async def _options(parts: Parts, body: dict[str, Any]) -> list[Element]:
    """What fits what was typed; nothing where somebody may not, or the backend can't tell."""
    about = read_about(str((body.get("view") or {}).get("private_metadata")))
    if about is None:
        return []
    app = allowed(parts, await parts.person(body), Place(about.channel), about.app)
    of = depends_on(str(body.get("block_id")))
    if app is None or not of:
        return []
    try:
        if body.get("action_id") == names.PROVIDER_REPOSITORY:
            found = [one.path for one in await parts.desk.repositories(app, of[0])]
        else:
            found = await parts.desk.branches(app, of[0], "|".join(of[1:]))
    except BridgeError:
        return []
    return offered(found, str(body.get("value") or ""))


def offered(found: list[str], typed: str) -> list[Element]:
    """Those that have every typed word, those that begin with it first; at most a hundred."""
    words = typed.lower().split()
    fitting = [one for one in found if all(word in one.lower() for word in words)]
    fitting.sort(key=lambda one: (not one.lower().startswith(typed.lower()), one.lower()))
    return [option(one, one) for one in fitting if len(one) <= OPTION_VALUE][:MOST_OPTIONS]
