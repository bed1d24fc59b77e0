"""The parts that probe the addresses of apps and roll them back."""

from bridge.app.wiring import Parts
from bridge.backends import EMBEDDED
from bridge.outbound import Guard, Outbound, networks_of, origin_of
from bridge.pipeline.deploying.auto_rollback import GoingBack
from bridge.pipeline.deploying.rollback_plan import Ways
from bridge.pipeline.deploying.serving import Looks
from bridge.ports.clock import Clock
from bridge.ports.journal import Journal
from bridge.settings import Settings
from bridge.settings.gates import freezes_of


def outbound_of(parts: Parts) -> Outbound:
    """Return what asks the addresses of apps; the embedded backend's own sites may be asked."""
    own = [origin_of(parts.sites)] if parts.sites else []
    return Outbound(Guard(networks_of(parts.settings.verify.allow), own))


def looks_of(settings: Settings, journal: Journal, clock: Clock) -> Looks:
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
