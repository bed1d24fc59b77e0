"""Replays the second recording, group by group and in its order, against the embedded backend.

Each request of `recorded-2.jsonl` is sent over HTTP with the ids translated that earlier answers
have told. Status, content type and shape must be the recorded ones; an error must be the same to
the letter. What is not replayed is named in `DIFFERENT`, with its reason.
"""

import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

import httpx
import pytest
import pytest_asyncio

from bridge.embedded.building.sources import Hosts
from bridge.embedded.server import EmbeddedServer
from tests.contract.test_recorded_dokploy import differences
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
    # What the embedded backend does not serve, on purpose.
    "*-member*": "one key, with all rights: nobody is refused for missing ones",
    "200-organization.*": "there are no organisations",
    "200-user.[!sg]*": "there are no users",
    "200-user.session": "there are no users",
    "200-user.getPermissions": "there are no users",
    "200-notification.*": "it notifies nobody",
    "215-application.*": "a site has no service to stop or to start",
    "236-application.*": "as above",
    "296-application.*": "as above",
    "22?-domain.*": "a site's address is its name; there are no domains",
    "250-*": "no Gitea",
    "251-*": "no Bitbucket",
    "252-gitea.*": "no Gitea",
    "252-bitbucket.*": "no Bitbucket",
    "260-application.update-rollbackRegistryId-unknown": "no registry is needed",
    "261-deployment.allByType-with-rollback": "it tells no variables of what is kept",
    "263-rollback.*": "what is kept is forgotten by itself",
    "263-removeDeployment-with-rollback": "no earlier answer tells its id",
    "264-docker.getContainersByAppNameMatch": "none runs: test_embedded_rollbacks.py lists some",
    "264-docker.getContainers": "none runs, and only its own are shown",
    "264-docker.getContainers-none": "as above",
    "264-docker.getContainersByAppLabel": "containers are listed by name",
    "264-docker.getServiceContainersByAppName": "as above",
    "226-overview.domains": "there are no domains but those of its applications",
    "264-docker.getConfig": "no container runs, and no variables are told",
    "27?-*": "there are no previews",
    "280-*": "environments are not duplicated",
    "282-*": "one key, with all rights",
    "298-*": "one queue, emptied app by app",
    "213-application.update-buildServerId-unknown": "there is one server",
    # Where its own way is better, or the original shows its SQL.
    "213-application.update-githubId-unknown": "404 instead of 500 with SQL",
    "213-application.update-environmentId-unknown": "404 instead of 500 with SQL",
    "253-saveDockerProvider-password-omitted": "the recorder masked the message",
    "252-gitProvider.getAll": "lists Gitea and Bitbucket, too",
    "232-killProcess-building": "it can end one build",
    "234-readLogs-after-clear": "the log of what runs is kept",
    "234-application.one-after-clear": "as above",
    "238-*": "an application that is deleted takes its build with it: nothing is left over",
    "294-application.one-after-string-false": "there are no domains",
    # What was no exchange, or needs what this process can't have.
    "*-timeline*": "no exchange: changes seen while polling",
    "*-rows-while-down": "no exchange: rows of the database",
    "291-database-stopped-fast-seconds-until-answered": "no exchange: a time",
    "24[0-6]-*": "what git, docker and hosts print; the reasons have tests of their own",
    "234-readLogs-tail-5": "no earlier answer tells its id",
    "281-*an-application": "no earlier answer tells its id",
    "281-*in-removed-environment": "as above",
    "290-rate-limit-request-[12]": "keys have no rate limit",
    "290-remaining-1-first": "as above",
    "290-user*": "there are no users",
    "291-*": "its database is a file of its own and is away with it",
    "292-*": "as above",
    "293-*": "a restart: test_embedded_processes.py restarts it",
}

# Applications that no recorded answer makes, by their recorded ids.
APPS = {
    "SAHiiYpYuLBtIvDjW0kIT": "busy",
    "lJf3-TIkTCUvRT58JShId": "calm",
    "9DBC_ZcKI5_4Uv-U2pACc": "site",
    "5RyLKq_b-nxyK8W0S3IGQ": "idle",
}

BUILDS = "230-deploy-busy"
BUILT = ("234-deploy", "234-deployment.all-after-clear")
"""What is deployed first builds until the first of these is asked; then nothing builds."""

SETTLED = ("261-deployment.all-with-rollbackId",)
"""These are asked once nothing builds."""


def reason(name: str) -> str | None:
    return next((why for glob, why in DIFFERENT.items() if fnmatchcase(name, glob)), None)


ROWS = recording("recorded-2")
FITTING = [row["name"] for row in ROWS if reason(row["name"]) is None]


@dataclass
class Replay:
    """What came of each row that was replayed: nothing, or how the answer was another one."""

    client: Client
    ids: dict[str, str] = field(default_factory=dict)
    found: dict[str, list[str]] = field(default_factory=dict)

    async def play(self, row: dict[str, Any]) -> None:
        """Send a row's request, and compare the answer."""
        request, recorded = row["request"], row["response"]
        headers = dict(request["headers"])
        if headers.get("x-api-key") == "<api-key>":
            # The recorder masked all keys; one that was refused is any other one.
            refused = recorded["json"] == {"message": "Unauthorized"}
            headers["x-api-key"] = "refused" if refused else self.client.server.api_key
        body = request["body"]
        url = f"{self.client.server.url}{self.translated(request['url'])}"
        async with httpx.AsyncClient(trust_env=False) as http:
            answer = await http.request(
                request["method"],
                url,
                headers=headers,
                content=None if body is None else json.dumps(self.translated(body)),
            )
        self.found[row["name"]] = list(self.compared(recorded, answer))

    def compared(self, recorded: dict[str, Any], answer: httpx.Response) -> Iterator[str]:
        """How an answer differs from the recorded one."""
        if answer.status_code != recorded["status"]:
            yield f"{answer.status_code} {answer.text[:300]}"
            return
        if (kind := answer.headers.get("Content-Type")) != recorded["headers"]["Content-Type"]:
            yield f"Content-Type {kind}"
        if recorded["bodyBytes"] == 0:
            yield from [f"it should be empty: {answer.text[:100]}"] if answer.content else []
            return
        ours = answer.json()
        if recorded["status"] >= 400:
            wanted = self.translated(recorded["json"])
            yield from [] if ours == wanted else [f"{json.dumps(ours)} is not {json.dumps(wanted)}"]
            return
        self.learn(recorded["json"], ours)
        yield from differences(recorded["json"], ours)

    def learn(self, theirs: Any, ours: Any, key: str = "") -> None:
        """Take down which id of ours stands for which recorded one."""
        if isinstance(theirs, dict) and isinstance(ours, dict):
            for name in theirs.keys() & ours.keys():
                self.learn(theirs[name], ours[name], name)
        elif isinstance(theirs, list) and isinstance(ours, list):
            for one, other in zip(theirs, ours, strict=False):
                self.learn(one, other)
        elif key.endswith("Id") and isinstance(theirs, str) and isinstance(ours, str):
            self.ids.setdefault(theirs, ours)

    def translated(self, value: Any) -> Any:
        """What was recorded, with our ids."""
        text = json.dumps(value)
        for theirs, ours in self.ids.items():
            text = text.replace(theirs, ours)
        return json.loads(text)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def replay(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Replay]:
    folder = tmp_path_factory.mktemp("recorded")
    gate = folder / "gate"
    server = EmbeddedServer(
        folder / "data",
        search_path=path_with(folder / "tools", docker=holding(gate)),
        self_hosted_cancel=True,
        hosts=Hosts(github_url=folder.as_uri(), gitlab_url=folder.as_uri()),
    )
    async with server, client_of(server) as client:
        repository = Repository.make(folder / "repository", {"Dockerfile": "FROM scratch\n"})
        replay = await staged(client, repository)
        for row in ROWS:
            if row["name"] in BUILT:
                gate.touch()
            if row["name"] in (*BUILT, *SETTLED):
                await until(client.queue, lambda jobs: not jobs)
            if row["name"] in FITTING:
                await replay.play(row)
            if row["name"] == BUILDS:
                await client.running(replay.ids[row["request"]["body"]["applicationId"]])
        yield replay


async def staged(client: Client, repository: Repository) -> Replay:
    """The Git accounts and applications that were there before."""
    replay = Replay(client)
    await add_github(client.server.parts, "gh-app", "https://github.com", id_="gh_1")
    gitlab = {"name": "gl", "authId": "x", "gitlabUrl": "https://gitlab.com"}
    await client.ask("POST", "gitlab.create", **gitlab)
    replay.ids["gl_1"] = (await client.ask("GET", "gitlab.gitlabProviders"))[0]["gitlabId"]
    environment = await client.environment("shop")
    dockerfile = {"buildType": "dockerfile", "dockerfile": "Dockerfile"}
    for theirs, name in APPS.items():
        app = await client.app(name, repository.url, environment=environment, **dockerfile)
        replay.ids[theirs] = app["applicationId"]
        if name == "busy":
            replay.ids["busy-bcjg0v"] = app["appName"]
    return replay


async def test_each_answer_is_the_recorded_one(replay: Replay) -> None:
    assert set(replay.found) == set(FITTING)
    assert {name: faults for name, faults in replay.found.items() if faults} == {}


async def test_no_row_is_forgotten_and_no_reason_is_left_over() -> None:
    names = [row["name"] for row in ROWS]
    excused = [name for name in names if reason(name) is not None]

    assert len(FITTING) + len(excused) == len(names)
    assert len(FITTING) >= 180
    assert all("request" in row and "response" in row for row in ROWS if row["name"] in FITTING)
    for glob in DIFFERENT:
        assert any(fnmatchcase(name, glob) for name in names), f"{glob} is no row"
