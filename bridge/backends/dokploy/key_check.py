"""Find out whether a refused key is at fault, or Dokploy's database is away.

While its database is away Dokploy refuses every key as it refuses a wrong one, and
`/api/health` still says "ok". One query tells the two apart, since it needs no key and asks the
database: `GET /api/trpc/settings.health`, which Dokploy's dashboard uses (in its source since
v0.10; measured on v0.30.2: docs/notes/0021).

The key is at fault if it was refused *between* two answers that the database is well. A key
that has worked before must stay refused for `STEADY` seconds: the first answers after an outage
may still be due to the outage. If the query is not available, only time can tell.

How far the server's clock is ahead is learned from its answers, too.
"""

import asyncio
import json
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from enum import StrEnum

from bridge.core.errors import KeyRefused, Unreachable
from bridge.ports.clock import RATE, Clock

PATH = "trpc/settings.health"

STEADY = 30.0
"""Seconds for which a key that worked must stay refused while the database is well."""

ALONE = 300.0
"""Seconds for which it must stay refused if the state of the database can't be read."""


class DatabaseState(StrEnum):
    """The state of the database, as the answer to `PATH` tells it."""

    WELL = "well"
    AWAY = "away"
    SILENT = "silent"
    """No answer in time: it may be either."""
    NONE = "none"
    """The query is not available: another server, or a proxy that blocks it."""


def state_in(status: int, body: bytes) -> DatabaseState:
    """Read the answer to `PATH`."""
    if status >= 500:
        return DatabaseState.AWAY
    try:
        said = json.loads(body)
    except ValueError:
        return DatabaseState.NONE
    well = status == 200 and isinstance(said, dict) and "result" in said
    return DatabaseState.WELL if well else DatabaseState.NONE


class Verdict(StrEnum):
    """The meaning of a refused key."""

    DATABASE = "the database is away"
    DOUBT = "the cause is unknown"
    RECENT = "the key is refused, but too recently to be sure"
    KEY = "the key is refused"


@dataclass(slots=True)
class KeyHistory:
    """The history of a key at one server; times in seconds, by one clock.

    Attributes:
        worked: it has been accepted in this process.
        refused_since: the time of the first refusal after it was last accepted.
        well_since: since then every answer has said that the database is well.
        away: the last answer said that the database is away.
    """

    worked: bool = False
    refused_since: float | None = None
    well_since: float | None = None
    away: bool = False

    def accepted(self) -> None:
        """Forget all refusals: the key is valid."""
        self.worked, self.refused_since, self.well_since = True, None, None
        self.away = False

    def heard(self, state: DatabaseState) -> DatabaseState:
        """Record a state of the database; return it, or the previous one if no answer came."""
        if state is DatabaseState.SILENT and self.away:
            return DatabaseState.AWAY
        self.away = state is DatabaseState.AWAY
        return state

    def refused(self, sent_at: float, at: float, state: DatabaseState) -> Verdict:
        """Return the verdict on a refusal.

        Args:
            sent_at: when the request was sent.
            at: when the database was asked, after the refusal had come.
        """
        if self.refused_since is None:
            self.refused_since = sent_at
        if state is DatabaseState.WELL:
            between = self.well_since is not None and self.well_since <= sent_at
            if self.well_since is None:
                self.well_since = at
            lasted = at - self.well_since >= STEADY
            return Verdict.KEY if between and (lasted or not self.worked) else Verdict.RECENT
        self.well_since = None
        if state is DatabaseState.AWAY:
            return Verdict.DATABASE
        alone = state is DatabaseState.NONE and at - self.refused_since >= ALONE
        return Verdict.KEY if alone else Verdict.DOUBT


class DatabaseAway(Unreachable):
    """The server answers, but its database is away: it can't do anything."""


class RefusedJustNow(Unreachable):
    """The key is refused while the database is well, but too recently to be sure of the key."""


def database_away(service: str) -> DatabaseAway:
    """Return the error for any request while the database is away."""
    return DatabaseAway(
        service, "its own database is away; it does nothing until the database is back"
    )


_REMEDY = (
    "make a new one in Dokploy (Settings, Profile, API/CLI Keys) without a rate limit and set it"
)
_TEN_A_DAY = "keys made without rateLimitEnabled: false allow ten checks a day"


def error_of(verdict: Verdict, service: str, *, worked: bool, auth: str) -> Unreachable:
    """Return the error for a refused key; callers retry, whatever the verdict.

    Args:
        service: the backend's name, which determines the setting of the key.
        worked: the key has been accepted before in this process.
        auth: how the key is sent; a self-hosted server accepts only "api-key".
    """
    if verdict is Verdict.DATABASE:
        return database_away(service)
    if verdict is Verdict.DOUBT:
        key = "the API key, which worked before," if worked else "the API key"
        why = f"it answers 401: it refuses {key} or its database is away, which look the same"
        return Unreachable(service, why)
    if verdict is Verdict.RECENT:
        why = "it refuses the API key (401), though its database is well; that may pass"
        if worked:
            why += f", or the key has a rate limit: {_TEN_A_DAY}"
        return RefusedJustNow(service, why)
    remedy = f"{_REMEDY} as {setting_of(service)}"
    if auth != "api-key":
        remedy = "self-hosted servers only take auth: api-key"
    cause = (
        f"it worked before, so it is exhausted ({_TEN_A_DAY}), disabled, expired or deleted"
        if worked
        else f"it is wrong, disabled, expired or exhausted ({_TEN_A_DAY})"
    )
    return KeyRefused(service, f"{cause}; {remedy}")


def setting_of(service: str) -> str:
    """Return the setting that holds the key of a backend."""
    return "BRIDGE_DOKPLOY_API_KEY" if service == "dokploy" else f"backends.{service}.api_key"


# ── Asking about the database ───────────────────────────────────────────────────────────────────

FRESH = 2.0
"""Seconds for which an answer other than "well" is reused."""


class KeyCheck:
    """Check the refusals of one key at one server; simultaneous refusals share one query."""

    def __init__(self, ask: Callable[[], Awaitable[DatabaseState]], clock: Clock) -> None:
        """Take the parts; `ask` queries the state of the database quickly, and never raises."""
        self._ask = ask
        self._clock = clock
        self._standing = KeyHistory()
        self._asking = asyncio.Lock()
        self._said = DatabaseState.SILENT
        self._began = self._ended = -1e9

    @property
    def worked(self) -> bool:
        return self._standing.worked

    def accepted(self) -> None:
        """Note that the key was accepted."""
        self._standing.accepted()

    async def refused(self, sent_at: float) -> Verdict:
        """Return the verdict on the refusal of a request that was sent at that time."""
        state = await self.database()
        return self._standing.refused(sent_at, self._ended, state)

    async def database(self) -> DatabaseState:
        """Return the state of the database; ask only if the last answer is too old to count."""
        now = self._clock()
        async with self._asking:
            # "Well" counts only if the query came after the refusal.
            asked_since = now if self._said is DatabaseState.WELL else now - FRESH
            if self._began < asked_since:
                self._began = self._clock()
                self._said = self._standing.heard(await self._ask())
                self._ended = self._clock()
            return self._said


# ── How far the server's clock is ahead ───────────────────────────────────────────────────────────

EVERY = 1.0
"""Seconds for which one sample is kept: the best one."""

SAMPLES = 600
"""The number of samples that are kept: those of ten minutes."""

RECENT = 30.0
"""Seconds before a moment from which samples are preferred; the clock may have been set later."""

SET_BACK = 2.0
"""Seconds by which the server's clock must fall back to count as set; `Date` has whole seconds."""


class ServerClock:
    """The offset of a server's clock, learned from the `Date` of its answers.

    Args:
        clock: ours, which never jumps.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._samples: deque[tuple[float, float]] = deque(maxlen=SAMPLES)

    def note(self, headers: Mapping[str, str]) -> None:
        """Take a sample from the headers of an answer that has just come and was not cached."""
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
        known = self.ahead(now)
        if known is not None and ahead < known - SET_BACK:
            self._samples.clear()
        if self._samples and now - self._samples[-1][0] < EVERY:
            at, before = self._samples[-1]
            if ahead < before - RATE * (now - at):
                return
            self._samples.pop()
        self._samples.append((now, ahead))

    def ahead(self, moment: float) -> float | None:
        """Return the seconds by which it was ahead of ours at a moment; None if unknown.

        The result is never more than the real offset: an answer has travelled since its `Date`,
        and the offset may have changed by `RATE` for each second between sample and moment.
        """
        before = [sample for sample in self._samples if moment - RECENT <= sample[0] <= moment]
        told = (ahead - RATE * abs(moment - at) for at, ahead in before or self._samples)
        return max(told, default=None)
