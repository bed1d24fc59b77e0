"""The parts that probe the addresses of apps and roll them back."""

from bridge.app.wiring import Parts
from bridge.outbound import Guard, Outbound, networks_of, origin_of
from bridge.pipeline.auto_rollback import GoingBack
from bridge.pipeline.rollback_plan import Ways


def outbound_of(parts: Parts) -> Outbound:
    """Return what asks the addresses of apps; the embedded backend's own sites may be asked."""
    own = [origin_of(parts.sites)] if parts.sites else []
    return Outbound(Guard(networks_of(parts.settings.verify.allow), own))


def ways_of(parts: Parts) -> Ways:
    """Return what finds the ways back to earlier versions."""
    return Ways(parts.backends, parts.stores.journal, locks=parts.settings.rollback.lock)


def going_back_of(parts: Parts) -> GoingBack:
    """Return what rolls back by itself."""
    stores = parts.stores
    return GoingBack(parts.backends, stores.journal, stores.inbox, ways_of(parts), parts.clock)
