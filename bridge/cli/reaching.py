"""The backend that deploys, reached directly: over HTTP, with its journal beside it."""

import getpass
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from bridge.core.errors import NotFound
from bridge.core.naming import find_app

if TYPE_CHECKING:
    from bridge.app import Stores
    from bridge.core.watch import App
    from bridge.journey.configure import Configurable, Configurer
    from bridge.settings import Settings


@dataclass(frozen=True, slots=True)
class Reach:
    """A backend within reach."""

    settings: "Settings"
    backend: "Configurable"
    stores: "Stores"

    @property
    def configurer(self) -> "Configurer":
        """Changes apps of this backend; a bridge that runs sees it at its next reading."""
        import time

        from bridge.journey.configure import Configurer
        from bridge.settings import book_of

        return Configurer(
            self.backend,
            self.stores.journal,
            time.time,
            book=book_of(self.settings),
            semantics=self.settings.watch.semantics,
        )

    async def app(self, name: str) -> "App":
        """The app that a person means.

        What the journal knows is at hand, but may be old: it is enough only for a whole name.
        """
        known = [
            app for app in await self.stores.journal.apps() if app.backend == self.backend.name
        ]
        try:
            found = find_app(known, name)
        except NotFound:
            found = None
        if found is not None and name in (found.id, found.label):
            return found
        return find_app(await self.backend.apps(), name)

    async def remember(self) -> None:
        """Let the next command know what has changed, where reading all apps costs little."""
        if self.settings.dokploy.url is None:
            await self.stores.journal.save_apps(self.backend.name, await self.backend.apps())


@asynccontextmanager
async def reached(settings: "Settings") -> AsyncIterator[Reach]:
    """The backend of these settings; the embedded one is started where it does not run."""
    from bridge.app import open_stores

    async with AsyncExitStack() as stack:
        if settings.dokploy.url is None:
            from bridge.cli.embedded import api_of

            api = await stack.enter_async_context(api_of(settings))
            backend: Configurable = api.client
        else:
            from bridge.app import dokploy_of

            backend = cast("Configurable", dokploy_of(settings))
            stack.push_async_callback(backend.close)
        stores = await stack.enter_async_context(open_stores(settings))
        yield Reach(settings, backend, stores)


def person() -> str:
    """Who asks, e.g. "cli: ada"."""
    try:
        return f"cli: {getpass.getuser()}"
    except (OSError, KeyError):  # a container's user often has no name
        return "cli: somebody"
