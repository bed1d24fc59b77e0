"""What was missed, beside an earlier commit's own bench, measured in turn on the same machine.

A machine of another kind misses a target in milliseconds though nobody has lost any. What tells
is the code of an earlier commit in the same hour.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

from tests.bench.harness.peers import INSTALLED
from tests.bench.harness.rows import Row
from tests.bench.harness.servers import ROOT

TURNS = 2
"""How often each of the two commits is measured again."""

Figures = dict[tuple[str, str], list[float]]


def beside(commit: str, section: str, rows: Sequence[Row]) -> list[Row]:
    """Rows of a section, with what `commit` takes where a must was missed.

    Both are measured in turn. Such a row has the median of ours.
    """
    if not any(row.missed for row in rows):
        return list(rows)
    ours: Figures = {(row.group, row.what): [row.value] for row in rows}
    theirs: Figures = {}
    with _checkout(commit) as there:
        for _ in range(TURNS):
            _add(theirs, _measured(there, section))
            _add(ours, _measured(ROOT, section))
    return [_compared(row, ours, theirs, commit) for row in rows]


def _compared(row: Row, ours: Figures, theirs: Figures, commit: str) -> Row:
    key = (row.group, row.what)
    if not row.missed or key not in theirs:
        return row
    told = {"ours": ours[key], commit: theirs[key]}
    return replace(row, value=median(ours[key]), before=theirs[key], more=row.more | told)


def _add(figures: Figures, found: dict[tuple[str, str], float]) -> None:
    for key, value in found.items():
        figures.setdefault(key, []).append(value)


@contextmanager
def _checkout(commit: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=ROOT / ".cache") as folder:
        there = Path(folder) / "checkout"
        git = ["git", "-C", str(ROOT), "worktree"]
        subprocess.run([*git, "add", "--quiet", "--detach", str(there), commit], check=True)
        try:
            compile_all = [sys.executable, "-m", "compileall", "-q", "bridge", "tests/bench"]
            subprocess.run(compile_all, cwd=there, check=True)  # as ours is, before it is timed
            yield there
        finally:
            subprocess.run([*git, "remove", "--force", str(there)], check=True)


def _measured(tree: Path, section: str) -> dict[tuple[str, str], float]:
    """The figures of a section, as the bench of a checkout finds them."""
    report = tree / ".cache" / "figures.json"
    command = [sys.executable, "tests/bench/bench.py", "--only", section, "--json", str(report)]
    environment = os.environ | {"PYTHONPATH": str(tree), "BENCH_PEERS": str(INSTALLED)}
    ended = subprocess.run(
        command, check=False, cwd=tree, env=environment, stdout=subprocess.DEVNULL
    )
    if not report.exists():
        raise RuntimeError(f"the bench of {tree.name} ended with {ended.returncode}")
    rows: list[dict[str, Any]] = json.loads(report.read_text())["rows"]
    report.unlink()
    return {(row["group"], row["what"]): row["value"] for row in rows}
