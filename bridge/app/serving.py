"""Build what looks at what backends serve, and what goes back to an earlier version."""

from typing import TYPE_CHECKING

from bridge.backends import EMBEDDED
from bridge.pipeline.deploying.serving import Looks, ServingJournal
from bridge.ports.clock import Clock
from bridge.settings import Settings
from bridge.settings.gates import freezes_of

if TYPE_CHECKING:
    from bridge.app.wiring import Parts
    from bridge.outbound import Outbound
    from bridge.pipeline.deploying.auto_rollback import GoingBack
    from bridge.pipeline.deploying.rollback_plan import Ways


def outbound_of(parts: "Parts") -> "Outbound":
    """Return what asks the addresses of apps; the embedded backend's own sites may be asked."""
    from bridge.outbound import Guard, Outbound, networks_of, origin_of

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


def ways_of(parts: "Parts") -> "Ways":
    """Return what finds the ways back to earlier versions."""
    from bridge.pipeline.deploying.rollback_plan import Ways

    settings = parts.settings
    looks = looks_of(settings, parts.stores.journal, parts.clock)
    freezes = freezes_of(settings.freezes)
    return Ways(parts.backends, looks, locks=settings.rollback.lock, freezes=freezes)


def going_back_of(parts: "Parts") -> "GoingBack":
    """Return what rolls back by itself."""
    from bridge.pipeline.deploying.auto_rollback import GoingBack

    stores = parts.stores
    return GoingBack(parts.backends, stores.journal, stores.inbox, ways_of(parts), parts.clock)
