"""Words in what was deployed and pushed, looked for in the newest rows alone."""

from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa

from bridge.ports.outcomes import FoundWords
from bridge.storage import tables
from bridge.storage.journal.transactions import Transactions

_P, _T = tables.pushes, tables.deployments

WINDOW = 5_000
"""Deployments, and pushes, that one search reads. No index finds words within messages."""


def _text(*columns: sa.Column[str]) -> sa.ColumnElement[str]:
    """Return columns as one text, as each look for a word costs as much as reading the row."""
    text: sa.ColumnElement[str] = sa.literal("")
    for column in columns:
        text = text.concat(sa.func.coalesce(column, "")).concat("\n")
    return text


_OF_DEPLOYMENT = _text(_T.c.message, _T.c.author, _T.c.ref, _T.c.commit, _T.c.deployed_commit)
_OF_PUSH = _text(_P.c.author, _P.c.ref)


class Searching(Transactions):
    """Finds words in messages, names, refs and commits."""

    async def words(self, words: Sequence[str], *, before: int) -> FoundWords:
        return await self._read(lambda db: _found(db, words, before))


def _found(db: sa.Connection, words: Sequence[str], before: int) -> FoundWords:
    first = max(db.scalar(_first_of(table, before)) or 0 for table in (_P, _T))
    deployments = sa.select(_T.c.id, _T.c.app).where(*_within(_T, first, before))
    pushes = sa.select(_P.c.seq).where(*_within(_P, first, before))
    deployments = deployments.where(*_fitting(_OF_DEPLOYMENT, words))
    pushes = pushes.where(*_fitting(_OF_PUSH, words))
    return FoundWords(
        [(id_, app) for id_, app in db.execute(deployments.order_by(_T.c.seq.desc(), _T.c.app))],
        list(db.scalars(pushes.order_by(_P.c.seq.desc()))),
        first,
        db.scalar(sa.select(_P.c.at).where(_P.c.seq >= first).order_by(_P.c.seq).limit(1)),
    )


def _first_of(table: sa.Table, before: int) -> sa.Select[Any]:
    """Return the query for where a window begins; it finds nothing if the window has all."""
    newest = sa.select(table.c.seq).where(table.c.seq < before).order_by(table.c.seq.desc())
    return newest.limit(1).offset(WINDOW - 1)


def _within(table: sa.Table, first: int, before: int) -> tuple[sa.ColumnElement[bool], ...]:
    return table.c.seq >= first, table.c.seq < before


def _fitting(text: sa.ColumnElement[str], words: Sequence[str]) -> Iterator[sa.ColumnElement[bool]]:
    """Yield the conditions that each word is in a text."""
    for word in words:
        yield sa.or_(*(text.icontains(one, autoescape=True) for one in _spellings(word)))


def _spellings(word: str) -> list[str]:
    """Return a word as it may be written: SQLite knows the two cases of ASCII letters only."""
    if word.isascii():
        return [word]
    return list(dict.fromkeys((word, word.lower(), word.upper(), word.capitalize())))
