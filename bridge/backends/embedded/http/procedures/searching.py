"""Finding records by parts of their words. Pure."""

from collections.abc import Iterable, Mapping

from bridge.backends.embedded.records.database import Record

_ANY = ("name", "appName", "description", "repository", "owner", "dockerImage")


def found(
    records: Iterable[Record], anywhere: str | None, wanted: Mapping[str, str | None]
) -> list[Record]:
    """The records that have `anywhere` in some field and each of `wanted` in its own."""
    fields = {key: value for key, value in wanted.items() if value}
    return [
        record
        for record in records
        if all(_has(record, key, value) for key, value in fields.items())
        and (not anywhere or any(_has(record, key, anywhere) for key in _ANY))
    ]


def page(records: list[Record], limit: float, offset: float) -> Record:
    """A part of what was found, and how much there is; the newest first."""
    newest_first = sorted(records, key=lambda one: str(one["createdAt"]), reverse=True)
    part = newest_first[int(offset) : int(offset) + int(limit)]
    return {"items": part, "total": len(records)}


def _has(record: Record, key: str, wanted: str) -> bool:
    return wanted.lower() in str(record.get(key) or "").lower()
