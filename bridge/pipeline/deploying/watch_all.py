"""Find what is to be watched, and watch each in a lane of its own; see `watch`."""

from collections.abc import Callable, Iterable, Mapping

from bridge.core.apps import App
from bridge.core.backoff import Backoff
from bridge.core.lifecycle import Deployment, State
from bridge.pipeline.deploying.watch import LOOKED_WELL, UNPROVEN, Watching
from bridge.pipeline.leader import Turn, at_once
from bridge.pipeline.worker_loop import Lanes
from bridge.ports.clock import Clock
from bridge.ports.deployments import Deployments

RETRY = Backoff(1.0, 60.0)
"""Pauses after the journal could not be reached, or after a bug."""

POLL = 2.0
"""Seconds between two searches for deployments that another process has brought."""

POLL_ALONE = 30.0
"""The same where this process brings them all, and is woken."""

REST = 5.0
"""Seconds after the end of a watch in which the same deployment is not watched again."""

LATE = 86400.0
"""Seconds for which the rollback that an unhealthy deployment announces is still asked for."""

TROUBLE = "what is served can't be watched"


class Watch:
    """Watches everything that is to be watched, each in a lane of its own."""

    def __init__(
        self,
        journal: Deployments,
        watching: Watching,
        apps: Callable[[], Iterable[App]],
        clock: Clock,
        *,
        turn: Turn = at_once,
        poll: float = POLL,
    ) -> None:
        """Take the parts.

        Args:
            apps: returns all apps, with their rules.
            turn: returns once it is this process's turn to watch.
            poll: seconds between two searches for what another process has brought.
        """
        self._journal = journal
        self._watching = watching
        self._apps = apps
        self._clock = clock
        self._turn = turn
        self._poll = poll
        self._rest: dict[str, float] = {}
        self._lanes = Lanes[str](TROUBLE, self._round, clock, RETRY, patience=0.0)

    async def run(self) -> None:
        """Watch as long as the process lives."""
        await self._lanes.run()

    def wake(self) -> None:
        """Search at once: something has gone live."""
        self._lanes.wake()

    async def _round(self) -> float:
        await self._turn()
        found = {one.id: self._watch(one.id) for one in await self._found()}
        if found:
            await self._lanes.begin(found)
        return self._poll

    async def _watch(self, id_: str) -> None:
        """Watch one; what has just been watched rests, however it ended."""
        try:
            await self._watching.watch(id_)
        finally:
            now = self._clock()
            rest = {one: until for one, until in self._rest.items() if until > now}
            self._rest = rest | {id_: now + REST}

    async def _found(self) -> list[Deployment]:
        """Return the deployments to watch that nobody watches yet."""
        now = self._clock()
        keeps = {app.id: app.verify.keep for app in self._apps() if app.verify is not None}
        longest = max(keeps.values(), default=0.0)
        kept = now - longest if longest else None
        those = await self._journal.watched(now - LATE, now - UNPROVEN, kept)
        resting = {id_ for id_, until in self._rest.items() if until > now}
        free = [one for one in those if one.id not in resting and not self._lanes.goes_on(one.id)]
        return [one for one in free if self._is_due(one, keeps)]

    def _is_due(self, one: Deployment, keeps: Mapping[str, float]) -> bool:
        if one.state is not State.DONE or one.images is None:
            return True
        kept_until = (one.live_at or 0.0) + keeps.get(one.app_id, 0.0)
        return one.verdict in LOOKED_WELL and self._clock() < kept_until
