"""The real Dokploy: the actions of people there, and its faults."""

import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx

from tests.trial.database import Database
from tests.trial.variables import Given

AWAY = 5.0
"""Seconds that its database stays away."""

BACK_WITHIN = 60.0
"""Seconds that a start may take."""


@dataclass(frozen=True)
class Service:
    """An application or a compose stack of the trial's project."""

    id: str
    name: str
    label: str
    kind: str = "application"


class Dokploy:
    """Dokploy's API with an owner's key, and the commands that stop, kill and start it."""

    def __init__(self, given: Given, database: Database) -> None:
        self.given = given
        self.url = given["DOKPLOY_URL"].rstrip("/")
        self.key = given["DOKPLOY_KEY"]
        self._database = database
        headers = {"x-api-key": self.key}
        self._http = httpx.Client(
            base_url=f"{self.url}/api/", headers=headers, trust_env=False, timeout=60
        )

    def get(self, procedure: str, **query: Any) -> Any:
        """Return the answer to a query; retries while Dokploy recovers from a fault."""
        end = time.monotonic() + BACK_WITHIN
        while True:
            try:
                return self._answer(self._http.get(procedure, params=query))
            except (RuntimeError, httpx.HTTPError):
                if time.monotonic() > end:
                    raise
                time.sleep(0.5)

    def post(self, procedure: str, **body: Any) -> Any:
        """Return the answer to a mutation.

        Raises:
            RuntimeError: it was refused.
        """
        return self._answer(self._http.post(procedure, json=body))

    def queue(self, service: Service | None = None) -> list[dict[str, Any]]:
        """Return the jobs that wait or run, of all services or of one."""
        jobs: list[dict[str, Any]] = self.get("deployment.queueList")
        wanted = (None, service and service.id)
        return [
            job
            for job in jobs
            if service is None
            or (job["data"].get("applicationId") or job["data"].get("composeId")) == wanted[1]
        ]

    def close(self) -> None:
        self._http.close()

    @staticmethod
    def _answer(answer: httpx.Response) -> Any:
        if answer.status_code != 200:
            raise RuntimeError(f"{answer.url.path}: {answer.status_code} {answer.text[:300]}")
        return answer.json() if answer.content.strip() else None

    # ── made for the trial ───────────────────────────────────────────────────

    def project(self, name: str) -> tuple[str, str]:
        """Make a project; return its id and the id of its environment."""
        made = self.post("project.create", name=name, description="", env="")
        return made["project"]["projectId"], made["environment"]["environmentId"]

    def application(self, project: str, environment: str, name: str, url: str) -> Service:
        """Make an application that a Dockerfile builds, with Auto Deploy off."""
        made = self.post(
            "application.create", name=name, appName=name, description="", environmentId=environment
        )
        id_ = made["applicationId"]
        self.clone_from(id_, url)
        self.post("application.update", applicationId=id_, autoDeploy=False)
        self.post("application.saveBuildType", applicationId=id_, **DOCKERFILE)
        return Service(id_, name, f"{project}/{name}")

    def clone_from(self, id_: str, url: str, branch: str = "main", **others: Any) -> None:
        """Set an application's source to a repository by its address."""
        source = {
            "customGitUrl": url,
            "customGitBranch": branch,
            "customGitBuildPath": "/",
            "watchPaths": [],
            "enableSubmodules": False,
        }
        self.post("application.saveGitProvider", applicationId=id_, **source | others)

    def stack(self, project: str, environment: str, name: str, url: str) -> Service:
        """Make a compose stack of a repository."""
        made = self.post(
            "compose.create",
            name=name,
            appName=name,
            description="",
            environmentId=environment,
            composeType="docker-compose",
        )
        id_ = made["composeId"]
        self.post(
            "compose.update",
            composeId=id_,
            sourceType="git",
            customGitUrl=url,
            customGitBranch="main",
            composePath="./docker-compose.yml",
            autoDeploy=False,
        )
        return Service(id_, name, f"{project}/{name}", "compose")

    def deploy_by_hand(self, service: Service, title: str) -> None:
        """Deploy in Dokploy itself, past the bridge."""
        id_ = {f"{service.kind}Id": service.id}
        self.post(f"{service.kind}.deploy", title=title, description="by a person", **id_)

    # ── harm ─────────────────────────────────────────────────────────────────

    def restart(self) -> None:
        """Stop it with SIGTERM, and start it again."""
        self.stopped()()

    def stopped(self) -> Callable[[], None]:
        """Stop it with SIGTERM; return the function that starts it again."""
        self._run("STOP")
        return self._start

    def kill(self) -> None:
        """Kill it, and start it again."""
        self._run("KILL")
        self._start()

    def lose_database(self) -> None:
        """Stop its database for `AWAY` seconds."""
        give_back = self.lost_database()
        time.sleep(AWAY)
        give_back()

    def lost_database(self) -> Callable[[], None]:
        """Stop its database; return the function that starts it again."""
        self._run("DB_STOP")
        return self._give_back

    def mend(self) -> None:
        """Start whatever an interrupted scenario left stopped."""
        if not self._database.answers() and not self.given.lacks(("DB_START",)):
            self._give_back()
        if not self._well() and not self.given.lacks(("START",)):
            self._start()

    def _give_back(self) -> None:
        self._run("DB_START")
        until(self._database.answers, BACK_WITHIN, "the database answers again")

    def _start(self) -> None:
        self._run("START")
        until(self._well, BACK_WITHIN, "Dokploy answers again")

    def _well(self) -> bool:
        try:
            return self._http.get("project.all").status_code == 200
        except httpx.HTTPError:
            return False

    def _run(self, name: str) -> None:
        command = self.given[name]
        done = subprocess.run(command, shell=True, check=False, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"{command}: {done.returncode} {done.stderr[-300:]}")


DOCKERFILE = {
    "buildType": "dockerfile",
    "dockerfile": "Dockerfile",
    "dockerContextPath": "",
    "dockerBuildStage": "",
    "herokuVersion": None,
    "railpackVersion": None,
}


def until(condition: Callable[[], Any], seconds: float, what: str, every: float = 0.05) -> Any:
    """Poll a condition and return its first true value.

    Raises:
        TimeoutError: it did not become true; the message names `what`.
    """
    end = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > end:
            raise TimeoutError(f"not within {seconds:g} s: {what}")
        time.sleep(every)
    return found
