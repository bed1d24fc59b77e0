"""Data restored from an older copy, and data that a newer release has brought up to date."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.worlds.bridge import Origin, running_world
from tests.worlds.embedded import until
from tests.worlds.sites import make_app


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


def of_a_newer_release(data: Path) -> None:
    """Have the journal as a newer release leaves it."""
    with closing(sqlite3.connect(data / "journal.sqlite")) as db, db:
        db.execute("UPDATE alembic_version SET version_num = '9999'")


async def test_one_that_runs_as_a_newer_release_takes_over_says_that_it_is_not_ready(
    tmp_path: Path, origin: Origin
) -> None:
    async with running_world(tmp_path / "bridge") as world:
        await make_app(world, origin)
        assert (await world.web.get("/readyz")).status_code == 200
        of_a_newer_release(tmp_path / "bridge")

        async def readiness() -> tuple[int, str]:
            answer = await world.web.get("/readyz")
            return answer.status_code, answer.text

        _, why = await until(readiness, lambda found: found[0] == 503)
        assert "written by a newer release" in why
        # What still comes here is kept and decided, until the newer one is ready.
        await world.commit(origin, "feat: more", {"web/index.html": "<h1>more</h1>"})
        await world.ended(2)
