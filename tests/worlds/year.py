"""A year of data in seconds: rows written directly into a bridge's SQLite files."""

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bridge.core.lifecycle import State, deployment_id
from bridge.storage.inbox.batches import delivery_key

DAY = 86_400.0
REPOSITORIES, APPS_EACH = 40, 5
EVERY = 315.0
"""Seconds between two pushes: a hundred thousand in a year."""

KEPT_DAYS = 60
"""Days for which the inbox knows deliveries."""

FAILS_EVERY = 21
"""One in this many pushes fails to build, never the same app's twice in a row."""

WHY = "fatal: repository not found"
TAIL = "Cloning into 'code'...\nfatal: repository not found"


@dataclass(frozen=True)
class Year:
    """Facts to query in it.

    Attributes:
        failed: the number of the newest deployment that failed.
        app, commit: the failed deployment's.
        live: the commit that is live instead.
    """

    pushes: int
    failed: int
    app: str
    commit: str
    live: str


def app_of(repository: int, place: int) -> tuple[str, str]:
    return f"app-{repository:02d}-{place}", f"team-{repository:02d}/service-{place}"


def sha(seq: int) -> str:
    return f"{seq:08x}".rjust(40, "c")


def fill_year(data: Path, now: float) -> Year:
    """Fill a bridge's existing tables with the year before `now`."""
    pushes = int(365 * DAY / EVERY)
    with closing(sqlite3.connect(data / "journal.sqlite")) as journal, journal:
        journal.execute("PRAGMA synchronous = OFF")
        for table, rows in (
            ("apps", _apps()),
            ("repositories", _names()),
            ("pushes", _pushes(pushes, now)),
            ("decisions", _decisions(pushes, now)),
            ("deployments", _deployments(pushes, now)),
            ("changes", _changes(pushes, now)),
            ("refused", _refused(now)),
        ):
            _insert(journal, table, rows)
    with closing(sqlite3.connect(data / "inbox.sqlite")) as inbox, inbox:
        inbox.execute("PRAGMA synchronous = OFF")
        first = pushes - int(KEPT_DAYS * DAY / EVERY)
        _insert(inbox, "deliveries", _deliveries(first, pushes, now))
        _insert(inbox, "work", _work(first, pushes))
    failed = pushes - pushes % FAILS_EVERY
    _, label = app_of(failed % REPOSITORIES, 0)
    return Year(pushes, failed, label, sha(failed), sha(failed - REPOSITORIES))


def _insert(db: sqlite3.Connection, table: str, rows: Iterable[dict[str, Any]]) -> None:
    rows = iter(rows)
    first = next(rows)
    names = ", ".join(f'"{name}"' for name in first)
    places = ", ".join(f":{name}" for name in first)
    with_first = (row for those in ([first], rows) for row in those)
    db.executemany(f"INSERT INTO {table} ({names}) VALUES ({places})", with_first)


def _at(seq: int, pushes: int, now: float) -> float:
    return now - (pushes - seq) * EVERY - 60.0


def _state(seq: int) -> State:
    return State.FAILED if seq % FAILS_EVERY == 0 else State.DONE


def _apps() -> Iterator[dict[str, Any]]:
    for repository in range(REPOSITORIES):
        for place in range(APPS_EACH):
            id_, label = app_of(repository, place)
            project, _, name = label.partition("/")
            source = {
                "type": "github",
                "repository": f"my-org/mono-{repository:02d}",
                "branch": "main",
            }
            record = {
                "id": id_,
                "name": name,
                "project": project,
                "backend": "dokploy",
                "kind": "application",
                "source": source,
                "trigger": "push",
                "watch_paths": [f"services/{place}/**"],
            }
            yield {
                "id": id_,
                "backend": "dokploy",
                "label": label,
                "data": json.dumps(record),
                "gone": False,
            }


def _names() -> Iterator[dict[str, Any]]:
    for repository in range(REPOSITORIES):
        yield {"key": f"github {4700 + repository}", "name": f"my-org/mono-{repository:02d}"}


def _pushes(pushes: int, now: float) -> Iterator[dict[str, Any]]:
    for seq in range(1, pushes + 1):
        yield {
            "seq": seq,
            "ref_key": f"github {4700 + seq % REPOSITORIES} refs/heads/main",
            "before": sha(seq - REPOSITORIES if seq > REPOSITORIES else 0),
            "after": sha(seq),
            "delivery": f"d-{seq}",
            "at": _at(seq, pushes, now),
            "author": "Ada",
        }


def _decisions(pushes: int, now: float) -> Iterator[dict[str, Any]]:
    for seq in range(1, pushes + 1):
        for place in range(APPS_EACH):
            id_, label = app_of(seq % REPOSITORIES, place)
            hit = place == 0
            yield {
                "seq": seq,
                "app_id": id_,
                "app": label,
                "reason": "path_hit" if hit else "no_path_hit",
                "evidence": "services/0/main.py matches services/0/**"
                if hit
                else f"1 file changed, none matches services/{place}/**",
                "at": _at(seq, pushes, now),
            }


def _deployments(pushes: int, now: float) -> Iterator[dict[str, Any]]:
    for seq in range(1, pushes + 1):
        id_, label = app_of(seq % REPOSITORIES, 0)
        at, state = _at(seq, pushes, now), _state(seq)
        yield {
            "id": deployment_id(seq, id_),
            "seq": seq,
            "delivery": f"d-{seq}",
            "app_id": id_,
            "app": label,
            "action": "deploy",
            "trigger": "push",
            "state": str(state),
            "ref": "refs/heads/main",
            "commit": sha(seq),
            "message": f"feat: change {seq}",
            "author": "Ada",
            "note": WHY if state is State.FAILED else f"commit {sha(seq)[:7]} is live",
            "token": f"t{seq}",
            "known_before": "[]",
            "deployed_commit": sha(seq) if state is State.DONE else None,
            "created_at": at,
            "started_at": at + 1,
            "finished_at": at + 40,
            "asked_again": 0,
            "log_tail": TAIL if state is State.FAILED else None,
        }


def _changes(pushes: int, now: float) -> Iterator[dict[str, Any]]:
    for seq in range(1, pushes + 1):
        id_, _ = app_of(seq % REPOSITORIES, 0)
        for after, state in enumerate(("waiting", "running", str(_state(seq)))):
            yield {
                "deployment": deployment_id(seq, id_),
                "at": _at(seq, pushes, now) + after,
                "state": state,
                "note": "",
            }


def _refused(now: float) -> Iterator[dict[str, Any]]:
    for number in range(20_000):
        yield {
            "minute": now // 60 * 60 - 60 * number,
            "host": "github",
            "reason": "unauthorized",
            "path": "/hooks/github",
            "network": "192.0.2.0/24",
            "repository": "4711",
            "kind": "X-Hub-Signature-256 does not fit the body",
            "why": "X-Hub-Signature-256 does not fit the body",
            "count": 3,
            "last": now - 60.0 * number - 5,
        }


def _deliveries(first: int, pushes: int, now: float) -> Iterator[dict[str, Any]]:
    for seq in range(first, pushes + 1):
        yield {
            "seq": seq,
            "host": "github",
            "id": f"d-{seq}",
            "event": "push",
            "headers": "{}",
            "received_at": _at(seq, pushes, now),
            "body": b"",
        }


def _work(first: int, pushes: int) -> Iterator[dict[str, Any]]:
    for seq in range(first, pushes + 1):
        yield {"seq": seq, "key": delivery_key("github", f"d-{seq}"), "state": "decided"}
