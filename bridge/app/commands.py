"""Build what people ask for, in chats and in the console."""

from collections.abc import Callable, Mapping, Sequence

from bridge.app.pages import suspects_of
from bridge.app.serving import ways_of
from bridge.app.wiring import Parts
from bridge.core.access import Access
from bridge.core.apps import App
from bridge.operations.commands import ChatCommands
from bridge.pipeline.deploying.configure import Configurer, Configurers
from bridge.pipeline.deploying.rollback_plan import Replays
from bridge.pipeline.feedback.build_logs import BuildLogs
from bridge.pipeline.feedback.lookup import Known
from bridge.pipeline.gates.locks import NO_PULLS, Pulls
from bridge.settings import identities_of, policy_of
from bridge.settings.gates import freezes_of


def commands_of(
    parts: Parts,
    host: str,
    access: Access,
    logs: BuildLogs,
    *,
    channels: Callable[[App, str], Sequence[str]] = lambda _app, _here: (),
    pulls: Pulls = NO_PULLS,
    configurers: Mapping[str, Configurer],
    **typed: str,
) -> ChatCommands:
    """Return what people can do at a door, whose name marks what is asked there, e.g. "slack".

    Args:
        typed: how calls are typed there, if not as in chats; see `ChatCommands`.
    """
    from bridge.app.hosting import hosting_of

    settings, stores, catalog, ways = parts.settings, parts.stores, parts.catalog, ways_of(parts)
    return ChatCommands(
        host,
        stores.inbox,
        stores.journal,
        Known(catalog.all, lambda: catalog.trouble, channels, catalog.wake),
        access,
        logs,
        parts.clock,
        freezes=freezes_of(settings.freezes),
        ways=ways,
        wake=parts.bell,
        pulls=pulls,
        head_of=parts.heads.told,
        identities=identities_of(settings),
        configurers=Configurers(configurers, parts.backends),
        suspects=suspects_of(settings, stores.journal, parts.clock),
        hosting=hosting_of(settings, stores, parts.backends, parts.apis, catalog.wake),
        hosts=parts.hosts,
        replays=Replays(parts.heads, ways),
        reading=parts.reading,
        policy=policy_of(settings),
        apis=parts.apis,
        **typed,
    )
