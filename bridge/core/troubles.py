"""Backends that can't be read just now, as one process lets the others know. Pure."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

NOTED = "backend troubles"
"""The journal's key for them."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a backend can't be read.

    Attributes:
        why: the error, which names the backend and the remedy.
        since: seconds since 1970 at which it was first seen.
    """

    why: str
    since: float


def write_troubles(troubles: Mapping[str, Trouble]) -> str:
    """Troubles by the name of their backend, as text."""
    return json.dumps({name: asdict(one) for name, one in sorted(troubles.items())})


def read_troubles(text: str | None) -> dict[str, Trouble]:
    """Read what `write_troubles` wrote; none where nothing was written yet."""
    return {name: Trouble(**fields) for name, fields in json.loads(text or "{}").items()}
