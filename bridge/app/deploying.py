"""The parts that deploy, cancel and configure, and those that watch what is served."""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from bridge.app.data_folder import database_url
from bridge.app.gates import Gates
from bridge.app.health import going_back_of, looks_of, outbound_of
from bridge.app.sealing import seal_of
from bridge.app.storage import flows_of
from bridge.app.wiring import Bell, Parts, in_background
from bridge.core.backoff import Backoff
from bridge.pipeline.deciding.dispatch import (
    CANCEL_FLOW,
    CANCEL_ONE_FLOW,
    CONFIGURE_FLOW,
    DEPLOYMENT_FLOW,
)
from bridge.pipeline.deploying.cancel import Canceller
from bridge.pipeline.deploying.config_drafts import Configuring
from bridge.pipeline.deploying.deployments import Deployer
from bridge.pipeline.deploying.outcome import FollowTiming
from bridge.pipeline.deploying.proof import Prover
from bridge.pipeline.deploying.serving import ServingReconciler
from bridge.pipeline.deploying.verify import Verifier
from bridge.pipeline.deploying.watch import Watching
from bridge.pipeline.deploying.watch_all import POLL, POLL_ALONE, Watch
from bridge.ports.chats import Permits
from bridge.settings import Settings, book_of

if TYPE_CHECKING:
    from bridge.durable.engine import DurableFlows


async def flows_that_deploy(
    parts: Parts, stack: AsyncExitStack, permits: Mapping[str, Permits], gates: Gates
) -> "DurableFlows":
    """Start deploying, and watching what is served; return the workflow engine, launched."""
    settings, journal = parts.settings, parts.stores.journal
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
        _follow_timing(settings),
        judging=gates.judges.now,
        at_once=gates.judges.at_once,
        pins=gates.pins,
        book=book_of(settings),
        locks=settings.rollback.lock,
        fingerprint=going_back.fingerprint,
        looks=looks,
        went_live=woken,
        ended=reconciler.ended,
        at_a_time=settings.journey.deployments_at_a_time,
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
    late = settings.journey.adopt
    canceller = Canceller(parts.backends, journal, parts.clock, may_kill=may_kill, late=late)
    flows.register(CANCEL_FLOW, canceller.run)
    flows.register(CANCEL_ONE_FLOW, canceller.run_one)
    inbox, seal = parts.stores.inbox, seal_of(settings)
    configuring = Configuring(parts.configurers, inbox, journal, seal, permits, parts.clock)
    flows.register(CONFIGURE_FLOW, configuring.run)
    await flows.launch()
    stack.push_async_callback(flows.stop)
    await in_background(stack, "flows", flows.watch())
    await in_background(stack, "served", reconciler.run())
    await in_background(stack, "watch", watch.run())
    if database_url(settings) is not None:
        await in_background(stack, "peers", flows.watch_peers())
    return flows


def _follow_timing(settings: Settings) -> FollowTiming:
    journey = settings.journey
    return FollowTiming(
        look=Backoff(journey.look, journey.look_at_most, factor=1.3),
        adopt=journey.adopt,
        lost=journey.lost,
        untold=journey.untold,
        unclosed=journey.unclosed,
        long=journey.long,
    )
