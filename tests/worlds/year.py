"""A year of data in seconds: rows written directly into a bridge's SQLite files."""

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bridge.core.lifecycle import State, deployment_id
from bridge.storage.inbox.reading import delivery_key

if TYPE_CHECKING:
    import psycopg

DAY = 86_400.0
KEPT_DAYS = 60
"""Days for which the inbox knows deliveries."""

FAILS_EVERY = 21
"""One in this many pushes fails to build, never the same app's twice in a row."""

WHY = "fatal: repository not found"
TAIL = "Cloning into 'code'...\nfatal: repository not found"


@dataclass(frozen=True)
class Size:
    """How much happens in a year.

    Attributes:
        apps_each: apps of a repository; a push deploys the first of its own.
        every: seconds between two pushes.
    """

    repositories: int = 40
    apps_each: int = 5
    every: float = 315.0

    @property
    def pushes(self) -> int:
        return int(365 * DAY / self.every)


TEAM = Size()
"""A hundred thousand pushes of 200 apps."""

PLATFORM = Size(2_500, 2, 31.5)
"""A million pushes of 5,000 apps."""


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


def fill_year(data: Path, now: float, size: Size = TEAM) -> Year:
    """Fill a bridge's existing tables in SQLite files with the year before `now`."""
    with closing(sqlite3.connect(data / "journal.sqlite")) as journal, journal:
        journal.execute("PRAGMA synchronous = OFF")
        for table, rows in journal_rows(size, now):
            _insert(journal, table, rows)
    with closing(sqlite3.connect(data / "inbox.sqlite")) as inbox, inbox:
        inbox.execute("PRAGMA synchronous = OFF")
        first = size.pushes - int(KEPT_DAYS * DAY / size.every)
        _insert(inbox, "deliveries", _deliveries(first, size, now))
        _insert(inbox, "work", _work(first, size.pushes))
        # A running bridge adds ids to the index as it goes.
        inbox.execute("INSERT INTO ids SELECT key, seq FROM work ORDER BY key")
        inbox.execute("UPDATE indexed SET upto = (SELECT max(seq) FROM work)")
    failed = size.pushes - size.pushes % FAILS_EVERY
    _, label = app_of(failed % size.repositories, 0)
    return Year(size.pushes, failed, label, sha(failed), sha(failed - size.repositories))


def copy_year(db: "psycopg.Connection[Any]", now: float, size: Size = TEAM) -> None:
    """Fill a bridge's existing tables on Postgres with the year before `now`."""
    first = size.pushes - int(KEPT_DAYS * DAY / size.every)
    deliveries = _deliveries(first, size, now)
    kept = ({**one, "key": delivery_key("github", one["id"])} for one in deliveries)
    work = ({"seq": one["seq"], "state": one["state"]} for one in _work(first, size.pushes))
    for table, rows in [*journal_rows(size, now), ("inbox", kept), ("inbox_work", work)]:
        _copy(db, table, iter(rows))
    db.execute("SELECT setval(pg_get_serial_sequence('inbox', 'seq'), %s)", [size.pushes])


def _copy(db: "psycopg.Connection[Any]", table: str, rows: Iterator[dict[str, Any]]) -> None:
    first = next(rows)
    names = ", ".join(f'"{name}"' for name in first)
    with db.cursor().copy(f"COPY {table} ({names}) FROM STDIN") as copy:
        for row in (row for those in ([first], rows) for row in those):
            copy.write_row(list(row.values()))


def journal_rows(size: Size, now: float) -> Iterator[tuple[str, Iterable[dict[str, Any]]]]:
    """Yield the journal's tables with their rows."""
    yield "apps", _apps(size)
    yield "repositories", _names(size)
    yield "pushes", _pushes(size, now)
    yield "decisions", _decisions(size, now)
    yield "deployments", _deployments(size, now)
    yield "changes", _changes(size, now)
    yield "refused", _refused(now)


def _insert(db: sqlite3.Connection, table: str, rows: Iterable[dict[str, Any]]) -> None:
    rows = iter(rows)
    first = next(rows)
    names = ", ".join(f'"{name}"' for name in first)
    places = ", ".join(f":{name}" for name in first)
    with_first = (row for those in ([first], rows) for row in those)
    db.executemany(f"INSERT INTO {table} ({names}) VALUES ({places})", with_first)


def _at(seq: int, size: Size, now: float) -> float:
    return now - (size.pushes - seq) * size.every - 60.0


def _state(seq: int) -> State:
    return State.FAILED if seq % FAILS_EVERY == 0 else State.DONE


def _apps(size: Size) -> Iterator[dict[str, Any]]:
    for repository in range(size.repositories):
        for place in range(size.apps_each):
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


def _names(size: Size) -> Iterator[dict[str, Any]]:
    for repository in range(size.repositories):
        yield {"key": f"github {4700 + repository}", "name": f"my-org/mono-{repository:02d}"}


def _pushes(size: Size, now: float) -> Iterator[dict[str, Any]]:
    for seq in range(1, size.pushes + 1):
        yield {
            "seq": seq,
            "ref_key": f"github {4700 + seq % size.repositories} refs/heads/main",
            "before": sha(seq - size.repositories if seq > size.repositories else 0),
            "after": sha(seq),
            "delivery": f"d-{seq}",
            "at": _at(seq, size, now),
            "author": f"Author {seq % 97}",
            "ref": "refs/heads/main",
        }


def _decisions(size: Size, now: float) -> Iterator[dict[str, Any]]:
    for seq in range(1, size.pushes + 1):
        for place in range(size.apps_each):
            id_, label = app_of(seq % size.repositories, place)
            hit = place == 0
            yield {
                "seq": seq,
                "app_id": id_,
                "app": label,
                "reason": "path_hit" if hit else "no_path_hit",
                "evidence": "services/0/main.py matches services/0/**"
                if hit
                else f"1 file changed, none matches services/{place}/**",
                "at": _at(seq, size, now),
            }


def _deployments(size: Size, now: float) -> Iterator[dict[str, Any]]:
    for seq in range(1, size.pushes + 1):
        id_, label = app_of(seq % size.repositories, 0)
        at, state = _at(seq, size, now), _state(seq)
        yield {
            "id": deployment_id(seq, id_),
            "seq": seq,
            "delivery": f"d-{seq}",
            "app_id": id_,
            "app": label,
            "action": "deploy",
            "trigger": "push",
            "cause": "push",
            "state": str(state),
            "ref": "refs/heads/main",
            "commit": sha(seq),
            "message": f"feat: change {seq}",
            "author": "Ada",
            "note": WHY if state is State.FAILED else f"commit {sha(seq)[:7]} is live",
            "note_kind": None if state is State.FAILED else "live",
            "token": f"t{seq}",
            "known_before": "[]",
            "deployed_commit": sha(seq) if state is State.DONE else None,
            "created_at": at,
            "started_at": at + 1,
            "live_at": at + 40 if state is State.DONE else None,
            "finished_at": at + 40,
            "asked_again": 0,
            "log_tail": TAIL if state is State.FAILED else None,
        }


def _changes(size: Size, now: float) -> Iterator[dict[str, Any]]:
    for seq in range(1, size.pushes + 1):
        id_, _ = app_of(seq % size.repositories, 0)
        for after, state in enumerate(("waiting", "running", str(_state(seq)))):
            yield {
                "deployment": deployment_id(seq, id_),
                "at": _at(seq, size, now) + after,
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


def _deliveries(first: int, size: Size, now: float) -> Iterator[dict[str, Any]]:
    for seq in range(first, size.pushes + 1):
        yield {
            "seq": seq,
            "host": "github",
            "id": f"d-{seq}",
            "event": "push",
            "headers": "{}",
            "received_at": _at(seq, size, now),
            "body": b"",
        }


def _work(first: int, pushes: int) -> Iterator[dict[str, Any]]:
    for seq in range(first, pushes + 1):
        yield {"seq": seq, "key": delivery_key("github", f"d-{seq}"), "state": "decided"}
