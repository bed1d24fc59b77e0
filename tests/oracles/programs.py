"""Programs of other people that check our files: Nginx, Caddy, Podman, promtool, …"""

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.oracles.node_tools import missing

PATIENCE = 60
"""Seconds for a program that only checks a file."""

PLACES = f"{os.environ.get('PATH') or os.defpath}:/usr/local/sbin:/usr/sbin:/sbin"
"""Where programs are; Debian keeps servers where only root looks."""


def program(name: str, package: str | None = None) -> str:
    """Return the path of a program; without it, skip the test, or in CI let it fail."""
    found = shutil.which(name, path=PLACES)
    return found or missing(f"{name} is missing: make tools, or apt-get install {package or name}")


def said(*words: str | Path, environment: Mapping[str, str] | None = None) -> str:
    """Run a program and return all that it says; fail with that if it fails."""
    done = subprocess.run(
        [str(word) for word in words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE,
        check=False,
        env=None if environment is None else dict(environment),
    )
    assert done.returncode == 0, f"{' '.join(map(str, words))}\n{done.stdout}"
    return done.stdout
