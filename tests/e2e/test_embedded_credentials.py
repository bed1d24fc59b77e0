"""A repository's credential goes to that repository, and to nobody else."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bridge.embedded.building.sources import Hosts
from tests.worlds.embedded import Client, GitServer, Repository, git_server, running_server

LOGIN = "ada:s3cret-t0ken"


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    async with running_server(tmp_path / "data") as client:
        yield client


@pytest.fixture
async def git(tmp_path: Path) -> AsyncIterator[GitServer]:
    """A host that lets in only who knows the login."""
    Repository.make(tmp_path / "git" / "demo.git", {"index.html": "demo"})
    async with git_server(tmp_path / "git", login=LOGIN) as server:
        yield server


@pytest.fixture
async def elsewhere(tmp_path: Path) -> AsyncIterator[GitServer]:
    """Another host, which lets everybody in."""
    Repository.make(tmp_path / "elsewhere" / "demo.git", {"index.html": "elsewhere"})
    async with git_server(tmp_path / "elsewhere") as server:
        yield server


def with_login(url: str) -> str:
    return url.replace("//", f"//{LOGIN}@")


def credentials(server: GitServer) -> set[str | None]:
    return {credential for _, credential in server.seen}


async def test_a_redirect_to_another_host_does_not_take_the_credential_along(
    client: Client, git: GitServer, elsewhere: GitServer
) -> None:
    git.login, git.moved["demo"] = None, f"{elsewhere.url}/demo"
    app = await client.app("web", with_login(f"{git.url}/demo.git"))

    ended = await client.deployed(app["applicationId"])

    assert any(credentials(git))
    assert not any(credentials(elsewhere))
    assert ended["status"] == "error"
    assert "save its new address" in ended["errorMessage"]


async def test_an_address_without_git_at_its_end_needs_no_redirect(
    client: Client, git: GitServer
) -> None:
    app = await client.app("web", with_login(f"{git.url}/demo"))

    ended = await client.deployed(app["applicationId"])

    assert ended["status"] == "done", await client.log(ended)
    assert (await client.page(app)).text == "demo"


@pytest.mark.parametrize("where", ["another host", "a path below it"])
async def test_a_submodule_is_not_fetched_with_its_parents_credential(
    client: Client, git: GitServer, elsewhere: GitServer, tmp_path: Path, where: str
) -> None:
    name = "demo.git2" if where == "a path below it" else "private"
    private = Repository.make(tmp_path / "git" / f"{name}.git", {"secret.txt": "private"})
    host = elsewhere if where == "another host" else git
    Repository.make(tmp_path / "elsewhere" / "private.git")
    repository = Repository(tmp_path / "git" / "demo.git")
    repository.git("submodule", "--quiet", "add", private.url, "stolen")
    repository.git("config", "-f", ".gitmodules", "submodule.stolen.url", f"{host.url}/{name}.git")
    repository.commit("feat: stolen")
    url = with_login(f"{git.url}/demo.git")
    app = await client.app("web", url)
    await client.save_git(app["applicationId"], url, enableSubmodules=True)

    ended = await client.deployed(app["applicationId"])

    assert ended["status"] == "error"
    assert (name, None) in host.seen
    assert {credential for asked, credential in host.seen if asked == name} == {None}
    assert (await client.page(app, "stolen/secret.txt")).status_code == 404


async def test_an_accounts_token_is_for_the_repository_that_the_app_names(
    tmp_path: Path, git: GitServer
) -> None:
    private = Repository.make(tmp_path / "git" / "me" / "private.git", {"secret.txt": "private"})
    repository = Repository.make(tmp_path / "git" / "me" / "site.git", {"index.html": "site"})
    repository.git("submodule", "--quiet", "add", private.url, "stolen")
    git.login = "x-access-token:of-the-account"
    url = f"{git.url}/me/private.git"
    repository.git("config", "-f", ".gitmodules", "submodule.stolen.url", url)
    repository.commit("feat: stolen")
    hosts = Hosts(github_url=git.url, github_token="of-the-account")
    async with running_server(tmp_path / "data", hosts=hosts) as client:
        app = await client.app("web")
        source = {"owner": "me", "repository": "site", "branch": "main", "buildPath": "/"}
        for submodules in (False, True):
            await client.ask(
                "POST",
                "application.saveGithubProvider",
                applicationId=app["applicationId"],
                githubId=None,
                enableSubmodules=submodules,
                triggerType="push",
                **source,
            )
            await client.save_build(app["applicationId"])
            ended = await client.deployed(app["applicationId"])
            assert ended["status"] == ("error" if submodules else "done"), await client.log(ended)

    assert {one for asked, one in git.seen if asked == "me/private"} == {None}


async def test_a_submodule_does_not_use_the_machines_ssh_keys(
    client: Client, elsewhere: GitServer, tmp_path: Path
) -> None:
    repository = Repository(tmp_path / "elsewhere" / "demo.git")
    private = Repository.make(tmp_path / "private")
    repository.git("submodule", "--quiet", "add", private.url, "stolen")
    address = "ssh://git@127.0.0.1:9/private.git"
    repository.git("config", "-f", ".gitmodules", "submodule.stolen.url", address)
    repository.commit("feat: stolen")
    app = await client.app("web", f"{elsewhere.url}/demo.git")
    await client.save_git(app["applicationId"], f"{elsewhere.url}/demo.git", enableSubmodules=True)

    ended = await client.deployed(app["applicationId"])

    assert ended["status"] == "error"
    assert "a submodule is fetched over SSH, with the keys of this machine" in (
        await client.log(ended)
    )
