"""Previews that backends make by themselves, as they were last read."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any

import sqlalchemy as sa

from bridge.core.previews.native import NativePreview, NativeState
from bridge.storage import tables
from bridge.storage.journal.transactions import Transactions

_T = tables.native_previews


class NativePreviews(Transactions):
    """See `ports.previews.NativePreviews`."""

    async def save_native_previews(self, app_id: str, found: Sequence[NativePreview]) -> None:
        rows = [_row(one) for one in found]

        def save(db: sa.Connection) -> None:
            db.execute(sa.delete(_T).where(_T.c.app_id == app_id))
            if rows:
                db.execute(sa.insert(_T), rows)

        await self._write(save)

    async def native_previews(self, app_id: str | None = None) -> list[NativePreview]:
        query = sa.select(_T).order_by(_T.c.active_at.desc(), _T.c.id)
        if app_id is not None:
            query = query.where(_T.c.app_id == app_id)
        return [_read(row) for row in await self._all(query)]


def _row(one: NativePreview) -> dict[str, Any]:
    data = json.dumps(asdict(one))
    return {"id": one.id, "app_id": one.app_id, "active_at": one.active_at, "data": data}


def _read(row: Mapping[str, Any]) -> NativePreview:
    """Return one from a row, without what only a newer release writes."""
    names = {one.name for one in fields(NativePreview)}
    said = {name: value for name, value in json.loads(row["data"]).items() if name in names}
    return NativePreview(**said | {"state": NativeState(said["state"])})
