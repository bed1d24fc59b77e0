"""Check everything at once: the bridge itself, its backends, its Git hosts and its chats."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bridge.app.data_folder import must_be_there
from bridge.app.doctor.itself import of_apps, of_data, repositories_of, runs
from bridge.app.doctor.public_url import of_public_url
from bridge.app.doctor.services import (
    OK,
    Stream,
    Tried,
    compared,
    findings_of,
    of_backend,
    together,
    try_backend,
)
from bridge.app.storage import open_stores
from bridge.backends import EMBEDDED
from bridge.chats import CHATS
from bridge.core.challenge import PURPOSE
from bridge.core.errors import BridgeError, NotFound, Rejected
from bridge.ports.checks import Checked, Finding, Level
from bridge.settings import channels_of

if TYPE_CHECKING:
    from bridge.core.apps import App
    from bridge.ports.journal import Journal
    from bridge.ports.providers import BackendServer, HostServer
    from bridge.settings import Settings

WITHIN = 11.0
"""Seconds for all checks; the start of the command and a busy machine take some more."""

TO_READ_APPS = 4.0
"""Seconds for the backends to list their apps, which checks of Git hosts wait for."""


async def examine_all(
    settings: "Settings", first: Sequence[Finding] = ()
) -> AsyncIterator[Finding]:
    """Yield what is found, as it comes.

    Args:
        first: what is known already, e.g. of the settings.
    """
    began = time.monotonic()
    for finding in first:
        yield finding
    trouble = None
    try:
        known, key, made = await _stored(settings)
        running: bool | None = await runs(settings)
    except BridgeError as error:
        known, key, made, running = [], None, frozenset(), None
        if not any(one.words in str(error) for one in first if one.level is Level.ERROR):
            remedy = "correct that, or name other data with BRIDGE_DATA or DATABASE_URL"
            trouble = Finding(Level.ERROR, "bridge.data", "the data", str(error), remedy)
    streams = list(Examination(settings, known, key, running, made, trouble).streams())
    left = max(WITHIN - (time.monotonic() - began), TO_READ_APPS)  # a database may have been slow
    async for finding in together(streams, round(left)):
        yield finding


async def _stored(settings: "Settings") -> "tuple[list[App], str | None, frozenset[str]]":
    """Return what is stored: the apps, the key for challenges, and the hosts of our own webhooks.

    Raise BridgeError if there is trouble.
    """
    try:
        must_be_there(settings)
    except NotFound:
        return [], None, frozenset()  # it has never run here
    async with open_stores(settings) as stores:
        journal: Journal = stores.journal
        made = frozenset(one.host for one in await stores.journal.made_hooks())
        return await journal.apps(), await journal.secret(PURPOSE), made


@dataclass
class Examination:
    """One examination of a set-up.

    Attributes:
        known: the apps that are stored, for backends that can't be read.
        key: the installation's secret for challenges; None if there is no store.
        running: whether a bridge runs on these data; None if they can't be used.
        made: the hosts at which the bridge has made webhooks.
        trouble: why they can't be used, if nothing else says it.
    """

    settings: "Settings"
    known: "Sequence[App]"
    key: str | None
    running: bool | None
    made: frozenset[str] = frozenset()
    trouble: Finding | None = None
    _read: "dict[str, asyncio.Future[tuple[Tried, list[App]]]]" = field(default_factory=dict)
    _address_asked: asyncio.Event = field(default_factory=asyncio.Event)

    def streams(self) -> Iterator[Stream]:
        """Yield all parts; their order does not matter."""
        settings = self.settings
        backends = settings.backends_set()
        for name, server in backends.items():
            reading = asyncio.ensure_future(try_backend(server, TO_READ_APPS, sources=True))
            self._read[name] = reading
        yield Stream("bridge", "the bridge", of_data(settings, self.running, self.trouble))
        yield Stream("bridge", "the bridge", self._address())
        yield Stream("bridge", "the bridge", self._apps())
        for server in backends.values():
            yield Stream("backend", server.name, self._backend(server))
        for host in settings.host_servers().values():
            if host.serves or _has_api(host):
                yield Stream("host", host.name, self._host(host))
        for chat, given in settings.chats_set().items():
            yield Stream("chat", chat, self._chat(chat, given))

    async def _address(self) -> AsyncIterator[Finding]:
        try:
            if (url := self.settings.public_url) is not None:
                async for finding in of_public_url(url, self.key, runs=bool(self.running)):
                    yield finding
                return
        finally:
            self._address_asked.set()
        if self.made or any(one.serves for one in self.settings.host_servers().values()):
            says = "public_url is not set, so whether webhooks can arrive was not checked"
            remedy = "set BRIDGE_PUBLIC_URL to the address that webhooks have"
            yield Finding(Level.WARNING, "bridge.url.unset", "the bridge", says, remedy)

    # ── services ────────────────────────────────────────────────────────────

    async def _known_apps(self) -> "list[App]":
        """Return all apps: as they are now, or as stored if a backend does not tell in time.

        Wait for the bridge's address as well: the clients of hosts and chats take long to import,
        and nothing that is timed should wait meanwhile.
        """
        address = asyncio.ensure_future(self._address_asked.wait())
        before: list[asyncio.Future[Any]] = [address, *self._read.values()]
        await asyncio.wait(before, timeout=TO_READ_APPS)
        address.cancel()
        done = [one.result() for one in self._read.values() if one.done()]
        read = {tried.backend: apps for tried, apps in done if tried.state == OK}
        own = set(self._read) or {EMBEDDED}
        stored = (app for app in self.known if app.backend in own - set(read))
        return [*(app for apps in read.values() for app in apps), *stored]

    async def _apps(self) -> AsyncIterator[Finding]:
        backends = self.settings.backends_set()
        titles = {name: one.provider.title for name, one in backends.items()}
        for finding in of_apps(self.settings, await self._known_apps(), titles, self.made):
            yield finding

    async def _backend(self, server: "BackendServer") -> AsyncIterator[Finding]:
        tried, apps = await asyncio.shield(self._read[server.name])
        earlier = list(self._read.values())[: list(self._read).index(server.name)]
        others = await asyncio.gather(*map(asyncio.shield, earlier))
        tried = compared([*others, (tried, apps)])[-1]
        for finding in of_backend(tried, apps):
            yield finding
        if tried.state == OK and server.provider.checks is not None:
            checked = Checked(server.name, server.given, apps=apps)
            async for finding in server.provider.checks(checked):
                yield finding

    async def _host(self, server: "HostServer") -> AsyncIterator[Finding]:
        if not _has_api(server):
            says = "no credential for its API is set, so its webhooks were not checked"
            yield Finding(Level.OK, "host.token", server.name, says)
            return
        repositories = repositories_of(self.settings, await self._known_apps())
        checked = Checked(
            server.name,
            server.given,
            self.settings.public_url,
            repositories=repositories.get(server.name, ()),
            backends=[str(one.address) for one in self.settings.backends_set().values()],
        )
        async for finding in findings_of(server.provider, checked, WITHIN):
            yield finding

    async def _chat(self, chat: str, given: Any) -> AsyncIterator[Finding]:
        await self._known_apps()
        named = [name for _, names in channels_of(self.settings, chat) for name in names]
        checked = Checked(chat, given, self.settings.public_url, channels=tuple(named))
        async for finding in findings_of(CHATS[chat], checked, WITHIN):
            yield finding


def _has_api(server: "HostServer") -> bool:
    """Return whether a credential is set, be it a valid one or not."""
    try:
        return server.provider.api(server.name, server.given) is not None
    except Rejected:
        return True
