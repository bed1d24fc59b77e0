"""Dokploy as a deploy backend, over its HTTP API."""

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

from bridge.backends.dokploy import models
from bridge.backends.dokploy.answers import Forbidden
from bridge.backends.dokploy.calling import Calling
from bridge.backends.dokploy.configure import (
    build_call,
    environment_call,
    id_of,
    provider_call,
    saved_in,
    source_call,
)
from bridge.backends.dokploy.reads import app_of, deployments_in, jobs_in, listed_at, places
from bridge.core.apps import App, AppKind
from bridge.core.configuration.configuration import BuildType, Environment, ProviderSettings, Saved
from bridge.core.errors import BridgeError, Refused, Unanswered, Unreachable
from bridge.ports.backends import BackendDeployment, Listed, QueuedJob


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


# ── Which apps a Dokploy has, and where each comes from ─────────────────────────────────────────

log = logging.getLogger(__name__)

BATCH = 40
"""Apps in one request, whose address then has about 4,200 characters; proxies take 8,000."""

BATCHES_AT_A_TIME = 2
"""More would keep Dokploy, which has one thread, from answering anybody else meanwhile."""

ALONE_FOR = 600.0
"""Seconds without batches after one that was not answered while single questions were."""

A = TypeVar("A")
T = TypeVar("T")


class Listing(Calling):
    """The apps of one server; implements `ReadsApps`."""

    _alone_until = 0.0

    @property
    def apps_per_request(self) -> int:
        """The apps that one request reads at the moment."""
        return BATCH if time.monotonic() >= self._alone_until else 1

    async def apps(self) -> list[App]:
        """Read every application and compose stack that the key may see, with its source.

        Trouble with any of them but its own fails the whole list: half a list would look as if
        apps had been deleted.
        """
        return await self.read_apps([one.app for one in await self.listing()])

    async def listing(self) -> list[Listed]:
        """List every application and compose stack that the key may see, by one request.

        Source: facts.md, "Cheaper reads" (`project.all`).
        """
        projects = await self._http.read("project.all", models.PROJECTS)
        origin = self._http.origin if self._http.has_dashboard else None
        return [listed_at(place, self.name, origin) for place in places(projects)]

    async def read_apps(self, apps: Sequence[App]) -> list[App]:
        """Read these apps, named as given or listed, in their order.

        One that has gone, or that the key may not read, is left out; any other trouble raises.
        """
        services: dict[str, models.Service] = {}
        if len(apps) > 1 and (size := self.apps_per_request) > 1:
            groups = [apps[begin : begin + size] for begin in range(0, len(apps), size)]
            for found in await _at_a_time(BATCHES_AT_A_TIME, self._batch, groups):
                services |= found
        alone = [app for app in apps if app.id not in services]
        for app, service in zip(
            alone, await _at_a_time(self._concurrency, self._one, alone), strict=True
        ):
            if service is not None:
                services[app.id] = service
        return [app_of(app, services[app.id]) for app in apps if app.id in services]

    async def _batch(self, apps: Sequence[App]) -> dict[str, models.Service]:
        """Put the questions about some apps into one request; return the answers by app.

        One may be missing because the app has gone, or because the database is away; the question
        by itself tells the two apart.
        """
        if self.apps_per_request == 1:  # found out by the batch before
            return {}
        paths = ",".join(f"{app.kind.value}.one" for app in apps)
        inputs = {str(at): {"json": id_of(app)} for at, app in enumerate(apps)}
        query: dict[str, str | int] = {
            "batch": 1,
            "input": json.dumps(inputs, separators=(",", ":")),
        }
        try:
            found = await self._http.read(
                "application.one, batched", models.BATCH, query, at=f"trpc/{paths}", retries=0
            )
            if len(found) != len(apps):
                raise Refused(self.name, f"{len(found)} answers to {len(apps)} questions")
        except BridgeError as error:
            # This raises where the server itself is in trouble.
            if (first := await self._one(apps[0])) is None:
                return {}
            self._alone_until = time.monotonic() + ALONE_FOR
            log.info("apps are read one by one", extra={"backend": self.name, "why": str(error)})
            return {apps[0].id: first}
        return {
            app.id: one.result.data.service
            for app, one in zip(apps, found, strict=True)
            if one.result is not None
        }

    async def _one(self, app: App) -> models.Service | None:
        path = f"{app.kind.value}.one"
        try:
            return await self._http.read(path, models.SERVICE, dict(id_of(app)))
        except Refused as error:
            if error.status != 404 and not isinstance(error, Forbidden):
                raise
            fields = {"backend": self.name, "app": app.id, "why": error.words}
            log.info("app_left_out", extra=fields)
            return None


async def _at_a_time(most: int, ask: Callable[[A], Awaitable[T]], those: Sequence[A]) -> list[T]:
    """Ask about each, `most` of them at a time; the first failure cuts the others off."""
    slots = asyncio.Semaphore(most)

    async def asked(one: A) -> T:
        async with slots:
            return await ask(one)

    try:
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(asked(one)) for one in those]
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return [task.result() for task in running]


# ── Deploying the apps of a Dokploy, and following what becomes of it ───────────────────────────

_MOST_LINES = 10_000  # that deployment.readLogs gives


class Deploying(Listing):
    """What the bridge asks of every backend: `Backend`."""

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
        tail = min(max(lines, 1), _MOST_LINES)
        found = await self._read_if_there(
            "deployment.readLogs", models.TEXT, {"deploymentId": deployment.id, "tail": tail}
        )
        return found or ""

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
            return (await self._http.probe("health", models.HEALTH)).ok
        except Refused as error:
            # It is there, only too old or too strict for this question.
            return error.status is not None and 400 <= error.status < 500
        except (Unreachable, Unanswered):
            return False


# ── Dokploy as a deploy backend, over its HTTP API ──────────────────────────────────────────────


class Dokploy(Deploying, Configuring):
    """One Dokploy server; implements `Backend` and `Configures`.

    Reads are tried again by themselves, since that is always safe. What changes something
    is sent exactly once: whether to ask again is for the caller to decide.

    Every method but `healthy` and `close` raises

        Refused: the server said no; `words` are its own, fit to be shown. `Forbidden` where
            the key lacks a permission.
        Unreachable: nothing was asked, or nothing was done; reads raise it for every
            answer that did not come whole. `DatabaseAway` and `KeyRefused` say why it
            does nothing for any key, or for ours.
        Unanswered: only from what changes something: it was sent, and whether it was
            done is not known.

    Sources: application-api.txt (the document), facts.md (how v0.30.2 really behaves).
    """
