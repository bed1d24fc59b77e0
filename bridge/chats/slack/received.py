"""What Slack's Web API answers: read up to a limit, and asked for its fields by name."""

from collections.abc import Mapping, Sequence
from typing import Any

import aiohttp

from bridge.core.errors import Unanswered, Unreachable
from bridge.core.misfits import kind_of

SLACK = "slack"

MOST_ANSWER = 16 * 2**20
"""Bytes, unpacked; a list of a thousand users has some two million."""


class OddAnswer(aiohttp.ClientPayloadError):
    """An answer that is none of Slack's, whose methods all answer with a JSON object."""


class AnswerTooLarge(OddAnswer):
    """An answer has more bytes than are read."""


class BoundedResponse(aiohttp.ClientResponse):
    """An answer of which no more than `MOST_ANSWER` bytes are read, and that is an object.

    Slack's own client asks whatever it gets for its fields.
    """

    async def json(self, **how: Any) -> Any:
        """Return the object that the body is."""
        found = await super().json(**how)
        if isinstance(found, dict):
            return found
        raise OddAnswer(f"the answer must be an object, and is {kind_of(found)}")

    async def text(self, *how: Any, **more: Any) -> str:
        """Return the body as text, unless it is meant to be no more than that."""
        if self.content_type == "text/plain":
            raise OddAnswer("the answer must be an object, and is plain text")
        return await super().text(*how, **more)

    async def read(self) -> bytes:
        """Return the body, once it is there."""
        if self._body is None:
            body = bytearray()
            async for piece in self.content.iter_any():
                body += piece
                if len(body) > MOST_ANSWER:
                    self.close()
                    why = f"the answer has more than {MOST_ANSWER >> 20} MiB, which are not read"
                    raise AnswerTooLarge(why)
            self._body = bytes(body)
        return await super().read()


class Answer(dict[str, Any]):
    """Slack's answer to a method; what is missing in it is told by the method and the field.

    Only `ok` is checked by Slack's own client, and what stands between may answer anything.
    """

    def __init__(
        self,
        method: str,
        fields: Mapping[str, Any],
        error: type[Unreachable | Unanswered] = Unanswered,
    ) -> None:
        """Take the fields, and what to raise where one is missing."""
        super().__init__(fields)
        self._method, self._error = method, error

    def text(self, *path: str) -> str:
        """Return a text that must be there; raise the error where it is not."""
        found: str = self._part(path, str, "a text")
        return found

    def object(self, *path: str) -> Mapping[str, Any]:
        """Return an object that must be there; raise the error where it is not."""
        found: Mapping[str, Any] = self._part(path, Mapping, "an object")
        return found

    def list(self, *path: str) -> Sequence[Any]:
        """Return a list that must be there; raise the error where it is not."""
        found: Sequence[Any] = self._part(path, list, "a list")
        return found

    def _part(self, path: Sequence[str], kind: type[Any], words: str) -> Any:
        found: Any = self
        for name in path:
            found = found.get(name) if isinstance(found, Mapping) else None
        if isinstance(found, kind) and found not in ("", {}):
            return found
        where = ".".join(path)
        why = f"{where} must be {words}, and is {kind_of(found)}"
        raise self._error(SLACK, f"{self._method}: {why}")
