"""Data restored from an older copy, and data that a newer release has brought up to date."""

import asyncio
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from bridge.pipeline import housekeeping
from tests.chaos.cluster import ROOT
from tests.fakes.github import FakeGithub
from tests.fakes.gitlab import FakeGitlab
from tests.fakes.host import FakeHost
from tests.worlds.bridge import SECRET, TOKEN, Origin, make_stores, running_world
from tests.worlds.embedded import until
from tests.worlds.sites import MAIN, make_app, newest, on

QUICK = {
    "BRIDGE_CATCHUP_EVERY": "0.2",
    "BRIDGE_CATCHUP_GRACE": "0",
    "BRIDGE_CATCHUP_RECONCILE": "false",
}


@pytest.fixture(params=[FakeGithub, FakeGitlab])
async def host(request: pytest.FixtureRequest) -> AsyncIterator[FakeHost]:
    async with request.param() as fake:
        yield fake


async def test_what_was_answered_since_the_copy_is_fetched_and_deployed_under_another_token(
    tmp_path: Path,
    origin: Origin,
    host: FakeHost,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    data, copy = tmp_path / "bridge", tmp_path / "copy"
    origin = on(host, origin)
    repository = host.repository(origin.name, id=origin.id, git=origin.repository.path)
    settings: dict[str, Any] = {**host.settings, **QUICK}
    async with running_world(data, **settings) as world:
        await make_app(world, origin)
        await world.ended(1)
    shutil.copytree(data, copy)
    secret = SECRET if host.name == "github" else TOKEN
    before = origin.head()
    after = origin.repository.commit("feat: since", {"web/index.html": "<h1>since</h1>"})
    async with running_world(data, **settings) as world:
        hook = host.hook(repository, f"{world.bridge.url}/hooks/{host.name}", secret)
        event = "push" if host.name == "github" else "Push Hook"
        sending = await host.send(hook, event, origin.payload(MAIN, before, after))
        assert sending.status == 202
        _, lost = await world.ended(2)
    shutil.rmtree(data)
    shutil.copytree(copy, data)
    monkeypatch.setattr(housekeeping, "LONG", 0.0)  # the copy is hours old, so to speak

    async with running_world(data, **settings) as world:
        fetched, known = await newest(world, 2)
        _, again = await world.ended(2)
        await asyncio.sleep(0.5)  # two more rounds, which find nothing new
        assert [one.id for one in await world.stores.inbox.newest(10)] == [fetched.id, known.id]

    assert fetched.id == sending.delivery
    assert (again.id, again.commit) == (lost.id, after)
    assert again.token != lost.token
    (said,) = [one for one in caplog.records if "a restored copy" in one.getMessage()]
    assert said.newest_delivery[:10] == said.since[:10]  # type: ignore[attr-defined]  # of `extra`


@pytest.mark.journey
async def test_an_inbox_that_is_older_than_the_journal_loses_no_new_push(
    tmp_path: Path, origin: Origin, caplog: pytest.LogCaptureFixture
) -> None:
    """Copied file by file while it ran: the journal would take the next for one it has decided."""
    data = tmp_path / "bridge"
    async with running_world(data) as world:
        await make_app(world, origin)
        await world.ended(1)
    (data / "inbox.sqlite").unlink()

    async with running_world(data) as world:
        await world.commit(origin, "feat: next", {"web/index.html": "<h1>next</h1>"})
        await world.ended(2)

    assert "the inbox is older than the journal" in caplog.text


# ── a newer release ──────────────────────────────────────────────────────────


def of_a_newer_release(data: Path, store: str) -> None:
    """Have a store as a newer release leaves it."""
    with closing(sqlite3.connect(data / f"{store}.sqlite")) as db, db:
        if store == "journal":
            db.execute("UPDATE alembic_version SET version_num = '9999'")
        else:
            db.execute("PRAGMA user_version = 9999")


def serve(data: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Try to serve; returns once it has given up."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("BRIDGE_") and name != "DATABASE_URL"
    }
    ours = {"BRIDGE_GITHUB_WEBHOOK_SECRETS": SECRET, "BRIDGE_DATA": str(data)}
    return subprocess.run(
        [sys.executable, "-m", "bridge", "serve", "--port", "0"],
        env=inherited | ours | {"PYTHONPATH": str(ROOT)} | environment,
        cwd=data.parent,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("store", ["journal"])
async def test_data_of_a_newer_release_is_refused_at_the_start(tmp_path: Path, store: str) -> None:
    data = tmp_path / "bridge"
    await make_stores(data)
    of_a_newer_release(data, store)

    ended = await asyncio.to_thread(serve, data)

    assert ended.returncode == 2
    assert "written by a newer release" in ended.stderr
    assert "docs/upgrading.md" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.journey
async def test_one_that_runs_as_a_newer_release_takes_over_says_that_it_is_not_ready(
    tmp_path: Path, origin: Origin
) -> None:
    async with running_world(tmp_path / "bridge") as world:
        await make_app(world, origin)
        assert (await world.web.get("/readyz")).status_code == 200
        of_a_newer_release(tmp_path / "bridge", "journal")

        async def readiness() -> tuple[int, str]:
            answer = await world.web.get("/readyz")
            return answer.status_code, answer.text

        _, why = await until(readiness, lambda found: found[0] == 503)
        assert "written by a newer release" in why
        # What still comes here is kept and decided, until the newer one is ready.
        await world.commit(origin, "feat: more", {"web/index.html": "<h1>more</h1>"})
        await world.ended(2)
