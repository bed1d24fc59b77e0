"""The real micromatch, in a Node process that answers line by line.

Installed with npm, by name, into a cache folder of the repository.
"""

import functools
import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

CACHE = Path(__file__).resolve().parents[3] / ".cache" / "micromatch"
SCRIPT = Path(__file__).with_name("micromatch_in_node.js")
VERSIONS = ("2.3.1", "2.3.2")


@functools.cache
def unavailable() -> str:
    """Say why Node or micromatch can't be had; empty if they can."""
    if not shutil.which("node"):
        return "node is not installed"
    return next((reason for version in VERSIONS if (reason := _install(version))), "")


def _install(version: str) -> str:
    home = CACHE / version
    installed = home / "node_modules" / "picomatch" / "package.json"
    if installed.exists() and json.loads(installed.read_text())["version"] == version:
        return ""
    npm = shutil.which("npm")
    if not npm:
        return "npm is not installed"
    home.mkdir(parents=True, exist_ok=True)
    wanted = {
        "private": True,
        "dependencies": {"micromatch": "4.0.8"},
        "overrides": {"picomatch": version},
    }
    (home / "package.json").write_text(json.dumps(wanted))
    command = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--silent"]
    try:
        done = subprocess.run(command, cwd=home, capture_output=True, timeout=120, check=False)
    except subprocess.TimeoutExpired:
        return "npm install took more than two minutes"
    return "" if done.returncode == 0 else "npm could not install micromatch from the registry"


class Node:
    """A running Node with micromatch 4.0.8 over one version of picomatch."""

    def __init__(self, version: str) -> None:
        node = shutil.which("node")
        assert node
        self._process = subprocess.Popen(
            [node, str(SCRIPT), str(CACHE / version)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
        )

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()

    def ask(self, question: dict[str, Any]) -> Any:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def answers(self, patterns: Sequence[str], paths: Sequence[str]) -> dict[str, Any]:
        """Give `some`, `each` (per path) and `match`: a result, or the name of the error.

        "TIMEOUT" stands for an error where V8 did not finish in good time.
        """
        answer: dict[str, Any] = self.ask({"patterns": patterns, "paths": paths})
        return answer

    def some_for_all(self, lists: Sequence[Sequence[str]], paths: Sequence[str]) -> dict[str, Any]:
        """Time `micromatch.some` over all lists: `ms`, and `hits` for each list."""
        answer: dict[str, Any] = self.ask({"lists": lists, "paths": paths})
        return answer
