"""Guard against large JSON from others: refuse what takes too much memory, and parse the rest.

Pure.
"""

import json
import re
from itertools import islice
from typing import Any, TypeVar

from pydantic_core import from_json

from bridge.core.errors import MalformedPayload

Body = bytes | bytearray
Read = TypeVar("Read")

LARGE = 256 * 1024
"""Bytes of JSON from which parsing yields to the event loop. Larger webhooks are parsed in another
process."""

MOST_VALUES = 1_000_000
"""The most values in one body, counted by commas. The largest pushes that hosts send have half as
many; two million keys would need 300 MB."""

MOST_OBJECTS = 50_000
"""The most objects in one body. The largest pushes that hosts send have 6,000: two thousand
commits, each with an author and a committer. In memory each takes a hundred times its braces."""

_OBJECT = re.compile(rb'\{[ \t\r\n]*+"')
"""The start of a non-empty object; quotes inside a string have a backslash."""

MOST_NESTED = 200_000
"""The most lists and objects in one body that open another, or are empty. The largest pushes have
6,000; file names may contain such brackets, too."""

_NESTED = re.compile(rb"[\[{][ \t\r\n]*+(?=[\[\]{}])")


def must_be_usual(body: Body, what: str) -> None:
    """Raise MalformedPayload for a body that would take far more memory than its size."""
    if (values := body.count(b",")) > MOST_VALUES:
        raise MalformedPayload(f"{what}: about {values} values, at most {MOST_VALUES} are read")
    if _has_more(_OBJECT, body, MOST_OBJECTS):
        raise MalformedPayload(f"{what}: more than {MOST_OBJECTS} objects")
    if _has_more(_NESTED, body, MOST_NESTED):
        raise MalformedPayload(f"{what}: more than {MOST_NESTED} lists and objects in each other")


def _has_more(sign: re.Pattern[bytes], body: Body, most: int) -> bool:
    return next(islice(sign.finditer(body), most, None), None) is not None


def load_large(body: Body) -> Any:
    """Parse JSON as fast as `from_json`, 12 MB in 100 ms, but let other threads run in between.

    Unlike `from_json` it accepts half surrogates, so bodies with any are left to that.
    It needs the body as text meanwhile: with emoji, up to four times its bytes.

    Raises:
        ValueError: it is not JSON, or has numbers that are not finite.
    """
    if b"\\ud" in body or b"\\uD" in body:
        return from_json(body, allow_inf_nan=False)
    return json.loads(body.decode(), object_hook=let_others_go_on, parse_constant=_not_finite)


def _not_finite(name: str) -> Any:
    raise ValueError(f"{name} is not a finite number")


def let_others_go_on(read: Read) -> Read:
    """Return an object unchanged; the C parser calls this for each object.

    The C parser holds Python's lock, even in a thread, and would block the event loop. At a call of
    a Python function it passes the lock to waiting threads.
    """
    return read
