"""Requests to the addresses of apps, to see whether they answer."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Answer:
    """What an address answered.

    Attributes:
        url: which one answered, after redirects.
        reason: the words beside the status, e.g. "Bad Gateway".
        body: the beginning of the body as text; "" if it was not asked for and is no error's.
        cut: whether the body went on.
        leads_to: the other host that it redirects to, with its port if one is named.
    """

    url: str
    status: int
    reason: str
    body: str = ""
    cut: bool = False
    leads_to: str | None = None


class Unprobed(Exception):
    """An address was not asked, which says nothing of the app; the message says why."""


class Silent(Exception):
    """An address was asked and gave no answer; the message says what happened."""


class Probes(Protocol):
    """Asks addresses."""

    async def get(self, url: str, *, body: bool) -> Answer:
        """Return what an address answers.

        Args:
            body: whether to read the body; of an error's, the first lines are read anyway.

        Raises:
            Unprobed: it must not or can't be asked.
            Silent: no answer came.
        """
