"""Replays what a real server was asked, and compares the answers: status, shape, errors.

A row of `recorded.jsonl` is replayed in a scene with the same projects and applications; its
ids are translated. An error's body must be the same to the letter; other answers must have
the same keys all the way down. What does not fit stands in `DIFFERENT` with its reason.
"""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import pytest
import pytest_asyncio

from bridge.embedded.building.sources import Hosts
from bridge.embedded.http.api import PROCEDURES
from bridge.embedded.server import EmbeddedServer
from tests.oracles.dokploy_recordings import recording
from tests.worlds.embedded import (
    Client,
    Repository,
    add_github,
    client_of,
    holding,
    path_with,
    until,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

DIFFERENT = {
    "*-timeline": "no exchange: changes seen while polling",
    "*-ws-*": "no HTTP exchange; the WebSocket has tests of its own",
    "0?-createApiKey-*": "one key, made at the first start; there is no user.createApiKey",
    "11-auth-bearer-valid-key": "Bearer is accepted, as the API document has it",
    "15-default-key-request-[67]": "the key has no rate limit",
    "20-organization.all": "there are no organisations",
    "20-user.*": "there are no users",
    "2?-github.getGithub*": "empty lists; the original answers with a failure of its key",
    "24-saveGithubProvider-unknown-githubId": "404 instead of 500 with SQL",
    "6[0-4]-*": "no webhooks: those are the bridge's own business",
    "70-gh-*": "no webhooks",
    "103-gh-*": "no webhooks",
    "65-rt-*": "no webhooks",
    "8?-compose.*": "no compose stacks",
    "8?-*Compose*": "no compose stacks",
    "81-queueList-compose": "a compose stack's job",
    "95-member-*": "one key, with all rights: nobody is refused for missing ones",
    "96-member-access-saveGitProvider": "as above",
    "98-*-key": "the key has no lifetime and can't be switched off",
}

# Lists that are there, and always empty: there are no compose stacks (see `DIFFERENT`).
NEVER_FILLED = ("compose",)

# The recorded server's ids, by what they stand for in the scene.
PROJECT, ENVIRONMENT = "Kal6ClWHdNZpqOnXTj2CS", "IYU3wjRWPyxD9DYUmJdBO"
GITLAB = "3fYPgpL9_y2t0T1_94pdp"
APPS = {
    "web": "ZT6A95NobTiob085n0lpt",
    "api": "FNT4WZvD6u2xRJzZNlrGw",
    "slow": "mtCXS-3XUlWkFhP1Ra2r6",
    "bad": "Frvhm_StXf8VXVbQG95VZ",
    "ghapp": "0S67ciOuC7CJzBILtCAvV",
    "ghtag": "xR7_0icrGpKdMlZgUBLPL",
    "glapp": "Wg2ktPhPVGTcDpXUYlI4e",
    "dkr": "6nwoQtZn_kZRVuxezn9V1",
}
DEPLOYMENTS = {
    "Sd4oksr9uswGRppdO7RKK": "web",
    "yBb18j-tg8da1eKAP_vfA": "web",
    "-Pmw8LNVfvFBC3sZI8RRo": "web",
    "Ysle6-fOdqxLfxERhrZSR": "web",  # the original can't kill a build that runs: has ended here
    "bweQJjike2FzjGTkR_rQx": "web",
    "hE_t6kyqiy-sr00reLiWB": "dkr",
    "(none was recorded)": "ghtag",
}


ROWS = {row["name"]: row for row in recording("recorded")}


def reason(name: str) -> str | None:
    return next((why for glob, why in DIFFERENT.items() if fnmatchcase(name, glob)), None)


FITTING = [name for name in ROWS if reason(name) is None]


@dataclass
class Scene:
    """The recorded server's projects and applications, on an embedded server."""

    client: Client
    ids: dict[str, str]
    settings: dict[str, Any]

    def translated(self, value: Any) -> Any:
        text = json.dumps(value)
        for theirs, ours in self.ids.items():
            text = text.replace(theirs, ours)
        return json.loads(text)

    async def reset(self) -> None:
        """As it was before the last row; "slow" builds and has something waiting."""
        for id_, settings in self.settings.items():
            await self.client.server.parts.catalog.update_application(id_, settings)
        slow = self.ids[APPS["slow"]]
        if not building_with_one_behind(await self.client.queue(), slow):
            await self.client.deploy(slow, title="slow 1")
            await self.client.deploy(slow, title="slow 2")
            await until(self.client.queue, lambda jobs: building_with_one_behind(jobs, slow))


def building_with_one_behind(jobs: list[dict[str, Any]], app_id: str) -> bool:
    """Return whether this app's own job is active and another of its jobs waits."""
    states = {job["state"] for job in jobs if job["data"]["applicationId"] == app_id}
    return states == {"active", "waiting"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    folder = tmp_path_factory.mktemp("recorded")
    gate = folder / "gate"
    server = EmbeddedServer(
        folder / "data",
        builds_concurrency=8,
        search_path=path_with(folder / "tools", docker=holding(gate)),
        self_hosted_cancel=True,
        # Nothing leaves the machine: these clones fail, as the recorded ones did.
        hosts=Hosts(github_url=folder.as_uri(), gitlab_url=folder.as_uri()),
    )
    async with server, client_of(server) as client:
        repository = Repository.make(folder / "repository", {"Dockerfile": "FROM scratch\n"})
        yield await staged(client, repository)
        gate.touch()


async def staged(client: Client, repository: Repository) -> Scene:
    made = await client.ask("POST", "project.create", name="shop", description="demo project")
    environment = made["environment"]["environmentId"]
    ids = {PROJECT: made["project"]["projectId"], ENVIRONMENT: environment}
    await add_github(client.server.parts, "gh-app", "https://github.com", id_="gh_1")
    await client.ask("POST", "gitlab.create", name="gl", authId="x", gitlabUrl="https://gitlab.com")
    ids[GITLAB] = (await client.ask("GET", "gitlab.gitlabProviders"))[0]["gitlabId"]
    for name, theirs in APPS.items():
        app = await client.app(name, environment=environment)
        ids[theirs] = app["applicationId"]
    scene = Scene(client, ids, {})
    await configured(scene, repository)
    for theirs, name in DEPLOYMENTS.items():
        deployment = await client.deployed(ids[APPS[name]])
        ids[theirs] = deployment["deploymentId"]
    await client.save_git(ids[APPS["slow"]], repository.url)
    for theirs in APPS.values():
        record = await client.server.parts.catalog.application(ids[theirs])
        assert record is not None
        del record["environment"]
        scene.settings[ids[theirs]] = record
    return scene


async def configured(scene: Scene, repository: Repository) -> None:
    client, ids = scene.client, scene.ids
    for name in ("24-saveGithubProvider", "25-saveGitlabProvider", "27-saveDockerProvider-nulls"):
        request = ROWS[name]["request"]
        procedure = request["url"].removeprefix("/api/")
        await client.ask("POST", procedure, **scene.translated(request["body"]))
    tag = ROWS["24-saveGithubProvider"]["request"]["body"] | {"triggerType": "tag"}
    tag["applicationId"] = ids[APPS["ghtag"]]
    await client.ask("POST", "application.saveGithubProvider", **tag)
    await client.save_git(ids[APPS["web"]], repository.url)
    await client.save_build(ids[APPS["web"]])
    await client.save_build(ids[APPS["slow"]], buildType="dockerfile", dockerfile="Dockerfile")


async def test_each_answer_is_the_recorded_one(scene: Scene) -> None:
    found = {name: await compared(name, scene) for name in FITTING}

    assert {name: faults for name, faults in found.items() if faults} == {}
    replayed = {url_of(name) for name in FITTING}
    assert {"application.deploy", "application.one", "project.all"} <= replayed
    assert all(name in PROCEDURES for name in replayed - {"health"})
    assert not [glob for glob in DIFFERENT if not any(fnmatchcase(name, glob) for name in ROWS)]


async def compared(name: str, scene: Scene) -> list[str]:
    """How the answer to a recorded request differs from the recorded one."""
    await scene.reset()
    request, recorded = ROWS[name]["request"], ROWS[name]["response"]
    url = scene.translated(request["url"])
    headers = dict(request["headers"])
    if headers.get("x-api-key") == "<api-key>":
        headers["x-api-key"] = scene.client.server.api_key
    del scene.client.http.headers["x-api-key"]
    body = None if request["body"] is None else json.dumps(scene.translated(request["body"]))
    try:
        answer = await scene.client.http.request(
            request["method"], url, headers=headers, content=body
        )
    finally:
        scene.client.http.headers["x-api-key"] = scene.client.server.api_key

    kind = answer.headers["Content-Type"]
    if (answer.status_code, kind) != (recorded["status"], recorded["headers"]["Content-Type"]):
        return [f"{answer.status_code} {kind} {answer.text[:300]}"]
    if recorded["bodyBytes"] == 0:
        return [] if answer.content == b"" else [f"it should be empty: {answer.text[:100]}"]
    if recorded["status"] >= 400:
        same = answer.json() == scene.translated(recorded["json"])
        return [] if same else [f"another error: {answer.text[:300]}"]
    return differences(recorded["json"], answer.json())


def url_of(name: str) -> str:
    return str(ROWS[name]["request"]["url"]).removeprefix("/api/").partition("?")[0]


def differences(recorded: Any, ours: Any, where: str = "answer") -> list[str]:
    """Where two answers have other keys or other kinds of values; null goes with anything."""
    if recorded is None or ours is None:
        return []
    if isinstance(recorded, dict) and isinstance(ours, dict):
        missing = [f"{where}.{key} is missing" for key in recorded.keys() - ours.keys()]
        added = [f"{where}.{key} is too much" for key in ours.keys() - recorded.keys()]
        both = recorded.keys() & ours.keys()
        inner = [
            line for key in both for line in differences(recorded[key], ours[key], f"{where}.{key}")
        ]
        return missing + added + inner
    if isinstance(recorded, list) and isinstance(ours, list):
        if recorded and not ours:
            return [] if where.endswith(NEVER_FILLED) else [f"{where} is empty"]
        return differences(merged(recorded), merged(ours), f"{where}[]") if recorded else []
    same = type(recorded) is type(ours)
    return [] if same else [f"{where}: {type(recorded).__name__} became {type(ours).__name__}"]


def merged(items: list[Any]) -> Any:
    """One item that has what any of them has: a field may be there in some only."""
    if not all(isinstance(item, dict) for item in items):
        return items[0]
    result: dict[str, Any] = {}
    for item in items:
        result |= {key: value for key, value in item.items() if result.get(key) is None}
    return result
