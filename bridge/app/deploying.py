"""The parts that deploy, cancel and configure, their gates, the previews, and what is watched."""

from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge.app.data_folder import database_url, seal_of
from bridge.app.serving import going_back_of, looks_of, outbound_of
from bridge.app.storage import flows_of
from bridge.app.wiring import Bell, Parts, in_background
from bridge.core.apps import App
from bridge.core.backoff import Backoff
from bridge.core.events import CONSOLE_HOST, Repository
from bridge.core.pulls import PullRequest
from bridge.githosts.server import homes_of
from bridge.pipeline.deciding.changes import Changes
from bridge.pipeline.deciding.deliveries import (
    CANCEL_FLOW,
    CANCEL_ONE_FLOW,
    CONFIGURE_FLOW,
    DEPLOYMENT_FLOW,
    Starting,
)
from bridge.pipeline.deploying.cancel import Canceller
from bridge.pipeline.deploying.config_drafts import Configuring
from bridge.pipeline.deploying.deployments import Deployer
from bridge.pipeline.deploying.outcome import FollowTiming
from bridge.pipeline.deploying.pinning import Pins
from bridge.pipeline.deploying.serving import ServingReconciler
from bridge.pipeline.deploying.verify import Prover, Verifier
from bridge.pipeline.deploying.watch import POLL, POLL_ALONE, Watch, Watching
from bridge.pipeline.gates.brought import AuthorsOfRanges, Contents
from bridge.pipeline.gates.ci import CiReader
from bridge.pipeline.gates.gates import Gatekeeper, Judges
from bridge.pipeline.gates.locks import LockKeeper, nobody_is_told
from bridge.pipeline.previews.apps import PreviewApps
from bridge.pipeline.previews.previews import FollowsPulls, PreviewKeeper
from bridge.pipeline.previews.sweep import NativePreviewFollower, PreviewSweep
from bridge.ports.chats import Permits
from bridge.ports.feedback import ShowsPreviews, TellsOfLocks
from bridge.ports.flows import Flows
from bridge.ports.githosts import HostApi
from bridge.settings import book_of, identities_of, policy_of
from bridge.settings.gates import freezes_of

if TYPE_CHECKING:
    from bridge.durable.engine import DurableFlows


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


# ── Deploying ─────────────────────────────────────────────────────────────────────────────────────


async def flows_that_deploy(
    parts: Parts, stack: AsyncExitStack, permits: Mapping[str, Permits], gates: Gates
) -> "DurableFlows":
    """Start deploying, and watching what is served; return the workflow engine, launched."""
    settings, journal = parts.settings, parts.stores.journal
    journey = settings.journey
    flows = flows_of(settings, parts.owner)
    going_back = going_back_of(parts)
    looks = looks_of(settings, journal, parts.clock)
    reconciler = ServingReconciler(parts.backends, journal, parts.clock, looks, parts.catalog.get)
    parts.catalog.heard = reconciler.heard
    woken = Bell()
    deployer = Deployer(
        parts.backends,
        journal,
        parts.clock,
        FollowTiming(
            look=Backoff(journey.look, journey.look_at_most, factor=1.3),
            adopt=journey.adopt,
            lost=journey.lost,
            untold=journey.untold,
            unclosed=journey.unclosed,
            long=journey.long,
        ),
        judging=gates.judges.now,
        at_once=gates.judges.at_once,
        pins=gates.pins,
        book=book_of(settings),
        locks=settings.rollback.lock,
        fingerprint=going_back.fingerprint,
        looks=looks,
        went_live=woken,
        ended=reconciler.ended,
        at_a_time=journey.deployments_at_a_time,
        troubled=parts.catalog.look_at,
    )
    flows.register(DEPLOYMENT_FLOW, deployer.run)
    outbound = await stack.enter_async_context(outbound_of(parts))
    verifier = Verifier(outbound, deployer.ending, parts.clock)
    prover = Prover(journal, deployer.ending)
    watching = Watching(journal, deployer.ending, verifier, prover, looks, parts.clock, going_back)
    poll = POLL if database_url(settings) is not None else POLL_ALONE
    watch = Watch(journal, watching, parts.catalog.all, parts.clock, turn=parts.turn, poll=poll)
    woken.rings = watch.wake
    may_kill = {
        name
        for name, one in settings.backends_set().items()
        if one.provider.may_kill_builds(one.given)
    }
    late = journey.adopt
    canceller = Canceller(parts.backends, journal, parts.clock, may_kill=may_kill, late=late)
    flows.register(CANCEL_FLOW, canceller.run)
    flows.register(CANCEL_ONE_FLOW, canceller.run_one)
    inbox, seal = parts.stores.inbox, seal_of(settings)
    permitted = {CONSOLE_HOST: agreed_to, **permits}
    configuring = Configuring(parts.configurers, inbox, journal, seal, permitted, parts.clock)
    flows.register(CONFIGURE_FLOW, configuring.run)
    await flows.launch()
    stack.push_async_callback(flows.stop)
    await in_background(stack, "flows", flows.watch())
    await in_background(stack, "served", reconciler.run())
    await in_background(stack, "watch", watch.run())
    if database_url(settings) is not None:
        await in_background(stack, "peers", flows.watch_peers())
    return flows


async def agreed_to(_user: str, _app: App, _channel: str) -> str | None:
    """Permit what was agreed to in the console, which has checked the right at that moment.

    The groups of people who sign in are known only while they are there.
    """
    return None


# ── Previews ──────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class PullReports:
    """Passes what is reported of pull requests on to everything that depends on them."""

    locks: LockKeeper
    previews: PreviewKeeper

    async def __call__(self, repository: Repository, pull: PullRequest) -> bool:
        """Record that a pull request has changed; return whether something depends on it."""
        lock = not pull.open and await self.locks.report(repository, pull.number)
        return await self.previews.report(repository, pull) or lock


async def keep_previews(
    parts: Parts,
    stack: AsyncExitStack,
    apis: Mapping[str, HostApi],
    pins: Pins,
    shown: Sequence[ShowsPreviews],
) -> PreviewKeeper:
    """Start bringing previews in line with their pull requests, and showing them.

    Those that backends make by themselves are followed, too.
    """
    settings, stores = parts.settings, parts.stores

    async def turn() -> None:
        await parts.turn()
        await parts.catalog.ready.wait()  # else it is not known which apps have previews

    apps = PreviewApps(
        stores.journal,
        stores.inbox,
        parts.backends,
        pins,
        parts.clock,
        lambda preview, seq: [place for shows in shown for place in shows(preview, seq)],
        settings.journey.unclosed,
    )
    keeper = PreviewKeeper(
        stores.journal,
        parts.catalog,
        apps,
        apis,
        parts.clock,
        policy_of(settings),
        limit=settings.previews.limit,
        turn=parts.turn,
    )
    stores.journal.preview_asked = keeper.wake
    native = NativePreviewFollower(
        stores.journal, parts.catalog, parts.backends, parts.clock, turn=parts.turn
    )
    await in_background(stack, "previews", keeper.run())
    await in_background(stack, "the backends' own previews", native.run())
    homes = homes_of(settings.host_servers().values())
    for api in [one for one in apis.values() if isinstance(one, FollowsPulls)]:
        sweep = PreviewSweep(
            keeper,
            stores.journal,
            api,
            homes,
            parts.catalog.all,
            parts.clock,
            every=settings.previews.sweep,
            turn=turn,
        )
        await in_background(stack, f"pull requests of {api.name}", sweep.run())
    return keeper
