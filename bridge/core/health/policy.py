"""The `verify` rule of an app."""

import re
from dataclasses import dataclass

from bridge.core.addresses import service_address
from bridge.core.errors import Rejected

_STATUS = re.compile(r"([1-5])xx|([1-5]\d\d)(?:\s*-\s*([1-5]\d\d))?", re.IGNORECASE)

Statuses = tuple[tuple[int, int], ...]
"""Ranges of HTTP statuses, both ends included."""

WELL: Statuses = ((200, 299),)

LONGEST_KEEP = 86400.0
"""The most seconds for which a verified version is watched on."""


@dataclass(frozen=True, slots=True)
class VerifyPolicy:
    """How a deployment is verified once the backend calls it done; times are in seconds.

    Attributes:
        on: False overrides an earlier rule that verifies.
        url: what is requested; a path such as "/healthz" is one at the app's own address.
        status: the statuses that count as healthy.
        contains: text that the body must contain, if any; `{commit}` and `{short}` in it stand for
            the deployed commit.
        containers: also look at the app's containers, where the backend shows them.
        within: how long it may take until it is healthy.
        consecutive: how many looks in a row must be healthy.
        every: the pause between two looks.
        rollback: go back to the version before by itself if it is unhealthy.
        keep: for how long after it went live a verified version is watched on; 0 for not at all.
    """

    on: bool = True
    url: str = "/"
    status: Statuses = WELL
    contains: str | None = None
    containers: bool = True
    within: float = 60.0
    consecutive: int = 2
    every: float = 2.0
    rollback: bool = False
    keep: float = 0.0

    def wanted(self, commit: str | None) -> str | None:
        """Return the text that the body must contain; None if any will do, or none is known.

        A text with `{commit}` can't be looked for while the backend does not tell the commit.
        """
        if self.contains is None or (commit is None and self.names_commit):
            return None
        short = (commit or "")[:7]
        return self.contains.replace("{commit}", commit or "").replace("{short}", short)

    @property
    def names_commit(self) -> bool:
        """Return whether the text to look for names the commit."""
        return (
            self.contains is not None
            and re.search(r"\{(commit|short)\}", self.contains) is not None
        )


def read_statuses(value: str | int) -> Statuses:
    """Read statuses such as 200, "2xx", "200-399" or "200, 301".

    Raises:
        Rejected: it names something else, or a range from high to low.
    """
    return tuple(_range(part.strip()) for part in str(value).split(","))


def _range(text: str) -> tuple[int, int]:
    found = _STATUS.fullmatch(text)
    if found is None:
        raise Rejected(f"{text[:40]!r} is no HTTP status: write e.g. 200, 2xx or 200-399")
    family, low, high = found.groups()
    if family is not None:
        return int(family) * 100, int(family) * 100 + 99
    first, last = int(low), int(high or low)
    if first > last:
        raise Rejected(f"{text!r} has no status in it: write {last}-{first}")
    return first, last


def statuses_text(statuses: Statuses, between: str = " or ") -> str:
    """Return statuses as people write them, e.g. "2xx or 404"."""
    return between.join(range_text(low, high) for low, high in statuses)


def range_text(low: int, high: int) -> str:
    """Return a range of statuses as people write it."""
    if low == high:
        return str(low)
    return f"{low // 100}xx" if (low % 100, high) == (0, low + 99) else f"{low}-{high}"


def check_address(url: str) -> None:
    """Raise Rejected if it is neither a path nor an address of HTTP."""
    if url.startswith(("http://", "https://")):
        try:
            service_address(url)
        except ValueError as error:
            raise Rejected(str(error)) from None
    elif not url.startswith("/") or url.startswith("//"):
        raise Rejected(f"{url!r} is no address: write a path such as /healthz, or https://…")
    elif any(one.isspace() or not one.isprintable() for one in url):
        raise Rejected(f"{url!r} has a space or a control character: write e.g. %20")


def check_time(every: float, consecutive: int, within: float) -> None:
    """Raise Rejected if so many looks take longer than there is time."""
    if every * (consecutive - 1) > within:
        raise Rejected(
            f"{consecutive} looks, one every {every:g} s, take longer than {within:g} s: give"
            " `within` more time"
        )
