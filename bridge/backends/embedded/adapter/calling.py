"""Calling the procedures of the embedded server without HTTP, and saying no as a client does."""

import sqlite3
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from bridge.backends.embedded.http import inputs
from bridge.backends.embedded.http.failures import Failure
from bridge.backends.embedded.http.validation import InvalidInput, parse
from bridge.backends.embedded.parts import Parts
from bridge.backends.embedded.records.database import Record
from bridge.backends.embedded.server import EmbeddedServer
from bridge.core.errors import Refused, Unreachable

T = TypeVar("T", bound=inputs.Input)
R = TypeVar("R")
_SERVICE = "embedded"


class Calling:
    """What every part of the adapter works with.

    Args:
        name: what the apps of this backend say in `App.backend`.
    """

    def __init__(self, server: EmbeddedServer, *, name: str = "embedded") -> None:
        self.name = name
        self._server = server

    @property
    def _parts(self) -> Parts:
        return self._server.parts

    async def _call(
        self, run: Callable[[Parts, T], Awaitable[Any]], model: type[T], data: Record
    ) -> Any:
        """Do what the HTTP API would do, and say no as a client would say it."""
        try:
            return await self._reading(run(self._parts, parse(model, data)))
        except Failure as failure:
            raise Refused(_SERVICE, failure.message, status=failure.status) from failure
        except InvalidInput as error:
            words = "; ".join(f"{_where(one)}{one['message']}" for one in error.issues)
            raise Refused(_SERVICE, f"Input validation failed: {words}", status=400) from error

    async def _reading(self, work: Awaitable[R]) -> R:
        try:
            return await work
        except sqlite3.Error as error:  # each piece of work is a transaction: nothing has happened
            raise Unreachable(_SERVICE, f"its database says: {error}") from error


def _where(issue: Record) -> str:
    return "".join(f"{part}: " for part in issue["path"][:1])
