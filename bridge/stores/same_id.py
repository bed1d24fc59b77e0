"""Deliveries that come under an id that is known: the same one again, or another body.

The id is the sender's word, on GitHub not even signed. Another body under a known id is
therefore kept as a delivery of its own, under that id and a digest of the body, so that nobody
can hide a push by sending something else under its id first.
"""

import hashlib
from collections.abc import Iterable

from bridge.core.errors import Rejected
from bridge.ports.githosts import Body
from bridge.stores.batches import Keep, Row
from bridge.stores.packing import PackedBody, delivery_key

KEY, HOST, ID, PACKED = 0, 1, 2, -1
"""Places in a row, see `packing.delivery_row`."""


def apart(rows: Iterable[tuple[Keep, Row]]) -> list[tuple[Keep, Row]]:
    """Return the rows of a batch, in which equal keys now mean equal bodies."""
    first: dict[bytes, Body] = {}
    return [
        (item, row)
        if first.setdefault(row[KEY], item.new.body) == item.new.body
        else (item, by_its_body(row, item.new.body))
        for item, row in rows
    ]


def by_its_body(row: Row, body: Body) -> Row:
    """Return a row under an id of its own, which the same body always gets."""
    id_ = f"{row[ID]}~{hashlib.sha256(body).hexdigest()[:32]}"
    return (delivery_key(row[HOST], id_), row[HOST], id_, *row[ID + 1 :])


def is_same(kept: bytes, row: Row, body: Body) -> bool:
    """Return whether a kept body is the one that has come; one that was forgotten counts as it."""
    if not kept or kept == row[PACKED]:
        return True
    try:
        return PackedBody(kept).whole() == body
    except Rejected:  # it can't be read any more, so what has come is worth keeping
        return False


def its_id(item: Keep, row: Row) -> str | None:
    """Return the id that a delivery was kept under where it is not the sender's."""
    return None if row[ID] == item.new.id else str(row[ID])
