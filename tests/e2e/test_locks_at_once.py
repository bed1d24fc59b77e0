"""Two people lock at the same moment, in two processes: one wins, the other is told who."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.worlds.postgres import the_server

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
ROUNDS = 4
PEOPLE = {"ada", "grace"}


def lock_at_once(folder: Path, **environment: str) -> list[dict[str, tuple[int, str, str]]]:
    """Return the exit code, output and errors of both, by round."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("BRIDGE_") and name != "DATABASE_URL"
    }
    inherited |= {"PYTHONPATH": str(ROOT), "BRIDGE_DATA": str(folder / "data")} | environment
    script = str(Path(__file__).with_name("lock_at_once.py"))
    for words in (["-m", "bridge", "migrate"], [script, str(ROUNDS), "all", *PEOPLE]):
        done = subprocess.run(
            [sys.executable, *words],
            env=inherited,
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def one_wins_each_time(rounds: list[dict[str, tuple[int, str, str]]]) -> None:
    assert len(rounds) == ROUNDS
    for told in rounds:
        (winner,) = [one for one, (code, _, _) in told.items() if code == 0]
        (other,) = PEOPLE - {winner}
        _, output, errors = told[winner]
        assert output.startswith(f"Locked by {winner}: all apps\n{winner}'s work\n")
        assert errors == ""
        code, output, errors = told[other]
        assert (code, output) == (1, "")
        held = f"error: Locked already by {winner}: all apps: {winner}'s work; Since "
        assert errors.startswith(held)
        assert errors.endswith(" --steal`\n")


def test_in_one_folder(tmp_path: Path) -> None:
    one_wins_each_time(lock_at_once(tmp_path))


def test_on_one_postgres(tmp_path: Path) -> None:
    server = the_server()
    url = server.prepared()
    try:
        one_wins_each_time(lock_at_once(tmp_path, DATABASE_URL=url))
    finally:
        server.drop(url)
