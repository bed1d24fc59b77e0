"""The ledgers detect bugs: each planted bug turns its own line red.

Real processes as in `playing.py`, with little load and one fault; the bugs are in `planted.py`.
Without a bug, the same run must leave every line clean, which shows that the bug is the cause. Runs
only with `CHAOS_PROOF=1`, as in `make chaos`: it proves the tests, not the bridge.
"""

import asyncio
import os
import random
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.chaos import planted
from tests.chaos.breaking import BREAKS, first_versions
from tests.chaos.cluster import ROOT
from tests.chaos.playing import Group, played, played_broken
from tests.chaos.programme import (
    ALL_KILLED,
    BUILDS_FAIL,
    CONFIGURED,
    CUT_OFF,
    EMPTIED,
    FIX_FAILS,
    FIX_WAITS,
    GOING_BACK,
    HELD,
    HOST_FAILS,
    KILLED,
    KILLED_ASKING,
    NO_DATABASE,
    NO_LOGS,
    PEOPLE_DIFFER,
    PEOPLE_INSTEAD,
    SLACK_FAILS,
    TWO_BROKEN,
)
from tests.chaos.pushes import MONO
from tests.chaos.scenario import Scenario
from tests.chaos.sender import Habits
from tests.chaos.stage import Pace, Stage, stage
from tests.worlds.postgres import the_server

when_asked_for = pytest.mark.skipif(
    os.environ.get("CHAOS_PROOF") != "1",
    reason="proves the chaos tests, not the bridge: CHAOS_PROOF=1, or make chaos",
)

LIGHT = Pace(outage=2.0, stop=2.0, database=2.5, quiet=90.0, kills=1, replaced=1, told=15.0)


async def nothing_else(on: Stage) -> None:
    await asyncio.sleep(on.pace.outage)


CALM = Scenario(nothing_else, elsewhere=True)
SQLITE, BOTH, POSTGRES = ("sqlite",), ("sqlite", "postgres"), ("postgres",)


RARE = (6.0, 9.0)
"""Pauses between pushes that leave an app as a scenario has left it."""

TRIES = 3
"""The number of runs in which a bug must show once: some need a push at the wrong moment."""


@dataclass(frozen=True)
class Proof:
    """A bug, its scenario, and a pattern for the start of the line that it turns red.

    Attributes:
        build: seconds of a build.
        outage: seconds of pushes, and of faults of services.
        quiet: seconds within which everything must end.
        pause: seconds between two pushes to a branch, at least and at most.
        broken: whether many versions are broken (`test_serving.py`).
    """

    bug: str
    group: Group
    line: str
    on: tuple[str, ...] = SQLITE
    build: float = 0.2
    outage: float = 2.0
    quiet: float = LIGHT.quiet
    pause: tuple[float, float] | None = None
    broken: bool = False


PROOFS = (
    Proof("answered_before_it_is_kept", (KILLED,), "lost: ", BOTH),
    Proof("delivery_ids_are_not_looked_at", (CALM,), "twice: kept twice", BOTH),
    Proof("same_push_of_two_webhooks_is_not_recognised", (CALM,), r"twice: \w+-\d"),
    Proof("recordings_overlap", (CALM,), "twice: wished twice", POSTGRES, outage=6.0),
    Proof("refused_now_and_then", (CALM,), "unheard: "),
    Proof("fails_at_the_door", (CALM,), "odd answers: 500"),
    Proof("some_are_done_without_a_decision", (CALM,), "undecided: "),
    Proof("done_before_it_is_decided", (KILLED,), "undecided: "),
    Proof("every_file_concerns_every_app", (CALM,), "wrongly decided: "),
    Proof("apps_as_they_were", (CONFIGURED,), "skipped as it was: "),
    Proof("no_turns_of_an_app", (CALM,), r"overlapping: \w+-\d", BOTH, build=1.0),
    Proof("asks_again_blindly", (CUT_OFF,), r"twice: \w+-\d", outage=4.0),
    Proof("asks_again_for_the_dead", (KILLED_ASKING,), "twice: .*asked again for"),
    Proof("gives_up_without_an_answer", (CUT_OFF,), "denied: ", outage=4.0),
    Proof("refused_key_is_a_no", (NO_DATABASE,), "claimed wrongly: "),
    Proof("tokens_come_again", (CALM,), "tokens used again: "),
    Proof("intents_are_requests", (KILLED_ASKING,), "claimed wrongly: ", pause=(1.0, 2.0)),
    Proof("doubtful_records_are_ours", (PEOPLE_INSTEAD,), "claimed wrongly: "),
    Proof("records_of_before_are_taken", (CALM,), "ended before asked: "),
    Proof("records_of_before_are_taken", (CALM,), "pinned twice: "),
    Proof("failed_is_unknown", (BUILDS_FAIL,), "unknown ends: "),
    Proof("failed_is_cancelled", (BUILDS_FAIL,), "claimed wrongly: "),
    Proof("last_line_is_the_reason", (BUILDS_FAIL,), "reasons wrong: "),
    Proof(
        *("emptied_is_lost", (EMPTIED,), "asked after cancel: "),
        build=2.0,
        outage=4.0,
        pause=(8.0, 12.0),
    ),
    Proof("stuck_is_lost", (NO_LOGS,), "twice: .*asked again for|claimed wrongly: .*log folder"),
    Proof(
        "nobody_takes_over", (ALL_KILLED,), r"\d+ never end, as\ndeployment", POSTGRES, quiet=30.0
    ),
    Proof("newest_goes_first", (CALM,), r"out of order: \w+-\d"),
    Proof("what_goes_on_is_enough", (CALM,), r"old last: \w+-\d", build=1.0),
    Proof("intents_are_not_judged", (HELD,), "asked while held: ", BOTH, pause=(0.2, 0.5)),
    Proof("comments_are_not_looked_for", (HOST_FAILS,), "comments wrong: "),
    Proof("objects_are_not_looked_for", (HOST_FAILS,), "objects wrong: "),
    Proof("cards_are_not_looked_for", (SLACK_FAILS,), "cards wrong: "),
    Proof("statuses_are_left_out", (CALM,), "statuses wrong: "),
    Proof("changes_are_not_shown", (CALM,), "comments wrong: "),
    Proof("nothing_is_remembered", (CALM,), "cards wrong: "),
    Proof("everybody_shows", (CALM,), "cards wrong: ", POSTGRES),
    Proof("sweeps_tell_nothing", (CALM,), "previews left: ", BOTH),
    Proof("ended_previews_are_only_forgotten", (CALM,), "previews left: ", BOTH, outage=6.0),
    Proof("apps_of_ours_are_not_looked_for", (CALM,), "made twice: ", outage=6.0),
    Proof(
        *("builds_are_not_waited_for", (CALM,), "services left: "),
        build=2.0,
        outage=10.0,
        pause=(8.0, 12.0),
    ),
    Proof(
        *("any_newer_deployment_ends_the_watch", (FIX_FAILS,), "broken served: ", BOTH),
        broken=True,
        pause=RARE,
    ),
    Proof("the_way_back_is_only_announced", (GOING_BACK,), "broken served: ", broken=True),
    Proof(
        *("verdicts_are_not_told_apart", (TWO_BROKEN,), "broken served: "),
        broken=True,
        pause=RARE,
    ),
    Proof(
        *("the_own_way_back_replaces_pushes", (FIX_WAITS,), "given way to nobody: ", BOTH),
        broken=True,
        pause=RARE,
    ),
    Proof("what_was_shown_stays", (CALM,), "said to be live: .*card", broken=True, outage=4.0),
    Proof(
        *("nobody_looks_at_the_backend", (PEOPLE_DIFFER,), "said to be live: .*`apps`"),
        broken=True,
        pause=RARE,
    ),
    Proof("pushes_do_not_count", (CALM,), "previews old: ", outage=8.0, pause=(8.0, 12.0)),
)
EACH = [
    pytest.param(proof, kind, id=f"{proof.bug}-{kind}") for proof in PROOFS for kind in proof.on
]


@pytest.mark.slow
@when_asked_for
@pytest.mark.parametrize(("proof", "kind"), EACH)
async def test_a_planted_bug_turns_its_line_red(
    proof: Proof, kind: str, tmp_path: Path, chance: random.Random, chaos_lines: list[str]
) -> None:
    found, said = False, ""
    for number in range(TRIES):
        began = time.monotonic()
        folder = tmp_path / str(number)
        folder.mkdir()
        async with few(kind, folder, chance, proof.bug, broken=proof.broken) as on:
            on.backend.build_seconds = proof.build
            on.pace = replace(LIGHT, outage=proof.outage, quiet=proof.quiet)
            for sender in on.senders:
                sender.pause = proof.pause or sender.pause
            wrong = await wrong_with(on, proof.group)

        red = Counter(re.split(":|, as", line)[0] for line in wrong)
        told = ", ".join(f"{what} {count}" for what, count in red.items())
        chaos_lines.append(f"{kind}: {proof.bug}: {told}; {time.monotonic() - began:.0f} s")
        said = "\n".join([told, *wrong[:5]])
        assert "the bridge had an internal error" not in said, (
            f"it crashes, so it proves nothing: {said}"
        )
        assert not on.fleet.deaths
        if found := any(re.match(proof.line, line) for line in wrong):
            break
    assert found, said


@pytest.mark.slow
@when_asked_for
@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize("broken", [False, True])
async def test_without_one_the_same_leaves_all_clean(
    kind: str, broken: bool, tmp_path: Path, chance: random.Random
) -> None:
    groups = {
        proof.group: None for proof in PROOFS if (kind in proof.on, proof.broken) == (True, broken)
    }
    async with few(kind, tmp_path, chance, broken=broken) as on:
        on.pace = replace(LIGHT, quiet=240.0)  # some groups take long, and push all the while
        for group in groups:
            assert await wrong_with(on, group) == []


def test_every_planted_bug_is_proved_and_finds_its_place() -> None:
    assert {proof.bug for proof in PROOFS} == set(planted.FAULTS)

    plants = f"from {planted.__name__} import FAULTS\nfor plant in FAULTS.values(): plant()"
    subprocess.run([sys.executable, "-c", plants], cwd=ROOT, check=True)


async def wrong_with(on: Stage, group: Group) -> list[str]:
    """Return the red lines, or what never ends."""
    try:
        if on.pages is not None:
            return [line for one in await played_broken(on, group) for line in one.wrong]
        return (await played(on, group)).verdict.wrong
    except AssertionError as never:
        return [str(never)]


@asynccontextmanager
async def few(
    kind: str, folder: Path, chance: random.Random, bug: str = "", *, broken: bool = False
) -> AsyncIterator[Stage]:
    """Return a stage with two apps per branch and pushes close together, many of them resent."""
    server = the_server() if kind == "postgres" else None
    how = BREAKS if broken else {}
    async with stage(kind, folder, chance, LIGHT, database=server, fault=bug, **how) as on:
        for sender in on.senders:
            if sender.origin is MONO:
                sender.apps, sender.pause = sender.apps[:2], (0.03, 0.1)
            sender.habits = Habits(again=0.3, twice=0.3)
        if broken:
            await first_versions(on)
        yield on
