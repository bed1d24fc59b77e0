"""Dokploy as a deploy backend, over its HTTP API."""

import asyncio
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from pydantic import SecretStr

from bridge.backends.dokploy import models
from bridge.backends.dokploy.answers import Forbidden, UnlessGone
from bridge.backends.dokploy.apps import Apps, Pickers
from bridge.backends.dokploy.configure import (
    build_call,
    environment_call,
    id_of,
    provider_call,
    saved_in,
    source_call,
)
from bridge.backends.dokploy.containers import MOST_LINES
from bridge.backends.dokploy.http import Http, Query, T
from bridge.backends.dokploy.own_apps import Making
from bridge.backends.dokploy.reads import deployments_in, jobs_in, previews_in
from bridge.core.apps import App, AppKind
from bridge.core.configuration.configuration import BuildType, Environment, ProviderSettings, Saved
from bridge.core.errors import Refused, Unanswered, Unreachable
from bridge.core.masking import Mask
from bridge.core.previews.native import NativePreview
from bridge.ports.backends import BackendDeployment, Listed, QueuedJob


class Dokploy(Making):
    """One Dokploy server; implements `Backend`, `Configures` and `MakesApps`.

    Reads are retried, which is always safe. A change is sent exactly once; the caller decides
    whether to retry it. The embedded backend is reached by this client, too.

    Every method but `healthy` and `close` raises

        Refused: the server said no; `words` are its own and safe to show. `Forbidden` if the
            key lacks a permission.
        Unreachable: nothing was done; reads raise it for every answer that did not come whole.
            `DatabaseAway` and `KeyRefused` name the cause.
        Unanswered: a change was sent, and whether it was done is unknown.

    Sources: /api-reference/applications of Dokploy's documentation, and docs/dokploy.md.
    """

    def __init__(
        self,
        url: str,
        api_key: str | SecretStr,
        *,
        name: str = "dokploy",
        concurrency: int = 8,
        choices: bool = True,
        sites: str | None = None,
        **given: Any,
    ) -> None:
        """Store the settings; nothing is opened before the first request.

        Args:
            name: of this server in apps, errors and settings.
            concurrency: requests at a time while apps are read one by one.
            choices: offer `pickers`; the embedded backend can't list repositories.
            sites: where the embedded backend's sites are reached from this machine.
            given: see `http.Http`, which also says what is raised.
        """
        super().__init__()
        self.name = name
        self._http = Http(name, url, api_key, **given)
        self._apps = Apps(self._http, name, concurrency, sites)
        self._sites = sites
        if choices:
            self.pickers = Pickers(self._http)

    def __repr__(self) -> str:
        """Show no key."""
        return f"Dokploy({self._http.origin!r}, name={self.name!r})"

    def clock_ahead(self, moment: float) -> float | None:
        return self._http.server_clock.ahead(moment)

    # ── Apps ─────────────────────────────────────────────────────────────────

    @property
    def apps_per_request(self) -> int:
        return self._apps.per_request

    async def apps(self) -> list[App]:
        # Only apps that are gone or forbidden are left out: others would look deleted.
        return await self.read_apps([listed.app for listed in await self.listing()])

    async def listing(self) -> list[Listed]:
        return await self._apps.listing()

    async def read_apps(self, apps: Sequence[App]) -> list[App]:
        return await self._apps.read(apps)

    # ── Deploying ────────────────────────────────────────────────────────────

    async def deploy(self, app: App, *, title: str, description: str) -> None:
        # The answer names no deployment: search `queue` and `deployments` for your token.
        texts = {"title": title, "description": description}
        await self._http.change(f"{app.kind.value}.deploy", id_of(app) | texts)

    async def redeploy(self, app: App, *, title: str, description: str) -> None:
        texts = {"title": title, "description": description}
        await self._http.change(f"{app.kind.value}.redeploy", id_of(app) | texts)

    async def drop_waiting(self, app: App) -> None:
        # docs/dokploy.md, "Cancelling" (`cleanQueues`): they leave no record
        await self._http.change(f"{app.kind.value}.cleanQueues", id_of(app))

    async def cancel(self, app: App) -> str:
        # docs/dokploy.md, "Cancelling"
        said = await self._http.change(f"{app.kind.value}.cancelDeployment", id_of(app))
        return said or "Deployment cancellation requested"

    async def kill_build(self, app: App) -> None:
        # docs/dokploy.md, "Cancelling": only behind an explicit opt-in
        await self._http.change(f"{app.kind.value}.killBuild", id_of(app))

    # ── Following ────────────────────────────────────────────────────────────

    async def deployments(self, app: App) -> list[BackendDeployment]:
        # docs/dokploy.md, "Following a deployment"; an app that does not exist has none
        path = f"deployment.{'all' if app.kind is AppKind.APPLICATION else 'allByCompose'}"
        records = await self._http.read(path, list[models.DeploymentRecord], id_of(app))
        return deployments_in(records)

    async def queue(self) -> list[QueuedJob] | None:
        jobs = await self._read_if_there("deployment.queueList", list[models.Job])
        return None if jobs is None else jobs_in(jobs)

    async def log_tail(self, deployment: BackendDeployment, lines: int) -> str:
        # "", too, if the server is too old (< 0.29.5) or the deployment is gone
        tail = min(max(lines, 1), MOST_LINES)
        found = await self._read_if_there(
            "deployment.readLogs", str, {"deploymentId": deployment.id, "tail": tail}
        )
        return found or ""

    async def mask(self, app: App) -> Mask:
        # docs/dokploy.md, "Inputs" (`saveEnvironment`): shared variables included
        found = await self._http.read(f"{app.kind.value}.one", models.Variables, id_of(app))
        return await asyncio.to_thread(found.mask)

    async def version(self) -> str | None:
        try:
            return await self._read_if_there("settings.getDokployVersion", str)
        except Forbidden:
            return None

    async def healthy(self) -> bool:
        # docs/dokploy.md, "Versions" (`/api/health`): one request without the key
        try:
            return (await self._http.probe("health", models.Health)).ok
        except Refused as error:
            # It is there, but too old or too strict for this query.
            return error.status is not None and 400 <= error.status < 500
        except (Unreachable, Unanswered):
            return False

    async def whose(self) -> models.Whose:
        """Return whose the key is, and in which role; raise NotDokploy if no member's.

        Source: docs/dokploy.md, "Cheaper reads" (`user.get`).
        """
        return await self._http.read("user.get", models.Whose)

    async def permissions(self) -> Mapping[str, Mapping[str, bool]]:
        """Return what the key's role allows, by resource and action (`user.getPermissions`)."""
        return await self._http.read("user.getPermissions", dict[str, dict[str, bool]])

    @property
    def has_dashboard(self) -> bool:
        """Return whether people can open it in a browser; the embedded backend has no pages."""
        return self._http.has_dashboard

    # ── What it makes and keeps ────────────────────────────────────────────────────────────

    async def native_previews(self, app: App) -> list[NativePreview]:
        # docs/dokploy.md, "Previews" (`previewDeployment.all`); an old server has none
        path = "previewDeployment.all"
        found = await self._read_if_there(path, list[models.PreviewRecord], id_of(app))
        return previews_in(found or (), app)

    async def keeps(self, app: App) -> bool | None:
        """Return whether an application's builds are kept, to go back to; None if untold.

        Source: docs/dokploy.md, "Rollbacks".
        """
        named = await self._http.read("application.one", models.NamedApp, id_of(app))
        if named.rollback_active is None:
            return None
        return named.rollback_active and named.rollback_registry_id is not None

    async def roll_back(self, app: App, point: str) -> None:
        # docs/dokploy.md, "Rollbacks": done before the answer; its record keeps newer settings
        if app.kind is not AppKind.APPLICATION:
            raise Refused(self.name, "only applications can be rolled back, not compose stacks")
        try:
            await self._http.change("rollback.rollback", {"rollbackId": point})
        except Refused as error:
            if error.words != "Error input: Rolling back":
                raise
            causes = "either it no longer has that version, or the key's user may not reach the app"
            words = f"{error.words}; {causes}: look at the app's deployments in Dokploy"
            raise Refused(self.name, words, status=error.status) from error

    # ── Configuring ──────────────────────────────────────────────────────────

    async def saved(self, app: App) -> Saved:
        # docs/dokploy.md, "Inputs"
        settings = await self._http.read(f"{app.kind.value}.one", models.Settings, id_of(app))
        return saved_in(app, settings)

    async def save_provider(self, app: App, settings: ProviderSettings) -> None:
        """Set the app's source; every field is sent, nothing is merged.

        A compose stack is set by `compose.update` and refuses images and build paths.
        The server sets the app's status to idle, even during a build.

        Source: docs/dokploy.md, "Inputs".
        """
        await self._http.change(*provider_call(app, settings))

    async def write_source(self, app: App, fields: Mapping[str, Any]) -> None:
        # docs/dokploy.md, "Environments and applications": it keeps the status
        await self._http.change(*source_call(app, fields))

    async def set_auto_deploy(self, app: App, *, on: bool) -> None:
        # docs/dokploy.md, "Environments and applications" (`application.update`)
        await self._http.change(f"{app.kind.value}.update", id_of(app) | {"autoDeploy": on})

    async def disconnect_provider(self, app: App) -> None:
        """Remove the app's source, watch paths and trigger.

        Source: docs/dokploy.md, "Inputs" (`disconnectGitProvider`).
        """
        await self._http.change(f"{app.kind.value}.disconnectGitProvider", id_of(app))

    async def save_build_type(self, app: App, settings: BuildType) -> None:
        # docs/dokploy.md, "Inputs" (`saveBuildType`); a compose stack refuses it
        await self._http.change(*build_call(app, settings))

    async def save_environment(self, app: App, settings: Environment) -> None:
        # docs/dokploy.md, "Inputs" (`saveEnvironment`); a stack has only the first
        await self._http.change(*environment_call(app, settings))

    async def clear_deployments(self, app: App) -> None:
        # docs/dokploy.md, "Logs" (`clearDeployments`); the records stay
        await self._http.change(f"{app.kind.value}.clearDeployments", id_of(app))

    # ── Requests ─────────────────────────────────────────────────────────────

    async def _read_if_there(
        self, path: str, form: type[T], query: Query = MappingProxyType({})
    ) -> T | None:
        """Read; return None if the server does not know the query or its object."""
        with UnlessGone():
            return await self._http.read(path, form, query)
        return None

    async def close(self) -> None:
        await self._http.close()
