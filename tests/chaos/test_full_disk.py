"""A disk that is full: what can't be kept is refused, and nothing is lost or done twice."""

import asyncio
import os
import random
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.chaos.cluster import Cluster, sending, verdict
from tests.chaos.recording_backend import recording_backend
from tests.fake_github import FakeGithub
from tests.unit.embedded.support import until

pytestmark = pytest.mark.slow

SIZE = 16 * 2**20
FULL_SECONDS = 20.0 if os.environ.get("CHAOS_LONG") else 4.0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own, of a few MiB."""
    folder = tmp_path / "bridge"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(folder)]
    try:
        done = subprocess.run(mount, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        pytest.skip(f"no small disk can be had: {error}")
    if done.returncode:
        pytest.skip(f"no small disk can be had: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture
async def cluster(tmp_path: Path, small_disk: Path) -> AsyncIterator[Cluster]:
    async with (
        recording_backend(apps=4, build_seconds=0.15, listing_delay=0.1) as backend,
        FakeGithub() as github,
    ):
        repository = github.repository("my-org/mono")
        repository.commit({"read.md": "me"})
        pull = repository.open_pull("main")
        made = Cluster(tmp_path, backend, github, pull, random.Random(7))
        await made.start("all")
        yield made
        await made.end()


def fill(disk: Path) -> Path:
    """Leave no byte free."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (2**16, 2**10, 1):
            try:
                while True:
                    file.write(b"\0" * size)
            except OSError:
                continue
    return filler


async def test_what_does_not_fit_is_refused_and_all_goes_on_once_it_does(
    cluster: Cluster, small_disk: Path
) -> None:
    async with sending(cluster, (0.02, 0.08)) as sender:

        async def answered() -> int:
            return len(sender.answered)

        async def refused() -> int:
            return sender.refused.total()

        await until(answered, lambda count: count > 10)
        filler = fill(small_disk)
        await until(refused, lambda count: count > 10)
        await asyncio.sleep(FULL_SECONDS)
        filler.unlink()
        before = len(sender.answered)
        await until(answered, lambda count: count > before + 10)
    found = await verdict(cluster, sender)

    sys.stdout.write(f"\na full disk: {found.line()}\n")
    assert set(sender.refused) == {503}
    assert not found.lost
    assert not found.twice
    assert not found.overlapping
    assert not found.stale
    assert set(found.states) <= {"done", "superseded"}
    assert (found.comments, found.untold) == (1, [])
