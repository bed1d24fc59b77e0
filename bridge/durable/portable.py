"""What stands in the workflow engine's rows: JSON, never pickles.

A pickle runs code when it is read, and a row says itself that it holds one. Whoever can write to
the engine's tables, as by a copy that he has handed us, could run code here. So everything is
written as JSON that any release reads, and no pickle is read but the one that older releases
have written: that of a step without a result.
"""

from typing import Any

from dbos._serialization import DBOSPortableJSON, DefaultSerializer, Serializer

from bridge.core.errors import Rejected

PORTABLE: Serializer = DBOSPortableJSON
"""For the engine to write, where a flow does not say how."""

_NOTHING = frozenset({"gAROLg==", "gAVOLg=="})
"""None, pickled by Python up to 3.13 and from 3.14 on."""


def refuse_pickles() -> None:
    """Have the engine read no pickle, whatever a row says; it has no setting for that."""
    DefaultSerializer.deserialize = _nothing_else  # type: ignore[method-assign, assignment]


def _nothing_else(_: DefaultSerializer, serialized: str) -> Any:
    if serialized in _NOTHING:
        return None
    raise Rejected(
        "a row of the workflow tables holds a pickle, which could run code and is not read:"
        " who else can write to the database? (docs/operating.md)"
    )
