"""Build what people ask for, in chats and in the console, and what looks at what is served."""

from collections.abc import Callable, Mapping, Sequence

from bridge.app.wiring import Parts
from bridge.backends import EMBEDDED
from bridge.core.access import Access
from bridge.core.apps import App
from bridge.githosts import HOSTS
from bridge.githosts.server import homes_of
from bridge.operations.commands import ChatCommands
from bridge.operations.suspects import Suspects
from bridge.outbound import Guard, Outbound, networks_of, origin_of
from bridge.pipeline.deploying.auto_rollback import GoingBack
from bridge.pipeline.deploying.configure import Configurer, Configurers
from bridge.pipeline.deploying.rollback_plan import Replays, Ways
from bridge.pipeline.deploying.serving import Looks, ServingJournal
from bridge.pipeline.feedback.build_logs import BuildLogs
from bridge.pipeline.feedback.lookup import Known
from bridge.pipeline.gates.locks import NO_PULLS, Pulls
from bridge.ports.clock import Clock
from bridge.ports.journal import Journal
from bridge.settings import Settings, identities_of, policy_of
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
) -> ChatCommands:
    """Return what people can do at a door, whose name marks what is asked there, e.g. "slack"."""
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
    )


def suspects_of(settings: Settings, journal: Journal, clock: Clock) -> Suspects:
    """Return what finds the refused webhooks that may be a missing push."""
    servers = settings.host_servers()
    return Suspects(journal, clock, HOSTS, servers, homes_of(servers.values()))


# ── Looking at what is served, and going back ─────────────────────────────────────────────────────


def outbound_of(parts: Parts) -> Outbound:
    """Return what asks the addresses of apps; the embedded backend's own sites may be asked."""
    own = [origin_of(parts.sites)] if parts.sites else []
    return Outbound(Guard(networks_of(parts.settings.verify.allow), own))


def looks_of(settings: Settings, journal: ServingJournal, clock: Clock) -> Looks:
    """Return what looks at what backends serve; a single backend goes by its people's name."""
    servers = settings.backends_set()
    if not servers:
        return Looks(journal, clock, {EMBEDDED: "the embedded backend"})
    alone = len(servers) == 1
    titles = {name: one.provider.title for name, one in servers.items() if alone}
    return Looks(journal, clock, titles)


def ways_of(parts: Parts) -> Ways:
    """Return what finds the ways back to earlier versions."""
    settings = parts.settings
    looks = looks_of(settings, parts.stores.journal, parts.clock)
    freezes = freezes_of(settings.freezes)
    return Ways(parts.backends, looks, locks=settings.rollback.lock, freezes=freezes)


def going_back_of(parts: Parts) -> GoingBack:
    """Return what rolls back by itself."""
    stores = parts.stores
    return GoingBack(parts.backends, stores.journal, stores.inbox, ways_of(parts), parts.clock)
