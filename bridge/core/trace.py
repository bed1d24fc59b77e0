"""Which delivery the work at hand is about, so that every log line says it by itself.

The id of the delivery is the trace: it leads from the webhook over decision and deployment
to what is shown of it. Tasks and threads that are started take it along.
"""

from contextvars import ContextVar, Token

_current: ContextVar[str] = ContextVar("trace", default="")


def current() -> str:
    """Return the delivery at hand; "" if there is none."""
    return _current.get()


def follow(delivery: str | None) -> None:
    """From here on, this task is about a delivery."""
    _current.set(delivery or "")


class about:  # noqa: N801 - read as a word: `with about(delivery):`
    """What is done inside is about a delivery."""

    __slots__ = ("_before", "_delivery")

    def __init__(self, delivery: str | None) -> None:
        self._delivery = delivery or ""
        self._before: Token[str] | None = None

    def __enter__(self) -> None:
        self._before = _current.set(self._delivery)

    def __exit__(self, *_: object) -> None:
        assert self._before is not None
        _current.reset(self._before)
