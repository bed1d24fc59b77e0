"""One thing that the API can be asked for."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from bridge.embedded.http.inputs import Input, Nothing
from bridge.embedded.parts import Parts
from bridge.embedded.records.database import Record

T = TypeVar("T", bound=Input)


class Empty:
    """An answer of no bytes at all, which the real server gives to deploy (facts.md)."""


EMPTY = Empty()


@dataclass(frozen=True, slots=True)
class Procedure:
    """A query (GET, from the query string) or a mutation (POST, from JSON)."""

    method: Literal["GET", "POST"]
    model: type[Input]
    run: Callable[[Parts, Any], Awaitable[Any]]


def query(model: type[T], run: Callable[[Parts, T], Awaitable[Any]]) -> Procedure:
    """A procedure that only reads."""
    return Procedure("GET", model, run)


def mutation(model: type[T], run: Callable[[Parts, T], Awaitable[Any]]) -> Procedure:
    """A procedure that changes something."""
    return Procedure("POST", model, run)


# ── Finding records by parts of their words. Pure ───────────────────────────────────────────────

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


# ── `settings.*`: what the server says of itself ────────────────────────────────────────────────

VERSION = "v0.30.2"
"""The Dokploy whose API this one speaks; clients go by it."""


async def version(_parts: Parts, _input: Nothing) -> str:
    """`settings.getDokployVersion`."""
    return VERSION


async def release_tag(_parts: Parts, _input: Nothing) -> str:
    """`settings.getReleaseTag`."""
    return "latest"


async def health(_parts: Parts, _input: Nothing) -> dict[str, str]:
    """`settings.health`."""
    return {"status": "ok"}
