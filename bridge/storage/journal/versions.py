"""Whether anything has changed that people can see."""

from typing import Any

import sqlalchemy as sa

from bridge.core.previews.preview import PreviewState
from bridge.storage import tables
from bridge.storage.journal.transactions import Transactions


class Versions(Transactions):
    """The newest numbers of what only grows, and sums over what changes."""

    async def version(self) -> str:
        d, a, c, r = tables.decisions, tables.audit, tables.changes, tables.refused
        newest = (
            sa.select(sa.func.max(col)).scalar_subquery()
            for col in (c.c.number, a.c.number, d.c.seq, r.c.last)
        )
        row = (await self._all(sa.select(*(one.label(f"n{n}") for n, one in enumerate(newest)))))[0]
        those = (await self._all(sa.select(*_of_previews())))[0]
        native = (await self._all(sa.select(*_of_native_previews())))[0]
        sums = (*row.values(), *those.values(), *native.values())
        return ".".join(str(one or 0) for one in sums)


def _of_previews() -> list[sa.ColumnElement[Any]]:
    """Return sums that differ after every change of a preview that people see."""
    p = tables.previews
    states = (
        sa.case((p.c.state == state, place), else_=0) for place, state in enumerate(PreviewState)
    )
    summed = (p.c.version, p.c.failures, *states)
    counted = (p.c.id, p.c.made, p.c.asked, p.c.url)
    sums = [sa.func.sum(one).label(f"s{n}") for n, one in enumerate(summed)]
    return [*sums, *(sa.func.count(one).label(f"c{n}") for n, one in enumerate(counted))]


def _of_native_previews() -> list[sa.ColumnElement[Any]]:
    """Return sums that differ after a change of a preview that a backend makes by itself.

    Its time changes with each build, and its state when a build ends; the length of the record
    tells states apart.
    """
    n = tables.native_previews
    columns = (
        sa.func.count(n.c.id),
        sa.func.sum(n.c.active_at),
        sa.func.sum(sa.func.length(n.c.data)),
    )
    return [one.label(f"v{place}") for place, one in enumerate(columns)]
