"""Webhooks as GitHub sends them, of any size, signed beforehand and written for the load."""

import hashlib
import hmac
import json
import random
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any

SECRET = "a secret of the bench"
WORDS = [
    *("api", "auth", "billing", "cache", "client", "cluster", "config", "core", "data", "docs"),
    *("event", "file", "graph", "hook", "index", "job", "kernel", "layout", "model", "node"),
    *("order", "page", "query", "route", "server", "store", "table", "user", "view", "web"),
]


def push_of(size: int, chance: random.Random, *, app: str = "") -> bytes:
    """A push to `my-org/mono` of about so many bytes: commits until it is full.

    Args:
        app: its folder gets one changed file; without it, no app's folder does.
    """
    before, after = _sha(chance), _sha(chance)
    repository = {
        "id": 4711,
        "node_id": "MDEwOlJlcG9zaXRvcnk0NzEx",
        "name": "mono",
        "full_name": "my-org/mono",
        "private": True,
        "owner": {"name": "my-org", "login": "my-org", "id": 1, "type": "Organization"},
        "html_url": "https://github.com/my-org/mono",
        "clone_url": "https://github.com/my-org/mono.git",
        "default_branch": "main",
    }
    body: dict[str, Any] = {
        "ref": "refs/heads/main",
        "before": before,
        "after": after,
        "created": False,
        "deleted": False,
        "forced": False,
        "repository": repository,
        "pusher": {"name": "ada", "email": "ada@example.com"},
        "commits": [],
    }
    commits = [_commit(after, chance, [f"{app}/file"] if app else [])]
    length = len(json.dumps(body)) + 2 * len(json.dumps(commits[0]))
    while True:
        commit = _commit(_sha(chance), chance, [])
        length += len(json.dumps(commit)) + 2
        if length > size:
            break
        commits.insert(0, commit)
    body |= {"commits": commits, "head_commit": commits[-1]}
    return json.dumps(body).encode()


def _commit(sha: str, chance: random.Random, files: list[str]) -> dict[str, Any]:
    return {
        "id": sha,
        "tree_id": _sha(chance),
        "distinct": True,
        "message": " ".join(chance.choices(WORDS, k=chance.randint(4, 24))),
        "timestamp": f"2026-01-{chance.randint(1, 28):02}T10:00:00Z",
        "url": f"https://github.com/my-org/mono/commit/{sha}",
        "author": {"name": "Ada", "email": "ada@example.com", "username": "ada"},
        "committer": {"name": "Ada", "email": "ada@example.com", "username": "ada"},
        "added": [],
        "removed": [],
        "modified": files + [_path(chance) for _ in range(chance.randint(1, 6))],
    }


def _path(chance: random.Random) -> str:
    return "lib/" + "/".join(chance.choices(WORDS, k=chance.randint(1, 4))) + ".py"


def _sha(chance: random.Random) -> str:
    return f"{chance.getrandbits(160):040x}"


def request(body: bytes, *, expected: int = 202, secret: str = SECRET) -> tuple[bytes, bytes, int]:
    """A whole request around a body, with a hole for the delivery id, as `load.c` reads it."""
    signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    head = (
        "POST /hooks/github HTTP/1.1\r\nHost: bridge.example.com\r\n"
        "User-Agent: GitHub-Hookshot/044aadd\r\nAccept: */*\r\nContent-Type: application/json\r\n"
        "X-GitHub-Event: push\r\nX-GitHub-Hook-ID: 292430182\r\n"
        "X-GitHub-Hook-Installation-Target-ID: 79929171\r\n"
        "X-GitHub-Hook-Installation-Target-Type: repository\r\n"
        f"X-Hub-Signature-256: sha256={signature}\r\nContent-Length: {len(body)}\r\n"
        "X-GitHub-Delivery: "
    )
    return head.encode(), b"\r\n\r\n" + body, expected


def write_requests(path: Path, requests: Iterable[tuple[bytes, bytes, int]]) -> Path:
    """The file that `load.c` reads."""
    with path.open("wb") as file:
        for head, tail, expected in requests:
            file.write(struct.pack("<III", len(head), len(tail), expected) + head + tail)
    return path


def pushes(
    path: Path,
    size: int,
    *,
    different: int = 64,
    apps: int = 0,
    expected: int = 202,
    secret: str = SECRET,
) -> Path:
    """A file of different pushes; with `apps`, each changes a file of one of so many."""
    chance = random.Random(size)
    bodies = (
        push_of(size, chance, app=f"app-{n % apps}" if apps else "") for n in range(different)
    )
    return write_requests(
        path, (request(body, expected=expected, secret=secret) for body in bodies)
    )
