"""Behind a PgBouncer the bridge works in session mode, and refuses to start in any other."""

import asyncio
import json
from pathlib import Path

import pytest

from tests.chaos.cluster import Cluster
from tests.chaos.recording_backend import recording_backend
from tests.e2e.test_cluster import APPS, asked, ended, push
from tests.fakes.github import FakeGithub
from tests.worlds.pgbouncer import pooled
from tests.worlds.setup import SECRET, command


@pytest.mark.slow
async def test_in_session_mode_it_deploys_and_takes_over_from_the_dead(
    tmp_path: Path, postgres: str
) -> None:
    with pooled(postgres, "session") as url:
        async with (
            recording_backend(apps=3, build_seconds=0.1, listing_delay=0.0) as backend,
            FakeGithub() as github,
        ):
            backend.git = github.url
            cluster = Cluster(tmp_path, backend, github, url)
            await cluster.start("all")
            backend.may_end.clear()
            await push(cluster, "a" * 40, APPS)
            await asked(backend, 3)
            await cluster.processes[0].kill()
            backend.may_end.set()
            await cluster.start("worker")

            states = await ended(cluster, 3)

            await cluster.end()
    assert states == ["done"] * 3


@pytest.mark.parametrize("mode", ["transaction", "statement"])
@pytest.mark.parametrize("role", ["all", "web", "worker"])
async def test_in_another_mode_it_does_not_start_and_says_the_remedy(
    tmp_path: Path, empty_postgres: str, mode: str, role: str
) -> None:
    with pooled(empty_postgres, mode) as url:
        async with (
            recording_backend(apps=1, build_seconds=0.1, listing_delay=0.0) as backend,
            FakeGithub() as github,
        ):
            process = Cluster(tmp_path, backend, github, url).new(role)
            await process.start()
            assert process.running is not None
            async with asyncio.timeout(60):
                code = await process.running.wait()

    said = process.log.read_text()
    assert code == 2, said
    assert "a pooler in transaction or statement mode" in said
    assert "pool_mode = session" in said
    assert "Traceback" not in said


async def test_doctor_finds_a_pooler_that_shares_sessions(
    tmp_path: Path, empty_postgres: str
) -> None:
    data = {"BRIDGE_DATA": str(tmp_path), "BRIDGE_GITHUB_WEBHOOK_SECRETS": SECRET}
    found = {}
    for mode in ("transaction", "session"):
        with pooled(empty_postgres, mode) as url:
            _, out = await command("doctor", "--json", **data, DATABASE_URL=url)
        findings = json.loads(out)["findings"]
        found[mode] = [f["level"] for f in findings if f["check"] == "bridge.postgres.sessions"]

    assert found == {"transaction": ["error"], "session": ["ok"]}
