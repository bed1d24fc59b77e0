"""Is it the key, or Dokploy's database? Pure.

While its database is away Dokploy answers every key as it answers a wrong one, and one of its
probes, `/api/health`, says "ok" all the same. One question tells the two apart, because it
needs no key and asks the database: `GET /api/trpc/settings.health`, which its dashboard asks
(in its source since v0.10; measured on v0.30.2: docs/notes/0021).

A refusal is the key's fault once the key was refused *between* two answers that the database
is well. One that has worked before must stay refused like that for `STEADY` seconds: the first
answers after an outage may be about the outage. Where nobody can be asked, only time tells.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum

from bridge.core.errors import KeyRefused, Unreachable
from bridge.ports.clock import Clock

PATH = "trpc/settings.health"

STEADY = 30.0
"""Seconds for which a key that worked must stay refused while the database is well."""

ALONE = 300.0
"""Seconds for which it must stay refused where nobody says how the database is."""


class Witness(StrEnum):
    """The state of the database, as a question that needs no key tells it."""

    WELL = "well"
    AWAY = "away"
    SILENT = "silent"
    """No answer came in time, so it may be either."""
    NONE = "none"
    """The question is unknown there: another server, or a proxy that lets only some through."""


def witness_in(status: int, body: bytes) -> Witness:
    """Read the answer to `PATH`."""
    if status >= 500:
        return Witness.AWAY
    try:
        said = json.loads(body)
    except ValueError:
        return Witness.NONE
    well = status == 200 and isinstance(said, dict) and "result" in said
    return Witness.WELL if well else Witness.NONE


class Verdict(StrEnum):
    """The meaning of a refused key."""

    DATABASE = "the database is away"
    DOUBT = "it can't be told"
    RECENT = "the key is refused, and that is too new to be sure"
    KEY = "the key is refused"


@dataclass(slots=True)
class KeyStanding:
    """The record of a key at one server; times are seconds, by any one clock.

    Attributes:
        worked: it has been accepted by this server, in this process.
        refused_since: of the first refusal after it was last accepted.
        well_since: since when every witness has said that the database is well.
        away: the last witness that said anything said that the database is away.
    """

    worked: bool = False
    refused_since: float | None = None
    well_since: float | None = None
    away: bool = False

    def accepted(self) -> None:
        """Forget all refusals: the key is good."""
        self.worked, self.refused_since, self.well_since = True, None, None
        self.away = False

    def heard(self, witness: Witness) -> Witness:
        """Take in what the witness says; while it is silent, what it said before holds on."""
        if witness is Witness.SILENT and self.away:
            return Witness.AWAY
        self.away = witness is Witness.AWAY
        return witness

    def refused(self, sent_at: float, at: float, witness: Witness) -> Verdict:
        """Judge a refusal.

        Args:
            sent_at: when the request was sent.
            at: when the witness was asked, which is after the refusal had come.
        """
        if self.refused_since is None:
            self.refused_since = sent_at
        if witness is Witness.WELL:
            between = self.well_since is not None and self.well_since <= sent_at
            if self.well_since is None:
                self.well_since = at
            lasted = at - self.well_since >= STEADY
            return Verdict.KEY if between and (lasted or not self.worked) else Verdict.RECENT
        self.well_since = None
        if witness is Witness.AWAY:
            return Verdict.DATABASE
        alone = witness is Witness.NONE and at - self.refused_since >= ALONE
        return Verdict.KEY if alone else Verdict.DOUBT


class DatabaseAway(Unreachable):
    """The server answers, but its database is away; it can't do anything meanwhile."""


def database_away(service: str) -> DatabaseAway:
    """The error for whatever was asked while the database is away."""
    return DatabaseAway(service, "its own database is away; it does nothing until that is back")


_REMEDY = (
    "make a new one in Dokploy (Settings, Profile, API/CLI Keys) without a rate limit and set it"
)
_TEN_A_DAY = "keys made without rateLimitEnabled: false allow ten checks a day"


def error_of(verdict: Verdict, service: str, *, worked: bool, auth: str) -> Unreachable:
    """The error for a refused key; callers wait and ask again, whatever the verdict.

    Args:
        service: the backend's name, which tells the setting of the key.
        worked: the key has been accepted before in this process.
        auth: how the key is sent; a self-hosted server takes only "api-key".
    """
    if verdict is Verdict.DATABASE:
        return database_away(service)
    if verdict is Verdict.DOUBT:
        key = "the API key, which worked before," if worked else "the API key"
        why = f"it answers 401: it refuses {key} or its database is away, which look the same"
        return Unreachable(service, why)
    if verdict is Verdict.RECENT:
        why = "it refuses the API key (401), though its database is well; that may pass"
        return Unreachable(service, why)
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


# ── Asks the witness when a key is refused: once for all who are refused at a time ──────────────

FRESH = 2.0
"""Seconds for which an answer counts that the database is not well, or can't be asked about."""


class Judge:
    """Judges the refusals of one key at one server."""

    def __init__(self, ask: Callable[[], Awaitable[Witness]], clock: Clock) -> None:
        """Take the parts; `ask` asks the witness, in a short time, and never raises."""
        self._ask = ask
        self._clock = clock
        self._standing = KeyStanding()
        self._asking = asyncio.Lock()
        self._said = Witness.SILENT
        self._began = self._ended = -1e9

    @property
    def worked(self) -> bool:
        """True once the key has been accepted."""
        return self._standing.worked

    def accepted(self) -> None:
        """Take note that the key is good."""
        self._standing.accepted()

    async def refused(self, sent_at: float) -> Verdict:
        """Judge the refusal, just come, of a request that was sent at that time."""
        witness = await self._witness()
        return self._standing.refused(sent_at, self._ended, witness)

    async def database(self) -> Witness:
        """Return how the database is, asked anew."""
        return await self._witness()

    async def _witness(self) -> Witness:
        now = self._clock()
        async with self._asking:
            # "Well" counts only when it was asked for after the refusal had come.
            asked_since = now if self._said is Witness.WELL else now - FRESH
            if self._began < asked_since:
                self._began = self._clock()
                self._said = self._standing.heard(await self._ask())
                self._ended = self._clock()
            return self._said
