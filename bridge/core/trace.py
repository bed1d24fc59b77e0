"""The delivery that the current work is about, which every log line includes.

The delivery's id is the trace, from the webhook through decision and deployment to the feedback.
New tasks and threads inherit it.
"""

from contextvars import ContextVar, Token

_current: ContextVar[str] = ContextVar("trace", default="")


def current() -> str:
    """Return the current delivery; "" if there is none."""
    return _current.get()


def follow(delivery: str | None) -> None:
    """Set the delivery of this task from here on."""
    _current.set(delivery or "")


class about:  # noqa: N801 - read as a word: `with about(delivery):`
    """Set the delivery inside a `with` block."""

    __slots__ = ("_before", "_delivery")

    def __init__(self, delivery: str | None) -> None:
        self._delivery = delivery or ""
        self._before: Token[str] | None = None

    def __enter__(self) -> None:
        self._before = _current.set(self._delivery)

    def __exit__(self, *_: object) -> None:
        assert self._before is not None
        _current.reset(self._before)
