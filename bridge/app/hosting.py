"""Build what acts at Git hosts and backends for people."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from bridge.app.data_folder import is_running
from bridge.app.keyrings import adopter_of, hooks_of
from bridge.app.providers import configurers_of
from bridge.app.storage import Stores
from bridge.chats import CHATS
from bridge.core.errors import Rejected
from bridge.githosts.server import homes_of
from bridge.pipeline.deploying.hosting import Hosting
from bridge.pipeline.deploying.pinning import Pinner, Pins
from bridge.ports.backends import Backend
from bridge.ports.clock import Wake
from bridge.ports.githosts import HostApi
from bridge.ports.outcomes import Audited, Subscription
from bridge.settings import Settings, book_of, channels_of


def hosting_of(
    settings: Settings,
    stores: Stores,
    backends: Mapping[str, Backend],
    apis: Mapping[str, HostApi],
    wake: Wake = lambda: None,
) -> Hosting:
    """Return what acts at these Git hosts and backends.

    Args:
        wake: called after a change, to notify a catalog in this process.
    """
    journal, book = stores.journal, book_of(settings)
    homes = homes_of(settings.host_servers().values())
    pins = Pins(apis, homes, book)

    def pinner(backend: str) -> Pinner:
        found = configurers_of(settings, stores, backends, wake).get(backend)
        if found is None:
            raise Rejected(f"apps of {backend} can't be configured from here; do it there")
        return Pinner(replace(found, shown=tells_of(settings)), journal, pins, book)

    return Hosting(
        lambda by: hooks_of(settings, journal, apis, by=by),
        homes,
        lambda: adopter_of(settings, journal, backends, wake),
        pinner,
        lambda: asyncio.to_thread(is_running, settings),
    )


def tells_of(settings: Settings) -> Callable[[Audited], Sequence[Subscription]]:
    """Return the announcers of changes that people make at once: one for every chat."""
    given = {chat: (one, channels_of(settings, chat)) for chat, one in settings.chats_set().items()}
    return lambda note: [
        subscription
        for chat, (one, book) in given.items()
        for subscription in CHATS[chat].tells(one, book, note)
    ]
