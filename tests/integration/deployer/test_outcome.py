"""How a deployment ends, and what is said of its end."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import pytest

from bridge.core.events import Action
from bridge.core.lifecycle import Evidence, State
from bridge.ports.backends import Progress
from tests.fakes.journey import HEAD
from tests.worlds.deployer import NO, PACE, UNRECORDED, Stage

T = TypeVar("T")


async def test_it_is_asked_once_and_followed_to_its_real_end(stage: Stage) -> None:
    ended = await stage.run()

    assert stage.backend.asked == 1
    assert (ended.state, ended.note) == (State.DONE, "commit ccccccc is live")
    assert (ended.deployed_commit, ended.backend_id) == (HEAD, "dep-1")
    assert await stage.states(ended) == ["waiting", "asked", "queued", "running", "done"]
    assert ended.intent_at is not None
    assert ended.asked_at is not None
    assert ended.started_at is not None
    assert ended.finished_at is not None
    assert ended.intent_at <= ended.asked_at < ended.started_at < ended.finished_at
    assert stage.ended == [1]


async def test_the_backend_reads_whence_the_wish_came(stage: Stage) -> None:
    new = await stage.wish()
    await stage.deployer().ask(new.id)

    (job,) = stage.backend.jobs
    assert job.title == f"Deploy main@ccccccc {new.token}"
    assert job.description == f"commit {HEAD}; by push; delivery delivery-1; {new.token}"


async def test_a_redeploy_builds_the_commit_that_the_record_before_it_has_checked_out(
    stage: Stage,
) -> None:
    await stage.run()
    again = [
        await stage.run(await stage.wish(seq, action=Action.REDEPLOY, trigger="cli: ada"))
        for seq in (2, 3)
    ]
    assert [one.deployed_commit for one in again] == [HEAD, HEAD]

    stage.backend.ending = Progress.ERROR
    await stage.run(await stage.wish(4))
    stage.backend.ending = Progress.DONE
    last = await stage.run(await stage.wish(5, action=Action.REDEPLOY, trigger="cli: ada"))

    assert last.deployed_commit is None, "it may have fetched before it failed"


@pytest.mark.parametrize(
    ("others", "state", "commit", "note"),
    [
        ({"tells_after": None}, State.DONE, None, "the backend does not say which commit is live"),
        ({"head": "d" * 40}, State.DONE, "d" * 40, "commit ddddddd is live, not ccccccc"),
        ({"ending": Progress.CANCELLED}, State.CANCELLED, None, "the backend cancelled it"),
    ],
)
async def test_only_what_the_backend_says_is_said(
    staged: Callable[..., Stage],
    others: dict[str, Any],
    state: State,
    commit: str | None,
    note: str,
) -> None:
    ended = await staged(**others).run()

    assert (ended.state, ended.commit, ended.deployed_commit) == (state, HEAD, commit)
    assert note in ended.note


async def test_endless_words_of_a_backend_become_a_note_and_hold_nothing_up(
    staged: Callable[..., Stage],
) -> None:
    words = "npm ci: token=t0ps3cret refused " + "x" * 20_000_000
    for can_read in (True, False):
        stage = staged(ending=Progress.ERROR, error=words)
        if not can_read:
            stage.backend.next("log_tail", NO)
        longest, ended = await longest_hold(stage.run())

        assert ended.note.startswith("npm ci: token=*** refused xxx")
        assert len(ended.note) <= 300
        assert longest < 0.1


async def longest_hold(work: Awaitable[T]) -> tuple[float, T]:
    """The longest time that the loop was held for meanwhile, in seconds, and what came of it."""
    longest, over = 0.0, asyncio.Event()

    async def beat() -> None:
        nonlocal longest
        while not over.is_set():
            before = time.perf_counter()
            await asyncio.sleep(0.001)
            longest = max(longest, time.perf_counter() - before)

    beating = asyncio.create_task(beat())
    found = await work
    over.set()
    await beating
    return longest, found


async def test_a_build_that_takes_very_long_is_said_once(staged: Callable[..., Stage]) -> None:
    stage = staged(builds=PACE.long + 100)

    ended = await stage.run()

    notes = [note for _, note in await stage.history(ended)]
    assert ended.state is State.DONE
    assert notes.count("has been building for more than 10 minutes") == 1


@pytest.mark.parametrize(
    ("log", "words"),
    [
        ("\n", "its log is empty, as after it was cleared during the build"),
        (
            "fatal: no\nError occurred ❌, check the logs for details.",
            "its log says that the build failed: fatal: no",
        ),
        ("#12 RUN make", "its log stops before the end"),
    ],
)
async def test_a_record_that_stays_open_without_a_job_ends_unknown_within_a_minute(
    staged: Callable[..., Stage], log: str, words: str
) -> None:
    stage = staged(builds=20.0, log=log)
    stage.clock.after(10, lambda: setattr(stage.backend.jobs[0], "unclosed", True))
    began = stage.clock.now

    ended = await stage.run()

    assert (ended.state, ended.backend_id, stage.backend.asked) == (State.UNKNOWN, "dep-1", 1)
    assert ended.note.startswith("outcome unknown: the backend says that it builds, but has had no")
    assert ended.note.endswith(words)
    assert stage.clock.now - began < 20 + 60


@pytest.mark.parametrize("recorded", [Progress.RUNNING, Progress.ERROR, Progress.CANCELLED])
async def test_a_build_that_could_not_be_recorded_is_live_by_its_log(
    staged: Callable[..., Stage], recorded: Progress
) -> None:
    """The backend's database was away as the build ended; its service had been updated before."""
    stage = staged(builds=20.0, log=UNRECORDED, ending=recorded)
    sign = {Progress.RUNNING: "unclosed", Progress.CANCELLED: "restarted"}.get(recorded)
    if sign is not None:
        stage.clock.after(10, lambda: setattr(stage.backend.jobs[0], sign, True))

    ended = await stage.run()

    assert (ended.state, ended.evidence) == (State.DONE, Evidence.LOG)
    assert ended.note.endswith(
        "; its log says that the build succeeded, and that this could not be recorded"
    )
    serving = (await stage.journal.serving([stage.app]))[stage.app.id]
    assert (serving.ours, serving.evidence) == (ended, Evidence.LOG)


async def test_a_record_that_has_gone_may_have_been_built_so_it_is_not_asked_again(
    staged: Callable[..., Stage],
) -> None:
    stage = staged(builds=200.0)
    stage.clock.after(30, stage.backend.jobs.clear)

    ended = await stage.run()

    assert (ended.state, stage.backend.asked) == (State.UNKNOWN, 1)
