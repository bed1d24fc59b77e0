"""The stage of a trial: a project of its own in Dokploy, repositories, and a bridge beside them."""

import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from subprocess import TimeoutExpired

import httpx

from tests.trial.bridge import BridgeProcess
from tests.trial.comparing import WITHIN
from tests.trial.database import Database
from tests.trial.dokploy import Dokploy, Service, until
from tests.trial.repositories import Repo, repositories
from tests.trial.scene import Scene, Trial
from tests.trial.variables import Given

Making = Callable[[Trial, str], tuple[Service, Repo]]


def application(trial: Trial, name: str, host: str = "github") -> tuple[Service, Repo]:
    """Make an application and its repository; `host` sends the webhooks."""
    repo = trial.repositories.make(name, host)
    made = trial.dokploy.application(trial.project, trial.environment, name, repo.clone_url)
    return made, repo


@dataclass(frozen=True)
class Scenario:
    """One scenario of a trial.

    Attributes:
        make: makes its app and repository before the bridge starts.
        needs: names of variables, without prefix; the scenario is skipped if one is absent.
    """

    name: str
    act: Callable[[Scene], None]
    make: Making = application
    needs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Result:
    """One line of the table."""

    name: str
    claims: str = ""
    records: str = ""
    differences: tuple[str, ...] = ()
    history: tuple[str, ...] = ()
    skipped: str = ""
    took: float = 0.0


BROKEN = (TimeoutError, RuntimeError, httpx.HTTPError, TimeoutExpired)
"""Errors that end a scenario early: a stage not reached, a refusal, no connection, a command that
takes too long."""


class Unfit(Exception):
    """Dokploy lacks what a scenario needs; the message names it."""


def perform(scenario: Scenario, scene: Scene | str) -> Result:
    """Run one scenario and compare."""
    if isinstance(scene, str):
        return Result(scenario.name, skipped=scene)
    began = time.monotonic()
    found: list[str] = []
    try:
        scenario.act(scene)
    except Unfit as error:
        return Result(scenario.name, skipped=str(error))
    except BROKEN as error:
        found.append(f"it could not be played: {error}")
    try:
        found += scene.differences()
        claims, records = scene.summary()
        history = scene.history() if found else []
    except BROKEN as error:
        return Result(scenario.name, differences=(*found, str(error)))
    took = time.monotonic() - began
    return Result(scenario.name, claims, records, tuple(found), tuple(history), took=took)


@contextmanager
def staged(given: Given, scenarios: Sequence[Scenario]) -> Iterator[dict[str, Scene | str]]:
    """Make all apps and start the bridge; yields each scenario's scene, or why it has none."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="trial-")))
        database = stack.enter_context(Database(given["DATABASE_URL"]))
        dokploy = Dokploy(given, database)
        stack.callback(dokploy.close)
        hosted = stack.enter_context(repositories(folder / "repositories"))
        name = f"trial-{uuid.uuid4().hex[:6]}"
        project, environment = dokploy.project(name)
        settings = {
            "BRIDGE_DOKPLOY_URL": dokploy.url,
            "BRIDGE_DOKPLOY_API_KEY": dokploy.key,
            "BRIDGE_GITHUB_WEB_URL": hosted.url,
            "BRIDGE_RULES": f"[{{apps: '{name}/tag', trigger: tag, tags: 'v*'}},"
            f" {{apps: '{name}/rollback', verify: {{within: 10s}}}},"
            f" {{apps: '{name}/verified-*', verify: {{containers: true, within: 10s}}}}]",
        }
        bridge = BridgeProcess(folder / "bridge", settings)
        trial = Trial(given, database, dokploy, hosted, bridge, name, environment, stack)
        stack.callback(_removed, dokploy, project, database)
        stack.callback(dokploy.mend)
        scenes = {one.name: _scene(trial, one) for one in scenarios}
        database.apps |= {s.service.id for s in scenes.values() if isinstance(s, Scene)}
        database.look()
        stack.callback(bridge.leave)
        bridge.start()
        labels = {s.service.label for s in scenes.values() if isinstance(s, Scene)}
        until(
            lambda: labels <= {one["app"] for one in bridge.json("apps")},
            WITHIN,
            "the bridge knows all apps",
        )
        yield scenes


def _scene(trial: Trial, scenario: Scenario) -> Scene | str:
    if why := trial.given.lacks(scenario.needs):
        return why
    try:
        service, repo = scenario.make(trial, scenario.name)
    except Unfit as error:
        return str(error)
    return Scene(trial, service, repo)


def _removed(dokploy: Dokploy, project: str, database: Database) -> None:
    """Remove the project with all its apps, after their builds have ended."""
    with suppress(TimeoutError):
        until(lambda: not _building(dokploy, database), WITHIN, "nothing is built any more")
    for kind in ("application", "compose"):
        rows = database.rows(
            f'SELECT s."{kind}Id" AS id FROM {kind} s JOIN environment e USING ("environmentId")'
            ' WHERE e."projectId" = %s',
            project,
        )
        more = {"deleteVolumes": True} if kind == "compose" else {}
        for row in rows:
            dokploy.post(f"{kind}.delete", **{f"{kind}Id": row["id"]}, **more)
    dokploy.post("project.remove", projectId=project)


def _building(dokploy: Dokploy, database: Database) -> bool:
    ids = {
        job["data"].get("applicationId") or job["data"].get("composeId") for job in dokploy.queue()
    }
    return bool(ids & database.apps)
