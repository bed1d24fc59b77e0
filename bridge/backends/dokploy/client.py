"""Dokploy as a deploy backend, over its HTTP API."""

import asyncio
import logging
import time
from types import MappingProxyType

import httpx
from pydantic import SecretStr, TypeAdapter

from bridge.backends.dokploy import models
from bridge.backends.dokploy.answers import Forbidden
from bridge.backends.dokploy.configure import (
    build_call,
    environment_call,
    id_of,
    provider_call,
    saved_in,
)
from bridge.backends.dokploy.http import Auth, Http, Limits, Pause, Query, T
from bridge.backends.dokploy.pickers import Pickers
from bridge.backends.dokploy.reads import Place, app_at, deployments_in, jobs_in, places
from bridge.core.configuration import BuildType, Environment, ProviderSettings, Saved
from bridge.core.errors import Refused, Unanswered, Unreachable
from bridge.core.watch import App, AppKind
from bridge.ports.backends import BackendDeployment, QueuedJob
from bridge.ports.clock import Clock
from bridge.ports.figures import Observe

log = logging.getLogger(__name__)

_MOST_LINES = 10_000  # that deployment.readLogs gives


class Dokploy:
    """One Dokploy server; implements `Backend` and `Configures`.

    Reads are tried again by themselves, since that is always safe. What changes something
    is sent exactly once: whether to ask again is for the caller to decide.

    Every method but `healthy` and `close` raises

        Refused: the server said no; `words` are its own, fit to be shown. The key's own
            troubles are `KeyRefused` and `Forbidden`.
        Unreachable: nothing was asked, or nothing was done; reads raise it for every
            answer that did not come whole.
        Unanswered: only from what changes something: it was sent, and whether it was
            done is not known.

    Sources: application-api.txt (the document), facts.md (how v0.30.2 really behaves).
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
        verify: bool = True,
        ca: str | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        clock: Clock = time.time,
        pause: Pause = asyncio.sleep,
        observe: Observe = lambda _backend, _asked, _seconds: None,
    ) -> None:
        """Keep the settings; nothing is opened before the first request.

        Args:
            url: e.g. "https://dokploy.example.com"; a trailing "/api" does not matter.
            api_key: made with `rateLimitEnabled: false`, else it allows ten checks a day.
            auth: "api-key" is what self-hosted servers take, "bearer" what the document says.
            name: what this server is called in apps, errors and settings.
            connect_timeout, read_timeout, total_timeout: seconds; see `http.Limits`.
            concurrency: requests in flight while `apps` reads one app after the other.
            read_retries: how often a read is tried again after the first time.
            verify, ca: whether to check the server's certificate, and a PEM file to trust.
            transport, clock, pause: for tests.
            observe: is told how long each request took.

        Raises:
            Rejected: the url or the key can't be one.
        """
        self.name = name
        self._concurrency = max(1, concurrency)
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
            verify=verify,
            ca=ca,
            transport=transport,
            clock=clock,
            pause=pause,
            observe=observe,
        )
        self.pickers = Pickers(self._http)

    def __repr__(self) -> str:
        """Without the key."""
        return f"Dokploy({self._http.origin!r}, name={self.name!r})"

    # ── Apps ─────────────────────────────────────────────────────────────────

    async def apps(self) -> list[App]:
        """Every application and compose stack that the key may see, with its source.

        `project.all` names them, `application.one` and `compose.one` tell their sources.
        One that has gone in between, or that the key may not read, is left out. Any other
        trouble fails the whole list: half a list would look as if apps had been deleted.
        """
        projects = await self._http.read("project.all", models.PROJECTS)
        slots = asyncio.Semaphore(self._concurrency)
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._app(place, slots)) for place in places(projects)]
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None
        return [app for task in tasks if (app := task.result()) is not None]

    async def _app(self, place: Place, slots: asyncio.Semaphore) -> App | None:
        kind = place.kind.value
        async with slots:
            try:
                which = {f"{kind}Id": place.id}
                service = await self._http.read(f"{kind}.one", models.SERVICE, which)
            except Refused as error:
                if error.status != 404 and not isinstance(error, Forbidden):
                    raise
                fields = {"backend": self.name, "app": place.id, "why": error.words}
                log.info("app_left_out", extra=fields)
                return None
        return app_at(place, service, self.name, self._http.origin)

    async def saved(self, app: App) -> Saved:
        """How the app is configured now, in the forms that the saves take; secrets stay sealed.

        Source: facts.md, "read application.one, merge, write, read again".
        """
        settings = await self._http.read(f"{app.kind.value}.one", models.SETTINGS, id_of(app))
        return saved_in(app, settings)

    # ── Deploying ────────────────────────────────────────────────────────────

    async def deploy(self, app: App, *, title: str, description: str) -> None:
        """Ask for a deployment of the head of the app's branch; returns once accepted.

        The answer names no deployment: to find it, look for a token of yours in `queue`
        and `deployments`.

        Args:
            title: shown until a Git deploy overwrites it with the commit's message; ""
                gives the server's default.
            description: free text; overwritten with `Commit: <sha>`.
        Source: application-api.txt, "Deploy Application"; for compose openapi-subset.json.
        """
        texts = {"title": title, "description": description}
        await self._http.change(f"{app.kind.value}.deploy", id_of(app) | texts)

    async def redeploy(self, app: App, *, title: str, description: str) -> None:
        """Ask to build the existing checkout again; fetches nothing, keeps the title.

        Source: application-api.txt, "Redeploy Application".
        """
        texts = {"title": title, "description": description}
        await self._http.change(f"{app.kind.value}.redeploy", id_of(app) | texts)

    async def drop_waiting(self, app: App) -> None:
        """Drop what waits for this app in the queue, without a trace; what runs goes on.

        Source: facts.md, "Cancel on self-hosted" (`cleanQueues`).
        """
        await self._http.change(f"{app.kind.value}.cleanQueues", id_of(app))

    async def cancel(self, app: App) -> str:
        """Cancel the running deployment; returns the server's words.

        Only the cloud can: a self-hosted server refuses it always.

        Source: application-api.txt, "Cancel Deployment".
        """
        said = await self._http.change(f"{app.kind.value}.cancelDeployment", id_of(app))
        return said or "Deployment cancellation requested"

    async def kill_build(self, app: App) -> None:
        """Interrupt **every** Docker build on the app's host, whosever it is.

        Source: facts.md, "Cancel on self-hosted": only behind an explicit opt-in.
        """
        await self._http.change(f"{app.kind.value}.killBuild", id_of(app))

    # ── Following ────────────────────────────────────────────────────────────

    async def deployments(self, app: App) -> list[BackendDeployment]:
        """The app's newest deployments (about ten are kept), newest first.

        An app that does not exist has none: the server does not say more.

        Source: facts.md, "Following a deployment".
        """
        path = "all" if app.kind is AppKind.APPLICATION else "allByCompose"
        records = await self._http.read(f"deployment.{path}", models.DEPLOYMENTS, id_of(app))
        return deployments_in(records)

    async def queue(self) -> list[QueuedJob] | None:
        """What waits and runs, of all apps, oldest first; None on a server before 0.28.2."""
        jobs = await self._read_if_there("deployment.queueList", models.JOBS)
        return None if jobs is None else jobs_in(jobs)

    async def log_tail(self, deployment: BackendDeployment, lines: int) -> str:
        r"""The last lines of a deployment's log, carriage returns and all.

        Args:
            lines: 1 to 10,000; more or less is taken as the nearest.
        Returns:
            "" where the server is too old (< 0.29.5) to tell, or the deployment has gone.
        """
        which: Query = {"deploymentId": deployment.id, "tail": min(max(lines, 1), _MOST_LINES)}
        return await self._read_if_there("deployment.readLogs", models.TEXT, which) or ""

    async def version(self) -> str | None:
        """E.g. "v0.30.2"; None where the server, or the key's role, does not tell."""
        try:
            return await self._read_if_there("settings.getDokployVersion", models.TEXT)
        except Forbidden:
            return None

    async def healthy(self) -> bool:
        """Whether it answers at all, asked once and without the key; never raises.

        Source: facts.md, "Probes" (`/api/health`).
        """
        try:
            return (await self._http.read("health", models.HEALTH, retries=0, with_key=False)).ok
        except Refused as error:
            # It is there, only too old or too strict for this question.
            return error.status is not None and 400 <= error.status < 500
        except (Unreachable, Unanswered):
            return False

    async def _read_if_there(
        self, path: str, form: TypeAdapter[T], query: Query = MappingProxyType({})
    ) -> T | None:
        """None where the server does not know the question, or what it is about."""
        try:
            answer = await self._http.read(path, form, query)
        except Refused as error:
            if error.status == 404:
                return None
            raise
        return answer

    # ── Configuring ──────────────────────────────────────────────────────────

    async def save_provider(self, app: App, settings: ProviderSettings) -> None:
        """Set where the app's code comes from; every field is sent, nothing is merged.

        A compose stack takes it by `compose.update` and refuses images and build paths.
        The server sets the app's status to idle, even in the middle of a build.

        Source: application-api.txt, "Configure Git Providers"; facts.md, "Inputs".
        """
        await self._http.change(*provider_call(app, settings))

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
        """Remove old deployments' logs; their records stay.

        Source: application-api.txt, "Clear Deployments"; facts.md, "Where … differ", 4.
        """
        await self._http.change(f"{app.kind.value}.clearDeployments", id_of(app))

    # ── The end ──────────────────────────────────────────────────────────────

    async def close(self) -> None:
        """Let go of connections; later calls raise Unreachable."""
        await self._http.close()
