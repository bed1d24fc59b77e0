"""Read the checks of the commits for which deployments wait, from their Git hosts.

Events say when something has changed; what counts is the host's own list, read through all its
pages. Where no event comes, polling finds the change, within a budget for each host.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Protocol, runtime_checkable

from bridge.core.backoff import Backoff
from bridge.core.checks import Check, Required
from bridge.core.errors import BridgeError
from bridge.core.events import Repository
from bridge.core.gates.ci import Ci
from bridge.pipeline.background import PATIENCE, Lanes, all_ended
from bridge.ports.clock import Clock
from bridge.ports.gates import CiFacts, DueCi, ReadsChecks, RequiresGlobs, TellsApps
from bridge.ports.githosts import HostApi

AT_ONCE = 8
"""Commits of a host that are read together."""

POLL = 2.0
"""Seconds between two looks at the journal; another process may have wanted a commit's checks."""

FIRST, LONGEST = 10.0, 300.0
"""Seconds between two readings of a commit without an event: a quarter of its age within these."""

RETRY = Backoff(2.0, 300.0)
"""Pauses after a host could not be read."""

TROUBLE = "checks can't be read"


@runtime_checkable
class ListsChecks(HostApi, ReadsChecks, Protocol):
    """A host whose checks can be read."""


@dataclass(eq=False)
class CiReader:
    """Keeps the journal's checks up to date, as long as somebody waits for them.

    Attributes:
        changed: called when a commit's checks were read.
    """

    journal: CiFacts
    apis: Mapping[str, HostApi]
    clock: Clock
    _: KW_ONLY
    poll: float = POLL
    patience: float = PATIENCE
    _lanes: Lanes[str] = field(init=False)
    changed: Callable[[], None] = field(default_factory=lambda: lambda: None, init=False)

    def __post_init__(self) -> None:
        self._lanes = Lanes[str](TROUBLE, self.look, self.clock, RETRY, self.patience)

    async def run(self) -> None:
        await self._lanes.run()

    def wake(self) -> None:
        self._lanes.wake()

    async def report(self, repository: Repository, commit: str, check: Check | None) -> bool:
        """Record an event about a commit's checks; return whether somebody waits for them."""
        waited = await self.journal.report_check(repository, commit, check, self.clock())
        if waited:
            self.wake()
        return waited

    async def look(self) -> float:
        return await self._lanes.keep_up(self.journal.next_ci_at, self._read_some, self.poll)

    async def _read_some(self, host: str) -> None:
        due = await self.journal.due_ci(self.clock(), AT_ONCE, host)
        await all_ended(*map(self._read, due))
        self.changed()

    async def _read(self, due: DueCi) -> None:
        at, now = due.at, self.clock()
        if due.known.read_at is not None and not await self.journal.awaited(at.commit):
            # Kept as it is; a deployment that waits for it later has it read again.
            stale = Ci(at.commit, due.known.checks, None, due.known.required)
            await self.journal.save_ci(at, stale, reported=due.reported, due_at=None)
            return
        api = self.apis.get(at.host)
        if not isinstance(api, ListsChecks):
            why = f"no credential is set with which {at.host} could be asked for checks"
            await self._failed(due, why, now + LONGEST)
            return
        try:
            checks, required = await asyncio.gather(
                api.checks(at.repository, at.commit), api.required_checks(at.repository, at.branch)
            )
            if isinstance(api, TellsApps) and (names := _of_apps(required, checks)):
                checks = await api.with_apps(at.repository, at.commit, checks, names)
        except BridgeError as error:
            failures = due.failures + 1
            await self._failed(due, str(error), now + RETRY.after(failures, error))
            return
        if required and isinstance(api, RequiresGlobs):
            required = _named(api, required, checks)
        ci = Ci(at.commit, tuple(checks), now, required)
        pause = min(max((now - due.since) / 4, FIRST), LONGEST)
        await self.journal.save_ci(at, ci, reported=due.reported, due_at=now + pause)

    async def _failed(self, due: DueCi, why: str, again_at: float) -> None:
        known = due.known
        ci = Ci(known.commit, known.checks, known.read_at, known.required, why, fresh=False)
        await self.journal.save_ci(
            due.at, ci, reported=due.reported, due_at=again_at, failures=due.failures + 1
        )


def _named(
    api: RequiresGlobs, required: Sequence[Required], checks: Sequence[Check]
) -> tuple[Required, ...]:
    """Return the names that required globs match; one that matches none stays, and is missing."""
    names, globs = [one.name for one in checks], [one.name for one in required]
    found = [[name for name in names if api.fits(one, name)] or [one] for one in globs]
    return tuple(map(Required, dict.fromkeys(name for some in found for name in some)))


def _of_apps(required: Sequence[Required] | None, checks: Sequence[Check]) -> set[str]:
    """Return the names of statuses that count only if a certain app has set them."""
    apart = {one.name for one in required or () if one.app_id is not None}
    return {one.name for one in checks if not one.app and one.name in apart}
