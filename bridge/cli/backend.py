"""Reach an app's backend directly, over HTTP, with the journal at hand."""

import asyncio
import getpass
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bridge.cli.show import ago, clean, clock, hint
from bridge.core.apps import find_app, fitting, named
from bridge.core.errors import BridgeError, NotFound
from bridge.core.events import COMMAND_HOST
from bridge.core.people import Actor

if TYPE_CHECKING:
    from bridge.app.storage import Stores
    from bridge.core.apps import App
    from bridge.pipeline.deciding.apps import Trouble
    from bridge.pipeline.deploying.configure import Configurer, Configurers
    from bridge.ports.backends import Backend
    from bridge.ports.journal import Apps, Audit
    from bridge.settings import Settings


# ── Reach an app's backend directly, over HTTP, with the journal at hand ──────────────────────────


class Gone(NotFound):
    """An app was deleted, or its backend removed; its history is still known.

    Attributes:
        app: its last known record.
    """

    def __init__(self, app: "App") -> None:
        super().__init__(
            f"{app.label} is gone from the backends; `dokploy-bridge deployments --app {app.id}`"
            " lists what was deployed"
        )
        self.app = app


def raise_gone(gone: "list[App]", name: str) -> None:
    """Raise Gone if a whole name is a deleted app's."""
    fits = named(gone, name)
    if len(fits) == 1:
        raise Gone(fits[0])


FROM_NOW_ON = "; the running bridge applies it from the next push on"


@dataclass(frozen=True, slots=True)
class Reach:
    """An app and its backend."""

    settings: "Settings"
    stores: "Stores"
    backend: "Backend"
    app: "App"

    @property
    def configurer(self) -> "Configurer":
        """Return what configures the app; raise Rejected if its backend does not support it."""
        backends = {self.app.backend: self.backend}
        return configurers(self.settings, self.stores, backends).of(self.app)


def configurers(
    settings: "Settings", stores: "Stores", backends: "Mapping[str, Backend]"
) -> "Configurers":
    """Return what changes apps at once; a running bridge follows that from the next push on."""
    from bridge.app.data_folder import is_running
    from bridge.app.hosting import tells_of
    from bridge.app.providers import configurers_of
    from bridge.pipeline.deploying.configure import Configurers

    found = configurers_of(settings, stores, backends, lambda: None)
    each = {name: replace(one, shown=tells_of(settings)) for name, one in found.items()}
    return Configurers(each, backends, {}, lambda: FROM_NOW_ON if is_running(settings) else "")


@asynccontextmanager
async def reached(settings: "Settings", name: str) -> AsyncIterator[Reach]:
    """Open an app and its backend; start the embedded one if necessary."""
    from bridge.app.storage import open_stores

    async with backends_of(settings) as backends, open_stores(settings) as stores:
        there = await apps_there(backends, stores, name)
        try:
            app = find_app(there, name)
        except NotFound:
            raise_gone(await stores.journal.gone_apps(), name)
            raise
        yield Reach(settings, stores, backends[app.backend], app)


@asynccontextmanager
async def backends_of(settings: "Settings") -> "AsyncIterator[Mapping[str, Backend]]":
    """Open every configured backend, by name; else the embedded one."""
    from bridge.app.providers import check_backends
    from bridge.backends import EMBEDDED
    from bridge.cli.embedded import api_of

    check_backends(settings)
    async with AsyncExitStack() as stack:
        found = {name: one.open() for name, one in settings.backends_set().items()}
        for backend in found.values():
            stack.push_async_callback(backend.close)
        if not found:
            found[EMBEDDED] = (await stack.enter_async_context(api_of(settings))).client
        yield found


async def apps_at(
    backends: "Mapping[str, Backend]", journal: "Apps"
) -> "tuple[list[App], dict[str, str]]":
    """Return the backends' apps, and why some backends can't be listed; the journal's for none.

    The journal has only those that a bridge has read. It stands in for a backend that is away, and
    knows more of an app than a list does.
    """
    known = await journal.apps()
    if not backends:
        return known, {}
    kept = {(app.id, app.label): app for app in known}
    found: list[App] = []
    away: dict[str, str] = {}
    for name, backend in backends.items():
        try:
            found += [kept.get((app.id, app.label), app) for app in await _listed(backend)]
        except BridgeError as error:
            away[name] = str(error)
            found += [app for app in known if app.backend == name]
    return found, away


async def _listed(backend: "Backend") -> "list[App]":
    """Return a backend's apps, if it can without reading each: one may be unreadable."""
    from bridge.ports.backends import ReadsApps

    if isinstance(backend, ReadsApps):
        return [one.app for one in await backend.listing()]
    return await backend.apps()


async def apps_now(backends: "Mapping[str, Backend]", stores: "Stores", name: str) -> "list[App]":
    """Return the apps that a name may mean: those of the backends, if the journal has none."""
    known = await stores.journal.apps()
    if fitting(known, name, await stores.journal.gone_apps()):
        return known
    return await apps_there(backends, stores, name)


async def apps_there(backends: "Mapping[str, Backend]", stores: "Stores", name: str) -> "list[App]":
    """Return the apps that a name may mean: for a whole one the journal's record, which may be old.

    Raises:
        BridgeError: a backend that may have it does not answer.
    """
    known = [app for app in await stores.journal.apps() if app.backend in backends]
    fits = [app for app in known if name in (app.id, app.label)]
    if len(fits) == 1:
        return fits
    apps: list[App] = []
    trouble: list[BridgeError] = []
    for backend in backends.values():
        try:
            apps += await backend.apps()
        except BridgeError as error:
            trouble.append(error)
    gone = named(await stores.journal.gone_apps(), name)
    if trouble and not fitting(apps, name) and len(gone) != 1:
        raise trouble[0]
    return apps


def person() -> Actor:
    """Return the requester."""
    try:
        return Actor(COMMAND_HOST, getpass.getuser())
    except (OSError, KeyError):  # a container's user often has no name
        return Actor(COMMAND_HOST, "somebody")


def person_key() -> str:
    """Return the requester as locks know them, e.g. "cli:ada"."""
    return f"{COMMAND_HOST}:{person().name}"


async def record(journal: "Audit", what: str, about: str, *, app_id: str = "") -> None:
    """Write into the audit log what a command has done; see `pipeline.audit.record`."""
    from bridge.pipeline import audit

    await audit.record(journal, person(), what, about, app_id=app_id)


# ── Backends that a running bridge can't read, reported beside a command's output ─────────────────

PATIENCE = "requests wait meanwhile, and nothing is lost"


async def warn_of_troubles(settings: "Settings", stores: "Stores") -> None:
    """Report on stderr which backends refuse the key or are away, and since when."""
    for words in (await troubles_of(settings, stores)).values():
        hint(clean(words))


async def troubles_of(settings: "Settings", stores: "Stores") -> dict[str, str]:
    """Return, by backend, that it refuses the key or is away, or clashes with another."""
    from bridge.app.data_folder import is_running
    from bridge.pipeline.deciding.apps import NOTED, clashes_in, read_troubles

    clashes = await clashes_in(stores.journal)
    found = {f"{name} clashes": f"warning: {words}" for name, words in clashes.items()}
    if not (troubles := read_troubles(await stores.journal.recall(NOTED))):
        return found
    running, now = await asyncio.to_thread(is_running, settings), time.time()
    return found | {name: trouble_line(one, now, running=running) for name, one in troubles.items()}


def trouble_line(trouble: "Trouble", now: float, *, running: bool) -> str:
    """E.g. `warning: dokploy can't be reached: … (since 12:00:01, 3 min ago); …`.

    Args:
        running: a bridge runs, so this is the present state.
    """
    when = f"since {clock(trouble.since)}, {ago(trouble.since, now)}"
    if not running:
        return f"warning: {trouble.why} ({when}, when the bridge last ran)"
    return f"warning: {trouble.why} ({when}); {PATIENCE}"
