"""Programs for Node that tests use, installed with npm, by name, into a cache of the repository.

Each folder in `tests/node` holds the `package.json` of one tool. It is installed once, whoever
asks first, and again when that file changes; there is no lock file, which would record where
packages were downloaded from.
"""

import fcntl
import functools
import hashlib
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / "tests" / "node"
CACHE = ROOT / ".cache" / "node"
PATIENCE = 300
"""Seconds for an installation."""


class Unavailable(Exception):
    """Node, npm or a package can't be had here, and why."""


def node_bin(tool: str, program: str) -> Path:
    """A program of a tool, installed where it is not yet; raises Unavailable."""
    return node_home(tool) / "node_modules" / ".bin" / program


@functools.cache
def node_home(tool: str) -> Path:
    """The folder where a tool is installed, beside its `node_modules`.

    Args:
        tool: a folder of `tests/node`.

    Raises:
        Unavailable: with the reason to skip a test.
    """
    npm = shutil.which("npm")
    if not shutil.which("node") or not npm:
        raise Unavailable("node and npm are not installed")
    wanted = (TOOLS / tool / "package.json").read_bytes()
    home = CACHE / tool
    home.mkdir(parents=True, exist_ok=True)
    done = home / ".installed"
    digest = hashlib.sha256(wanted).hexdigest()
    with _alone(home / ".lock"):
        if not done.exists() or done.read_text() != digest:
            (home / "package.json").write_bytes(wanted)
            _install(npm, home)
            done.write_text(digest)
    return home


def _install(npm: str, home: Path) -> None:
    command = [npm, "install", "--no-save", "--no-package-lock", "--no-audit", "--no-fund"]
    command += ["--ignore-scripts", "--silent", "--prefix", str(home)]
    try:
        ended = subprocess.run(
            command, cwd=home, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
    except subprocess.TimeoutExpired:
        raise Unavailable(f"npm install took more than {PATIENCE} s") from None
    if ended.returncode:
        raise Unavailable(f"npm could not install what {home.name} needs from its registry")


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Keep other processes out, as those of tests that run side by side."""
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
