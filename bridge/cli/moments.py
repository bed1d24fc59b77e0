"""`--since`: how long ago, or when."""

import re
from datetime import datetime
from typing import Annotated

import typer

from bridge.core.errors import Rejected

Since = Annotated[
    str | None,
    typer.Option(
        "--since",
        metavar="WHEN",
        help="Only from then on: 30m, 2h, 3d, 1w, or 2026-01-31, or 2026-01-31T12:00.",
    ),
]

_AGE = re.compile(r"([0-9]{1,6}) ?(s|m|min|h|d|w)").fullmatch
_SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400, "w": 604_800}


def moment_of(text: str | None, now: float) -> float | None:
    """The time that a person means, in seconds since 1970; None where none is given.

    A time without a zone is one of this machine's.

    Raises:
        Rejected: it is neither an age nor a time.
    """
    if text is None:
        return None
    if age := _AGE(text.strip()):
        return now - int(age[1]) * _SECONDS[age[2]]
    try:
        return datetime.fromisoformat(text.strip()).timestamp()
    except (ValueError, OverflowError, OSError):
        raise Rejected(
            f"--since {text!r} is no time: write an age (30m, 2h, 3d, 1w), a date (2026-01-31),"
            " or a time (2026-01-31T12:00, with Z for UTC)"
        ) from None
