"""The examples of GitHub's contract, from which the fake GitHub makes its answers."""

import copy
import json
import time
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

CONTRACT = Path(__file__).parents[1] / "fixtures" / "contracts" / "github.json"
REPOSITORY = "/repos/{owner}/{repo}"


@cache
def contract() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(CONTRACT.read_text())
    return found


def example(path: str, method: str = "get", status: str = "200") -> Any:
    """The contract's example of an answer."""
    return copy.deepcopy(_example(path, method, status))


@cache
def _example(path: str, method: str, status: str) -> Any:
    answer = contract()["paths"][path][method]["responses"][status]
    content = next(iter(answer["content"].values()))
    found = content.get("example") or next(iter(content["examples"].values()))
    while "$ref" in found:
        kind, name = found["$ref"].split("/")[-2:]
        found = contract()["components"][kind][name]
    return found.get("value", found)


def stamp(at: float | None = None) -> str:
    return datetime.fromtimestamp(at or time.time(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
