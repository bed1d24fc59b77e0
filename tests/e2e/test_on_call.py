"""Somebody on call asks: each question is one command, answered within a second after a year."""

import asyncio
import os
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from bridge.app.storage import migrate
from bridge.settings import read_settings
from tests.worlds.year import WHY, Year, fill_year

ROOT = Path(__file__).parents[2]

WITHIN, TRIES = 1.0, 10

BARE = 0.8
"""Seconds that a command takes where there is no data, on a machine with nothing else to do."""


class Terminal:
    """Commands beside a year of data; each is timed by the seconds of a core that it takes.

    Beside other tests the clock on the wall would measure those. Even a core's second is longer
    then, as much as for a command that finds no data: one that takes too long is compared with
    that. The best of some tries counts.
    """

    def __init__(self, folder: Path, year: Year) -> None:
        self.folder = folder
        self.year = year

    def ask(self, *words: str, code: int = 0) -> str:
        tries = []
        for _ in range(TRIES):
            said, took = self._timed(words, code, self.folder)
            if took < WITHIN:
                return said
            _, bare = self._timed(["audit"], 0, self.folder / "none")
            tries.append((took, bare))
            if took < WITHIN * bare / BARE:
                return said
        pytest.fail(f"{words} took too long: {tries}")

    def _timed(self, words: Sequence[str], code: int, data: Path) -> tuple[str, float]:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        said = self._said(words, code, data)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return said, after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime

    def _said(self, words: Sequence[str], code: int, data: Path) -> str:
        kept = {k: v for k, v in os.environ.items() if not k.startswith("BRIDGE_")}
        environment = kept | {"PYTHONPATH": str(ROOT), "BRIDGE_DATA": str(data)}
        done = subprocess.run(
            [sys.executable, "-m", "bridge", *words],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
        assert done.returncode == code, done.stderr
        return done.stdout + done.stderr


@pytest.fixture(scope="module")
def terminal(tmp_path_factory: pytest.TempPathFactory) -> Terminal:
    folder = tmp_path_factory.mktemp("year")
    asyncio.run(migrate(read_settings(None, {"BRIDGE_DATA": str(folder)})))
    return Terminal(folder, fill_year(folder, time.time()))


def test_why_did_it_not_deploy_it_was_skipped(terminal: Terminal) -> None:
    commit = terminal.year.commit
    other = terminal.year.app.replace("service-0", "service-3")

    said = terminal.ask("why", other, commit)

    assert f"skip {other}: no_path_hit (1 file changed, none matches services/3/**)" in said


def test_why_did_it_not_deploy_its_webhook_was_refused(terminal: Terminal) -> None:
    said = terminal.ask("why", terminal.year.app, "f" * 40, code=4)

    assert f"no delivery has contained commit {'f' * 40} for {terminal.year.app}" in said
    assert "webhooks were refused in the last 7 days" in said
    assert "X-Hub-Signature-256 does not fit the body" in said


def test_which_webhooks_were_refused(terminal: Terminal) -> None:
    said = terminal.ask("deliveries", "--refused", "--limit", "5")

    assert said.count("unauthorized /hooks/github from 192.0.2.0/24 3 times") == 5
    assert "claims to be from my-org/mono-11" in said


def test_why_did_it_fail(terminal: Terminal) -> None:
    year = terminal.year

    said = terminal.ask("why", year.app, year.commit)

    assert f"deploy {year.app}: path_hit" in said
    assert f"→ failed #{year.failed}: {WHY}" in said
    assert WHY in terminal.ask("deployments", "show", str(year.failed)).splitlines()[-1]


def test_what_is_live_since_when(terminal: Terminal) -> None:
    year = terminal.year

    said = terminal.ask("apps", year.app)

    assert f"last failed, live {year.live[:7]} since 20" in said
    assert len(terminal.ask("apps").splitlines()) == 200


@pytest.mark.parametrize(
    "words",
    [
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
    ],
)
def test_no_other_list_takes_longer(terminal: Terminal, words: list[str]) -> None:
    terminal.ask(*words)
