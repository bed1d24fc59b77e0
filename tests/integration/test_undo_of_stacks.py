"""A compose stack's source is changed and undone column by column, as a row of Dokploy's."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from bridge.backends.dokploy.client import Dokploy
from bridge.core.apps import App, AppKind, SourceType
from bridge.core.configuration.merge import NoSource, WantedSource, WantedVariables
from bridge.core.errors import Rejected
from bridge.core.people import Actor
from bridge.pipeline.deploying.configure import Configurer
from bridge.storage.journal import SqlJournal
from bridge.storage.seal import FernetSeal
from tests.fakes.journey import ManualClock

BY = Actor("cli", "ada")
STACK = App("stack_1", "stack", "shop", kind=AppKind.COMPOSE)
GITHUB = {
    "composeId": "stack_1",
    "sourceType": "github",
    "owner": "acme",
    "repository": "site",
    "branch": "main",
    "githubId": "gh_1",
    "triggerType": "tag",
    "watchPaths": ["web/**"],
    "enableSubmodules": True,
    "customGitUrl": "https://git.example.com/old.git",
    "customGitBranch": None,
    "customGitSSHKeyId": "key_1",
    "gitlabOwner": "",
    "giteaOwner": "grp",
    "bitbucketRepositorySlug": "web",
    "env": "A=1",
    "createEnvFile": True,
    "composeStatus": "done",
}
GIT = GITHUB | {"sourceType": "git", "customGitBranch": "main"}
RAW = GITHUB | {"sourceType": "raw", "watchPaths": []}


class Server:
    """Keeps one compose stack, and writes what an update names."""

    def __init__(self) -> None:
        self.row: dict[str, Any] = {}
        self.sent: list[dict[str, Any]] = []

    def answer(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/api/compose.update":
            body = json.loads(request.content)
            assert body.keys() <= self.row.keys() | {"gitlabProjectId"}, "no such column"
            self.sent.append(body)
            self.row |= body
        return httpx.Response(200, json=self.row)


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
async def configurer(server: Server, journal: SqlJournal) -> AsyncIterator[Configurer]:
    transport = httpx.MockTransport(server.answer)
    dokploy = Dokploy("http://dokploy.example.com", "a-key", transport=transport)
    yield Configurer(dokploy, journal, ManualClock(), seal=FernetSeal(lambda: ["a key"]))
    await dokploy.close()


@pytest.mark.parametrize("row", [GITHUB, GIT, RAW])
@pytest.mark.parametrize(
    "wanted",
    [
        WantedSource(None, {"trigger": "push"}),
        WantedSource(None, {"watch_paths": ("api/**",), "branch": "dev"}),
        WantedSource(
            SourceType.GITHUB,
            {"owner": "o", "repository": "r", "branch": "b", "provider_id": "gh_2"},
        ),
        WantedSource(SourceType.GIT, {"url": "https://git.example.com/a.git", "branch": "main"}),
        NoSource(),
        WantedVariables({"env": {"A": None, "B": "B=2"}}),
    ],
)
async def test_every_column_of_a_stack_is_back_after_an_undo(
    configurer: Configurer, server: Server, row: dict[str, Any], wanted: Any
) -> None:
    server.row = dict(row)
    try:
        plan = await configurer.plan(STACK, wanted)
    except Rejected:
        assert row is RAW  # it has no source of which a single field could be changed
        return
    if plan.empty:  # a stored trigger counts for GitHub alone: it is push already
        assert row is GIT
        return
    await configurer.apply(plan, by=BY)

    await configurer.apply(await configurer.plan_undo(STACK), by=BY)

    assert server.row == row


async def test_a_stack_takes_no_image_and_only_the_columns_that_differ_are_written(
    configurer: Configurer, server: Server
) -> None:
    server.row = dict(GITHUB)
    with pytest.raises(Rejected, match="can't come from an image"):
        await configurer.plan(STACK, WantedSource(SourceType.DOCKER, {"image": "nginx"}))

    plan = await configurer.plan(STACK, WantedSource(None, {"trigger": "push"}))
    await configurer.apply(plan, by=BY)

    assert server.sent == [{"composeId": "stack_1", "triggerType": "push"}]
