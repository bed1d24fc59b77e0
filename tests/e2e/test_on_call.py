"""Somebody on call asks: each question is one command, answered within a second after a year."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.app.storage import migrate
from bridge.settings import read_settings
from tests.worlds.cli import Cli, logs_kept
from tests.worlds.year import WHY, Year, fill_year

ROOT = Path(__file__).parents[2]

WITHIN = 0.5
"""Seconds of a core for what a command does; to start one takes as long again."""

LISTS = [
    ["deliveries"],
    ["deliveries", "--failed"],
    ["deliveries", "--repo", "my-org/mono-11"],
    ["deliveries", "--repo", "my-org/none"],
    ["deliveries", "--app", "team-11/service-3", "--failed"],
    ["deliveries", "--since", "2h"],
    ["deployments"],
    ["deployments", "--app", "team-11/service-0"],
    ["feedback"],
    ["audit"],
    ["why", "team-11/service-0"],
    ["report"],
]


class Terminal:
    """Commands beside a year of data, in this process; the best of three tries is timed."""

    def __init__(self, folder: Path, year: Year) -> None:
        self.folder = folder
        self.year = year

    def ask(self, *words: str, code: int = 0) -> str:
        took = []
        for _ in range(3):
            began = time.process_time()
            told = Cli(self.folder)(*words, code=code, BRIDGE_DATA=str(self.folder))
            took.append(time.process_time() - began)
            if took[-1] < WITHIN:
                return told.stdout + told.stderr
        pytest.fail(f"{words} took too long: {took}")


@pytest.fixture(scope="module")
def terminal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminal]:
    folder = tmp_path_factory.mktemp("year")
    asyncio.run(migrate(read_settings(None, {"BRIDGE_DATA": str(folder)})))
    with logs_kept(), pytest.MonkeyPatch.context() as patched:
        for name in [*os.environ]:
            if name.startswith("BRIDGE_") or name in ("PORT", "DATABASE_URL"):
                patched.delenv(name)
        patched.chdir(folder)
        yield Terminal(folder, fill_year(folder, time.time()))


def test_a_process_answers_as_well(terminal: Terminal) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bridge", "apps", terminal.year.app],
        cwd=terminal.folder,
        env=os.environ | {"PYTHONPATH": str(ROOT), "BRIDGE_DATA": str(terminal.folder)},
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    assert f"last failed, live {terminal.year.live[:7]} since 20" in done.stdout


def test_why_did_it_not_deploy(terminal: Terminal) -> None:
    other = terminal.year.app.replace("service-0", "service-3")

    skipped = terminal.ask("why", other, terminal.year.commit)
    refused = terminal.ask("why", terminal.year.app, "f" * 40, code=4)
    webhooks = terminal.ask("deliveries", "--refused", "--limit", "5")

    assert f"skip {other}: no_path_hit (1 file changed, none matches services/3/**)" in skipped
    assert f"no delivery has contained commit {'f' * 40} for {terminal.year.app}" in refused
    assert "webhooks were refused in the last 7 days" in refused
    assert "X-Hub-Signature-256 does not fit the body" in refused
    assert webhooks.count("unauthorized /hooks/github from 192.0.2.0/24 3 times") == 5
    assert "claims to be from my-org/mono-11" in webhooks


def test_why_did_it_fail(terminal: Terminal) -> None:
    year = terminal.year

    said = terminal.ask("why", year.app, year.commit)

    assert f"deploy {year.app}: path_hit" in said
    assert f"→ failed #{year.failed}: {WHY}" in said
    assert WHY in terminal.ask("deployments", "show", str(year.failed)).splitlines()[-1]


def test_what_is_live_since_when(terminal: Terminal) -> None:
    said = terminal.ask("apps", terminal.year.app)

    assert f"last failed, live {terminal.year.live[:7]} since 20" in said
    assert len(terminal.ask("apps").splitlines()) == 200


def test_no_other_list_takes_longer(terminal: Terminal) -> None:
    for words in LISTS:
        terminal.ask(*words)
