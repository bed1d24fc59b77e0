"""Broken versions under load, while processes are killed: what serves is a fact, and what is said.

The load of `playing.py` on apps whose pages the bridge verifies, and four in ten of whose versions
are broken (`pages.py`, `breaking.py`). It goes back by itself; people unlock the apps a little
later, deploy at the backend, and go back themselves. Newer pushes come within the watch of broken
ones, wait for the host, are held by the lock of a rollback or for an approval, or fail to build.
Once with the locks of the last rollbacks and once without them all comes to rest, and `served.py`
judges:

- no app serves a broken version while a verified one is kept;
- no push was superseded by what no person has asked for;
- a minute after the last event no place says "is live" of what is not.
"""

import random
import time
from pathlib import Path

import pytest

from tests.chaos.breaking import BREAKS, first_versions
from tests.chaos.playing import ROUNDS, played_broken
from tests.chaos.programme import BROKEN_RUN
from tests.chaos.stage import SHORT, stage
from tests.worlds.chance import SEED
from tests.worlds.postgres import the_server


@pytest.mark.slow
@pytest.mark.parametrize("kind", BROKEN_RUN)
async def test_no_app_stays_broken_and_no_place_says_live_of_what_is_not(
    kind: str, tmp_path: Path, chance: random.Random, chaos_lines: list[str]
) -> None:
    server = the_server() if kind == "postgres" else None
    async with stage(kind, tmp_path, chance, SHORT, database=server, **BREAKS) as on:
        await first_versions(on)
        for group in BROKEN_RUN[kind][: None if ROUNDS else 2]:
            names = " + ".join(one.name for one in group)
            began = time.monotonic()
            try:
                verdicts = await played_broken(on, group)
            except AssertionError as error:
                error.add_note(f"seed {SEED}, {kind}, after {names}\n{on.fleet.last_words()}")
                raise
            wrong = [line for verdict in verdicts for line in verdict.wrong]
            assert not wrong, "\n".join([f"seed {SEED}, {kind}, after {names}", *wrong[:40]])
            chaos_lines.append(f"{kind}: {names}: {time.monotonic() - began:.0f} s")

    counts = verdicts[-1].counts
    chaos_lines.append(f"{kind}, seed {SEED}: broken versions: {counts}")
    assert counts.rollbacks
    assert counts.unhealthy
