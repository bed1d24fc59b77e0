"""Run one deployment: get the code, build it with its builder, record the end."""

import asyncio
import logging
import os
import tempfile
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from bridge.core.masking import Mask
from bridge.core.variables import resolve
from bridge.embedded.building.builders import (
    Builder,
    Buildpacks,
    Dockerfile,
    Image,
    Nixpacks,
    Railpack,
    Work,
    start_container,
)
from bridge.embedded.building.checkout import Head, clone, swap
from bridge.embedded.building.logs import Growth, Log
from bridge.embedded.building.process import Limits, Runner, time_limit, within_limits
from bridge.embedded.building.sites import StaticSite
from bridge.embedded.building.sources import Clone, Hosts, parse_variables, read_source
from bridge.embedded.storage.history import Deployment, Ending, Facts, Job, Releases
from bridge.embedded.storage.paths import BuildFailed, NotKept, Places, Remover, inside
from bridge.embedded.storage.records import Catalog, Record

log = logging.getLogger(__name__)

BUILDERS: dict[str, Builder] = {
    "static": StaticSite(),
    "dockerfile": Dockerfile(),
    "nixpacks": Nixpacks(),
    "railpack": Railpack(),
    "heroku_buildpacks": Buildpacks("heroku/builder", "herokuVersion", "24"),
    "paketo_buildpacks": Buildpacks("paketobuildpacks/builder-jammy-full", None, "latest"),
}
"""The builders by the application's `buildType`."""

_IMAGE: Builder = Image()  # the source is an image, so nothing is built

_RESTORE_SECONDS = 60.0


@dataclass(slots=True)
class _Progress:
    head: Head | None = None  # the commit, once the code has been cloned


class Pipeline:
    """Run deployments, and serve earlier ones again.

    Attributes:
        serving: by application; held while it is switched to another release, or deleted.
    """

    def __init__(
        self,
        catalog: Catalog,
        places: Places,
        growth: Growth,
        *,
        hosts: Hosts,
        limits: Limits,
        search_path: str | None = None,
    ) -> None:
        self._catalog = catalog
        self._places = places
        self._growth = growth
        self._hosts = hosts
        self._limits = limits
        self._search_path = search_path
        self.remover = Remover()
        self.serving: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def run(self, job: Job, deployment: Deployment, broken_off: Callable[[], bool]) -> Ending:
        """Run a deployment to its end; never raises.

        A cancellation ends it as `cancelled` and is not passed on.

        Args:
            broken_off: returns whether the server stops, which leaves the log without an end.
        """
        runner = Runner(
            Log(Path(deployment.log_path), self._growth, limit=self._limits.log_bytes),
            self._limits,
            self._search_path,
        )
        progress = _Progress()
        try:
            await self._steps(job, deployment, runner, progress)
            ending = Ending("done")
        except asyncio.CancelledError:
            ending = Ending("cancelled")
            if not broken_off():
                await _ended(runner.log, ending, "Deployment cancelled")
        except BuildFailed as error:
            words = runner.log.redacted(str(error))
            ending = await _ended(runner.log, Ending("error", words), words)
        except Exception:  # a bug must not leave the deployment open
            log.exception("build failed unexpectedly", extra={"app": job.application_id})
            words = "An error of the deploy server itself; its own log has the details"
            ending = await _ended(runner.log, Ending("error", words), words)
        if (head := progress.head) is None:
            return ending
        # After a clone the record names the commit, whatever the outcome (docs/dokploy.md).
        return replace(ending, title=head.message or head.sha, description=f"Commit: {head.sha}")

    async def _steps(
        self, job: Job, deployment: Deployment, runner: Runner, progress: _Progress
    ) -> None:
        application = await self._catalog.application(job.application_id)
        if application is None:
            raise BuildFailed("the application was deleted")
        variables = read_variables(application)
        named = [*variables["env"].items(), *variables["build_args"].items()]
        hidden = [*variables["build_secrets"].values(), application["password"] or ""]
        runner.log.hide(await asyncio.to_thread(Mask, named, hidden))
        await runner.log.open()
        await runner.log.say("Initializing deployment")
        async with self._scratch(job.application_id, deployment.id) as scratch:
            code = self._places.code(job.application_id)
            runner.log.leave_out([scratch / "checkout", scratch, code, self._places.root])
            if application["sourceType"] == "docker":
                checkout = folder = await asyncio.to_thread(_new_folder, scratch / "empty")
                builder = _IMAGE
            else:
                github_id, gitlab_id = application["githubId"], application["gitlabId"]
                source = read_source(
                    application,
                    self._hosts,
                    github=await self._catalog.provider("github", github_id) if github_id else None,
                    gitlab=await self._catalog.provider("gitlab", gitlab_id) if gitlab_id else None,
                )
                if job.kind == "deploy":
                    progress.head = await self._fetch(source, deployment, runner, scratch)
                checkout, folder = await self._code(job.application_id, source)
                kind = application["buildType"]
                if kind not in BUILDERS:
                    raise BuildFailed(f"build type {kind!r} is not known")
                builder = BUILDERS[kind]
            work = Work(
                application=application,
                deployment_id=deployment.id,
                checkout=checkout,
                folder=folder,
                scratch=await asyncio.to_thread(_new_folder, scratch / "build"),
                releases=Releases.of(self._places, job.application_id),
                serving=self.serving[job.application_id],
                runner=runner,
                remover=self.remover,
                **variables,
            )
            async with time_limit("the build", self._limits.build_seconds):
                await builder.build(work)

    async def restore(self, application: Record, deployment: Deployment) -> None:
        """Serve what an earlier deployment has built again, with the variables of then.

        Raises:
            NotKept: it is not kept.
            BuildFailed: its container can't be started.
        """
        id_ = application["applicationId"]
        releases = Releases.of(self._places, id_)
        async with time_limit("the rollback", _RESTORE_SECONDS), self.serving[id_]:
            facts = await asyncio.to_thread(releases.facts, deployment.id)
            if facts is None or deployment.status != "done":
                raise NotKept("nothing is kept of what this deployment built")
            if facts.image is not None:
                await self._start(application, deployment, facts, facts.image)
            await asyncio.to_thread(releases.serve, deployment.id)

    async def _start(
        self, application: Record, deployment: Deployment, facts: Facts, image: str
    ) -> None:
        """Start a container of a kept image."""
        id_ = application["applicationId"]
        releases = Releases.of(self._places, id_)
        env = await asyncio.to_thread(releases.variables, deployment.id)
        # A rollback has no record, so nobody could read its log.
        unread = Log(Path(os.devnull), self._growth, limit=self._limits.log_bytes)
        unread.hide(await asyncio.to_thread(Mask, env.items()))
        async with self._scratch(id_, deployment.id) as scratch:
            work = Work(
                application=application | {"memoryLimit": facts.memory, "cpuLimit": facts.cpus},
                deployment_id=deployment.id,
                checkout=scratch,
                folder=scratch,
                scratch=scratch,
                releases=releases,
                serving=self.serving[id_],
                runner=Runner(unread, self._limits, self._search_path),
                remover=self.remover,
                env=env,
                build_args={},
                build_secrets={},
            )
            try:
                await start_container(work, image)
            except BuildFailed as error:
                raise BuildFailed(unread.redacted(str(error))) from None

    async def _fetch(
        self, source: Clone, deployment: Deployment, runner: Runner, scratch: Path
    ) -> Head:
        fresh = scratch / "checkout"
        home = await asyncio.to_thread(_new_folder, scratch / "home")
        async with time_limit("getting the code", self._limits.clone_seconds):
            cloning = clone(source, fresh, runner, home)
            head = await within_limits(cloning, fresh, self._limits)
        await swap(fresh, self._places.code(deployment.application_id))
        await runner.log.say(f"Checked out {head.sha}")
        return head

    async def _code(self, application_id: str, source: Clone) -> tuple[Path, Path]:
        code = self._places.code(application_id)
        if not await asyncio.to_thread(code.is_dir):
            raise BuildFailed("there is no checkout to build again: deploy first")
        folder = await asyncio.to_thread(inside, code, source.build_path, what="build path")
        return code, folder

    @asynccontextmanager
    async def _scratch(self, application_id: str, deployment_id: str) -> AsyncIterator[Path]:
        parent = self._places.application(application_id)
        await asyncio.to_thread(parent.mkdir, parents=True, exist_ok=True)
        prefix = f"build-{deployment_id[:8]}-"
        path = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix=prefix, dir=parent))
        try:
            yield path
        finally:
            self.remover.later(path)


def read_variables(application: Record) -> dict[str, dict[str, str]]:
    """Return the variables of `Work`, references to project and environment resolved."""
    environment = application["environment"]
    project_values = parse_variables(environment["project"]["env"])
    environment_values = parse_variables(environment["env"])

    def read(field: str) -> dict[str, str]:
        return resolve(
            parse_variables(application[field]),
            project=project_values,
            environment=environment_values,
        )

    columns = {"env": "env", "build_args": "buildArgs", "build_secrets": "buildSecrets"}
    return {name: read(column) for name, column in columns.items()}


async def _ended(build_log: Log, ending: Ending, words: str) -> Ending:
    try:
        await build_log.say(words)
        await build_log.say("Error occurred ❌, check the logs for details.")  # Dokploy's words
    except OSError as error:  # a full disk must not keep the deployment open
        log.warning("build log can't be written", extra={"why": str(error)})
    return ending


def _new_folder(path: Path) -> Path:
    path.mkdir()
    return path
