"""The backend that has an app, reached directly: over HTTP, with the journal beside it."""

import getpass
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from bridge.cli.finding import raise_gone
from bridge.core.errors import BridgeError, NotFound
from bridge.core.naming import find_app

if TYPE_CHECKING:
    from bridge.app.storage import Stores
    from bridge.backends.dokploy.client import Dokploy
    from bridge.core.watch import App
    from bridge.journey.configuring.configure import Configurer
    from bridge.settings import Settings


@dataclass(frozen=True, slots=True)
class Reach:
    """An app within reach."""

    settings: "Settings"
    stores: "Stores"
    backend: "Dokploy"
    app: "App"

    @property
    def configurer(self) -> "Configurer":
        """Changes apps of this backend; a bridge that runs decides by it from then on."""
        import time

        from bridge.app.secrets import seal_of
        from bridge.app.slack import tells_of
        from bridge.journey.configuring.configure import Configurer
        from bridge.settings import book_of

        return Configurer(
            self.backend,
            self.stores.journal,
            time.time,
            book=book_of(self.settings),
            semantics=self.settings.watch.semantics,
            seal=seal_of(self.settings),
            shown=tells_of(self.settings),
        )


@asynccontextmanager
async def reached(settings: "Settings", name: str) -> AsyncIterator[Reach]:
    """The app that a person means, and its backend; the embedded one is started if need be."""
    from bridge.app.storage import open_stores

    async with backends_of(settings) as backends, open_stores(settings) as stores:
        app = await _found(backends, stores, name)
        yield Reach(settings, stores, backends[app.backend], app)


@asynccontextmanager
async def backends_of(settings: "Settings") -> "AsyncIterator[Mapping[str, Dokploy]]":
    """Every Dokploy that is set, by name; else the embedded backend, which speaks the same."""
    from bridge.app.backends import dokploy_of, dokploys
    from bridge.cli.embedded import NAME, api_of

    async with AsyncExitStack() as stack:
        found = {name: cast("Dokploy", dokploy_of(settings, name)) for name in dokploys(settings)}
        for backend in found.values():
            stack.push_async_callback(backend.close)
        if not found:
            found[NAME] = (await stack.enter_async_context(api_of(settings))).client
        yield found


async def _found(backends: "Mapping[str, Dokploy]", stores: "Stores", name: str) -> "App":
    """What the journal knows is at hand, but may be old: it is enough only for a whole name."""
    known = [app for app in await stores.journal.apps() if app.backend in backends]
    fits = [app for app in known if name in (app.id, app.label)]
    if len(fits) == 1:
        return fits[0]
    apps: list[App] = []
    trouble: list[BridgeError] = []
    for backend in backends.values():
        try:
            apps += await backend.apps()
        except BridgeError as error:
            trouble.append(error)
    try:
        return find_app(apps, name)
    except NotFound:
        raise_gone(await stores.journal.gone_apps(), name)
        if trouble:  # it may be where nobody answers
            raise trouble[0] from None
        raise


def person() -> str:
    """Who asks, e.g. "cli: ada"."""
    try:
        return f"cli: {getpass.getuser()}"
    except (OSError, KeyError):  # a container's user often has no name
        return "cli: somebody"
