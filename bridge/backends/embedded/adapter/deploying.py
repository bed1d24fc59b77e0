"""Deploying with the embedded backend."""

from bridge.backends.embedded.adapter.calling import Calling
from bridge.backends.embedded.adapter.reading import read_app, read_deployment
from bridge.backends.embedded.building.logs import tail
from bridge.backends.embedded.http import inputs
from bridge.backends.embedded.http.procedures import deployments
from bridge.backends.embedded.http.procedures.server import VERSION
from bridge.core.watch import App
from bridge.ports.backends import BackendDeployment, QueuedJob


class Deploying(Calling):
    """What the bridge asks of every backend: `Backend`."""

    async def apps(self) -> list[App]:
        """Every application, oldest first."""
        records = await self._reading(self._parts.catalog.applications())
        return [read_app(one, self.name, self._parts.public_site(one)) for one in records]

    async def deploy(self, app: App, *, title: str, description: str) -> None:
        """Put a deployment in the queue; it is on disk when this returns."""
        data = {"applicationId": app.id, "title": title, "description": description}
        await self._call(deployments.deploy, inputs.Deploy, data)

    async def redeploy(self, app: App, *, title: str, description: str) -> None:
        """Put a rebuild of the existing checkout in the queue."""
        data = {"applicationId": app.id, "title": title, "description": description}
        await self._call(deployments.redeploy, inputs.Deploy, data)

    async def deployments(self, app: App) -> list[BackendDeployment]:
        """The app's newest deployments (at most ten and what runs), newest first."""
        found = await self._reading(self._parts.history.of(app.id))
        return [read_deployment(one) for one in found]

    async def queue(self) -> list[QueuedJob]:
        """What waits and runs, oldest first."""
        jobs = await self._reading(self._parts.engine.jobs())
        return [
            QueuedJob(job.application_id, job.title, job.description, job.started_at is not None)
            for job in jobs
        ]

    async def log_tail(self, deployment: BackendDeployment, lines: int) -> str:
        """The last lines of a deployment's log; "" when it is not kept any more."""
        found = await self._reading(self._parts.history.one(deployment.id))
        if found is None:
            return ""
        text = await tail(self._parts.places.root / found.log_path, max(1, lines))
        return "" if text == "\n" else text

    async def drop_waiting(self, app: App) -> None:
        """Drop what waits for this app; what runs goes on."""
        await self._call(deployments.clean_queues, inputs.ApplicationId, {"applicationId": app.id})

    async def cancel(self, app: App) -> str:
        """End the running deployment as cancelled; Refused when none runs."""
        data = {"applicationId": app.id}
        answer = await self._call(deployments.cancel, inputs.ApplicationId, data)
        return str(answer["message"])

    async def version(self) -> str | None:
        """The Dokploy version whose API this backend speaks."""
        return VERSION

    async def healthy(self) -> bool:
        """Whether its server runs."""
        return self._server.running

    async def close(self) -> None:
        """Nothing to let go of: the server is stopped by whoever started it."""
