"""The real micromatch, in a Node process that answers line by line."""

import functools
import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.oracles.node_tools import Unavailable, node, node_home

SCRIPT = Path(__file__).with_name("micromatch_in_node.js")
VERSIONS = ("2.3.1", "2.3.2")
"""Of picomatch, which does the matching."""


@functools.cache
def unavailable() -> str:
    """Say why Node or micromatch can't be had; empty if they can."""
    try:
        for version in VERSIONS:
            _home(version)
    except Unavailable as reason:
        return str(reason)
    return ""


def _home(version: str) -> Path:
    return node_home(f"micromatch-{version}")


class Node:
    """A running Node with micromatch 4.0.8 over one version of picomatch."""

    def __init__(self, version: str) -> None:
        self.version = version
        self._process = subprocess.Popen(
            [str(node()), str(SCRIPT), str(_home(version))],
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
