"""Pin apps: have the backend build exactly the commit that was judged (docs/notes/0048).

The backend clones the head of a branch. A pinned app has a branch of the bridge's own, which the
bridge moves to the commit just before it asks for the deployment.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol, runtime_checkable

from bridge.core.apps import App
from bridge.core.configuration.merge import WantedPin
from bridge.core.configuration.plan import Plan
from bridge.core.errors import Rejected, Unanswered, Unreachable
from bridge.core.lifecycle import LOSABLE
from bridge.core.people import Actor
from bridge.core.pins import fixed_at, is_one, pin_for, pin_of, tracked, unpinnable
from bridge.core.rules import RuleBook, ruled, rules_for
from bridge.pipeline.deciding.reconcile import Homes, place_of
from bridge.pipeline.deploying.configure import Configurer
from bridge.ports.backends import read_apps
from bridge.ports.githosts import HostApi, ListsRefs, MovesBranches
from bridge.ports.journal import AppsAndDeployments


@runtime_checkable
class HasBranches(HostApi, ListsRefs, MovesBranches, Protocol):
    """A host whose branches can be read and moved."""


@dataclass(frozen=True, slots=True)
class Pins:
    """The branches of pinned apps."""

    apis: Mapping[str, HostApi]
    homes: Homes = field(default_factory=dict)
    book: RuleBook = ()

    def pins(self, app: App) -> bool:
        """Return whether an app is pinned, or is to be by our own rules."""
        by_rule = not app.marker and bool(ruled(app, self.book).rules.pin)
        return by_rule or pin_of(app) is not None

    async def place(self, app: App, commit: str | None) -> str:
        """Make the app's own branch point to a commit; return it. Idempotent.

        Nobody may be building the app meanwhile.

        Raises:
            Rejected, Refused: it can't be done; names what is missing.
            Unreachable: it may work later, and is safe to repeat.
        """
        if (pin := pin_of(app)) is None:
            raise _not_pinned(app, "whatever that is then")
        api, repository = self._at(app)
        if commit is None:
            raise Unreachable(api.name, "the head of the branch to build could not be read")
        try:
            await api.move_branch(repository, pin, commit)
        except Unanswered as error:  # moving it again is safe
            raise Unreachable(api.name, error.why) from error
        return commit

    async def must_be_head(self, app: App, commit: str) -> None:
        """Raise Rejected unless an app that is not pinned is built from this commit anyway.

        Raises:
            Refused: the Git host does not tell.
            Unreachable: it may tell later.
        """
        if (fixed := fixed_at(app)) is not None:
            if fixed != commit:
                says = f"{app.label} is built at {fixed[:7]} by now, not at {commit[:7]}"
                raise Rejected(f"{says}: a newer push takes its place")
            return
        found, branch = self._find(app), tracked(app)
        head = None
        if not isinstance(found, str) and branch is not None:
            api, repository = found
            head = await api.head(repository, branch)
        if head is None:
            raise _not_pinned(app, "whatever that is then")
        if head != commit:
            raise _not_pinned(app, f"which is {head[:7]} now, not {commit[:7]}")

    async def make(self, app: App, tracks: str) -> str:
        """Have the app's own branch, which the backend does not build yet, at a branch's head.

        Raises:
            BridgeError: it can't be done; names what is missing.
        """
        api, repository = self._at(app)
        if (head := await api.head(repository, tracks)) is None:
            raise Rejected(f"there is no branch {tracks} in {repository} on {api.name}")
        pin = pin_of(app) or pin_for(app)
        if pin_of(app) is None or await api.head(repository, pin) is None:
            await api.move_branch(repository, pin, head)
        return pin

    async def remove(self, app: App) -> None:
        """Delete the app's own branch, which the backend does not build any more."""
        api, repository = self._at(app)
        await api.delete_branch(repository, pin_of(app) or pin_for(app))

    def missing(self, app: App) -> str | None:
        """Return why no branch of the app can be moved; None if one can, as far as we know."""
        found = self._find(app)
        return found if isinstance(found, str) else None

    def _at(self, app: App) -> tuple[HasBranches, str]:
        """Return the API of the app's Git host, and its repository there."""
        found = self._find(app)
        if isinstance(found, str):
            raise Rejected(f"{app.label} can't be pinned: {found}")
        return found

    def _find(self, app: App) -> tuple[HasBranches, str] | str:
        if (why := unpinnable(app.source)) is not None or app.source is None:
            return why or ""
        place = place_of(app.source, self.homes)
        if place is None:
            where = app.source.url or app.source.type
            return f"{where} is at no Git host of the settings; set the address of its server"
        api = self.apis.get(place[0])
        if not isinstance(api, HasBranches):
            return f"no credential is set with which branches of {place[0]} could be moved"
        return api, place[1]


def _not_pinned(app: App, which: str) -> Rejected:
    branch = (app.source.branch if app.source else None) or "no branch"
    return Rejected(
        f"{app.label} is not pinned: {app.backend} builds the head of {branch}, {which}; run"
        f" `dokploy-bridge pin {app.label}`"
    )


# ── `pin` and `unpin` ───────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Pinning:
    """A planned change between pinned and not.

    Attributes:
        app: as its backend has it now.
        tracks: the branch whose pushes deploy it.
        plan: the change of its configuration; it may be made already.
    """

    app: App
    tracks: str
    plan: Plan


@dataclass(frozen=True, slots=True)
class Pinner:
    """Pins apps of one backend, and takes that back; each can be repeated until it is done."""

    configurer: Configurer
    journal: AppsAndDeployments
    pins: Pins
    book: RuleBook = ()

    async def plan(self, app: App, branch: str | None = None) -> Pinning:
        """Return how to pin an app; nothing is written.

        Args:
            branch: the one to track; None for the present one.

        Raises:
            Rejected: it can't be pinned; names what is missing.
        """
        app = await self._now(app)
        if (why := self.pins.missing(app)) is not None:
            raise Rejected(f"{app.label} can't be pinned: {why}")
        tracks = self._tracked(app, branch)
        wanted = WantedPin(pin_of(app) or pin_for(app), tracks, pin=True)
        return Pinning(app, tracks, await self.configurer.plan(app, wanted))

    async def pin(self, planned: Pinning, *, by: Actor) -> None:
        """Make the branch, have pushes to the tracked one deploy, and have the backend build it.

        In this order a push deploys at every moment in between.
        """
        await self.pins.make(planned.app, planned.tracks)
        if planned.plan.empty:
            return
        rules = planned.plan.before.rules
        if rules.branch != planned.tracks:
            rules = replace(rules, branch=planned.tracks)
            await self.journal.save_rules(planned.app.id, rules, by=str(by))
        plan = await self.configurer.plan(planned.app, planned.plan.wanted)
        await self.configurer.apply(plan, by=by)

    async def plan_back(self, app: App, branch: str | None = None) -> Pinning:
        """Return how to build the head of the tracked branch again; nothing is written.

        Raises:
            Rejected: `bridge.yaml` pins it, a deployment of it is under way, or it is not pinned.
        """
        if rules_for(app.label, self.book).pin:
            raise Rejected(f"bridge.yaml pins {app.label}, and wins: take `pin` out there first")
        for one in await self.journal.open_deployments(held=False):
            if one.app_id == app.id and one.state in LOSABLE:
                raise Rejected(
                    f"a deployment of {app.label} is {one.state}, and may still clone the branch:"
                    f" wait for its end, or cancel it (`dokploy-bridge cancel {app.label}`)"
                )
        app = await self._now(app)
        if pin_of(app) is None and self.pins.missing(app) is not None:
            raise Rejected(f"{app.label} is not pinned")
        tracks = self._tracked(app, branch)
        wanted = WantedPin(tracks, None, pin=False)
        return Pinning(app, tracks, await self.configurer.plan(app, wanted))

    async def unpin(self, planned: Pinning, *, by: Actor) -> None:
        """Have the backend build the tracked branch, then delete the app's own."""
        if not planned.plan.empty:
            await self.configurer.apply(planned.plan, by=by)
        await self.pins.remove(planned.app)

    async def _now(self, app: App) -> App:
        """Return the app with the branch that its backend builds, and the rules that apply."""
        if app.source is None:  # it may only have been listed
            app = next(iter(await read_apps(self.configurer.backend, [app])), app)
        now = await self.configurer.now(app)
        branch = getattr(now.saved.provider, "branch", None)
        source = app.source and replace(app.source, branch=branch)
        return ruled(replace(app, source=source, rules=now.rules), self.book)

    def _tracked(self, app: App, branch: str | None) -> str:
        """Return the branch to track; raise Rejected if none is named, or several are."""
        fixed = rules_for(app.label, self.book).branch
        if branch is not None and fixed not in (None, branch):
            raise Rejected(f"bridge.yaml says branch: {fixed} for {app.label}, and wins")
        own = None if pin_of(app) or app.source is None else app.source.branch
        found = branch or app.rules.branch or own
        if found is None or not is_one(found):
            what = f"{found!r} is several" if found else "it is not known"
            raise Rejected(f"name the branch that {app.label} tracks with --branch: {what}")
        return found
