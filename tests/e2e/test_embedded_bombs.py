"""Small repositories that grow without end when they are cloned or published, and cancels."""

import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from bridge.embedded.building.process import Limits
from bridge.embedded.building.sites import Release
from tests.worlds.bridge import World, running_world
from tests.worlds.embedded import Client, Repository, running_server, until

CANCEL_SECONDS = 2.0
ANSWER_SECONDS = 2.0  # an event loop that the build holds up would not answer at all


def nested_links(path: Path, levels: int = 40) -> Repository:
    """Directories that each link twice to the next: 2 ** levels when the links are followed.

    The last one is a submodule that nobody fetches: an empty folder, so there is no file at all.
    """
    repository = Repository.make(path, {"home/index.html": "home"})
    head = repository.git("rev-parse", "HEAD")
    (repository.path / f"d{levels}").mkdir()
    for level in range(levels):
        folder = repository.path / f"d{level}"
        folder.mkdir()
        for name in ("a", "b"):
            (folder / name).symlink_to(f"../d{level + 1}")
    repository.git("add", "-A")
    repository.git("update-index", "--add", "--cacheinfo", f"160000,{head},d{levels}")
    repository.git("commit", "-qm", "feat: many links")
    return repository


def nested_trees(path: Path, levels: int = 12, width: int = 10) -> Repository:
    """Trees that each hold the next one ten times: 10 ** levels files in a few objects."""
    repository = Repository.make(path, {"index.html": "first"})
    kept = repository.git("hash-object", "-w", "index.html")
    tree = _tree(repository, f"100644 blob {kept}\tindex.html\n")
    for _ in range(levels):
        lines = "".join(f"040000 tree {tree}\t{number}\n" for number in range(width))
        tree = _tree(repository, lines)
    commit = repository.git("commit-tree", tree, "-m", "feat: many files")
    repository.git("update-ref", "refs/heads/main", commit)
    return repository


def _tree(repository: Repository, lines: str) -> str:
    listed = repository.path / ".git" / "lines"
    listed.write_text(lines)
    return repository.git("-c", "alias.make=!git mktree < .git/lines", "make")


def names_below(folder: Path) -> list[str]:
    return sorted(str(one.relative_to(folder)) for one in folder.rglob("*"))


async def site_of(client: Client, repository: Repository, **build: str) -> str:
    app = await client.app("web", repository.url, **build)
    return str(app["applicationId"])


async def test_links_that_multiply_are_refused_and_the_page_stays(tmp_path: Path) -> None:
    repository = nested_links(tmp_path / "repository")
    async with running_server(tmp_path / "data") as client:
        app = await client.app("web", repository.url, publishDirectory="home")
        id_ = app["applicationId"]
        await client.deployed(id_)
        sites = tmp_path / "data" / "sites"
        before = names_below(sites)

        await client.save_build(id_, publishDirectory="d0")
        ended = await client.deployed(id_)

        assert ended["status"] == "error"
        assert "more than its limit of 100000 files and folders" in ended["errorMessage"]
        assert names_below(sites) == before
        assert (await client.page(app)).text == "home"


async def test_a_site_may_not_be_deeper_than_its_limit(tmp_path: Path) -> None:
    repository = Repository.make(tmp_path / "repository", {"/".join("x" * 70): "deep"})
    async with running_server(tmp_path / "data") as client:
        ended = await client.deployed(await site_of(client, repository))

    assert ended["status"] == "error"
    assert "deeper than its limit of 64 folders" in ended["errorMessage"]
    assert names_below(tmp_path / "data" / "sites") == []


@pytest.mark.parametrize("what", ["links", "trees", "one large file"])
async def test_a_cancel_ends_it_at_once_and_the_door_answers(
    tmp_path: Path, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if what == "links":
        limits = Limits(site_entries=10**12)
        repository = nested_links(tmp_path / "repository")
    elif what == "trees":
        limits = Limits(checkout_entries=10**15)
        repository = nested_trees(tmp_path / "repository")
    else:
        limits = Limits()
        repository = Repository.make(tmp_path / "repository", {"d0/large": "\0" * 50_000_000})
        # As slow as a very large one would be.
        monkeypatch.setattr("bridge.embedded.building.sites._CHUNK", 64 * 1024)
        monkeypatch.setattr(Release, "check_wanted", slowed(Release.check_wanted))
    monkeypatch.setattr("bridge.embedded.building.process.Limits", lambda **_: limits)
    async with running_world(tmp_path / "bridge") as world:
        assert world.backend is not None
        backend = world.backend
        app = await site_of(backend, repository, publishDirectory="d0")
        sites = tmp_path / "bridge" / "embedded" / "sites"
        await world.backend.deploy(app)
        running = await world.backend.running(app)
        await until(
            lambda: backend.log(running),
            lambda log: ("Cloning into" if what == "trees" else "Publishing d0") in log,
            patience=60,
        )

        slowest = await slowest_answer(world)
        began = time.monotonic()
        await world.backend.ask("POST", "application.cancelDeployment", applicationId=app)
        ended = await world.backend.ended(app)
        took = time.monotonic() - began

    assert ended["status"] == "cancelled"
    assert took < CANCEL_SECONDS
    assert slowest < ANSWER_SECONDS
    assert names_below(sites) in ([], [app], [app, f"{app}/releases"])


def slowed(check: Callable[[Release], None]) -> Callable[[Release], None]:
    """Make a check wait as for a slow disk, which leaves the processor to others."""

    def slow(release: Release) -> None:
        time.sleep(0.02)
        check(release)

    return slow


async def slowest_answer(world: World, count: int = 5) -> float:
    """Seconds that the slowest of some webhooks took."""
    slowest = 0.0
    for number in range(count):
        began = time.monotonic()
        answer = await world.hook("github", {"zen": number, "hook_id": 1})
        slowest = max(slowest, time.monotonic() - began)
        assert answer.status_code == 202
    return slowest


async def test_trees_that_multiply_are_not_checked_out(tmp_path: Path) -> None:
    repository = nested_trees(tmp_path / "repository")
    limits = Limits(checkout_entries=20_000)
    async with running_server(tmp_path / "data", limits=limits) as client:
        app = await site_of(client, repository)
        began = time.monotonic()
        ended = await client.deployed(app)
        took = time.monotonic() - began

    assert ended["status"] == "error"
    assert "more than its limit of 20000 files and folders" in ended["errorMessage"]
    assert took < 20
    assert names_below(tmp_path / "data" / "applications") == [app]


async def test_a_checkout_may_not_be_larger_than_its_limit(tmp_path: Path) -> None:
    repository = Repository.make(tmp_path / "repository", {"large.txt": "0" * 5_000_000})
    limits = Limits(checkout_bytes=1_000_000)
    async with running_server(tmp_path / "data", limits=limits) as client:
        ended = await client.deployed(await site_of(client, repository))

    assert ended["status"] == "error"
    assert "larger than its limit of 1000000 bytes" in ended["errorMessage"]


async def test_a_start_removes_what_a_crash_left(tmp_path: Path) -> None:
    repository = Repository.make(tmp_path / "repository")
    data = tmp_path / "data"
    async with running_server(data) as client:
        app = await client.app("web", repository.url)
        await client.deployed(app["applicationId"])
    sites, id_ = data / "sites", app["applicationId"]
    before = names_below(sites)
    half = sites / id_ / "releases" / "half" / "files"
    half.mkdir(parents=True)
    (half / "index.html").write_text("half")
    for kind in ("sites", "applications", "logs"):
        gone = data / kind / "no-such-application" / "releases"
        gone.mkdir(parents=True)

    async with running_server(data) as client:
        page = await client.page(app)

    assert page.text == "<h1>first</h1>"
    assert names_below(sites) == before
    assert not list(data.glob("*/no-such-application"))


# ── What is never published ──────────────────────────────────────────────────


SECRET = "API_TOKEN=s3cret-of-the-app"


@asynccontextmanager
async def site_with_env_file(
    tmp_path: Path, links: dict[str, str]
) -> AsyncIterator[tuple[Any, ...]]:
    """An app that an earlier build has written an `.env` for, and that is a static site now."""
    files = {"Dockerfile": "FROM scratch\n", "index.html": "home", "sub/.env.local": SECRET}
    repository = Repository.make(tmp_path / "repository", files)
    for name, target in links.items():
        (repository.path / name).symlink_to(target)
    repository.commit("feat: links")
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "docker").write_text("#!/bin/sh\nexit 0\n")
    (tools / "docker").chmod(0o755)
    path = f"{tools}{os.pathsep}{os.environ['PATH']}"
    async with running_server(tmp_path / "data", search_path=path) as client:
        app = await client.app("web", repository.url, buildType="dockerfile")
        id_ = app["applicationId"]
        await client.save_env(id_, SECRET)
        built = await client.deployed(id_)
        assert "Wrote .env" in await client.log(built)
        await client.save_build(id_, buildType="static")
        await client.ask("POST", "application.redeploy", applicationId=id_)
        yield client, app, await client.ended(id_, 2)


async def test_an_env_file_of_an_earlier_build_is_not_published(tmp_path: Path) -> None:
    async with site_with_env_file(tmp_path, {}) as (client, app, ended):
        assert ended["status"] == "done"
        assert (await client.page(app)).text == "home"
        for path in (".env", "sub/.env.local", ".git/config", ".git"):
            assert (await client.page(app, path)).status_code == 404
        assert "Left out: .env" in await client.log(ended)
    sites = tmp_path / "data" / "sites"
    texts = [one.read_text() for one in sites.rglob("*") if one.is_file()]
    assert not [text for text in texts if "s3cret" in text]


@pytest.mark.parametrize("target", ["sub/.env.local", "chain"])
async def test_no_link_publishes_what_is_never_published(tmp_path: Path, target: str) -> None:
    links = {"harmless.txt": target, "chain": "sub/../.env"}
    async with site_with_env_file(tmp_path, links) as (client, app, ended):
        assert ended["status"] == "error"
        assert "leads to" in ended["errorMessage"]
        assert (await client.page(app, "harmless.txt")).status_code == 404
