"""Limits of one request to a Dokploy: time, size and tries."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import httpx
from pydantic import SecretStr

from bridge.backends.dokploy.witness import DatabaseAway
from bridge.core.errors import KeyRefused, Rejected, Unreachable
from bridge.ports.clock import RATE, Clock


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one request, in seconds and bytes.

    Attributes:
        connect: to open a connection, and to wait for a free one.
        read: without a byte arriving.
        total: for one request and its whole answer.
        probe: for one question of how the server is, and its answer.
        connections: open at the same time.
        read_retries: how often a read is tried again; mutations never are.
    """

    connect: float = 5.0
    read: float = 20.0
    total: float = 60.0
    probe: float = 5.0
    connections: int = 16
    read_retries: int = 2
    answer_bytes: int = 16 * 2**20


# ── Choosing the reads to try again at once. Pure ───────────────────────────────────────────────

SLOW = 5.0
"""Seconds after which an answer was slow: nobody waits for another like it within one question."""


def may_end_soon(error: Unreachable, took: float) -> bool:
    """Return whether to ask again within a second; the caller can wait longer than that.

    Args:
        took: seconds until the error was known.
    """
    if took > SLOW:
        return False
    if isinstance(error, KeyRefused | DatabaseAway) or error.retry_after is not None:
        return False
    return not had_its_time(error)


def had_its_time(error: Unreachable) -> bool:
    """Return whether no answer came in time; one takes 6 to 25 s while the database is away."""
    return isinstance(error.__cause__, httpx.ReadTimeout | TimeoutError)


# ── Checks of the address and the key of a Dokploy, as settings give them. Pure ─────────────────


def checked_url(service: str, url: str) -> str:
    """The server's address without a trailing `/` or `/api`; raises Rejected."""
    try:
        parts = urlsplit(url.strip())
        port = parts.port
        _ = httpx.URL(url.strip()).host  # a name that can't be written in a header
    except (ValueError, httpx.InvalidURL) as error:
        raise Rejected(f"{service}: the url has no valid host and port") from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise Rejected(f"{service}: the url must look like https://dokploy.example.com")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise Rejected(f"{service}: the url may hold no user, password, query or fragment")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    path = parts.path.rstrip("/").removesuffix("/api")
    return f"{parts.scheme}://{host}{f':{port}' if port else ''}{path}"


def checked_key(service: str, key: SecretStr) -> SecretStr:
    """The key without white space around it; raises Rejected where it can't be one."""
    value = key.get_secret_value().strip()
    if not value or not value.isascii() or not value.isprintable():
        raise Rejected(f"{service}: the API key is empty or has characters that no key has")
    return SecretStr(value)


# ── Learn how far a server's clock is ahead of ours, from the `Date` of its answers ─────────────

EVERY = 1.0
"""Seconds of which one answer is remembered: the one that tells most."""

SAMPLES = 600
"""Answers that are remembered, so those of ten minutes."""

RECENT = 30.0
"""Seconds before a moment from which answers are enough: a later one may be of a clock that was
set meanwhile."""

SET_BACK = 2.0
"""Seconds by which the server must seem to be behind what was known for its clock to have been
set: `Date` is cut to whole seconds."""


class ServerClock:
    """The offset of one server's clock, by a clock of ours that never jumps."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._samples: deque[tuple[float, float]] = deque(maxlen=SAMPLES)

    def note(self, headers: Mapping[str, str]) -> None:
        """Take in the headers of an answer that has just come; a cached one tells nothing."""
        if "date" not in headers or "age" in headers:
            return
        try:
            date = parsedate_to_datetime(headers["date"])
        except ValueError:
            return
        if date.tzinfo is not None:
            now = self._clock()
            self._keep(now, date.timestamp() - now)

    def _keep(self, now: float, ahead: float) -> None:
        if ahead < self.ahead(now) - SET_BACK:
            self._samples.clear()
        if self._samples and now - self._samples[-1][0] < EVERY:
            at, before = self._samples[-1]
            if ahead < before - RATE * (now - at):
                return
            self._samples.pop()
        self._samples.append((now, ahead))

    def ahead(self, moment: float) -> float:
        """Seconds by which it was ahead of ours at a moment by our clock; 0 if unknown.

        Never more than it really was: an answer has travelled since its `Date`, and each second
        between it and the moment may have changed the offset by `RATE`.
        """
        before = [one for one in self._samples if moment - RECENT <= one[0] <= moment]
        told = (ahead - RATE * abs(moment - at) for at, ahead in before or self._samples)
        return max(told, default=0.0)
