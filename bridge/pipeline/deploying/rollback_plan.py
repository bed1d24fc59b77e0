"""Plan a rollback, a promotion or a replay: of which version, how, and what to say before.

A backend builds the head of a branch. An earlier commit comes back only where the app is pinned, or
where the backend has kept what it built.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, replace

from bridge.core.apps import App
from bridge.core.errors import NotFound, Rejected
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
from bridge.core.pins import pin_of, tracked
from bridge.pipeline.deploying.serving import Looks
from bridge.pipeline.gates.gates import Heads
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


@dataclass(frozen=True, slots=True)
class Ways:
    """Finds the ways back to earlier versions, and from one app to another.

    Attributes:
        locks: whether a rollback locks its app.
        freezes: those of the settings.
    """

    backends: Mapping[str, Backend]
    looks: Looks
    _: KW_ONLY
    locks: bool = True
    freezes: Sequence[Freeze] = ()

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
        if (backend := self.backends.get(app.backend)) is None:
            raise Rejected(f"no backend {app.backend!r} is configured any more")
        history = await self._history(app, failing)
        serving, records = await self.looks.at(backend, app), await backend.deployments(app)
        served = serving.version_served if serving is not None else None
        targets = targets_of(history, served, wanted, verified_only=verified_only)
        way = first_way_back(app, targets, records, history, served, fits)
        going = tuple(one for one in history if not one.final)
        asking = _Wanted(person, failing.id if failing is not None else None)
        tried, holds = looked_well(way.to, history), await self._holds(app, asking)
        return Plan(app, way, served, tried, going, self.locks, holds)

    async def promotion(self, from_: App, to: App, person: str) -> Promotion:
        """Return how to promote what one app runs to another, and what would hold that.

        Raises:
            NotFound, Rejected: nothing can be promoted.
        """
        found = await promotion(self.looks.journal, from_, to)
        holds = await self._holds(to, _Wanted(person, action=Action.DEPLOY))
        return replace(found, holds=holds)

    async def _history(self, app: App, failing: Deployment | None) -> list[Deployment]:
        """Return what went live and what came last, newest first; `failing` is unhealthy."""
        lived = await self.looks.journal.deployments(limit=FAR_BACK, app_id=app.id, lived=True)
        last = await self.looks.journal.deployments(limit=FAR_BACK, app_id=app.id)
        both = {one.id: one for one in (*lived, *last)}
        if failing is not None and (one := both.get(failing.id)) is not None:
            both[one.id] = replace(one, state=State.UNHEALTHY, verdict=Verdict.UNHEALTHY)
        return sorted(both.values(), key=lambda one: one.seq, reverse=True)

    async def _holds(self, app: App, wanted: _Wanted) -> tuple[Hold, ...]:
        """Return the locks and freezes that would hold it now."""
        scopes = scopes_of(app)
        freezes = [*self.freezes, *await self.looks.journal.freezes()]
        facts = Facts(
            locks=[one for one in await self.looks.journal.locks() if one.scope in scopes],
            freezes=[one for one in freezes if one.covers(app.label, scopes)],
        )
        return tuple(closed_to(wanted, facts, self.looks.clock()))


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


# ── replays: the version that a webhook has deployed ──────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Again:
    """How a version is deployed again.

    Attributes:
        says: the plan for people.
        to: the deployment whose version is wanted.
        served: of a rollback, the deployment from which it leads back.
    """

    action: Action
    says: str
    to: Deployment
    way: Rung
    served: str = ""


@dataclass(frozen=True, slots=True)
class Replays:
    """Finds how the versions of earlier webhooks are deployed again, as they were then."""

    heads: Heads
    ways: Ways

    async def plan(self, app: App, then: Deployment) -> Again:
        """Return how to deploy the version of a webhook's deployment.

        Raises:
            Rejected: it can't be done; the message says why, and what to change.
            Unreachable, Unanswered, Refused: the backend can't be asked what it has kept.
        """
        if (commit := then.deployed_commit or then.commit) is None:
            raise Rejected(f"which commit deployment #{then.seq} of {app.label} built is not known")
        if pin_of(app) is not None:
            says = f"build {commit[:7]} again, from the pinned branch"
            return Again(Action.DEPLOY, says, then, Rung.PIN)
        branch = tracked(app)
        head, trouble = await self.heads.of(app)
        if head is not None and head.commit == commit:
            says = f"build the head of {branch}, which is {commit[:7]}"
            return Again(Action.DEPLOY, says, then, Rung.PIN)
        try:
            plan = await self.ways.plan(app, commit)
        except Rejected as error:
            now = f"which is {head.commit[:7]} now, not {commit[:7]}" if head else f"and {trouble}"
            raise Rejected(
                f"{app.label} can't be deployed as it was: {app.backend} builds the head of"
                f" {branch or 'its branch'}, {now}; {_why(app, commit, error)}"
            ) from None
        says = "; ".join((plan.says, *plan.warns))
        served = plan.served.id if plan.served is not None else ""
        return Again(Action.ROLLBACK, says, plan.way.to, plan.way.rung, served)


def _why(app: App, commit: str, error: Rejected) -> str:
    """Return why the backend can't serve an earlier build, and what to do."""
    if not isinstance(error, NotFound):
        return str(error)
    return (
        f"no healthy build of {commit[:7]} is known that could be served again: pin the app"
        f" (`dokploy-bridge pin {app.label}`), and exactly that commit can be built"
    )
