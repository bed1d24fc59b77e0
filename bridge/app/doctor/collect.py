"""Check everything at once: the settings, the bridge itself, and all services."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from bridge.app.data_folder import must_be_there
from bridge.app.doctor.apps import (
    building_branches,
    of_apps,
    of_pins,
    of_previews,
    of_verified,
    previewed,
)
from bridge.app.doctor.itself import of_data, of_public_url, runs
from bridge.app.doctor.names import of_identities, of_named_checks
from bridge.app.doctor.services import (
    OK,
    Stream,
    Tried,
    compared,
    findings_of,
    of_backend,
    of_sign_in,
    together,
    try_backend,
)
from bridge.app.doctor.settings import ABOUT, of_settings
from bridge.app.pages import titles_of
from bridge.app.providers import ways_to_sign_in
from bridge.app.storage import open_stores
from bridge.app.stored_settings import Difference, compare
from bridge.app.unmatched import repositories_of, unmatched
from bridge.backends import EMBEDDED
from bridge.chats import CHATS
from bridge.core.apps import of_people
from bridge.core.errors import BridgeError, NotFound, Rejected
from bridge.core.pins import pin_of
from bridge.core.rules import ruled
from bridge.ports.checks import Checked, Finding, Level, in_order
from bridge.settings import book_of, channels_of, identities_of, preview_channels_of
from bridge.web.challenge import PURPOSE

if TYPE_CHECKING:
    from bridge.core.apps import App
    from bridge.ports.journal import Journal
    from bridge.ports.providers import BackendServer, HostServer
    from bridge.settings import Settings

WITHIN = 11.0
"""Seconds for all checks; the start of the command and a busy machine take some more."""

TO_READ_APPS = 4.0
"""Seconds for the backends to list their apps, which checks of Git hosts wait for."""

PATIENT, PATIENT_TO_READ_APPS = 30.0, 15.0
"""The same where nobody counts the seconds."""


async def examine_all(
    settings: "Settings", journal: "Journal | None" = None
) -> AsyncIterator[Finding]:
    """Yield what is found, as it comes.

    Args:
        journal: that of the bridge in this process; None opens the stored one. A process must not
            open SQLite's files twice: closing one handle releases the locks of the other.
    """
    began = time.monotonic()
    first = await asyncio.to_thread(list, of_settings(settings))
    stored, trouble, running = Stored(), None, None
    try:
        stored = await (_stored(settings) if journal is None else _read(journal))
        running = await runs(settings)
    except BridgeError as error:
        told = settings.places.told(str(error))
        if not any(one.words in told for one in first if one.level is Level.ERROR):
            remedy = "correct that, or name other data with BRIDGE_DATA or DATABASE_URL"
            trouble = Finding(Level.ERROR, "bridge.data", "the data", str(error), remedy)
    streams = Examination(settings, stored, running, trouble).streams()
    those = [next(streams)]  # the data
    difference = stored.difference if running else None
    if difference is not None:
        yield difference.finding()
    if difference is None or not difference.incomplete:
        those += streams
        for finding in first:
            yield finding
    left = max(WITHIN - (time.monotonic() - began), TO_READ_APPS)  # a database may have been slow
    async for finding in together(those, round(left)):
        yield finding


async def examine_services(settings: "Settings") -> tuple[list[Tried], list[Finding]]:
    """Return what each backend has answered, and what is found at all services.

    Raises:
        BridgeError: the data can't be used.
    """
    stored = await _stored(settings)
    examination = Examination(settings, stored, to_read_apps=PATIENT_TO_READ_APPS)
    found = [one async for one in together(list(examination.services()), PATIENT)]
    return examination.tried(), in_order(found)


@dataclass(frozen=True, slots=True)
class Stored:
    """The stored facts that checks use.

    Attributes:
        apps: for backends that can't be read.
        removed: apps that were there lately.
        difference: from the settings of the bridge that ran last; None if it is not known.
        key: the installation's secret for challenges; None if there is no store.
        made: the hosts at which the bridge has made webhooks.
    """

    apps: "Sequence[App]" = ()
    removed: "Sequence[App]" = ()
    key: str | None = None
    made: frozenset[str] = frozenset()
    difference: Difference | None = None


async def _stored(settings: "Settings") -> Stored:
    try:
        must_be_there(settings)
    except NotFound:
        return Stored()  # it has never run here
    async with open_stores(settings) as stores:
        stored = await _read(stores.journal)
        return replace(stored, difference=await compare(settings, stores.journal))


async def _read(journal: "Journal") -> Stored:
    made = frozenset(one.host for one in await journal.made_hooks())
    removed = await journal.removed_lately()
    return Stored(await journal.apps(), removed, await journal.secret(PURPOSE), made)


@dataclass
class Examination:
    """One examination of a set-up.

    Attributes:
        running: whether a bridge runs on these data; None if they can't be used.
        trouble: why they can't be used, if nothing else says it.
        to_read_apps: seconds for the backends to list their apps.
    """

    settings: "Settings"
    stored: Stored
    running: bool | None = None
    trouble: Finding | None = None
    to_read_apps: float = field(default_factory=lambda: TO_READ_APPS)
    _read: "dict[str, asyncio.Future[tuple[Tried, list[App]]]]" = field(default_factory=dict)
    _address_asked: asyncio.Event = field(default_factory=asyncio.Event)

    def streams(self) -> Iterator[Stream]:
        """Yield all parts, the data first; the order of the others does not matter."""
        yield Stream("bridge", "the bridge", of_data(self.settings, self.running, self.trouble))
        yield Stream("bridge", "the bridge", self._address())
        yield Stream("bridge", "the bridge", self._apps())
        yield from self._of_services()

    def services(self) -> Iterator[Stream]:
        """Yield the parts that ask backends, Git hosts and chats."""
        self._address_asked.set()  # it is not asked
        yield from self._of_services()

    def _of_services(self) -> Iterator[Stream]:
        yield Stream("bridge", ABOUT, self._unmatched())
        backends = self.settings.backends_set()
        for name, server in backends.items():
            reading = asyncio.ensure_future(try_backend(server, self.to_read_apps, sources=True))
            self._read[name] = reading
        for server in backends.values():
            yield Stream("backend", server.name, self._backend(server))
        for host in self.settings.host_servers().values():
            if host.serves or has_api(host):
                yield Stream("host", host.name, self._host(host))
        for chat, given in self.settings.chats_set().items():
            yield Stream("chat", chat, self._chat(chat, given))
        if self.settings.console.enabled:
            for key, way in ways_to_sign_in(self.settings).items():
                found = of_sign_in(key, way, self.settings.public_url)
                yield Stream("console", f"console {key}", found)

    def tried(self) -> list[Tried]:
        """Return what each backend has answered."""
        return compared([one.result() for one in self._read.values() if one.done()])

    async def _address(self) -> AsyncIterator[Finding]:
        key, running = self.stored.key, bool(self.running)
        try:
            if (url := self.settings.public_url) is not None:
                async for finding in of_public_url(url, key, runs=running):
                    yield finding
                return
        finally:
            self._address_asked.set()
        if self.stored.made or any(one.serves for one in self.settings.host_servers().values()):
            says = "public_url is not set, so whether webhooks can arrive was not checked"
            remedy = "set BRIDGE_PUBLIC_URL to the address that webhooks are sent to"
            yield Finding(Level.WARNING, "bridge.url.unset", "the bridge", says, remedy)

    # ── services ────────────────────────────────────────────────────────────

    async def _known_apps(self) -> "list[App]":
        """Return all apps: as they are now, or as stored if a backend does not tell in time.

        Wait for the bridge's address as well: the clients of hosts and chats take long to import,
        and nothing that is timed should wait meanwhile.
        """
        address = asyncio.ensure_future(self._address_asked.wait())
        before: list[asyncio.Future[Any]] = [address, *self._read.values()]
        await asyncio.wait(before, timeout=self.to_read_apps)
        address.cancel()
        done = [one.result() for one in self._read.values() if one.done()]
        read = {tried.backend: apps for tried, apps in done if tried.state == OK}
        own = set(self._read) or {EMBEDDED}
        stored = (app for app in self.stored.apps if app.backend in own - set(read))
        rules = {app.id: app.rules for app in self.stored.apps}
        fresh = (app for apps in read.values() for app in apps)
        return [*(replace(app, rules=rules.get(app.id, app.rules)) for app in fresh), *stored]

    async def _unmatched(self) -> AsyncIterator[Finding]:
        apps = await self._known_apps()
        there = {app.id for app in apps}
        lately = [app for app in (*self.stored.apps, *self.stored.removed) if app.id not in there]
        read = [one.backend for one in self.tried() if one.state == OK]
        for finding in unmatched(self.settings, apps, lately, read):
            yield finding

    async def _apps(self) -> AsyncIterator[Finding]:
        titles = titles_of(self.settings)
        apps, book = of_people(await self._known_apps()), book_of(self.settings)
        for finding in of_apps(self.settings, apps, titles, self.stored.made):
            yield finding
        ours = [ruled(app, book) for app in apps]
        for finding in (
            *of_pins(self.settings, ours, titles),
            *of_verified(self.settings, ours),
            *of_previews(self.settings, ours),
        ):
            yield finding

    async def _backend(self, server: "BackendServer") -> AsyncIterator[Finding]:
        tried, apps = await asyncio.shield(self._read[server.name])
        earlier = list(self._read.values())[: list(self._read).index(server.name)]
        others = await asyncio.gather(*map(asyncio.shield, earlier))
        tried = compared([*others, (tried, apps)])[-1]
        for finding in of_backend(tried, apps):
            yield finding
        if tried.state == OK and server.provider.checks is not None:
            book = book_of(self.settings)
            ours = [ruled(app, book) for app in apps]
            checked = Checked(server.name, server.given, apps=ours)
            async for finding in server.provider.checks(checked):
                yield finding

    async def _host(self, server: "HostServer") -> AsyncIterator[Finding]:
        if not has_api(server):
            says = "no credential for its API is set, so its webhooks were not checked"
            yield Finding(Level.OK, "host.token", server.name, says)
            return
        book = book_of(self.settings)
        apps = [ruled(app, book) for app in of_people(await self._known_apps())]
        waiting = [app for app in apps if app.rules.checks]
        pinned = [app for app in apps if app.rules.pin or pin_of(app)]
        moving = [*pinned, *building_branches(apps)]
        repositories, awaited, moved, opened = (
            repositories_of(self.settings, some)
            for some in (apps, waiting, moving, previewed(apps))
        )
        checked = Checked(
            server.name,
            server.given,
            self.settings.public_url,
            repositories=repositories.get(server.name, ()),
            awaited=awaited.get(server.name, ()),
            pinned=moved.get(server.name, ()),
            previewed=opened.get(server.name, ()),
            backends=[str(one.address) for one in self.settings.backends_set().values()],
        )
        async for finding in findings_of(server.provider, checked, WITHIN):
            yield finding
        async for finding in of_named_checks(server, waiting):
            yield finding
        places, people = self.settings.places, identities_of(self.settings).entries
        entries = {places.named(("identities", name)): marks for name, marks in people.items()}
        asks = next(iter(checked.repositories), "")
        async for finding in of_identities(server, entries, asks):
            yield finding

    async def _chat(self, chat: str, given: Any) -> AsyncIterator[Finding]:
        await self._known_apps()
        books = (channels_of(self.settings, chat), preview_channels_of(self.settings, chat))
        named = [name for book in books for _, names in book for name in names or ()]
        checked = Checked(chat, given, self.settings.public_url, channels=tuple(named))
        async for finding in findings_of(CHATS[chat], checked, WITHIN):
            yield finding


def has_api(server: "HostServer") -> bool:
    """Return whether a credential is set, be it a valid one or not."""
    try:
        return server.provider.api(server.name, server.given) is not None
    except Rejected:
        return True
