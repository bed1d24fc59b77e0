"""JSON that somebody else has sent, large: what it would take in memory, and reading it. Pure."""

import json
import re
from itertools import islice
from typing import Any, TypeVar

from pydantic_core import from_json

from bridge.core.errors import MalformedPayload

Body = bytes | bytearray
Read = TypeVar("Read")

LARGE = 256 * 1024
"""Bytes of JSON from which on it is read so that the event loop goes on meanwhile;
a larger webhook is read in another process, where nobody waits."""

MOST_VALUES = 1_000_000
"""Values in one body, told by its commas. The largest pushes that hosts send list half of it; two
million keys would need 300 MB."""

MOST_OBJECTS = 50_000
"""Objects in one body. The largest pushes that hosts send have 6,000: two thousand commits, each
with an author and a committer. In memory each takes a hundred times its two signs."""

_OBJECT = re.compile(rb'\{[ \t\r\n]*+"')
"""The beginning of an object that holds something: a quote inside of a text has a backslash."""

MOST_NESTED = 200_000
"""Lists and objects that begin in another, or are empty, in one body. A push of the largest kind
has 6,000, and names of files may have such signs in them as well."""

_NESTED = re.compile(rb"[\[{][ \t\r\n]*+(?=[\[\]{}])")


def must_be_usual(body: Body, what: str) -> None:
    """Raise MalformedPayload for a body that would take far more memory than it has bytes."""
    if (values := body.count(b",")) > MOST_VALUES:
        raise MalformedPayload(f"{what}: about {values} values, at most {MOST_VALUES} are read")
    if _has_more(_OBJECT, body, MOST_OBJECTS):
        raise MalformedPayload(f"{what}: more than {MOST_OBJECTS} objects")
    if _has_more(_NESTED, body, MOST_NESTED):
        raise MalformedPayload(f"{what}: more than {MOST_NESTED} lists and objects in each other")


def _has_more(sign: re.Pattern[bytes], body: Body, most: int) -> bool:
    return next(islice(sign.finditer(body), most, None), None) is not None


def load_large(body: Body) -> Any:
    """As long as `from_json` takes, 100 ms for 12 MB, but others go on at every object.

    Unlike that it takes escapes that are half a character, so it gets no body that has any.
    It needs the body as text meanwhile: up to four times its bytes, where emoji are in it.

    Raises:
        ValueError: it is not JSON, or has numbers that are not finite.
    """
    if b"\\ud" in body or b"\\uD" in body:
        return from_json(body, allow_inf_nan=False)
    return json.loads(body.decode(), object_hook=let_others_go_on, parse_constant=_not_finite)


def _not_finite(name: str) -> Any:
    raise ValueError(f"{name} is no finite number")


def let_others_go_on(read: Read) -> Read:
    """Give back what was read, as it is: called back by C code that reads much.

    That holds Python's lock to its end, also in a thread, so the event loop would stand still;
    a call of a function in Python is where the lock is given to whoever waits for it.
    """
    return read
