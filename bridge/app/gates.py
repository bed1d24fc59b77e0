"""The gates of a process: what deployments are judged by, and who wakes the held ones."""

from contextlib import AsyncExitStack
from dataclasses import dataclass

from bridge.app.wiring import Parts, in_background
from bridge.githosts.server import homes_of
from bridge.pipeline.deciding.changes import Changes
from bridge.pipeline.deciding.dispatch import Starting
from bridge.pipeline.deploying.pinning import Pins
from bridge.pipeline.gates.authors import AuthorsOfRanges
from bridge.pipeline.gates.ci import CiReader
from bridge.pipeline.gates.content import Contents
from bridge.pipeline.gates.gates import Gatekeeper, Judges
from bridge.pipeline.gates.locks import LockKeeper, nobody_is_told
from bridge.ports.feedback import TellsOfLocks
from bridge.ports.flows import Flows
from bridge.settings import book_of, identities_of, policy_of
from bridge.settings.gates import freezes_of


@dataclass(frozen=True, slots=True)
class Gates:
    """The parts of the gates."""

    parts: Parts
    ci: CiReader
    judges: Judges
    locks: LockKeeper
    pins: Pins

    def wake(self) -> None:
        """Wake the gatekeeper: a fact has changed."""
        self.ci.changed()

    async def start(self, flows: Flows, stack: AsyncExitStack) -> None:
        """Start judging held deployments, and reading the checks that they wait for."""
        journal, clock = self.parts.stores.journal, self.parts.clock
        stack.push_async_callback(self.judges.authors.close)
        keeper = Gatekeeper(journal, self.judges, Starting(flows).release, clock)
        self.ci.changed = self.parts.bell.rings = keeper.wake
        await in_background(stack, "gates", keeper.run())
        await in_background(stack, "checks", self.ci.run())
        await in_background(stack, "locks", self.locks.run())


def gates_of(
    parts: Parts, changes: Changes, tells_of_locks: TellsOfLocks = nobody_is_told
) -> Gates:
    """Return the gates, before anything is deployed."""
    settings, journal, clock = parts.settings, parts.stores.journal, parts.clock
    homes, book = homes_of(settings.host_servers().values()), book_of(settings)
    apis = parts.apis
    ci = CiReader(journal, apis, clock)
    freezes = freezes_of(settings.freezes)
    judges = Judges(
        parts.catalog,
        journal,
        parts.heads,
        Contents(changes, homes, policy_of(settings), clock),
        freezes,
        clock,
        book=book,
        authors=AuthorsOfRanges(apis, clock, identities_of(settings), parts.authors.of),
        wake=ci.wake,
    )
    locks = LockKeeper(
        journal,
        apis,
        parts.catalog.all,
        clock,
        tell=tells_of_locks if settings.feedback.enabled else nobody_is_told,
        wake=parts.bell,
    )
    return Gates(parts, ci, judges, locks, Pins(apis, homes, book))
