"""The embedded server against its own OpenAPI description, by schemathesis over real HTTP.

It runs as a program of its own, so that neither its pytest plug-in nor its warnings touch
the other tests. The identifiers of things that are there are given to it: otherwise nearly
every answer would be a 404.
"""

import asyncio
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from bridge.embedded.http.api import PROCEDURES
from tests.worlds.embedded import Client, Repository, path_without, running_server

SEED = 20260
APPS = 40
PATIENCE = 150.0
"""Seconds; it takes a tenth of it on a quiet machine."""

NOT_CHECKED = {
    "unsupported_method": "like Dokploy, a procedure asked by another method is not there: 404,"
    " where the check wants 405",
}

CONFIGURATION = """
seed = {seed}
suppress-health-check = ["all"]
workers = 1

[generation]
deterministic = true
database = "none"
max-examples = {examples}

[cache]
enabled = false

[dictionaries]
{dictionaries}

[parameters]
{parameters}

# What is well said may still be impossible just now, and is a 400 by the description.
[[operations]]
include-name-regex = {impossible}
checks.positive_data_acceptance.expected-statuses = ["2xx", 400, 404, 409]

# The real server refuses these with a 500, which the description says.
[[operations]]
include-name-regex = {refusing}
checks.not_a_server_error.enabled = false
checks.positive_data_acceptance.expected-statuses = ["2xx", 400, 404, 409, 500]
"""
REFUSED_BY_500 = {
    "application.readLogs": "no container of it runs",
    "application.move": "one of both is unknown",
    "application.update": "there is no such application, or no value to set",
}
IMPOSSIBLE = {
    "domain.create": "there is no such application",
    "environment.create": "the name of the default environment",
    "environment.remove": "the default environment stays",
    "application.cancelDeployment": "nothing runs",
    "deployment.killProcess": "it runs no more",
    "deployment.removeDeployment": "it still runs",
    "rollback.rollback": "nothing is kept of what that deployment built",
}

NEVER_200 = {
    "GET /github.one": "only a callback of GitHub makes one",
    "GET /github.getGithubRepositories": "as above",
    "POST /application.cancelDeployment": "no build lasts long enough",
    "POST /deployment.killProcess": "no build lasts long enough",
    "GET /application.readLogs": "no container runs without Docker",
    "GET /previewDeployment.one": "it makes no previews by itself",
}


async def there(client: Client, repository: Repository) -> dict[str, list[str]]:
    """Make some of everything; returns identifiers by the parameters that take them."""
    kept = await client.ask("POST", "project.create", name="kept")
    environment = kept["environment"]["environmentId"]
    apps = [
        await client.app(f"app-{n}", repository.url, environment=environment) for n in range(APPS)
    ]
    done = [(await client.deployed(app["applicationId"]))["deploymentId"] for app in apps[:8]]
    # What is read stays: its apps are none that may be deleted.
    kept_deployments, deployments = done[:3], done[3:]
    ids = [app["applicationId"] for app in apps[3:]]
    gone = [await client.ask("POST", "project.create", name=f"gone-{n}") for n in range(40)]
    environments = [
        (
            await client.ask(
                "POST", "environment.create", name=f"e{n}", projectId=kept["project"]["projectId"]
            )
        )["environmentId"]
        for n in range(40)
    ]
    domains = [
        await client.ask("POST", "domain.create", host=f"h{n}.example.com", applicationId=ids[n])
        for n in range(20)
    ]
    gitlab = {"authId": "a", "name": "ours", "gitlabUrl": "https://gitlab.example.com"}
    await client.ask("POST", "gitlab.create", **gitlab)
    gitlabs = [one["gitlabId"] for one in await client.ask("GET", "gitlab.gitlabProviders")]
    return {
        "query.applicationId": ids,
        "body.applicationId": ids,
        "query.id": ids,
        "query.deploymentId": kept_deployments,
        "body.deploymentId": deployments,
        "body.domainId": [one["domainId"] for one in domains],
        "body.rollbackId": kept_deployments,
        "query.projectId": [kept["project"]["projectId"]],
        "body.projectId": [one["project"]["projectId"] for one in gone],
        "query.environmentId": [environment],
        "body.environmentId": environments,
        "body.targetEnvironmentId": [environment],
        "query.gitlabId": gitlabs,
        "body.gitlabId": gitlabs,
    }


def named(procedures: Iterable[str]) -> str:
    return "|".join(name.replace(".", r"\.") + "$" for name in procedures)


def configuration(ids: dict[str, list[str]], examples: int) -> str:
    dictionaries = [
        f"{json.dumps(name)} = {{ values = {json.dumps(values)} }}" for name, values in ids.items()
    ]
    parameters = [
        f"{json.dumps(name)} = {{ dictionary = {json.dumps(name)}, probability = 0.7 }}"
        for name in ids
    ]
    return CONFIGURATION.format(
        seed=SEED,
        examples=examples,
        dictionaries="\n".join(dictionaries),
        parameters="\n".join(parameters),
        impossible=json.dumps(named(IMPOSSIBLE)),
        refusing=json.dumps(named(REFUSED_BY_500)),
    )


async def schemathesis(folder: Path, *words: str) -> tuple[int, str]:
    """Run it to its end; returns its exit code and what it said."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "schemathesis.cli", *words),
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(PATIENCE):
            output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return process.returncode, output.decode(errors="replace")


def statuses(report: Path) -> dict[str, set[int]]:
    """The statuses that each operation has answered with."""
    seen: dict[str, set[int]] = {}
    for line in report.read_text().splitlines():
        for operation, status in _answers(json.loads(line)):
            seen.setdefault(operation, set()).add(status)
    return seen


def _answers(event: dict[str, Any]) -> list[tuple[str, int]]:
    recorder = event.get("ScenarioFinished", {}).get("recorder", {})
    responses = [one.get("response") for one in recorder.get("interactions", {}).values()]
    return [(recorder["label"], one["status_code"]) for one in responses if one]


@pytest.mark.slow
async def test_no_answer_is_outside_the_description(tmp_path: Path) -> None:
    repository = Repository.make(tmp_path / "origin")
    path = path_without(tmp_path / "tools", "docker")
    async with running_server(tmp_path / "server", api_key="a key", search_path=path) as client:
        ids = await there(client, repository)
        (tmp_path / "schemathesis.toml").write_text(configuration(ids, examples=12))
        code, output = await schemathesis(
            tmp_path,
            *("--config-file", "schemathesis.toml", "run"),
            f"{client.server.url}/api/openapi.json",
            *("--header", "x-api-key: a key"),
            *("--exclude-checks", ",".join(NOT_CHECKED)),
            *("--continue-on-failure", "--warnings", "off", "--no-color"),
            *("--report", "ndjson", "--report-ndjson-path", "report.ndjson"),
        )
    assert code == 0, output[-20_000:]

    seen = statuses(tmp_path / "report.ndjson")
    procedures = {f"{one.method} /{name}" for name, one in PROCEDURES.items()}
    assert procedures <= set(seen)
    # It got past the checks of the input, and to things that are there.
    assert {name for name in procedures if 200 not in seen[name]} <= set(NEVER_200), seen
