"""Deciding, deploying and showing, as far as this process does it."""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from bridge.app.backends import dokploys
from bridge.app.data_folder import database_url
from bridge.app.hosts import Ours, homes_of, host_apis, on_hosts
from bridge.app.parts import Parts, Publishers, all_of, in_background, seal_of
from bridge.app.storage import flows_of
from bridge.chats import asking_hosts
from bridge.core.backoff import Backoff
from bridge.githosts.apart import Apart
from bridge.pipeline.backpressure import Backpressure
from bridge.pipeline.cancel import Canceller
from bridge.pipeline.catchup import CatchUpTiming, catchup
from bridge.pipeline.changes import Changes, ViewFinder
from bridge.pipeline.config_drafts import Configuring
from bridge.pipeline.decide import CANCEL_FLOW, CANCEL_ONE_FLOW, CONFIGURE_FLOW, DEPLOYMENT_FLOW
from bridge.pipeline.deliveries import DecisionTiming, Deliveries
from bridge.pipeline.deployments import Deployer
from bridge.pipeline.outbox import Feedback, PublishTiming, together
from bridge.pipeline.outcome import FollowTiming
from bridge.pipeline.probe import Probe
from bridge.pipeline.reconcile import ReadsRefs
from bridge.pipeline.retention import Keeping, Retention
from bridge.ports.chats import Permits
from bridge.ports.githosts import HostApi
from bridge.settings import Settings, policy_of

if TYPE_CHECKING:
    from bridge.app.chats import ChatPlaces
    from bridge.durable.engine import DurableFlows


async def work(
    parts: Parts, stack: AsyncExitStack, chats: "ChatPlaces", publishers: Publishers
) -> "DurableFlows":
    """Decide, deploy and show; returns the engine that does it."""
    settings, stores, rate_limiter = parts.settings, parts.stores, parts.rate_limiter
    apis = host_apis(settings)
    for api in apis.values():
        stack.push_async_callback(api.close)
    ours = Ours(settings)
    changes = Changes(apis, parts.clock, patience=settings.journey.changes_patience, ours=ours)
    stack.push_async_callback(changes.close)
    shown_there = on_hosts(settings, apis, rate_limiter, await stores.journal.instance(), ours)
    shown = all_of(settings, shown_there, chats, publishers)
    flows = await _flows(parts, stack, chats.permits)
    shared = database_url(settings) is not None
    apart = Apart()
    deliveries = Deliveries(
        stores.inbox,
        stores.journal,
        flows,
        parts.catalog,
        parts.hosts,
        parts.clock,
        DecisionTiming(window=settings.journey.push_window, poll=1.0 if shared else 0.25),
        policy_of(settings),
        together(shown.planners),
        shown.late,
        ViewFinder(changes, stores.journal),
        owner=parts.owner,
        backpressure=Backpressure(lambda: stores.inbox.kept),
        apart=apart,
        asking=asking_hosts(),
    )
    stores.inbox.woken = deliveries.wake
    stack.push_async_callback(deliveries.close)
    await in_background(stack, "deliveries", deliveries.run())
    await _timers(parts, stack, apis, flows, apart)
    if settings.feedback.enabled:
        feedback = Feedback(
            stores.journal,
            shown.publishers,
            parts.clock,
            _publish_timing(settings),
            rate_limiter=rate_limiter,
            owner=parts.owner,
        )
        stores.journal.woken = feedback.wake
        await in_background(stack, "feedback", feedback.run())
    return flows


async def _flows(
    parts: Parts, stack: AsyncExitStack, permits: Mapping[str, Permits]
) -> "DurableFlows":
    """Return the workflow engine, launched."""
    settings, journal = parts.settings, parts.stores.journal
    flows = flows_of(settings, parts.owner)
    deployer = Deployer(
        parts.backends,
        journal,
        parts.clock,
        _follow_timing(settings),
        troubled=parts.catalog.look_at,
    )
    flows.register(DEPLOYMENT_FLOW, deployer.run)
    may_kill = {name for name, one in dokploys(settings).items() if one.allow_kill_build}
    canceller = Canceller(parts.backends, journal, parts.clock, may_kill=may_kill)
    flows.register(CANCEL_FLOW, canceller.run)
    flows.register(CANCEL_ONE_FLOW, canceller.run_one)
    inbox, seal = parts.stores.inbox, seal_of(settings)
    configuring = Configuring(parts.configurers, inbox, journal, seal, permits, parts.clock)
    flows.register(CONFIGURE_FLOW, configuring.run)
    await flows.launch()
    stack.push_async_callback(flows.stop)
    await in_background(stack, "flows", flows.watch())
    if database_url(settings) is not None:
        await in_background(stack, "peers", flows.watch_peers())
    return flows


async def _timers(
    parts: Parts,
    stack: AsyncExitStack,
    apis: Mapping[str, HostApi],
    flows: "DurableFlows",
    apart: Apart,
) -> None:
    """Run periodic work; of several processes one does it."""
    settings, stores, turn = parts.settings, parts.stores, parts.turn
    probe = Probe(parts.backends, parts.catalog, turn=turn)
    await in_background(stack, "probe", probe.run())
    keeping = Keeping(**settings.retention.model_dump())
    retention = Retention(stores.inbox, stores.journal, flows, parts.clock, keeping, turn=turn)
    await in_background(stack, "retention", retention.run())
    if able := {host: api for host, api in apis.items() if isinstance(api, ReadsRefs)}:
        timing = CatchUpTiming(**settings.catchup.model_dump())
        behind = catchup(
            able,
            parts.hosts,
            stores.inbox,
            stores.journal,
            parts.catalog,
            parts.clock,
            timing,
            homes=homes_of(settings),
            turn=turn,
            apart=apart,
        )
        await in_background(stack, "catchup", behind.run())


def _publish_timing(settings: Settings) -> PublishTiming:
    given = settings.feedback.model_dump(exclude={"enabled", "retry", "retry_at_most"})
    retry = Backoff(settings.feedback.retry, settings.feedback.retry_at_most)
    return PublishTiming(**given, retry=retry)


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
