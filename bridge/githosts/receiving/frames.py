"""What the reader of large bodies is asked and answers, as bytes between two processes.

Asked is one line of JSON and the body. The answer is frames, each with its length in front: the
event or why there is none, then its paths, a thousand at a time, so that neither side holds
Python's lock for long.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pydantic import TypeAdapter
from pydantic_core import from_json, to_json

from bridge.core.errors import MalformedPayload
from bridge.core.events import Event, Ignored, PullRequestOpened, RefPushed

LENGTH = 4
"""Bytes of a length."""

_PATHS = 1000
_EVENTS: dict[str, TypeAdapter[Any]] = {
    kind.__name__: TypeAdapter(kind) for kind in (RefPushed, PullRequestOpened, Ignored)
}


@dataclass(frozen=True, slots=True)
class Asked:
    """Which body is to be read."""

    host: str
    event: str
    headers: Mapping[str, str]


_ASKED = TypeAdapter(Asked)


def write_asked(asked: Asked) -> bytes:
    """Return the line that stands before a body."""
    return _ASKED.dump_json(asked) + b"\n"


def read_asked(line: bytes) -> Asked:
    """Read that line back."""
    return _ASKED.validate_json(line)


def told(event: Event) -> Iterator[bytes]:
    """Return the frames that say what a body means."""
    paths: tuple[str, ...] | None = None
    if isinstance(event, RefPushed):
        paths, event = event.paths, replace(event, paths=None)
    kind = type(event).__name__
    yield _frame(
        {
            "kind": kind,
            "event": _EVENTS[kind].dump_python(event, mode="json"),
            "paths": None if paths is None else len(paths),
        }
    )
    for start in range(0, len(paths or ()), _PATHS):
        yield _frame((paths or ())[start : start + _PATHS])


def refused(why: str) -> bytes:
    """Return the frame that says why a body means nothing."""
    return _frame({"malformed": why})


@dataclass(frozen=True, slots=True)
class Head:
    """The first frame of an answer.

    Attributes:
        paths: how many follow; None where they are not known.
    """

    event: Event
    paths: int | None


def read_head(frame: bytes) -> Head:
    """Read the first frame of an answer.

    Raises:
        MalformedPayload: it says that the body means nothing.
    """
    fields = from_json(frame)
    if "malformed" in fields:
        raise MalformedPayload(fields["malformed"])
    return Head(_EVENTS[fields["kind"]].validate_python(fields["event"]), fields["paths"])


def read_paths(frame: bytes) -> list[str]:
    """Read a frame of paths."""
    paths: list[str] = from_json(frame)
    return paths


def length_of(head: bytes) -> int:
    """Return the length of the frame that follows."""
    return int.from_bytes(head, "big")


def _frame(content: Any) -> bytes:
    written = to_json(content)
    return len(written).to_bytes(LENGTH, "big") + written
