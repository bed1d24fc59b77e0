"""How many files of the bridge run for a push, a held push, a preview and `/deploy`.

Whoever wants to know one of these walks by a debugger meets these files. `test_walk.py` counts
those that are handed the push; here every file counts in which a function is entered, also those
that only help, such as clocks, rows and errors.
"""

import asyncio
import itertools
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import bridge
from bridge.core.gates.locks import Lock
from bridge.core.lifecycle import State
from bridge.pipeline.gates.ci import CiReader
from bridge.pipeline.gates.locks import LockKeeper
from bridge.pipeline.previews.previews import PreviewKeeper
from bridge.pipeline.previews.sweep import NativePreviewFollower
from tests.chaos.recording_backend import RecordingBackend, push_payload, recording_backend
from tests.worlds.bridge import Origin, World, running_world
from tests.worlds.embedded import Repository, until
from tests.worlds.previews import preview_world
from tests.worlds.slack import slack_world

PACKAGE = Path(bridge.__file__).parent
IN_A_FUNCTION = 1
"""The flag of code that is neither a module nor the body of a class (`inspect.CO_OPTIMIZED`)."""

ANOTHER_HOUSE = "embedded/"
"""The embedded backend is reached over HTTP; that it runs in this process is a test's economy."""

TIMES = 3
"""Some work is done by itself now and then, so only files count that run each of these times."""

POLLING = (CiReader, LockKeeper, NativePreviewFollower, PreviewKeeper)
"""What looks at the journal every few seconds; it stands still where it has nothing to do."""

PUSH, HELD, PREVIEW, DEPLOY = 97, 99, 145, 137
"""The most files of each; they only go down."""


class Ran:
    """The files of the package in which a function is entered, while it is asked to note them."""

    def __init__(self) -> None:
        self._files: set[str] | None = None
        self.all: list[set[str]] = []

    def __call__(self, frame: FrameType, event: str, _: object) -> None:
        """Be told by the interpreter that a function is entered."""
        code = frame.f_code
        if event != "call" or self._files is None or not code.co_flags & IN_A_FUNCTION:
            return
        if code.co_filename.startswith(f"{PACKAGE}/"):
            self._files.add(str(Path(code.co_filename).relative_to(PACKAGE)))

    @contextmanager
    def noted(self) -> Iterator[None]:
        self._files = set()
        try:
            yield
        finally:
            self.all.append({one for one in self._files if not one.startswith(ANOTHER_HOUSE)})
            self._files = None

    @property
    def each_time(self) -> list[str]:
        return sorted(set.intersection(*self.all))


@pytest.fixture
def ran(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ran]:
    async def stand_still(_: object) -> None:
        await asyncio.Event().wait()

    for one in POLLING:
        if one not in getattr(request, "param", ()):
            monkeypatch.setattr(one, "run", stand_still)
    found = Ran()
    threading.setprofile(found)
    sys.setprofile(found)
    try:
        yield found
    finally:
        sys.setprofile(None)
        threading.setprofile(None)


def hold(files: list[str], most: int) -> None:
    """Print the files by folder, and fail if there are more than there may be."""
    for folder, names in itertools.groupby(files, lambda one: one.rpartition("/")[0]):
        sys.stdout.write(f"{folder}: {' '.join(one.rpartition('/')[2] for one in names)}\n")
    sys.stdout.write(f"{len(files)} files, at most {most}\n")
    assert len(files) <= most


def commits() -> Iterator[str]:
    return (f"{number:040x}" for number in itertools.count(1))


async def ended(world: World, count: int) -> None:
    await until(
        world.deployments,
        lambda those: len(those) == count and all(one.state is State.DONE for one in those),
    )


async def held(world: World, count: int) -> None:
    await until(
        world.deployments,
        lambda those: len(those) == count and those[-1].state is State.HELD,
    )


@contextmanager
def by(backend: RecordingBackend) -> Iterator[dict[str, Any]]:
    yield {"BRIDGE_DOKPLOY_URL": backend.url, "BRIDGE_DOKPLOY_API_KEY": "key"}


async def test_a_push(tmp_path: Path, ran: Ran) -> None:
    async with recording_backend(apps=1, build_seconds=0.05, listing_delay=0.0) as backend:
        with by(backend) as settings:
            async with running_world(tmp_path / "bridge", **settings) as world:
                await until(world.stores.journal.apps, len)
                for count, (before, after) in enumerate(itertools.pairwise(commits()), 1):
                    with ran.noted():
                        await world.hook("github", push_payload(before, after, {"app-0"}))
                        await ended(world, count)
                    if count == TIMES:
                        break

    hold(ran.each_time, PUSH)


async def test_a_push_that_a_lock_holds(tmp_path: Path, ran: Ran) -> None:
    lock = Lock("all", "everything", "cli:ada", "ada", "a migration runs", 0.0)
    async with recording_backend(apps=1, build_seconds=0.05, listing_delay=0.0) as backend:
        with by(backend) as settings:
            async with running_world(tmp_path / "bridge", **settings) as world:
                await until(world.stores.journal.apps, len)
                journal = world.stores.journal
                for count, (before, after) in enumerate(itertools.pairwise(commits()), 1):
                    await journal.take_lock(lock, None, steal=False, audit=lambda _: None)
                    with ran.noted():
                        await world.hook("github", push_payload(before, after, {"app-0"}))
                        await held(world, count)
                        await journal.release_lock(lock.scope, None, lambda _: None)
                        await ended(world, count)
                    if count == TIMES:
                        break

    hold(ran.each_time, HELD)


@pytest.mark.parametrize("ran", [[PreviewKeeper]], indirect=True)
async def test_the_preview_of_a_pull_request(tmp_path: Path, ran: Ran) -> None:
    rules = [{"apps": "shop/*", "previews": {"host": "pr-{number}-{app}.preview.example.com"}}]
    async with preview_world(tmp_path, "github", rules, BRIDGE_PREVIEWS_SWEEP="1h") as world:
        await world.app()
        for number in range(TIMES):
            with ran.noted():
                pull = await world.opened(f"topic-{number}", {"web/index.html": f"{number}"})
                await world.live(pull)

    hold(ran.each_time, PREVIEW)


async def test_deploy_in_slack(tmp_path: Path, ran: Ran) -> None:
    origin = Origin(Repository.make(tmp_path / "site", {"web/index.html": "first"}))
    async with slack_world(tmp_path / "bridge") as both:
        await both.app(origin)
        for count in range(1, TIMES + 1):
            with ran.noted():
                await both.hands.type("web", command="/deploy")
                await both.world.ended(count)
                await both.card_says("is live")

    hold(ran.each_time, DEPLOY)
