"""The checks of commits for which deployments wait."""

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

import sqlalchemy as sa

from bridge.core.checks import Check, CheckState, Required
from bridge.core.events import Repository
from bridge.core.gates.ci import Ci
from bridge.core.lifecycle import State
from bridge.ports.gates import CommitAt, DueCi
from bridge.storage import tables
from bridge.storage.journal.deployment_rows import changing, mark_due
from bridge.storage.journal.rows import add_new
from bridge.storage.journal.transactions import Transactions

_C, _T = tables.ci, tables.deployments

MOST_CHECKS = 2000
"""Checks of a commit that are kept; hosts limit them to about as many."""


def ci_text(ci: Ci) -> str:
    """Return what is known of checks as the text of a column."""
    said = asdict(ci)
    del said["commit"]
    return json.dumps(said)


def _read(commit: str, text: str) -> Ci:
    said = json.loads(text)
    checks = tuple(Check(**one | {"state": CheckState(one["state"])}) for one in said["checks"])
    required = said["required"]
    return Ci(
        commit,
        checks,
        said["read_at"],
        None if required is None else tuple(map(_required, required)),
        said["error"],
        said["fresh"],
    )


def _required(said: str | Mapping[str, Any]) -> Required:
    """Return what a branch requires; earlier releases have kept the names alone."""
    return Required(said) if isinstance(said, str) else Required(**said)


def _is(at: CommitAt) -> sa.ColumnElement[bool]:
    return (
        (_C.c.host == at.host)
        & (_C.c.repository == at.repository.lower())
        & (_C.c.commit == at.commit)
    )


def read_ci(db: sa.Connection, at: CommitAt) -> Ci | None:
    """Return what is known of a commit's checks."""
    text = db.scalar(sa.select(_C.c.data).where(_is(at)))
    return None if text is None else _read(at.commit, text)


def _due(row: Mapping[str, Any]) -> DueCi:
    at = CommitAt(row["host"], row["repository"], row["commit"], row["branch"])
    known = _read(at.commit, row["data"])
    return DueCi(at, known, row["since"], row["reported"], row["failures"])


class CiFacts(Transactions):
    """The checks of commits for which deployments wait."""

    async def want_ci(self, at: CommitAt, due_at: float, *, listed_after: float = 0.0) -> bool:
        row = {
            "host": at.host,
            "repository": at.repository.lower(),
            "commit": at.commit,
            "branch": at.branch,
            "data": ci_text(Ci(at.commit)),
            "since": due_at,
            "reported": 0,
            "failures": 0,
            "due_at": due_at,
        }

        def want(db: sa.Connection) -> bool:
            text = db.scalar(sa.select(_C.c.data).where(_is(at)).with_for_update())
            if text is None:
                add_new(db, _C, [row])
                return True
            known = _read(at.commit, text)
            if known.fresh and (known.read_at or 0.0) < listed_after:
                stale = {"data": ci_text(replace(known, fresh=False)), "due_at": due_at}
                db.execute(sa.update(_C).where(_is(at)).values(stale))
                return True
            again = sa.update(_C).where(_is(at) & _C.c.due_at.is_(None)).values(due_at=due_at)
            return db.execute(again).rowcount > 0

        return await self._write(want)

    async def ci(self, at: CommitAt) -> Ci | None:
        return await self._read(lambda db: read_ci(db, at))

    async def due_ci(self, now: float, limit: int, host: str) -> list[DueCi]:
        due = (_C.c.due_at <= now) & (_C.c.host == host)
        query = sa.select(_C).where(due).order_by(_C.c.due_at).limit(limit)
        return [_due(row) for row in await self._all(query)]

    async def next_ci_at(self) -> Mapping[str, float]:
        first = sa.select(_C.c.host, sa.func.min(_C.c.due_at).label("at"))
        query = first.where(_C.c.due_at.is_not(None)).group_by(_C.c.host)
        return {row["host"]: row["at"] for row in await self._all(query)}

    async def save_ci(
        self, at: CommitAt, ci: Ci, *, reported: int, due_at: float | None, failures: int = 0
    ) -> bool:
        now = self._clock()
        return await self._write(lambda db: _save(db, at, ci, reported, due_at, failures, now))

    async def report_check(
        self, repository: Repository, commit: str, check: Check | None, now: float
    ) -> bool:
        return await self._write(lambda db: _report(db, repository, commit, check, now))

    async def awaited(self, commit: str) -> bool:
        return await self._read(lambda db: _awaited(db, commit))


def keep_due(db: sa.Connection, at: CommitAt, now: float) -> None:
    """Have checks read that a deployment begins to wait for, if nobody has waited for them."""
    db.execute(sa.update(_C).where(_is(at) & _C.c.due_at.is_(None)).values(due_at=now))


def _builds(commit: str) -> sa.ColumnElement[bool]:
    return sa.func.coalesce(_T.c.head, _T.c.commit) == commit


def _awaited(db: sa.Connection, commit: str) -> bool:
    held = (_T.c.state == State.HELD) & _builds(commit)
    return db.scalar(sa.select(_T.c.id).where(held).limit(1)) is not None


def _save(
    db: sa.Connection, at: CommitAt, ci: Ci, reported: int, due_at: float | None,
    failures: int, now: float,
) -> bool:  # fmt: skip
    changing(db)
    if due_at is None and _awaited(db, at.commit):
        return False  # somebody waits for them since it was decided not to read them any more
    new = {"data": ci_text(ci), "failures": failures, "due_at": due_at}
    same = db.execute(sa.update(_C).where(_is(at) & (_C.c.reported == reported)).values(new))
    mark_due(db, _builds(at.commit), now)
    return same.rowcount > 0


def _report(
    db: sa.Connection, repository: Repository, commit: str, check: Check | None, now: float
) -> bool:
    """Merge an event into what is known, which then has to be listed again.

    What waits for the commit is judged once that was tried.
    A fork has the same commits; a commit's checks are those of one repository.
    """
    of_repository = _C.c.repository.in_((repository.name.lower(), repository.id))
    of_commit = (_C.c.commit == commit) & (_C.c.host == repository.host) & of_repository
    of_commit &= _C.c.due_at.is_not(None)
    if db.scalar(sa.select(_C.c.commit).where(of_commit).limit(1)) is None:
        return False
    changing(db)
    for row in db.execute(sa.select(_C).where(of_commit).with_for_update()).mappings().all():
        known = _read(commit, row["data"])
        if check is not None:
            others = [one for one in known.checks if (one.name, one.app) != (check.name, check.app)]
            known = replace(known, checks=(*others, check)[-MOST_CHECKS:])
        new = {"data": ci_text(replace(known, fresh=False)), "reported": row["reported"] + 1}
        place = _is(CommitAt(row["host"], row["repository"], commit, row["branch"]))
        db.execute(sa.update(_C).where(place).values(new | {"due_at": now}))
    return True
