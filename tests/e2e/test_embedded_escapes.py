"""A repository's content, its address and its branch can't get out of the build directory."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.worlds.embedded import (
    Client,
    Repository,
    path_with,
    running_server,
)

SECRET = "secret of the machine"


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    async with running_server(tmp_path / "data") as client:
        yield client


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    file = tmp_path / "outside.txt"
    file.write_text(SECRET)
    return file


def linked(tmp_path: Path, name: str, target: str) -> Repository:
    """A repository with a symbolic link."""
    repository = Repository.make(tmp_path / "repository", {"site/index.html": "ok"})
    (repository.path / name).symlink_to(target)
    repository.commit("feat: a link")
    return repository


# ── Addresses and branches ───────────────────────────────────────────────────


ADDRESSES = [
    *("ext::sh -c 'touch {marker}'", "EXT::sh -c 'touch {marker}'", "fd::17/foo"),
    *("transport::address", "--upload-pack=touch {marker}", "../relative", "", " "),
    *("-c core.sshCommand='touch {marker}'", "ssh://-oProxyCommand=touch%20{marker}/x"),
    *("ftp://127.0.0.1/r.git", "https://example.com/a\nb"),
]


@pytest.mark.journey
async def test_an_address_runs_nothing(client: Client, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    app = await client.app("web")
    for url in ADDRESSES:
        await client.save_git(app["applicationId"], url.format(marker=marker))

        ended = await client.deployed(app["applicationId"], title="mine")

        assert (ended["status"], ended["title"]) == ("error", "mine"), url
        assert not marker.exists()


async def test_a_branch_is_no_option(client: Client, tmp_path: Path) -> None:
    repository = Repository.make(tmp_path / "repository")
    marker = tmp_path / "marker"
    app = await client.app("web", repository.url)
    # `update` takes any text, as the real server does.
    await client.ask(
        "POST",
        "application.update",
        applicationId=app["applicationId"],
        customGitBranch=f"--upload-pack=touch {marker}",
    )

    ended = await client.deployed(app["applicationId"])

    assert ended["status"] == "error"
    assert not marker.exists()


async def test_the_log_does_not_tell_where_the_data_lie(client: Client, tmp_path: Path) -> None:
    library = Repository.make(tmp_path / "git" / "library", {"lib.js": "1"})
    repository = Repository.make(tmp_path / "git" / "mono")
    repository.git("submodule", "--quiet", "add", library.url, "lib")
    repository.git("config", "-f", ".gitmodules", "submodule.lib.url", "../nowhere")
    repository.commit("feat: nowhere")
    app = await client.app("web", repository.url)
    await client.save_git(app["applicationId"], repository.url, enableSubmodules=True)

    ended = await client.deployed(app["applicationId"])

    log = await client.log(ended)
    assert ended["status"] == "error"
    assert "into submodule path 'lib' failed" in log
    assert str(tmp_path / "data") not in log + str(ended["errorMessage"])


async def test_the_users_own_git_configuration_plays_no_part(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text('[url "file:///nowhere/"]\n\tinsteadOf = file://\n')
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    with monkeypatch.context() as without:
        without.delenv("GIT_DIR")
        repository = Repository.make(tmp_path / "repository")
    app = await client.app("web", repository.url)

    ended = await client.deployed(app["applicationId"])

    assert ended["status"] == "done", await client.log(ended)


async def test_a_hook_template_is_not_run(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    marker = tmp_path / "marker"
    template = tmp_path / "template" / "hooks"
    path_with(template, **{"post-checkout": f"touch {marker}"})
    repository = Repository.make(tmp_path / "repository")
    monkeypatch.setenv("GIT_TEMPLATE_DIR", str(template.parent))
    app = await client.app("web", repository.url)

    ended = await client.deployed(app["applicationId"])

    assert ended["status"] == "done"
    assert not marker.exists()


# ── Paths and links ──────────────────────────────────────────────────────────


@pytest.mark.journey
async def test_a_path_leads_nowhere_else(client: Client, tmp_path: Path) -> None:
    repository = Repository.make(tmp_path / "repository", {"site/index.html": "ok"})
    app = await client.app("web", repository.url)
    id_ = app["applicationId"]

    async def refused() -> bool:
        ended = await client.deployed(id_)
        return ended["status"] == "error" and (await client.page(app)).status_code == 404

    for path in ("../..", "/../../", "site/../../..", ".git", "/.git/hooks"):
        await client.save_build(id_, publishDirectory=path)
        assert await refused(), path
    await client.save_build(id_, publishDirectory="site")
    for path in ("../..", "site/../../..", ".git"):
        await client.save_git(id_, repository.url, customGitBuildPath=path)
        assert await refused(), path


@pytest.mark.journey
@pytest.mark.parametrize("target", ["{outside}", "../../../../../outside.txt"])
async def test_a_link_out_of_the_repository_is_not_published(
    client: Client, tmp_path: Path, outside: Path, target: str
) -> None:
    repository = linked(tmp_path, "site/link", target.format(outside=outside))
    app = await client.app("web", repository.url, publishDirectory="site")

    ended = await client.deployed(app["applicationId"])

    assert ended["status"] == "error"
    assert "'site/link' leads" in ended["errorMessage"]
    assert (await client.page(app, "link")).status_code == 404


async def test_a_link_inside_of_the_repository_is_published(client: Client, tmp_path: Path) -> None:
    repository = linked(tmp_path, "site/link", "index.html")
    (repository.path / "linked-site").symlink_to("site")
    repository.commit("feat: a link to the site")
    app = await client.app("web", repository.url, publishDirectory="linked-site")

    await client.deployed(app["applicationId"])

    assert (await client.page(app)).text == "ok"
    assert (await client.page(app, "link")).text == "ok"


@pytest.mark.parametrize("target", ["..", "link"])
async def test_links_in_a_circle_end(client: Client, tmp_path: Path, target: str) -> None:
    repository = linked(tmp_path, "site/link", target)
    app = await client.app("web", repository.url, publishDirectory="site")

    ended = await client.deployed(app["applicationId"])

    assert ended["status"] == "error"


async def test_gits_own_folder_is_not_published(client: Client, tmp_path: Path) -> None:
    repository = linked(tmp_path, "stolen", ".git")
    app = await client.app("web", repository.url)

    ended = await client.deployed(app["applicationId"])

    assert ended["status"] == "error"
    (repository.path / "stolen").unlink()
    repository.commit("fix: no link")
    assert (await client.deployed(app["applicationId"]))["status"] == "done"
    assert (await client.page(app, ".git/HEAD")).status_code == 404


async def test_an_env_file_does_not_follow_a_link(tmp_path: Path, outside: Path) -> None:
    repository = Repository.make(tmp_path / "repository", {"Dockerfile": "FROM scratch\n"})
    (repository.path / ".env").symlink_to(outside)
    repository.commit("feat: a link")
    search_path = path_with(tmp_path / "tools", docker="exit 0")
    async with running_server(tmp_path / "data", search_path=search_path) as client:
        app = await client.app("web", repository.url, buildType="dockerfile")
        await client.save_env(app["applicationId"], "A=1")
        ended = await client.deployed(app["applicationId"])

    assert ended["status"] == "done"
    assert written(outside) == SECRET


async def test_tools_that_follow_links_get_none_to_outside(tmp_path: Path, outside: Path) -> None:
    repository = linked(tmp_path, "link", str(outside))
    tools = dict.fromkeys(("docker", "nixpacks", "railpack", "pack"), "exit 0")
    search_path = path_with(tmp_path / "tools", **tools)
    async with running_server(tmp_path / "data", search_path=search_path) as client:
        for build_type in ("nixpacks", "railpack", "paketo_buildpacks"):
            app = await client.app(build_type, repository.url, buildType=build_type)
            ended = await client.deployed(app["applicationId"])

            assert ended["status"] == "error"
            assert "leads outside" in ended["errorMessage"]


async def test_docker_reads_nothing_outside(tmp_path: Path) -> None:
    repository = Repository.make(tmp_path / "repository", {"Dockerfile": "FROM scratch\n"})
    search_path = path_with(tmp_path / "tools", docker="exit 0")
    async with running_server(tmp_path / "data", search_path=search_path) as client:
        for field in ("dockerfile", "dockerContextPath"):
            build = {"buildType": "dockerfile", field: "../../../.."}
            app = await client.app(field, repository.url, **build)
            ended = await client.deployed(app["applicationId"])

            assert ended["status"] == "error"
            assert "leads outside" in ended["errorMessage"]


# ── Asking for pages ─────────────────────────────────────────────────────────


PATHS = [
    *("../release.json", "%2e%2e/release.json", "..%2frelease.json", "....//release.json"),
    *("%2e%2e%2f%2e%2e%2f%2e%2e%2f%2e%2e%2fapi-key", "index.html%00.txt", "%2fetc%2fpasswd"),
    "a" * 5000,
]


@pytest.mark.journey
async def test_no_path_of_a_site_leads_out_of_it(client: Client, tmp_path: Path) -> None:
    repository = Repository.make(tmp_path / "repository")
    app = await client.app("web", repository.url)
    await client.deployed(app["applicationId"])

    for path in PATHS:
        answer = await raw_get(client, f"/apps/{app['appName']}/{path}")

        assert answer.split()[1] in (b"404", b"400"), answer
        assert b"spa" not in answer


async def raw_get(client: Client, target: str) -> bytes:
    """A request that no client library has tidied up."""
    host, port = client.server.sites_url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


def written(file: Path) -> str:
    return file.read_text().strip() if file.exists() else ""
