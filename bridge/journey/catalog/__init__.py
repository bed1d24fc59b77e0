"""Which apps there are and what each waits for, at hand without asking anybody.

Kept in the journal, so that the bridge starts and decides even while a backend is down; read from
the backends in turn, and anew before a push is decided on what may be out of date.
"""

from bridge.journey.catalog.catalog import (
    FOLLOW_PAUSE,
    LOOK_AGAIN,
    SELDOM,
    TROUBLE_PAUSE,
    Catalog,
    Leads,
    always,
    never,
)
from bridge.journey.catalog.snapshot import Snapshot, Watched, apps_of, index

__all__ = [
    "FOLLOW_PAUSE",
    "LOOK_AGAIN",
    "SELDOM",
    "TROUBLE_PAUSE",
    "Catalog",
    "Leads",
    "Snapshot",
    "Watched",
    "always",
    "apps_of",
    "index",
    "never",
]
