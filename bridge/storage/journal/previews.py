"""Previews of pull requests: what hosts report of them, and what is done for them."""

import json
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import sqlalchemy as sa

from bridge.core.events import Repository
from bridge.core.previews.native import NativePreview, NativeState
from bridge.core.previews.preview import OVER, Preview, PreviewState, preview_id, pull_id
from bridge.core.pulls import PullRequest
from bridge.ports.outcomes import Audits, about_pull
from bridge.ports.previews import Lane, Previewed, Reported
from bridge.storage import tables
from bridge.storage.journal import outbox, rows
from bridge.storage.journal.audit import audited
from bridge.storage.journal.outbox import forget_feedback
from bridge.storage.journal.transactions import Transactions

_T, _N = tables.previews, tables.native_previews

_NOT_ENDED = _T.c.state != PreviewState.ENDED

_DUE = (
    sa.select(_T.c.backend, _T.c.host, sa.func.min(_T.c.look_at))
    .where(_T.c.look_at <= sa.bindparam("until"))
    .group_by(_T.c.backend, _T.c.host)
)
"""Built once: it runs each second."""


class Previews(Transactions):
    """The previews of pull requests; see `ports.previews`.

    Attributes:
        preview_asked: called in the event loop once somebody has asked for something, so that who
            keeps previews in this process looks at once; another process looks soon.
    """

    preview_asked: Callable[[], None] = staticmethod(lambda: None)

    async def report_previews(self, reported: Reported, apps: Sequence[Previewed]) -> bool:
        at = self._clock()
        return await self._change(lambda db: _report(db, reported, apps, at))

    async def preview(self, id_: str) -> Preview | None:
        found = await self._found(sa.select(_T).where(_T.c.id == id_))
        return found[0] if found else None

    async def previews(
        self,
        *,
        app_id: str | None = None,
        pull: tuple[str, str, int] | None = None,
        number: int | None = None,
        ended: bool = False,
        limit: int | None = 1000,
    ) -> list[Preview]:
        query = sa.select(_T).order_by(_T.c.created_at.desc(), _T.c.id).limit(limit)
        if app_id is not None:
            query = query.where(_T.c.app_id == app_id)
        if pull is not None:
            query = query.where(_of_pull(*pull))
        if number is not None:
            query = query.where(_T.c.number == number)
        if not ended:
            query = query.where(_T.c.state.not_in(OVER))
        return await self._found(query)

    async def due_previews(self, now: float, limit: int, lane: Lane) -> list[Preview]:
        backend, host = lane
        due = sa.select(_T).where(_T.c.look_at <= now, _T.c.backend == backend, _T.c.host == host)
        return await self._found(due.order_by(_T.c.created_at, _T.c.id).limit(limit))

    async def previews_due(self, until: float) -> dict[Lane, float]:
        found = await self._read(lambda db: db.execute(_DUE, {"until": until}).all())
        return {(backend, host): at for backend, host, at in found}

    async def places_taken(self) -> dict[str, int]:
        there = sa.or_(
            _T.c.made.is_not(None), _T.c.state.in_((PreviewState.MAKING, PreviewState.ENDING))
        )
        query = sa.select(_T.c.app_id, sa.func.count()).where(there).group_by(_T.c.app_id)
        found = await self._read(lambda db: db.execute(query).all())
        return {row[0]: row[1] for row in found}

    async def rules_of_previews(self) -> dict[str, set[str]]:
        query = sa.select(_T.c.app_id, _T.c.rules).where(_NOT_ENDED).distinct()
        found: dict[str, set[str]] = {}
        for app_id, rules in await self._read(lambda db: db.execute(query).all()):
            found.setdefault(app_id, set()).add(rules)
        return found

    async def look_at_previews(self, app_id: str, rules: str) -> None:
        those = (_T.c.app_id == app_id) & (_T.c.rules != rules) & _NOT_ENDED
        query = sa.update(_T).where(those).values(look_at=self._clock(), version=_T.c.version + 1)
        await self._change(lambda db: db.execute(query))

    async def change_preview(self, seen: Preview, **facts: Any) -> Preview | None:
        if "look_at" in facts:
            same = _T.c.version == seen.version
            facts["look_at"] = sa.case((same, facts["look_at"]), else_=_T.c.look_at)
        return await self._changed(seen.id, facts)

    async def ask_previews(
        self, id_: str, audit: Audits[Preview | None] | None = None, **facts: Any
    ) -> Preview | None:
        more = {"version": _T.c.version + 1, "look_at": self._clock(), "failures": 0}
        asked = await self._changed(id_, facts | more, audit)
        self.preview_asked()
        return asked

    async def forget_previews(self, before: float, limit: int) -> int:
        # Of an open pull request it still counts that it was stopped, or idle.
        over = (_T.c.state == PreviewState.ENDED) & (_T.c.active_at < before)
        over &= _T.c.made.is_(None)
        those = sa.select(_T.c.id).where(over).order_by(_T.c.active_at).limit(limit)

        def forget(db: sa.Connection) -> int:
            ids = list(db.scalars(those))
            db.execute(sa.delete(_T).where(_T.c.id.in_(ids)))
            pulls = {id_.rpartition(":")[0] for id_ in ids}
            gone = [about_pull(id_) for id_ in sorted(pulls) if not of_pull(db, id_)]
            forget_feedback(db, gone)
            return len(ids)

        return await self._write(forget)

    async def save_native_previews(self, app_id: str, found: Sequence[NativePreview]) -> None:
        rows = [_native_row(one) for one in found]

        def save(db: sa.Connection) -> None:
            db.execute(sa.delete(_N).where(_N.c.app_id == app_id))
            if rows:
                db.execute(sa.insert(_N), rows)

        await self._write(save)

    async def native_previews(self, app_id: str | None = None) -> list[NativePreview]:
        query = sa.select(_N).order_by(_N.c.active_at.desc(), _N.c.id)
        if app_id is not None:
            query = query.where(_N.c.app_id == app_id)
        return [_read_native(row) for row in await self._all(query)]

    async def _changed(
        self, id_: str, facts: Mapping[str, Any], audit: Audits[Preview | None] | None = None
    ) -> Preview | None:
        at = self._clock()

        def change(db: sa.Connection) -> Preview | None:
            db.execute(sa.update(_T).where(_T.c.id == id_).values(**facts))
            outbox.changed(db, [about_pull(id_.rpartition(":")[0])], at)
            row = db.execute(sa.select(_T).where(_T.c.id == id_)).mappings().one_or_none()
            return audited(db, None if row is None else read_preview(dict(row)), audit)

        return await self._change(change)

    async def _found(self, query: sa.Select[Any]) -> list[Preview]:
        return [read_preview(row) for row in await self._all(query)]


def have_made_again(db: sa.Connection, gone: Collection[str], at: float) -> None:
    """Have previews looked at whose app is gone from the backend, though they have not ended."""
    facts = {"asked": None, "look_at": at, "failures": 0, "version": _T.c.version + 1}
    for app_id in gone:
        those = (_T.c.made == app_id) & (_T.c.state != PreviewState.ENDING)
        db.execute(sa.update(_T).where(those).values(**facts))


def of_pull(db: sa.Connection, id_: str) -> list[Preview]:
    """Return the previews of a pull request, by the apps' labels."""
    query = sa.select(_T).where(_named(id_))
    found = [read_preview(dict(row)) for row in db.execute(query).mappings()]
    return sorted(found, key=lambda one: (one.app, one.app_id))


def _of_pull(host: str, key: str, number: int) -> sa.ColumnElement[bool]:
    return (_T.c.host == host) & (_T.c.key == key) & (_T.c.number == number)


def _named(id_: str) -> sa.ColumnElement[bool]:
    """Return whether a preview is one of a pull request, whatever its repository is called."""
    return _T.c.id.startswith(f"{id_}:", autoescape=True)


def _report(db: sa.Connection, new: Reported, apps: Sequence[Previewed], at: float) -> bool:
    new = _bounded(new, at)
    pull, about = new.pull, pull_id(new.repository, new.pull.number)
    query = sa.select(_T).where(_named(about)).with_for_update()
    known = {row["app_id"]: row for row in db.execute(query).mappings()}
    labels = {one.id: one for one in apps}
    changed = False
    for app_id, row in known.items():
        if (facts := _news(read_preview(dict(row)), new, at)) is None:
            continue
        if (app := labels.get(app_id)) is not None:
            facts |= {"app": app.label, "backend": app.backend}
            facts |= {"made": app.made} if row["made"] is None else {}
        db.execute(sa.update(_T).where(_T.c.id == row["id"]).values(**facts))
        changed = True
    for app in apps:
        if (pull.open or app.made is not None) and app.id not in known:
            _insert(db, new, app, at)
            changed = True
    if changed:
        outbox.changed(db, [about_pull(about)], at)
    return changed


def _bounded(new: Reported, at: float) -> Reported:
    """Return a report that is of now at the latest: one of the future would hide all later ones."""
    moment = new.pull.updated_at
    if moment is None or moment <= at:
        return new
    return replace(new, pull=replace(new.pull, updated_at=at))


def _news(known: Preview, new: Reported, at: float) -> dict[str, Any] | None:
    """Return what a report changes; None if it says nothing new, or is older."""
    was, now = known.pull, new.pull
    if _is_older(new, was):
        return None
    place = {"key": new.key, "described": repository_text(new.repository)}
    if was == now:
        moved = (known.key, known.repository.name) != (new.key, new.repository.name)
        return place if moved else None
    pushed = was.head_sha != now.head_sha
    begins = pushed or (now.open and not was.open)
    activity = {"active_at": at, "stopped": False} if begins else {}
    counted = {"pushes": _T.c.pushes + 1} if pushed else {}
    return (
        activity
        | counted
        | place
        | {
            "pull": pull_text(now),
            "version": _T.c.version + 1,
            "look_at": at,
            "failures": 0,
        }
    )


def _is_older(new: Reported, was: PullRequest) -> bool:
    """Return whether a report is older than what is known.

    Webhooks have seconds where an API may have more digits, so within a second the last report
    counts; the sweep sets right what came in the wrong order. What a host was asked for is as new
    as the question.
    """
    if new.pull.updated_at is None or was.updated_at is None:
        return False
    moment = max(new.pull.updated_at, new.read_at or 0.0)
    return math.floor(moment) < math.floor(was.updated_at)


def _insert(db: sa.Connection, new: Reported, app: Previewed, at: float) -> None:
    """Insert a preview, unless another process has done so in this moment."""
    host, number = new.repository.host, new.pull.number
    row = {
        "id": preview_id(new.repository, number, app.id),
        "host": host,
        "key": new.key,
        "number": number,
        "described": repository_text(new.repository),
        "app_id": app.id,
        "app": app.label,
        "backend": app.backend,
        "pull": pull_text(new.pull),
        "version": 1,
        "state": PreviewState.NEW,
        "reason": "",
        "note": "",
        "approver": "",
        "made": app.made,
        "stopped": False,
        "created_at": at,
        "active_at": at,
        "look_at": at,
        "failures": 0,
        "pushes": 1,
        "rules": "",
    }
    db.execute(rows.insert_into(db, _T).values(**row).on_conflict_do_nothing())


def repository_text(repository: Repository) -> str:
    """Return a repository as the text of a column."""
    return json.dumps(asdict(repository) | {"urls": sorted(repository.urls)})


def read_repository(text: str) -> Repository:
    """Return a repository from the text of a column."""
    said = rows.known(Repository, json.loads(text))
    return Repository(**said | {"urls": frozenset(said.get("urls", ()))})


def pull_text(pull: PullRequest) -> str:
    """Return a pull request as the text of a column."""
    return json.dumps(asdict(pull) | {"labels": sorted(pull.labels)})


def read_pull(text: str) -> PullRequest:
    """Return a pull request from the text of a column."""
    said = rows.known(PullRequest, json.loads(text))
    return PullRequest(**said | {"labels": frozenset(said.get("labels", ()))})


def read_preview(row: Mapping[str, Any]) -> Preview:
    """Return a preview from a row."""
    found = dict(row)
    del found["id"], found["number"], found["host"]
    repository = read_repository(found.pop("described"))
    pull, state = read_pull(found.pop("pull")), PreviewState(found.pop("state"))
    return Preview(repository=repository, pull=pull, state=state, **found)


def _native_row(one: NativePreview) -> dict[str, Any]:
    data = json.dumps(asdict(one))
    return {"id": one.id, "app_id": one.app_id, "active_at": one.active_at, "data": data}


def _read_native(row: Mapping[str, Any]) -> NativePreview:
    said = rows.known(NativePreview, json.loads(row["data"]))
    return NativePreview(**said | {"state": NativeState(said["state"])})
