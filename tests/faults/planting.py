"""A copy of the repository in which faults are planted, and its tests run."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.faults.faults import Fault

ROOT = Path(__file__).parents[2]

NEAR = ("-m", "not extended", "-n", "0")
"""What `make test` runs of a few files, as arguments of pytest."""

SELECTION = (
    "-m",
    "not extended",
    "-n",
    "2",
    "tests/unit",
    "tests/integration",
    "tests/contract",
    "tests/e2e",
)
"""What `make test` runs, which is to notice each fault."""

ALONE = ("-n", "0")
"""The same for one test that has failed."""

TABLE = "tests/unit/test_faults.py"
"""Every fault breaks this test, which compares the table with the text of the product."""

LONGEST = 1800.0
"""Seconds after which tests count as hanging."""

LEFT_OUT = shutil.ignore_patterns(
    *(".git", ".venv", ".bridge", ".cache", ".hypothesis", "node_modules"),
    *(".mypy_cache", ".ruff_cache", ".pytest_cache", "*.egg-info"),
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a fault.

    Attributes:
        caught_by: the test that failed, and passes without the fault; None if none did.
        note: why one that failed does not count; else "".
        took: seconds.
    """

    caught_by: str | None
    note: str
    took: float


@contextmanager
def copy_in(folder: Path) -> Iterator["Copy"]:
    """Copy the repository into a new folder; remove it afterwards."""
    try:
        shutil.copytree(ROOT, folder, ignore=LEFT_OUT, symlinks=True)
        (ROOT / ".cache").mkdir(exist_ok=True)
        (folder / ".cache").symlink_to(ROOT / ".cache")  # where the tools are
        copy = Copy(folder)
        copy.check()
        yield copy
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class Copy:
    """A copy of the repository."""

    folder: Path

    def check(self) -> None:
        """Raise RuntimeError unless its own product is imported, rather than an installed one."""
        found = subprocess.run(
            [sys.executable, "-c", "import bridge; print(bridge.__file__)"],
            **self._place(),
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()
        if not Path(found).is_relative_to(self.folder):
            raise RuntimeError(f"tests would import {found}, not the copy in {self.folder}")

    def try_out(self, fault: Fault, selection: Sequence[str] = ()) -> Outcome:
        """Plant a fault, and run tests until one fails.

        Args:
            selection: arguments of pytest; () for the near tests and then `SELECTION`.
        """
        began = time.monotonic()
        near = [[*NEAR, *fault.near]] if fault.near else []
        runs = [selection] if selection else [*near, SELECTION]
        note = ""
        try:
            with self._planted(fault):
                failed = next((test for run in runs if (test := self._fails(run))), None)
        except subprocess.TimeoutExpired:
            failed, note = None, f"tests have not ended within {LONGEST:.0f} s"
        if failed is not None and self._fails([*ALONE, failed]):
            failed, note = None, f"{failed} fails without it, too"
        return Outcome(failed, note, time.monotonic() - began)

    @contextmanager
    def _planted(self, fault: Fault) -> Iterator[None]:
        path = self.folder / "bridge" / fault.file
        text = path.read_text()
        path.write_text(text.replace(fault.old, fault.new))
        try:
            yield
        finally:
            path.write_text(text)

    def _fails(self, arguments: Sequence[str]) -> str | None:
        """Run tests up to the first failure; return which one failed, None if all have passed."""
        cache = self.folder / ".failed"
        shutil.rmtree(cache, ignore_errors=True)
        options = ("-x", "-q", "-o", f"cache_dir={cache}", f"--ignore={TABLE}")
        process = subprocess.Popen(
            [sys.executable, "-m", "pytest", *arguments, *options],
            **self._place(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            output, _ = process.communicate(timeout=LONGEST)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            raise
        failed = cache / "v" / "cache" / "lastfailed"
        if failed.exists() and (tests := json.loads(failed.read_text())):
            return str(next(iter(tests)))
        if process.returncode:
            raise RuntimeError(f"pytest ended with {process.returncode}:\n{output[-4000:]}")
        return None

    def _place(self) -> dict[str, Any]:
        """Return where a process runs: in the copy, whose modules come before installed ones."""
        own = {"PYTHONPATH": str(self.folder), "PYTHONHASHSEED": "0"}
        return {"cwd": self.folder, "env": os.environ | own}
