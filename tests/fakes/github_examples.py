"""The examples of GitHub's contract, from which the fake GitHub makes its answers."""

import copy
import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from tests.fakes.pulls import FakeCommit

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


# ── commits ──────────────────────────────────────────────────────────────────

LINKED = {
    address: (one, at)
    for at, one in enumerate(("ada", "bob", "grace", "eve"), 101)
    for address in (f"{one}@example.com", f"{at}+{one}@users.noreply.github.com")
}
"""The accounts of addresses, as logins and numbers."""


def told_of(commit: FakeCommit, linked: Mapping[str, tuple[str, int]]) -> dict[str, Any]:
    """A commit as GitHub shows it, with the accounts of its addresses."""
    shown: dict[str, Any] = example(f"{REPOSITORY}/commits/{{ref}}") | {"sha": commit.sha}
    del shown["files"]  # the example's own lacks required fields
    shown["commit"] |= {"message": commit.message}
    emails = {"author": commit.author, "committer": commit.committer or commit.author}
    for role, email in emails.items():
        shown["commit"][role] |= {"name": email.partition("@")[0].title(), "email": email}
        login, id_ = linked.get(email, ("", 0))
        shown[role] = shown[role] | {"login": login, "id": id_} if login else None
    shown["parents"] = [shown["parents"][0] | {"sha": parent} for parent in commit.parents]
    return shown
