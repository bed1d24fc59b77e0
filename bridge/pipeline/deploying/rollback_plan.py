"""Plan a rollback or a promotion: of which version, how, and what to say before it is done."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from bridge.core.apps import App
from bridge.core.errors import Rejected
from bridge.core.events import Action
from bridge.core.gates.freezes import Freeze
from bridge.core.gates.gates import Facts, closed_to, will_hold
from bridge.core.gates.locks import scopes_of
from bridge.core.gates.promotion import Promotion, promotion_of
from bridge.core.health.rollback import (
    Rung,
    Version,
    WayBack,
    first_way_back,
    looked_well,
    targets_of,
    version_of,
)
from bridge.core.holds import Hold
from bridge.core.lifecycle import Deployment, State, Verdict
from bridge.pipeline.deploying.serving import Looks
from bridge.ports.backends import Backend
from bridge.ports.journal import AppsAndDeployments

FAR_BACK = 200
"""How many of an app's deployments that went live are searched for the one to go back to."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A rollback that can be asked for.

    Attributes:
        served: the version that is served now; None if that is not known.
        tried: whether the version to go back to was ever found to work.
        going: what has not ended yet, newest first; the rollback follows what is being built.
        locks: whether the app will be locked.
        holds: what would hold it now.
    """

    app: App
    way: WayBack
    served: Version | None
    tried: bool
    going: tuple[Deployment, ...]
    locks: bool
    holds: tuple[Hold, ...] = ()

    @property
    def says(self) -> str:
        """The plan for people, in one sentence."""
        leaving = "what is served, which is not known," if self.served is None else str(self.served)
        back = version_of(self.way.to)
        if back == leaving:
            back = f"the build of deployment #{self.way.to.seq}"
        return f"go back from {leaving} to {back}: {self.way.how}"

    @property
    def warns(self) -> tuple[str, ...]:
        """What to know before it is done; each a sentence."""
        if self.locks:
            after = f"afterwards {self.app.label} is locked: pushes wait until somebody unlocks it"
        else:
            after = "the next push deploys the branch's head again"
        built = [one for one in self.going if one.intent_at is not None and not one.served]
        waits = (f"it follows deployment #{built[-1].seq}, which has not ended",) if built else ()
        untried = ("that version was never verified",) if self.untried else ()
        return (*will_hold(self.holds), *untried, *self.way.warns, after, *waits)

    @property
    def untried(self) -> bool:
        """Return whether the app's versions are verified, and this one never was."""
        return self.app.verify is not None and not self.tried


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A rollback or a promotion before it is asked for, as gates see it."""

    person: str
    back_from: str | None = None
    action: Action = Action.ROLLBACK


class Ways:
    """Finds the ways back to earlier versions, and from one app to another."""

    def __init__(
        self,
        backends: Mapping[str, Backend],
        looks: Looks,
        *,
        locks: bool = True,
        freezes: Sequence[Freeze] = (),
    ) -> None:
        """Take the parts; `locks`: whether a rollback locks; `freezes`: those of the settings."""
        self._backends = backends
        self._looks = looks
        self._journal = looks.journal
        self._locks = locks
        self._freezes = freezes

    async def plan(
        self,
        app: App,
        wanted: str | None = None,
        *,
        person: str = "",
        failing: Deployment | None = None,
        verified_only: bool = False,
        fits: Callable[[Deployment], None] = lambda _to: None,
    ) -> Plan:
        """Return how to go back.

        Args:
            wanted: a commit, tag, image, or a deployment; None for the verified version before.
            person: who asks, e.g. "slack:U012AB3CD"; their own locks let them pass.
            failing: a deployment that turns out to be unhealthy, and is not recorded as such yet.
            verified_only: go back to no version that was never found to work.
            fits: raises Rejected for a version that does not.

        Raises:
            NotFound, Rejected: there is no such version, or no way back to it.
            Unreachable, Unanswered, Refused: the backend can't be asked.
        """
        if (backend := self._backends.get(app.backend)) is None:
            raise Rejected(f"no backend {app.backend!r} is configured any more")
        history = await self._history(app, failing)
        serving, records = await self._looks.at(backend, app), await backend.deployments(app)
        served = serving.version_served if serving is not None else None
        targets = targets_of(history, served, wanted, verified_only=verified_only)
        way = first_way_back(app, targets, records, history, served, fits)
        going = tuple(one for one in history if not one.final)
        asking = _Wanted(person, failing.id if failing is not None else None)
        tried, holds = looked_well(way.to, history), await self._holds(app, asking)
        return Plan(app, way, served, tried, going, self._locks, holds)

    async def promotion(self, from_: App, to: App, person: str) -> Promotion:
        """Return how to promote what one app runs to another, and what would hold that.

        Raises:
            NotFound, Rejected: nothing can be promoted.
        """
        found = await promotion(self._journal, from_, to)
        holds = await self._holds(to, _Wanted(person, action=Action.DEPLOY))
        return replace(found, holds=holds)

    async def _history(self, app: App, failing: Deployment | None) -> list[Deployment]:
        """Return what went live and what came last, newest first; `failing` is unhealthy."""
        lived = await self._journal.deployments(limit=FAR_BACK, app_id=app.id, lived=True)
        last = await self._journal.deployments(limit=FAR_BACK, app_id=app.id)
        both = {one.id: one for one in (*lived, *last)}
        if failing is not None and (one := both.get(failing.id)) is not None:
            both[one.id] = replace(one, state=State.UNHEALTHY, verdict=Verdict.UNHEALTHY)
        return sorted(both.values(), key=lambda one: one.seq, reverse=True)

    async def _holds(self, app: App, wanted: _Wanted) -> tuple[Hold, ...]:
        """Return the locks and freezes that would hold it now."""
        scopes = scopes_of(app)
        freezes = [*self._freezes, *await self._journal.freezes()]
        facts = Facts(
            locks=[one for one in await self._journal.locks() if one.scope in scopes],
            freezes=[one for one in freezes if one.covers(app.label, scopes)],
        )
        return tuple(closed_to(wanted, facts, self._looks.clock()))


def version_asked(to: Deployment | None, way: str) -> dict[str, str]:
    """Return the fields of a request that name a version and how to bring it."""
    if to is None:
        return {}
    commit = (to.deployed_commit or to.commit) if way == Rung.PIN else None
    image = to.image if way == Rung.IMAGE else None
    return {"way": way, "commit": commit or "", "image": image or ""}


async def promotion(journal: AppsAndDeployments, from_: App, to: App) -> Promotion:
    """Return how to promote what one app runs to another; raise NotFound or Rejected."""
    serving = await journal.serving([from_, to])
    there = await journal.deployments(limit=FAR_BACK, app_id=from_.id, lived=True)
    return promotion_of(from_, to, serving.get(from_.id), serving.get(to.id), there)
