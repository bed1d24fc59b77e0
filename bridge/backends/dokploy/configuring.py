"""How the apps of a Dokploy are configured."""

from collections.abc import Mapping
from typing import Any

from bridge.backends.dokploy import models
from bridge.backends.dokploy.calling import Calling
from bridge.backends.dokploy.configure import (
    build_call,
    environment_call,
    id_of,
    provider_call,
    saved_in,
    source_call,
)
from bridge.core.configuring.configuration import BuildType, Environment, ProviderSettings, Saved
from bridge.core.watch import App


class Configuring(Calling):
    """Reads and saves an app's settings: `Configures`."""

    async def saved(self, app: App) -> Saved:
        """How the app is configured now, in the forms that the saves take; secrets stay sealed.

        Source: facts.md, "read application.one, merge, write, read again".
        """
        settings = await self._http.read(f"{app.kind.value}.one", models.SETTINGS, id_of(app))
        return saved_in(app, settings)

    async def save_provider(self, app: App, settings: ProviderSettings) -> None:
        """Set where the app's code comes from; every field is sent, nothing is merged.

        A compose stack takes it by `compose.update` and refuses images and build paths.
        The server sets the app's status to idle, even in the middle of a build.

        Source: application-api.txt, "Configure Git Providers"; facts.md, "Inputs".
        """
        await self._http.change(*provider_call(app, settings))

    async def write_source(self, app: App, fields: Mapping[str, Any]) -> None:
        """Set single fields of the stored source, whichever kind is in use, and no others.

        Unlike the saves, the server checks no branch here, and leaves the app's status alone.

        Source: facts.md, "Environments and applications" (`application.update`).
        """
        await self._http.change(*source_call(app, fields))

    async def disconnect_provider(self, app: App) -> None:
        """Forget the app's source, its watch paths and its trigger.

        Source: application-api.txt, "Disconnect Git Provider".
        """
        await self._http.change(f"{app.kind.value}.disconnectGitProvider", id_of(app))

    async def save_build_type(self, app: App, settings: BuildType) -> None:
        """Set how the application is built; a compose stack refuses it.

        Source: application-api.txt, "Save Build Type"; facts.md, "Where … differ", 6.
        """
        await self._http.change(*build_call(app, settings))

    async def save_environment(self, app: App, settings: Environment) -> None:
        """Set its environment, build arguments and build secrets (a stack has only the first).

        Source: application-api.txt, "Save Environment Variables".
        """
        await self._http.change(*environment_call(app, settings))

    async def clear_deployments(self, app: App) -> None:
        """Delete the app's whole log folder, a running build's log included; records stay.

        Source: application-api.txt, "Clear Deployments"; facts.md, "clear, cleanQueues, …".
        """
        await self._http.change(f"{app.kind.value}.clearDeployments", id_of(app))
