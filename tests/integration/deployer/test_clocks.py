"""Clocks that are wrong, and answers that are read late, are evidence of nothing."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from bridge.core.lifecycle import Deployment, State
from bridge.pipeline.deploying.deployments import Deployer
from tests.fakes.journey import HEAD, KeptSteps
from tests.worlds.deployer import PACE, SILENT, Stage


async def test_a_build_that_was_asked_for_by_a_clock_that_was_ahead_is_not_asked_for_again(
    staged: Callable[..., Stage],
) -> None:
    """The process that asked has died, and the machine's clock was set back before the next."""
    stage = staged(waits=0.0, builds=0.1)
    new = await stage.wish()
    stage.clock.now += 3600
    await stage.deployer().ask(new.id)
    stage.clock.now -= 3600
    stage.backend.jobs[0].asked_at -= 3600
    stage.backend.jobs[0].begins_at -= 3600
    stage.backend.jobs[0].ends_at -= 3600
    stage.clock.now += 5

    ended = await stage.run(new)

    assert (stage.backend.asked, ended.state, ended.deployed_commit) == (1, State.DONE, HEAD)


# ── answers that come late ───────────────────────────────────────────────────


@pytest.mark.parametrize("question", ["queue", "deployments"])
async def test_answers_that_were_read_long_after_they_came_are_no_evidence_of_a_loss(
    staged: Callable[..., Stage], question: str
) -> None:
    """The process was stopped while its question was on its way: it is built meanwhile."""
    stage = staged(waits=0.0, builds=0.1, listed_after=5.0)
    new = await stage.wish()
    await stage.deployer().ask(new.id)
    stage.clock.now += 0.5  # it has left the queue, and is not listed yet
    _stop_while(stage, question, seconds=60.0)

    ended = await stage.run(new)

    assert (stage.backend.asked, ended.state, ended.deployed_commit) == (1, State.DONE, HEAD)


async def test_one_look_that_took_a_minute_does_not_tell_that_an_ask_never_arrived(
    staged: Callable[..., Stage],
) -> None:
    stage = staged(waits=0.0, builds=1.0, listed_after=0.5)
    new = await stage.wish()
    stage.backend.next("deploy", SILENT, arrives=True)
    _stop_while(stage, "deployments", seconds=60.0, call=2)  # the first came before the intent

    ended = await stage.run(new)

    assert (stage.backend.asked, ended.state, ended.deployed_commit) == (1, State.DONE, HEAD)


def _stop_while(stage: Stage, question: str, *, seconds: float, call: int = 1) -> None:
    """Stop the process between the backend's answer to that call and reading it."""
    ask, calls = getattr(stage.backend, question), []

    async def stopped(*about: Any) -> Any:
        found = await ask(*about)
        calls.append(1)
        if len(calls) == call:
            stage.clock.now += seconds
        return found

    setattr(stage.backend, question, stopped)


# ── times by the backend's clock ─────────────────────────────────────────────


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("off", [-7200.0, -300.0, 300.0, 7200.0])
async def test_every_time_that_a_backend_tells_is_by_our_clock(
    staged: Callable[..., Stage], off: float, known: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = staged(waits=20.0, builds=30.0)
    with_a_clock_that_is(off, stage, monkeypatch, known=known)
    new = await stage.wish()
    asked_at = stage.clock.now
    running: list[float | None] = []

    async def looks() -> None:
        running.append((await stage.now(new)).started_at)

    stage.clock.after(35, looks)
    ended = await run_without_lifetime(stage, new)

    notes = await stage.notes(ended)
    assert not [note for note in notes if "has been building for more than" in note]
    times = (ended.asked_at, *running, ended.started_at, ended.finished_at, stage.clock.now)
    known_times = [one for one in times if one is not None]
    assert list(times) == sorted(known_times)
    assert running == [ended.started_at]
    if known:
        assert ended.started_at == pytest.approx(asked_at + 20, abs=1)
        assert ended.finished_at == pytest.approx(asked_at + 50, abs=1)


@pytest.mark.parametrize("off", [-7200.0, 7200.0])
async def test_an_ask_that_the_journal_has_forgotten_was_made_by_our_clock(
    stage: Stage, off: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_a_clock_that_is(off, stage, monkeypatch, known=True)
    new = await stage.wish()
    await stage.backend.deploy(stage.app, title=new.token, description="")
    asked_at = stage.clock.now
    stage.clock.now += 3

    ended = await run_without_lifetime(stage, new)

    assert ended.asked_at == pytest.approx(asked_at + 1, abs=1)


async def run_without_lifetime(stage: Stage, new: Deployment) -> Deployment:
    """Run it with the backend itself, which then can tell its clock."""
    backends = {"dokploy": stage.backend}
    deployer = Deployer(backends, stage.journal, stage.clock, PACE, sleep=stage.clock.sleep)
    await deployer.run(KeptSteps(), new.id)
    return await stage.now(new)


def with_a_clock_that_is(
    off: float, stage: Stage, monkeypatch: pytest.MonkeyPatch, *, known: bool
) -> None:
    """Have the backend tell times by a clock that is so many seconds ahead of ours."""
    listed = stage.backend.deployments

    async def by_its_own_clock(*args: Any, **options: Any) -> Any:
        return [
            replace(
                one,
                created_at=one.created_at + off,
                started_at=one.started_at and one.started_at + off,
                finished_at=one.finished_at and one.finished_at + off,
            )
            for one in await listed(*args, **options)
        ]

    monkeypatch.setattr(stage.backend, "deployments", by_its_own_clock)
    if known:
        monkeypatch.setattr(stage.backend, "clock_ahead", lambda _moment: off, raising=False)
