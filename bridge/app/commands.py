"""Build what people ask for, in chats and in the console."""

from collections.abc import Callable, Sequence

from bridge.app.health import ways_of
from bridge.app.wiring import Parts
from bridge.core.access import Access
from bridge.core.apps import App
from bridge.operations.commands import ChatCommands
from bridge.pipeline.feedback.lookup import BuildLogs, Known
from bridge.pipeline.gates.locks import NO_PULLS, Pulls
from bridge.settings import identities_of
from bridge.settings.gates import freezes_of


def commands_of(
    parts: Parts,
    host: str,
    access: Access,
    logs: BuildLogs,
    *,
    channels: Callable[[App, str], Sequence[str]] = lambda _app, _here: (),
    pulls: Pulls = NO_PULLS,
) -> ChatCommands:
    """Return what people can do there.

    Args:
        host: the name that marks what is asked there, e.g. "slack".
        channels: see `Known`.
    """
    stores, catalog = parts.stores, parts.catalog
    return ChatCommands(
        host,
        stores.inbox,
        stores.journal,
        Known(catalog.all, lambda: catalog.trouble, channels, catalog.wake),
        access,
        logs,
        parts.clock,
        freezes=freezes_of(parts.settings.freezes),
        ways=ways_of(parts),
        wake=parts.bell,
        pulls=pulls,
        head_of=parts.heads.told,
        identities=identities_of(parts.settings),
    )
