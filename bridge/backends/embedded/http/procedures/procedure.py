"""One thing that the API can be asked for."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from bridge.backends.embedded.http.inputs import Input
from bridge.backends.embedded.parts import Parts

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
