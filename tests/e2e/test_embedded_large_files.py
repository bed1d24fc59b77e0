"""Files in Git LFS are published as they are, from their repository's own server, or not at all."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bridge.embedded.building.process import Limits
from tests.fakes.git_lfs import LargeFiles, oid_of, pointer_to
from tests.oracles.node_tools import missing
from tests.worlds.embedded import (
    Client,
    GitServer,
    Repository,
    git_server,
    path_without,
    running_server,
)

LOGIN = "ada:s3cret-t0ken"
LOGO = bytes(range(256)) * 8
TRACKED = {".gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n"}


@pytest.fixture(autouse=True)
def _git_lfs() -> None:
    if shutil.which("git-lfs") is None:
        missing("no git-lfs in PATH: make tools")


@dataclass(frozen=True)
class Host:
    """A Git host with Git LFS; `url` is that of the app's repository."""

    repository: Repository
    files: LargeFiles
    git: GitServer

    @property
    def url(self) -> str:
        return f"{self.git.url}/site.git"


@asynccontextmanager
async def hosting(root: Path, *, login: str | None = None) -> AsyncIterator[Host]:
    files = LargeFiles(login)
    pointer = files.add("site", LOGO)
    repository = Repository.make(root / "site.git", {**TRACKED, "img/logo.bin": pointer})
    async with git_server(root, login=login, more=files.routes()) as git:
        yield Host(repository, files, git)


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[Host]:
    async with hosting(tmp_path / "git") as host:
        yield host


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    async with running_server(tmp_path / "data") as client:
        yield client


async def deployed(client: Client, url: str) -> tuple[dict[str, Any], dict[str, Any]]:
    app = await client.app("web", url)
    return app, await client.deployed(app["applicationId"])


async def published(client: Client, url: str, path: str = "img/logo.bin") -> bytes:
    app, ended = await deployed(client, url)
    assert ended["status"] == "done", await client.log(ended)
    return (await client.page(app, path)).content


async def failed(client: Client, url: str) -> str:
    """Deploy; return why it failed."""
    app, ended = await deployed(client, url)
    assert ended["status"] == "error", await client.log(ended)
    assert (await client.page(app, "img/logo.bin")).status_code == 404
    return str(ended["errorMessage"])


async def test_a_file_in_git_lfs_is_published_as_it_is(client: Client, host: Host) -> None:
    host.repository.commit("feat: the same twice", {"copy.bin": pointer_to(LOGO)})

    assert await published(client, host.url) == LOGO
    (app,) = (await client.ask("GET", "overview.services"))[:1]
    assert (await client.page(app, "copy.bin")).content == LOGO


async def test_a_server_that_the_repository_names_is_not_asked(
    client: Client, tmp_path: Path
) -> None:
    async with hosting(tmp_path / "git", login=LOGIN) as host, hosting(tmp_path / "other") as other:
        named = f"[lfs]\n\turl = {other.url}/info/lfs\n"
        skips = "\tfetchexclude = *\n\tskipdownloaderrors = true\n"
        remote = f'[remote "origin"]\n\tlfsurl = {other.url}/info/lfs\n'
        host.repository.commit("feat: elsewhere", {".lfsconfig": named + skips + remote})

        assert await published(client, host.url.replace("//", f"//{LOGIN}@")) == LOGO
        assert other.files.seen == set()


async def test_a_redirect_to_another_host_does_not_take_the_credential_along(
    client: Client, tmp_path: Path
) -> None:
    async with hosting(tmp_path / "git", login=LOGIN) as host, hosting(tmp_path / "other") as other:
        host.files.moved = other.git.url

        await deployed(client, host.url.replace("//", f"//{LOGIN}@"))

        assert any(credential for _, credential in host.files.seen)
        assert not any(credential for _, credential in other.files.seen)


async def test_without_git_lfs_the_deployment_fails_and_says_what_to_install(
    tmp_path: Path, host: Host
) -> None:
    path = path_without(tmp_path / "tools", "git-lfs")
    async with running_server(tmp_path / "data", search_path=path) as client:
        why = await failed(client, host.url)

    assert why == (
        "the repository uses Git LFS, e.g. for img/logo.bin; git-lfs is not installed here, and"
        " this build needs it. Install Git LFS, for example with: apt-get install git-lfs"
    )


async def test_a_file_that_was_never_sent_fails_the_deployment(client: Client, host: Host) -> None:
    host.repository.commit("feat: not pushed", {"img/new.bin": pointer_to(b"left behind")})

    why = await failed(client, host.url)

    assert "img/new.bin, which can't be fetched" in why
    assert "git lfs push --all" in why


async def test_files_over_the_limit_are_not_even_asked_for(tmp_path: Path, host: Host) -> None:
    host.repository.commit(
        "feat: too much", {"huge.bin": pointer_to(b"x").replace("size 1", f"size {10**11}")}
    )
    limits = Limits(file_bytes=10**12, checkout_bytes=10**9)
    async with running_server(tmp_path / "data", limits=limits) as client:
        why = await failed(client, host.url)

    assert why == "with Git LFS the code is larger than its limit of 1000000000 bytes"
    assert host.files.seen == set()


async def test_what_only_looks_like_a_pointer_stays_as_it_is(client: Client, host: Host) -> None:
    """As in Git: without the attribute it is a text like any other."""
    text = pointer_to(b"an example")
    host.repository.commit("docs: how LFS works", {"example.txt": text, "plain.bin": "no pointer"})

    assert (await published(client, host.url, "example.txt")).decode() == text
    assert host.files.files["site"].keys() == {oid_of(LOGO)}


async def test_a_submodule_has_its_files_from_its_own_server(
    client: Client, tmp_path: Path, host: Host
) -> None:
    async with hosting(tmp_path / "library") as library:
        head = library.repository.head()
        host.repository.git("update-index", "--add", "--cacheinfo", f"160000,{head},library")
        named = f'[submodule "library"]\n\tpath = library\n\turl = {library.url}\n'
        (host.repository.path / ".gitmodules").write_text(named)
        host.repository.git("add", ".gitmodules")
        host.repository.git("commit", "-q", "-m", "feat: a library")
        app = await client.app("web", host.url)
        await client.save_git(app["applicationId"], host.url, enableSubmodules=True)

        ended = await client.deployed(app["applicationId"])

        assert ended["status"] == "done", await client.log(ended)
        assert (await client.page(app, "library/img/logo.bin")).content == LOGO
        assert {path.split(".git")[0] for path, _ in library.files.seen} == {"/site"}


async def test_a_repository_on_this_disk_brings_its_own_files_and_no_other_ones(
    client: Client, tmp_path: Path, host: Host
) -> None:
    private = Repository.make(tmp_path / "private")
    for repository, content in ((host.repository, LOGO), (private, b"secret")):
        oid = oid_of(content)
        stored = repository.path / ".git" / "lfs" / "objects" / oid[:2] / oid[2:4] / oid
        stored.parent.mkdir(parents=True)
        stored.write_bytes(content)
    assert await published(client, host.repository.url) == LOGO
    stolen = {".lfsconfig": f"[lfs]\n\turl = {private.url}\n", "stolen.bin": pointer_to(b"secret")}
    host.repository.commit("feat: another's file", stolen)

    assert "stolen.bin, which can't be fetched" in await failed_again(client)


async def failed_again(client: Client) -> str:
    (app,) = await client.ask("GET", "overview.services")
    ended = await client.deployed(app["id"])
    assert ended["status"] == "error", await client.log(ended)
    return str(ended["errorMessage"])
