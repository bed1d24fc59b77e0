"""Compare open pull requests with previews, so a webhook that was lost costs minutes at most."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from bridge.core.apps import App
from bridge.core.backoff import Backoff
from bridge.core.errors import BridgeError, NotFound
from bridge.core.events import Repository
from bridge.core.pulls import PullRequest
from bridge.pipeline.leader import Turn
from bridge.pipeline.previews import FollowsPulls, PreviewKeeper
from bridge.pipeline.reconcile import Homes, Resting, place_of
from bridge.pipeline.rounds import Rounds
from bridge.ports.clock import Clock
from bridge.ports.githosts import HostApi
from bridge.ports.previews import Previews

log = logging.getLogger(__name__)

WHOLE = 3600.0
"""Seconds after which all open pull requests of a repository are listed anew."""

RETRY = Backoff(10.0, 600.0)
"""Pauses after a round failed."""


@dataclass(frozen=True, slots=True)
class Read:
    """How far the pull requests of a repository were read.

    Attributes:
        until: the newest change that was seen, by the host's clock.
        listed_at: when all open ones were listed, by ours.
    """

    until: float
    listed_at: float


class PreviewSweep:
    """Reports what has changed about pull requests, also without a webhook.

    Attributes:
        run: does so as long as the process lives.
    """

    def __init__(
        self,
        keeper: PreviewKeeper,
        journal: Previews,
        apis: Mapping[str, HostApi],
        homes: Homes,
        apps: Callable[[], Sequence[App]],
        clock: Clock,
        *,
        every: float,
        turn: Turn,
    ) -> None:
        """Take the parts; `every`: seconds between two rounds."""
        self._keeper = keeper
        self._journal = journal
        self._apis = apis
        self._homes = homes
        self._apps = apps
        self._clock = clock
        self._every = every
        self._turn = turn
        self._read: dict[tuple[str, str], Read] = {}
        self._repositories: dict[tuple[str, str], Repository] = {}
        self.run = Rounds("pull requests can't be compared", self._round, RETRY).run

    async def _round(self) -> float:
        await self._turn()
        resting, read = Resting(), set[tuple[str, str]]()
        for host, name in sorted(await self._places()):
            api = self._apis.get(host)
            if not isinstance(api, FollowsPulls) or resting.has(host, name):
                continue
            try:
                where = await self._repository(api, name)
                if (place := (host, api.key(where))) not in read:
                    read.add(place)
                    await self._follow(api, where)
            except BridgeError as error:
                resting.note(host, name, error)
                why = {"host": host, "repository": name, "why": str(error)}
                log.warning("pull requests can't be read", extra=why)
        return self._every

    async def _places(self) -> set[tuple[str, str]]:
        """Return the repositories, by name or key, that have previews or may have some."""
        wanting = [app for app in self._apps() if app.rules.previews and app.rules.previews.on]
        found = {place_of(app.source, self._homes) for app in wanting if app.source is not None}
        there = {(one.host, one.key) for one in await self._journal.previews()}
        return there | {one for one in found if one is not None}

    async def _repository(self, api: HostApi, name: str) -> Repository:
        if (api.name, name) not in self._repositories:
            self._repositories[api.name, name] = await api.repository(name)
        return self._repositories[api.name, name]

    async def _follow(self, api: FollowsPulls, where: Repository) -> None:
        """Report what has changed about a repository's pull requests."""
        key, now = api.key(where), self._clock()
        known = self._read.get((api.name, key))
        if known is None or now - known.listed_at >= WHOLE:
            pulls, listed_at = await self._listed(api, key), now
        else:
            pulls, listed_at = await api.pulls_since(key, known.until), known.listed_at
        for pull in pulls:
            await self._keeper.report(where, pull)
        times = [pull.updated_at for pull in pulls if pull.updated_at is not None]
        until = max([*times, known.until if known else 0.0])
        self._read[api.name, key] = Read(until, listed_at)

    async def _listed(self, api: FollowsPulls, key: str) -> list[PullRequest]:
        """Return the open pull requests, and those that we take for open and are not."""
        found = await api.open_pulls(key)
        numbers = {pull.number for pull in found}
        for one in await self._journal.previews(ended=True):
            pull = one.pull
            ours = (one.host, one.key) == (api.name, key)
            if ours and pull.open and pull.number not in numbers:
                numbers.add(pull.number)
                try:
                    found.append(await api.pull_request(key, pull.number))
                except NotFound:
                    found.append(replace(pull, open=False, updated_at=None))
        return found
