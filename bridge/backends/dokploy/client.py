"""Dokploy as a deploy backend, over its HTTP API."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import httpx
from pydantic import SecretStr, TypeAdapter

from bridge.backends.dokploy import models
from bridge.backends.dokploy.answers import Forbidden
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
from bridge.backends.dokploy.http import Auth, Http, Limits, Query, T
from bridge.backends.dokploy.own_apps import Making
from bridge.backends.dokploy.previews import previews_in
from bridge.backends.dokploy.reads import deployments_in, jobs_in
from bridge.backends.dokploy.variables import VARIABLES
from bridge.core.apps import App, AppKind
from bridge.core.configuration.configuration import BuildType, Environment, ProviderSettings, Saved
from bridge.core.errors import Refused, Unanswered, Unreachable
from bridge.core.masking import Mask
from bridge.core.previews.native import NativePreview
from bridge.ports.backends import BackendDeployment, Listed, QueuedJob
from bridge.ports.clock import Clock, Sleep
from bridge.ports.figures import Observe


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
        auth: Auth = "api-key",
        name: str = "dokploy",
        connect_timeout: float = 5.0,
        read_timeout: float = 20.0,
        total_timeout: float = 60.0,
        max_connections: int = 16,
        concurrency: int = 8,
        read_retries: int = 2,
        max_answer_bytes: int = 16 * 2**20,
        ca: str | None = None,
        direct: bool = False,
        choices: bool = True,
        sites: str | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        clock: Clock = time.time,
        pause: Sleep = asyncio.sleep,
        observe: Observe = lambda _backend, _asked, _seconds: None,
    ) -> None:
        """Store the settings; nothing is opened before the first request.

        Args:
            url: e.g. "https://dokploy.example.com"; a trailing "/api" does not matter.
            api_key: made with `rateLimitEnabled: false`, else it allows ten checks a day.
            auth: self-hosted servers accept "api-key"; the document says "bearer".
            name: of this server in apps, errors and settings.
            connect_timeout, read_timeout, total_timeout: seconds; see `http.Limits`.
            concurrency: requests at a time while apps are read one by one.
            read_retries: the number of retries of a read.
            ca: a PEM file with the server's authority.
            direct: never use the proxy that the environment names.
            choices: offer `pickers`; the embedded backend can't list repositories.
            sites: where the embedded backend's sites are reached from this machine.
            transport, clock, pause: for tests.
            observe: receives the duration of each request.

        Raises:
            Rejected: the url or the key can't be one.
        """
        super().__init__()
        self.name = name
        self._http = Http(
            name,
            url,
            api_key if isinstance(api_key, SecretStr) else SecretStr(api_key),
            auth=auth,
            limits=Limits(
                connect=connect_timeout,
                read=read_timeout,
                total=total_timeout,
                connections=max_connections,
                read_retries=read_retries,
                answer_bytes=max_answer_bytes,
            ),
            ca=ca,
            direct=direct,
            transport=transport,
            clock=clock,
            pause=pause,
            observe=observe,
        )
        self._apps = Apps(self._http, name, concurrency, sites)
        self._sites = sites
        if choices:
            self.pickers = Pickers(self._http)

    def __repr__(self) -> str:
        """Show no key."""
        return f"Dokploy({self._http.origin!r}, name={self.name!r})"

    def clock_ahead(self, moment: float) -> float | None:
        """See `ports.backends.TellsTime`; `moment` is by the clock that was given."""
        return self._http.server_clock.ahead(moment)

    # ── Apps ─────────────────────────────────────────────────────────────────

    @property
    def apps_per_request(self) -> int:
        """The number of apps that one request reads at the moment."""
        return self._apps.per_request

    async def apps(self) -> list[App]:
        """Read every application and compose stack that the key may see, with its source.

        Any error with an app, except that it is gone or forbidden, fails the whole list: a partial
        list would look as if apps had been deleted.
        """
        return await self.read_apps([one.app for one in await self.listing()])

    async def listing(self) -> list[Listed]:
        """List every application and compose stack that the key may see, by one request."""
        return await self._apps.listing()

    async def read_apps(self, apps: Sequence[App]) -> list[App]:
        """Read these apps; leave out those that are gone or forbidden, raise any other error."""
        return await self._apps.read(apps)

    # ── Deploying ────────────────────────────────────────────────────────────

    async def deploy(self, app: App, *, title: str, description: str) -> None:
        """Request a deployment of the head of the app's branch; return once it is accepted.

        The answer names no deployment. To find it, search `queue` and
        `deployments` for your token.

        Args:
            title: a Git deploy replaces it by the commit's message; "" means the server's
                default.
            description: a Git deploy replaces it by `Commit: <sha>`.
        Source: /api-reference/applications/deploy, "Deploy Application".
        """
        texts = {"title": title, "description": description}
        await self._http.change(f"{app.kind.value}.deploy", id_of(app) | texts)

    async def redeploy(self, app: App, *, title: str, description: str) -> None:
        """Request a rebuild of the existing checkout; nothing is fetched, and the title stays.

        Source: /api-reference/applications/deploy, "Redeploy Application".
        """
        texts = {"title": title, "description": description}
        await self._http.change(f"{app.kind.value}.redeploy", id_of(app) | texts)

    async def drop_waiting(self, app: App) -> None:
        """Drop the app's waiting jobs, which leave no record; a running one continues.

        Source: docs/dokploy.md, "Cancelling" (`cleanQueues`).
        """
        await self._http.change(f"{app.kind.value}.cleanQueues", id_of(app))

    async def cancel(self, app: App) -> str:
        """Cancel the running deployment; return the server's words.

        A self-hosted server always refuses.

        Source: docs/dokploy.md, "Cancelling".
        """
        said = await self._http.change(f"{app.kind.value}.cancelDeployment", id_of(app))
        return said or "Deployment cancellation requested"

    async def kill_build(self, app: App) -> None:
        """Interrupt **every** Docker build on the app's host, including those of other apps.

        Source: docs/dokploy.md, "Cancelling": only behind an explicit opt-in.
        """
        await self._http.change(f"{app.kind.value}.killBuild", id_of(app))

    # ── Following ────────────────────────────────────────────────────────────

    async def deployments(self, app: App) -> list[BackendDeployment]:
        """Return the app's newest deployments (about ten are kept), newest first.

        An app that does not exist has none.

        Source: docs/dokploy.md, "Following a deployment".
        """
        path = "all" if app.kind is AppKind.APPLICATION else "allByCompose"
        records = await self._http.read(f"deployment.{path}", models.DEPLOYMENTS, id_of(app))
        return deployments_in(records)

    async def queue(self) -> list[QueuedJob] | None:
        """Return the jobs of all apps, oldest first; None from a server before 0.28.2."""
        jobs = await self._read_if_there("deployment.queueList", models.JOBS)
        return None if jobs is None else jobs_in(jobs)

    async def log_tail(self, deployment: BackendDeployment, lines: int) -> str:
        """Return the last lines of a deployment's log, with carriage returns.

        Args:
            lines: clamped to 1 to 10,000.

        Returns:
            "" if the server is too old (< 0.29.5) or the deployment is gone.
        """
        tail = min(max(lines, 1), MOST_LINES)
        found = await self._read_if_there(
            "deployment.readLogs", models.TEXT, {"deploymentId": deployment.id, "tail": tail}
        )
        return found or ""

    async def mask(self, app: App) -> Mask:
        """Return what hides the values of an app's variables, shared ones included.

        Source: docs/dokploy.md, "Inputs" (`saveEnvironment`).
        """
        found = await self._http.read(f"{app.kind.value}.one", VARIABLES, id_of(app))
        return await asyncio.to_thread(found.mask)

    async def version(self) -> str | None:
        """Return e.g. "v0.30.2"; None if the server hides it, or the key may not read it."""
        try:
            return await self._read_if_there("settings.getDokployVersion", models.TEXT)
        except Forbidden:
            return None

    async def healthy(self) -> bool:
        """Return whether it answers one request without the key; never raise.

        Source: docs/dokploy.md, "Versions" (`/api/health`).
        """
        try:
            return (await self._http.probe("health", models.HEALTH)).ok
        except Refused as error:
            # It is there, but too old or too strict for this query.
            return error.status is not None and 400 <= error.status < 500
        except (Unreachable, Unanswered):
            return False

    async def whose(self) -> models.Whose:
        """Return whose the key is, and in which role; raise NotDokploy if no member's.

        Source: docs/dokploy.md, "Cheaper reads" (`user.get`).
        """
        return await self._http.read("user.get", models.WHOSE)

    async def permissions(self) -> Mapping[str, Mapping[str, bool]]:
        """Return what the key's role allows, by resource and action (`user.getPermissions`)."""
        return await self._http.read("user.getPermissions", models.PERMISSIONS)

    @property
    def has_dashboard(self) -> bool:
        """Return whether people can open it in a browser; the embedded backend has no pages."""
        return self._http.has_dashboard

    # ── What it makes and keeps ────────────────────────────────────────────────────────────

    async def native_previews(self, app: App) -> list[NativePreview]:
        """See `ports.backends.MakesPreviews`; none if the server is too old to have any.

        Source: docs/dokploy.md, "Previews" (`previewDeployment.all`).
        """
        path = "previewDeployment.all"
        found = await self._read_if_there(path, models.PREVIEWS, id_of(app))
        return previews_in(found or (), app)

    async def keeps(self, app: App) -> bool | None:
        """Return whether an application's builds are kept, to go back to; None if untold.

        Source: docs/dokploy.md, "Rollbacks".
        """
        named = await self._http.read("application.one", models.NAMED_APP, id_of(app))
        if named.rollback_active is None:
            return None
        return named.rollback_active and named.rollback_registry_id is not None

    async def roll_back(self, app: App, point: str) -> None:
        """Restore an earlier image and its settings in the running service.

        The server does it before it answers, and makes no record of it; its own record of the
        application keeps the newer settings, so the next deployment goes forward again.

        Args:
            point: `BackendDeployment.restores`.

        Source: docs/dokploy.md, "Rollbacks" (`rollback.rollback`).
        """
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
        """Return the app's settings in the forms that the saves take; secrets stay sealed.

        Source: docs/dokploy.md, "Inputs".
        """
        settings = await self._http.read(f"{app.kind.value}.one", models.SETTINGS, id_of(app))
        return saved_in(app, settings)

    async def save_provider(self, app: App, settings: ProviderSettings) -> None:
        """Set the app's source; every field is sent, nothing is merged.

        A compose stack is set by `compose.update` and refuses images and build paths.
        The server sets the app's status to idle, even during a build.

        Source: docs/dokploy.md, "Inputs".
        """
        await self._http.change(*provider_call(app, settings))

    async def write_source(self, app: App, fields: Mapping[str, Any]) -> None:
        """Set single fields of the stored sources, of any kind, and nothing else.

        Unlike the saves this does not check branches and keeps the app's status.

        Source: docs/dokploy.md, "Environments and applications" (`application.update`).
        """
        await self._http.change(*source_call(app, fields))

    async def set_auto_deploy(self, app: App, *, on: bool) -> None:
        """Switch its own deploys of an app's pushes, and nothing else.

        Source: docs/dokploy.md, "Environments and applications" (`application.update`).
        """
        await self._http.change(f"{app.kind.value}.update", id_of(app) | {"autoDeploy": on})

    async def disconnect_provider(self, app: App) -> None:
        """Remove the app's source, watch paths and trigger.

        Source: docs/dokploy.md, "Inputs" (`disconnectGitProvider`).
        """
        await self._http.change(f"{app.kind.value}.disconnectGitProvider", id_of(app))

    async def save_build_type(self, app: App, settings: BuildType) -> None:
        """Set how an application is built; a compose stack refuses it.

        Source: docs/dokploy.md, "Inputs" (`saveBuildType`).
        """
        await self._http.change(*build_call(app, settings))

    async def save_environment(self, app: App, settings: Environment) -> None:
        """Set its environment, build arguments and build secrets (a stack has only the first).

        Source: docs/dokploy.md, "Inputs" (`saveEnvironment`).
        """
        await self._http.change(*environment_call(app, settings))

    async def clear_deployments(self, app: App) -> None:
        """Delete the app's log folder, with the log of a running build; records stay.

        Source: docs/dokploy.md, "Logs" (`clearDeployments`).
        """
        await self._http.change(f"{app.kind.value}.clearDeployments", id_of(app))

    # ── Requests ─────────────────────────────────────────────────────────────

    async def _read_if_there(
        self, path: str, form: TypeAdapter[T], query: Query = MappingProxyType({})
    ) -> T | None:
        """Read; return None if the server does not know the query or its object."""
        try:
            answer = await self._http.read(path, form, query)
        except Refused as error:
            if error.status == 404:
                return None
            raise
        return answer

    async def close(self) -> None:
        """Close the connections; later calls raise Unreachable."""
        await self._http.close()
