"""Deployments on the embedded server: from a commit to a page, and all that can come between."""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bridge.embedded.building.process import Limits
from bridge.embedded.building.sources import Hosts
from tests.worlds.embedded import (
    Client,
    GitServer,
    Repository,
    client_of,
    git_server,
    running_server,
    until,
)


@pytest.fixture
async def repository(tmp_path: Path) -> Repository:
    return Repository.make(tmp_path / "git" / "demo.git", {"site/index.html": "<h1>first</h1>"})


@pytest.fixture
async def git(tmp_path: Path, repository: Repository) -> AsyncIterator[GitServer]:
    async with git_server(tmp_path / "git") as server:
        yield server


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    async with running_server(tmp_path / "data") as client:
        yield client


async def held_app(client: Client, git: GitServer, name: str = "web") -> str:
    """An application whose clones wait for the gate."""
    git.gate.clear()
    app = await client.app(name, f"{git.url}/demo.git", publishDirectory="site")
    return str(app["applicationId"])


# ── From a commit to a page ──────────────────────────────────────────────────


async def test_a_deploy_whose_old_logs_stay_goes_on_and_the_server_still_stops(
    client: Client, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(paths: list[str]) -> None:
        raise RuntimeError("cannot schedule new futures after shutdown")

    monkeypatch.setattr("bridge.embedded.building.queue._remove_files", refused)
    app = await client.app("web", repository.url, publishDirectory="site")

    ended = await client.deployed(app["applicationId"])

    assert ended["status"] == "done"


@pytest.mark.journey
async def test_a_deploy_publishes_the_head_of_the_branch(
    client: Client, repository: Repository
) -> None:
    app = await client.app("web", repository.url, publishDirectory="site")
    first = await client.deployed(app["applicationId"], title="Deploy [br-1]", description="c=1")
    assert (await client.page(app)).text == "<h1>first</h1>"

    sha = repository.commit("fix: second\n\nwith a body", {"site/index.html": "<h1>second</h1>"})
    second = await client.deployed(app["applicationId"])

    assert (await client.page(app)).text == "<h1>second</h1>"
    assert (first["status"], second["status"]) == ("done", "done")
    assert (second["title"], second["description"]) == (
        "fix: second\n\nwith a body",
        f"Commit: {sha}",
    )
    one = await client.ask("GET", "application.one", applicationId=app["applicationId"])
    assert one["applicationStatus"] == "done"
    assert [line["deploymentId"] for line in one["deployments"]] == [
        first["deploymentId"],
        second["deploymentId"],
    ]


async def test_submodules_of_submodules_come_along_and_those_left_out_do_not(
    client: Client, repository: Repository, tmp_path: Path
) -> None:
    inner = Repository.make(tmp_path / "git" / "inner.git", {"inner.js": "2"})
    library = Repository.make(tmp_path / "git" / "library.git", {"lib.js": "1"})
    library.git("submodule", "--quiet", "add", inner.url, "in ner")
    library.commit("feat: one inside")
    for name in ("lib", "left-out"):
        repository.git("submodule", "--quiet", "add", library.url, f"site/{name}")
    repository.git("config", "-f", ".gitmodules", "submodule.site/left-out.update", "none")
    repository.commit("feat: libraries")
    app = await client.app("web", repository.url, publishDirectory="site")
    await client.save_git(app["applicationId"], repository.url, enableSubmodules=True)

    ended = await client.deployed(app["applicationId"])

    assert ended["status"] == "done", await client.log(ended)
    assert (await client.page(app, "lib/lib.js")).text == "1"
    assert (await client.page(app, "lib/in%20ner/inner.js")).text == "2"
    assert (await client.page(app, "left-out/lib.js")).status_code == 404


async def test_github_and_gitlab_are_cloned_from_where_they_are(
    tmp_path: Path, repository: Repository
) -> None:
    Repository.make(tmp_path / "hosts" / "my-org" / "mono", {"index.html": "from github"})
    Repository.make(tmp_path / "hosts" / "group" / "sub" / "web.git", {"index.html": "from gitlab"})
    hosts = (tmp_path / "hosts").as_uri()
    async with running_server(
        tmp_path / "data", hosts=Hosts(github_url=hosts, gitlab_url=hosts)
    ) as client:
        github, gitlab = await client.app("gh"), await client.app("gl")
        await client.ask(
            "POST",
            "application.saveGithubProvider",
            applicationId=github["applicationId"],
            owner="my-org",
            repository="mono",
            branch="main",
            buildPath="/",
            githubId=None,
        )
        await client.ask(
            "POST",
            "application.saveGitlabProvider",
            applicationId=gitlab["applicationId"],
            gitlabOwner="group",
            gitlabRepository="web",
            gitlabBranch="main",
            gitlabBuildPath="/",
            gitlabId=None,
            gitlabProjectId=7,
            gitlabPathNamespace="group/sub/web",
        )
        for app in (github, gitlab):
            await client.save_build(app["applicationId"])
            await client.deployed(app["applicationId"])

        assert (await client.page(github)).text == "from github"
        assert (await client.page(gitlab)).text == "from gitlab"


@pytest.mark.journey
async def test_credentials_reach_the_host_and_no_log(
    client: Client, repository: Repository, tmp_path: Path
) -> None:
    async with git_server(tmp_path / "git", login="ada:s3cret-t0ken") as private:
        address = private.url.replace("//", "//ada:s3cret-t0ken@") + "/demo.git"
        app = await client.app("web", address, publishDirectory="site")
        ended = await client.deployed(app["applicationId"])
        await client.save_git(app["applicationId"], address.replace("s3cret", "wr0ng"))
        refused = await client.deployed(app["applicationId"])

    assert ended["status"] == "done", await client.log(ended)
    assert refused["status"] == "error"
    for one in (ended, refused):
        assert "t0ken" not in await client.log(one)
        assert "t0ken" not in json.dumps(one)


# ── The queue ────────────────────────────────────────────────────────────────


async def test_so_many_build_at_a_time_and_one_of_each_application(
    tmp_path: Path, git: GitServer
) -> None:
    async with running_server(tmp_path / "data", builds_concurrency=2) as client:
        apps = [await held_app(client, git, name) for name in ("a", "b", "c")]
        for app in (apps[0], apps[0], apps[1], apps[2]):
            await client.deploy(app)
        await client.running(apps[0])
        await client.running(apps[1])

        active = [job for job in await client.queue() if job["state"] == "active"]
        assert [job["data"]["applicationId"] for job in active] == [apps[1], apps[0]]

        git.gate.set()
        for app, count in zip(apps, (2, 1, 1), strict=True):
            await client.ended(app, count)


# ── Cancelling, limits ───────────────────────────────────────────────────────


@pytest.mark.journey
@pytest.mark.parametrize("how", ["cancelDeployment", "killBuild", "killProcess"])
async def test_a_running_deployment_ends_as_cancelled_and_the_next_one_runs(
    client: Client, git: GitServer, how: str
) -> None:
    app = await held_app(client, git)
    await client.deploy(app, title="one")
    await client.deploy(app, title="two")
    running = await client.running(app)
    await until(lambda: asyncio.sleep(0, git.waiting), lambda waiting: waiting == 1)

    if how == "killProcess":
        id_ = running["deploymentId"]
        await client.ask("POST", "deployment.killProcess", deploymentId=id_)
    else:
        answer = await client.ask("POST", f"application.{how}", applicationId=app)
        words = {"success": True, "message": "Deployment cancellation requested"}
        assert answer == (words if how == "cancelDeployment" else None)
    git.gate.set()
    await client.ended(app, 2)

    second, first = await client.deployments(app)
    assert (first["status"], first["title"]) == ("cancelled", "one")
    assert first["finishedAt"] is not None
    assert second["status"] == "done"


async def test_a_clone_has_its_time_limit(tmp_path: Path, git: GitServer) -> None:
    limits = Limits(clone_seconds=0.2)
    async with running_server(tmp_path / "data", limits=limits) as client:
        app = await held_app(client, git)

        ended = await client.deployed(app)

        assert ended["status"] == "error"
        assert "longer than its limit of 0.2 s" in ended["errorMessage"]


# ── Restarts ─────────────────────────────────────────────────────────────────


_SERVER = """
import asyncio, sys
from bridge.embedded.server import EmbeddedServer

async def main():
    async with EmbeddedServer(sys.argv[1]) as server:
        print(server.url, server.api_key, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.mark.journey
async def test_a_killed_server_goes_on_with_what_waited(tmp_path: Path, git: GitServer) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _SERVER, str(tmp_path / "data"), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    url, key = (await process.stdout.readline()).decode().split()
    elsewhere = _Elsewhere(url, key)
    async with client_of(elsewhere) as client:  # type: ignore[arg-type]
        app = await held_app(client, git)
        await client.deploy(app, title="one")
        await client.deploy(app, title="two")
        before = await client.running(app)
    process.send_signal(signal.SIGKILL)
    await process.wait()
    git.gate.set()

    async with running_server(tmp_path / "data") as client:
        await client.ended(app, 2)
        second, first = await client.deployments(app)
        assert await client.queue() == []

    assert (first["deploymentId"], first["status"]) == (before["deploymentId"], "cancelled")
    assert "restarted" in first["errorMessage"]
    assert first["finishedAt"] is None
    assert second["status"] == "done"


class _Elsewhere:
    """A server in another process."""

    def __init__(self, url: str, api_key: str) -> None:
        self.url, self.api_key = url, api_key
