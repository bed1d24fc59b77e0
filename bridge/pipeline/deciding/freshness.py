"""Make sure that pushes are decided by the apps as they are now, not as they were a minute ago.

People change an app in the backend and push at once. So the apps of a pushed repository are read
again before a decision that an older record could make wrong. Readings run in the background, serve
many pushes, and stay within a budget. If an app can't be read again, the decision uses what is
known, and its evidence says how old that is.
"""

import asyncio
import logging
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bridge.core.apps import App
from bridge.core.decision import Decision, Reason
from bridge.core.errors import BridgeError
from bridge.core.events import Repository
from bridge.pipeline.background import cancelled
from bridge.pipeline.deciding.catalog import INLINE, TROUBLE_PAUSE, Catalog
from bridge.ports.clock import Clock

MOST = 600
"""Apps that may be read at once after a quiet minute: a large monorepo, twice."""

A_SECOND = 10.0
"""Apps a second in the long run: 8 % of a core of Dokploy, or 23 % with one request per app."""

RESERVE = 300
"""Apps reserved for records that are too old."""

AT_LEAST = 40
"""The fewest apps worth a request; fewer are read only if no more are wanted."""


class Budget:
    """A token bucket, with one token per app."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._left = float(MOST)
        self._at = clock()

    def take(self, wanted: int) -> int:
        """Take tokens for up to `wanted` apps; return how many."""
        granted = min(wanted, int(self._filled()))
        if granted < min(wanted, AT_LEAST):
            return 0
        self._left -= granted
        return granted

    def take_spare(self, wanted: int) -> bool:
        """Take all wanted tokens, if that leaves the reserve untouched."""
        if self._filled() - wanted < RESERVE:
            return False
        self._left -= wanted
        return True

    def _filled(self) -> float:
        now = self._clock()
        passed = max(0.0, now - self._at)  # a clock that was set back adds nothing
        self._at = now
        self._left = min(float(MOST), self._left + passed * A_SECOND)
        return self._left


log = logging.getLogger(__name__)

FRESH = 5.0
"""Seconds for which a record is fresh enough if the budget can't spare another reading."""

PATIENCE = 5.0
"""Seconds that pushes wait for one reading; then they are decided by what is known."""

CHANGEABLE = frozenset(
    {
        Reason.REPOSITORY_MISMATCH,
        Reason.TRIGGER_MISMATCH,
        Reason.BRANCH_MISMATCH,
        Reason.NO_PATH_HIT,
        Reason.WATCH_PATHS_BROKEN,
    }
)
"""Reasons not to deploy that a newer record of the app could remove."""

HOLDS = 1.0
"""Seconds for which an app that could not be read is not tried again."""

CROWDED = "too many apps were pushed to at once to read them all again"
SLOW = f"it has not answered for {PATIENCE:g} s"


@dataclass(frozen=True, slots=True)
class Pushed:
    """A push, and its decisions by the apps as they are known.

    Attributes:
        came_at: seconds since 1970.
        decisions: by app id; a missing app does not deploy from the repository.
    """

    seq: int
    repository: Repository
    came_at: float
    decisions: Mapping[str, Decision]


@dataclass(frozen=True, slots=True)
class Settled:
    """The state of the decisions.

    Attributes:
        anew: apps were read meanwhile, or could not be, so decide everything again.
        waiting: pushes to try again in `LOOK_AGAIN` seconds, by their seq.
    """

    anew: bool = False
    waiting: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class _Going:
    """A running reading."""

    began: float
    task: "asyncio.Task[None]"


@dataclass(frozen=True, slots=True)
class _Unread:
    """Why an app, or a backend, can't be read again for now, and until when that holds."""

    until: float
    why: str


class Freshness:
    """Has the apps of a pushed repository read after the push arrived, within the budget.

    Records of the last few seconds are read again only if the budget can spare it.
    """

    def __init__(self, catalog: Catalog, clock: Clock) -> None:
        self._catalog = catalog
        self._reader = catalog.reader
        self._clock = clock
        self._budget = Budget(clock)
        self._going: dict[str, _Going] = {}
        self._unread: dict[str, _Unread] = {}
        self._away: dict[str, _Unread] = {}
        self._moments: dict[int, float] = {}

    async def settle(self, pushes: Sequence[Pushed]) -> Settled:
        """Have the apps read that the decisions need, and wait for it briefly."""
        needed = self._needed(pushes)
        if not needed:
            self._forget(pushes, frozenset())
            return Settled()
        self._read({app.id: app for apps in needed.values() for app in apps})
        young = self._clock() - INLINE
        tasks = {going.task for going in self._going.values() if going.began >= young}
        if tasks:
            await asyncio.wait(tasks, timeout=INLINE)
        waiting = frozenset(self._needed(pushes))
        self._forget(pushes, waiting)
        return Settled(True, waiting)

    def remark(self, app: App, decision: Decision) -> str:
        """Return how old the record behind a decision is; "" if it is new enough.

        Safe to call in any thread.
        """
        unread, now = self._unread.get(app.id), self._clock()
        read_at = self._reader.read_at.get(app.id, -math.inf)
        if unread is None or not _depends(decision) or read_at >= now - FRESH:
            return ""
        age = "before the bridge started" if read_at < 0 else f"{now - read_at:.0f} s ago"
        return f" (by the app as it was read {age}: {unread.why})"

    async def close(self) -> None:
        await cancelled({going.task for going in self._going.values()})

    def _needed(self, pushes: Sequence[Pushed]) -> dict[int, list[App]]:
        """Return the apps to read before each push can be decided, by the push's seq."""
        oldest: dict[Repository, float] = {}
        found = {}
        for push in pushes:
            apps = self._catalog.of(push.repository)
            if push.repository not in oldest:
                ages = (self._known_at(app) for app in apps)
                oldest[push.repository] = min(ages, default=math.inf)
            if oldest[push.repository] >= (since := self._since(push)):
                continue
            if those := [
                app
                for app in apps
                if _depends(push.decisions.get(app.id)) and self._known_at(app) < since
            ]:
                found[push.seq] = those
        return found

    def _since(self, push: Pushed) -> float:
        """Return when the apps must have been read for a push; the same at each call.

        This is not the push's own time if the receiving machine's clock is ahead of ours.
        """
        return self._moments.setdefault(push.seq, min(push.came_at, self._clock()))

    def _forget(self, pushes: Sequence[Pushed], waiting: frozenset[int]) -> None:
        for push in pushes:
            if push.seq not in waiting:
                self._moments.pop(push.seq, None)

    def _known_at(self, app: App) -> float:
        """Return when an app was read, or until when its known record counts."""
        if not self._reader.reads(app.backend):
            return math.inf
        read_at = self._reader.read_at.get(app.id, -math.inf)
        unread = self._unread.get(app.id)
        return read_at if unread is None else max(read_at, unread.until)

    def _read(self, needed: Mapping[str, App]) -> None:
        """Begin to read apps, or record why they can't be read."""
        now = self._clock()
        by_backend: dict[str, list[App]] = {}
        for app in needed.values():
            if (going := self._going.get(app.id)) is None:
                by_backend.setdefault(app.backend, []).append(app)
            elif going.began <= now - PATIENCE:
                self._unread[app.id] = _Unread(now + HOLDS, f"{app.backend}: {SLOW}")
        for name, apps in by_backend.items():
            away = self._away.get(name)
            if (trouble := self._catalog.trouble.get(name)) is not None:
                away = _Unread(now + HOLDS, trouble)
            if away is not None and away.until > now:
                self._unread.update(dict.fromkeys((app.id for app in apps), away))
            else:
                self._begin(name, self._granted(apps, now), now)

    def _granted(self, apps: Sequence[App], now: float) -> list[App]:
        """Return the apps that may be read; for the others, what is known decides."""
        old = [app for app in apps if self._reader.read_at.get(app.id, -math.inf) < now - FRESH]
        old.sort(key=lambda app: self._reader.read_at.get(app.id, -math.inf))
        granted = old[: self._budget.take(len(old))]
        ids = {app.id for app in old}
        young = [app for app in apps if app.id not in ids]
        if young and self._budget.take_spare(len(young)):
            granted += young
        refused = {app.id for app in apps} - {app.id for app in granted}
        self._unread.update(dict.fromkeys(refused, _Unread(now + HOLDS, CROWDED)))
        return granted

    def _begin(self, name: str, apps: Sequence[App], now: float) -> None:
        if not apps:
            return
        task = asyncio.create_task(self._reread(name, apps), name=f"reading apps of {name} anew")
        self._going |= dict.fromkeys((app.id for app in apps), _Going(now, task))

    async def _reread(self, name: str, apps: Sequence[App]) -> None:
        ids = [app.id for app in apps]
        try:
            reading = await self._reader.some(name, apps)
            await self._reader.keep(reading)
            await self._catalog.follow()
            self._reader.note(reading)
        except BridgeError as error:
            log.info("apps can't be read again", extra={"backend": name, "why": str(error)})
            self._failed(name, ids, str(error))
        except Exception as error:  # a bug; decisions use what was known
            log.exception("apps can't be read again", extra={"backend": name})
            self._failed(name, ids, f"the bridge had an internal error ({type(error).__name__})")
        else:
            for id_ in ids:
                self._unread.pop(id_, None)
        finally:
            for id_ in ids:
                del self._going[id_]

    def _failed(self, name: str, ids: Iterable[str], why: str) -> None:
        away = self._away[name] = _Unread(self._clock() + TROUBLE_PAUSE, why)
        self._unread.update(dict.fromkeys(ids, away))


def _depends(decision: Decision | None) -> bool:
    """Return whether a newer record of the app could change the decision."""
    return decision is None or decision.deploy or decision.reason in CHANGEABLE
