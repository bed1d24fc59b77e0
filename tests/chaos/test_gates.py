"""Gates under load, while processes are killed or their clocks jump: nothing passes a closed one.

The load of `playing.py` on apps with gates: locks and freezes by command, some locks taken just
before the bridge would record an intent, checks that become red and green at the Git host,
approvals, and somebody who lets a held deployment pass. All gates are open in the end, so each push
is deployed or superseded.
"""

import random
from pathlib import Path
from typing import Any

import pytest

from bridge.app.storage import open_stores
from bridge.core.lifecycle import State
from tests.chaos.gates import GATED, judging
from tests.chaos.ledgers import read
from tests.chaos.playing import ROUNDS, Group, played
from tests.chaos.programme import ALL_KILLED, CLOCKS, HELD, KILLED
from tests.chaos.stage import SHORT, Stage, stage
from tests.chaos.verdicts import Record
from tests.worlds.chance import SEED
from tests.worlds.postgres import the_server

GROUPS: tuple[tuple[str, Group], ...] = (
    ("sqlite", (KILLED, HELD)),
    ("postgres", (ALL_KILLED, HELD)),
    ("sqlite", (CLOCKS, HELD)),
) + ((("postgres", (CLOCKS, HELD)),) if ROUNDS else ())
PAUSE = (0.5, 1.2)
"""Seconds between two pushes to a branch."""

MET = {
    "a lock": "locked by Ada",
    "a freeze": "frozen by Ada",
    "a red check": "checks failed",
    "a missing approval": "needs 1 approval",
    "a lift": "lets it pass",
}
"""What a run must have met, and how histories tell it."""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "group"), GROUPS, ids=lambda one: one if isinstance(one, str) else one[0].name
)
async def test_nothing_is_asked_for_while_a_gate_holds(
    kind: str, group: Group, tmp_path: Path, chance: random.Random, chaos_lines: list[str]
) -> None:
    server = the_server() if kind == "postgres" else None
    how: dict[str, Any] = {"database": server, "rules": GATED, "pulls": False}
    async with stage(kind, tmp_path, chance, SHORT, **how) as on:
        for sender in on.senders:
            sender.pause = PAUSE  # what is held matters, not how much is shown
        try:
            async with judging(on):
                result = await played(on, group)
        except* AssertionError as failed:
            failed.add_note(f"seed {SEED}, {kind}\n{on.fleet.last_words()}")
            raise
        record = await _record(on)

    verdict = result.verdict
    assert not verdict.wrong, "\n".join([f"seed {SEED}, {kind}", *verdict.wrong[:40]])
    ends = {one.state for one in record.deployments}
    assert ends == {State.DONE, State.SUPERSEDED}
    told = "\n".join(line.note for lines in record.history.values() for line in lines)
    met = {what: told.count(words) for what, words in MET.items()}
    chaos_lines.append(
        f"{kind}, {group[0].name}, seed {SEED}: gates: {met}; {verdict.counts};"
        f" {result.lasted:.0f} s, all at rest {result.until:.1f} s later"
    )
    assert all(met.values()), met


async def _record(on: Stage) -> Record:
    async with open_stores(on.fleet.settings) as stores:
        return await read(stores)
