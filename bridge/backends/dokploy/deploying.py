"""Deploying the apps of a Dokploy, and following what becomes of it."""

from bridge.backends.dokploy import models
from bridge.backends.dokploy.answers import Forbidden
from bridge.backends.dokploy.configure import id_of
from bridge.backends.dokploy.listing import Listing
from bridge.backends.dokploy.reads import deployments_in, jobs_in
from bridge.core.errors import Refused, Unanswered, Unreachable
from bridge.core.watch import App, AppKind
from bridge.ports.backends import BackendDeployment, QueuedJob

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
