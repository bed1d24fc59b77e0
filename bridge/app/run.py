"""Start everything in the order in which data flows, and stop it in reverse."""

import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from socket import socket
from typing import TYPE_CHECKING

from bridge.app.chats import ChatPublishers, open_chats
from bridge.app.data_folder import database_url, new_owner, only_one
from bridge.app.deploying import PullReports, flows_that_deploy, gates_of, keep_previews
from bridge.app.keyrings import keyrings_of, tell_unserved, use_made
from bridge.app.providers import (
    backends_of,
    configurers_of,
    host_apis,
    on_hosts,
    senders_of,
    ways_to_sign_in,
)
from bridge.app.roles import Role
from bridge.app.storage import Stores, must_keep_sessions, open_stores, sizes_of
from bridge.app.stored_settings import note_settings, watch
from bridge.app.unmatched import Unmatched
from bridge.app.wiring import (
    NO_PUBLISHERS,
    PLAIN_START,
    Beginning,
    Parts,
    Publishers,
    all_of,
    check,
    in_background,
    stay_as_it_is,
    steady_clock,
)
from bridge.backends import EMBEDDED_SPEAKS
from bridge.chats import asking_hosts
from bridge.core.backoff import Backoff
from bridge.core.errors import BridgeError, Rejected
from bridge.core.masking import always_hidden
from bridge.githosts import HOSTS
from bridge.githosts.large_bodies import Apart
from bridge.githosts.server import homes_of
from bridge.pipeline.background import Lead, Turn, at_once
from bridge.pipeline.deciding.apps import troubles_in
from bridge.pipeline.deciding.catalog import Catalog, Leads, always, never
from bridge.pipeline.deciding.catchup import CatchUpTiming, catchup
from bridge.pipeline.deciding.changes import Changes, ViewFinder
from bridge.pipeline.deciding.deliveries import Backpressure, DecisionTiming, Deliveries
from bridge.pipeline.deciding.hooks import HookSecrets
from bridge.pipeline.deciding.ingest import Ingest, RefusalLog
from bridge.pipeline.deciding.interpret import Provenance, Reading
from bridge.pipeline.deciding.probe import Probe
from bridge.pipeline.deciding.reconcile import ReadsRefs
from bridge.pipeline.feedback.outbox import Feedback, PublishTiming, together
from bridge.pipeline.feedback.rate_limit import RateLimiter
from bridge.pipeline.gates.gates import Heads
from bridge.pipeline.housekeeping import Keeping, Retention, notice_absence, stay
from bridge.ports.backends import Backend
from bridge.ports.clock import Clock
from bridge.ports.githosts import HostApi
from bridge.settings import Settings, book_of, policy_of, secrets_of
from bridge.storage.journal import SqlJournal
from bridge.web.challenge import PURPOSE as CHALLENGE

if TYPE_CHECKING:
    from aiohttp.web import RouteDef

    from bridge.durable.engine import DurableFlows
    from bridge.web.metrics import Metrics
    from bridge.web.server import Check, WebServer


log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Bridge:
    """A running bridge.

    Attributes:
        url: receives the webhooks.
        backend_url, backend_key, sites_url: the embedded backend's, if that one deploys.
        sockets: returns copies of its listening sockets, for the process that follows.
    """

    stores: Stores
    url: str
    backend_url: str | None
    backend_key: str | None
    sites_url: str | None = None
    sockets: Callable[[], Sequence[socket]] = list


@asynccontextmanager
async def run_bridge(
    settings: Settings,
    publishers: Publishers = NO_PUBLISHERS,
    *,
    role: Role = Role.ALL,
    beginning: Beginning = PLAIN_START,
) -> AsyncIterator[Bridge]:
    """Start everything in the order in which data flows; stop it in reverse.

    Args:
        publishers: further ones, besides those in the settings.
        role: this process's share; others on the same stores do the rest.

    Raises:
        Rejected: a setting is unusable, or another process holds the data folder.
    """
    from bridge.web.metrics import Metrics

    hosts = keyrings_of(settings)
    async with AsyncExitStack() as stack:
        stack.enter_context(always_hidden(secrets_of(settings)))
        _may_play(settings, role)
        if database_url(settings) is None:
            stack.enter_context(only_one(settings.data))
        await must_keep_sessions(settings)
        owner = new_owner(settings)
        clock = steady_clock()
        opened = open_stores(settings, owner, listens=role.works, clock=clock)
        stores = await stack.enter_async_context(opened)
        stack.push_async_callback(_give_leases_back, stores.journal, owner)
        if await stores.inbox.continue_after(await stores.journal.last_seq()):
            log.warning(
                "the inbox is older than the journal, as if from another backup: deliveries in"
                " between are lost here, unless the Git hosts still have them"
            )
        await note_settings(settings, stores.journal)
        await notice_absence(stores.journal, stores.inbox, clock)
        await in_background(stack, "alive", stay(stores.journal, clock))
        events = frozenset[str]().union(*(host.events for host in HOSTS.values()))
        metrics = Metrics(stores.inbox, stores.journal, sizes_of(settings), clock, events)
        await metrics.start()
        backends, embedded = await backends_of(settings, stack, metrics.backend_request, clock)
        rate_limiter = RateLimiter(clock)
        leads, turn = await _leading(settings, role, stores.journal, owner, stack)
        secrets = HookSecrets(stores.journal, use_made(settings, hosts))
        if role.hears:
            await secrets.read()
            tell_unserved(settings, hosts)
            await in_background(stack, "secrets of webhooks", secrets.run())
        catalog = _catalog(settings, role, backends, stores.journal, leads, clock)
        configurers = configurers_of(settings, stores, backends, catalog.wake)
        apis = host_apis(settings)
        for api in apis.values():
            stack.push_async_callback(api.close)
        parts = Parts(
            settings,
            stores,
            hosts,
            backends,
            catalog,
            rate_limiter,
            configurers,
            owner,
            clock,
            turn,
            apis,
            Heads(apis, clock, homes_of(settings.host_servers().values())),
            Reading(stores.inbox, hosts, Apart(), asking_hosts(), Provenance(apis)),
            sites=embedded.sites_url if embedded else None,
        )
        stack.push_async_callback(parts.heads.close)
        chats = await open_chats(parts, stack, role)
        checks = {"inbox": check(stores.inbox.ready), "journal": check(stores.journal.ready)}
        await catalog.load()
        stack.push_async_callback(catalog.close)
        await in_background(stack, "catalog", catalog.run())
        if role.works:
            flows = await work(parts, stack, chats, publishers)
            checks["workflows"] = check(flows.ready)
        await in_background(stack, "lag", metrics.watch_lag())
        refusals = RefusalLog(stores.journal, senders_of(settings), clock)
        stack.push_async_callback(refusals.flush)
        await in_background(stack, "refusals", refusals.run())
        if beginning.anew is not stay_as_it_is:
            watching = watch(stores.journal, beginning.stored, beginning.anew)
            await in_background(stack, "stored settings", watching)
        proves = await stores.journal.secret(CHALLENGE)
        streams = AsyncExitStack()
        pages = _pages(parts, role, beginning, streams)
        server = _listener(
            parts, role, checks, metrics, chats, refusals, proves, secrets, pages, beginning.sockets
        )
        await server.start()
        stack.push_async_callback(server.stop)
        await stack.enter_async_context(streams)
        yield Bridge(
            stores,
            server.url,
            embedded.url if embedded else None,
            embedded.api_key if embedded else None,
            embedded.sites_url if embedded else None,
            server.sockets,
        )


def _pages(
    parts: Parts, role: Role, beginning: Beginning, streams: AsyncExitStack
) -> "list[RouteDef]":
    if not role.hears:
        return []
    from bridge.app.console import console_routes

    ways = ways_to_sign_in(parts.settings)
    pages = console_routes(parts, ways, streams) if parts.settings.console.enabled else []
    return pages + beginning.setup(parts, beginning)


def _may_play(settings: Settings, role: Role) -> None:
    """Raise Rejected if a process can't take that role with these settings."""
    if database_url(settings) is not None and not settings.secret_key:
        log.warning(
            "set BRIDGE_SECRET_KEY, the same for all: what one process seals, another must open"
        )
    if role is Role.ALL:
        return
    if database_url(settings) is None:
        raise Rejected(
            f"--role {role} shares the work with other processes, which needs a Postgres: set"
            " DATABASE_URL, or run `serve` without --role, where one process does it all"
        )
    if not settings.backends_set():
        its = EMBEDDED_SPEAKS
        raise Rejected(
            f"--role {role} needs a backend that all processes reach: set"
            f" {its.variable(its.address)}, to a {its.title} or to what `dokploy-bridge backend`"
            " prints"
        )


async def _leading(
    settings: Settings, role: Role, journal: SqlJournal, owner: str, stack: AsyncExitStack
) -> tuple[Leads, Turn]:
    """Return the lead: whether, and when, this process does periodic work."""
    if not role.works:
        return never, at_once  # it then has no periodic work
    if database_url(settings) is None:
        return always, at_once
    lead = Lead(journal, owner)
    await lead.ask()  # so the first process to start leads by its first reading
    await in_background(stack, "lead", lead.run())
    return lead.ours, lead.turn


def _catalog(
    settings: Settings,
    role: Role,
    backends: Mapping[str, Backend],
    journal: SqlJournal,
    leads: Leads,
    clock: Clock,
) -> Catalog:
    """Return whether this process reads the backends: on Postgres one worker reads for all."""
    return Catalog(
        backends if role.works else {},
        journal,
        clock,
        policy=policy_of(settings),
        book=book_of(settings),
        every=settings.journey.catalog_every,
        eager=settings.journey.catalog_eager,
        leads=leads,
        shared=database_url(settings) is not None,
    )


async def _give_leases_back(journal: SqlJournal, owner: str) -> None:
    try:
        await journal.leave(owner)
    except BridgeError as error:
        log.warning("leases expire by themselves", extra={"why": str(error)})


def _listener(
    parts: Parts,
    role: Role,
    checks: "dict[str, Check]",
    metrics: "Metrics",
    chats: ChatPublishers,
    refusals: RefusalLog,
    challenge_key: str,
    secrets: HookSecrets,
    pages: "Sequence[RouteDef]",
    sockets: Sequence[socket],
) -> "WebServer":
    """Return the public listener; a worker serves only its health there."""
    from bridge.web.hooks import BodyLimits
    from bridge.web.server import WebServer, routes

    web, journal = parts.settings.web, parts.stores.journal

    async def troubles() -> dict[str, str]:
        """Return what is in trouble though the bridge is ready, for `/readyz`."""
        return await troubles_in(journal) | chats.trouble()

    app = routes(
        Ingest(parts.hosts, parts.stores.inbox, time.time, secrets),
        senders_of(parts.settings),
        BodyLimits(web.max_body, web.max_in_flight, web.body_timeout),
        checks,
        metrics,
        web.metrics_token.get_secret_value() if web.metrics_token else None,
        chats.doors,
        hears=role.hears,
        challenge_key=challenge_key,
        beside=troubles,
        note=refusals.note,
        pages=pages,
    )
    return WebServer(app, parts.settings.host, parts.settings.port, sockets)


# ── deciding, deploying and publishing ──────────────────────────────────────────────────────────


async def work(
    parts: Parts, stack: AsyncExitStack, chats: ChatPublishers, publishers: Publishers
) -> "DurableFlows":
    """Start deciding, deploying and publishing; return the workflow engine."""
    settings, stores, rate_limiter = parts.settings, parts.stores, parts.rate_limiter
    apis = parts.apis
    changes = Changes(apis, parts.clock, patience=settings.journey.changes_patience)
    stack.push_async_callback(changes.close)
    shown_there = on_hosts(settings, apis, rate_limiter, await stores.journal.instance())
    shown = all_of(settings, shown_there, chats, publishers)
    gates = gates_of(parts, changes, chats.tells_of_locks)
    flows = await flows_that_deploy(parts, stack, chats.permits, gates)
    await gates.start(flows, stack)
    previews = await keep_previews(parts, stack, apis, gates.pins, shown.previews)
    shared = database_url(settings) is not None
    deliveries = Deliveries(
        stores.inbox,
        stores.journal,
        flows,
        parts.catalog,
        parts.reading,
        parts.clock,
        DecisionTiming(window=settings.journey.push_window, poll=1.0 if shared else 0.25),
        policy_of(settings),
        together(shown.planners),
        shown.late,
        ViewFinder(changes, stores.journal),
        owner=parts.owner,
        backpressure=Backpressure(lambda: stores.inbox.kept),
        checks=gates.ci.report,
        pulls=PullReports(gates.locks, previews),
        wake_gates=gates.wake,
    )
    stores.inbox.woken = deliveries.wake
    stack.push_async_callback(deliveries.close)
    await in_background(stack, "deliveries", deliveries.run())
    await _timers(parts, stack, apis, flows)
    if settings.feedback.enabled:
        feedback = Feedback(
            stores.journal,
            shown.publishers,
            parts.clock,
            PublishTiming(
                **settings.feedback.model_dump(exclude={"enabled", "retry", "retry_at_most"}),
                retry=Backoff(settings.feedback.retry, settings.feedback.retry_at_most),
            ),
            rate_limiter=rate_limiter,
            owner=parts.owner,
        )
        stores.journal.woken = feedback.wake
        await in_background(stack, "feedback", feedback.run())
    return flows


async def _timers(
    parts: Parts, stack: AsyncExitStack, apis: Mapping[str, HostApi], flows: "DurableFlows"
) -> None:
    """Run periodic work; only one of several processes does it."""
    settings, stores, turn = parts.settings, parts.stores, parts.turn
    probe = Probe(parts.backends, parts.catalog, turn=turn)
    await in_background(stack, "probe", probe.run())
    unmatched = Unmatched(settings, parts.catalog, stores.journal)
    await in_background(stack, "unmatched settings", unmatched.run(turn))
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
            homes=homes_of(settings.host_servers().values()),
            turn=turn,
            apart=parts.reading.apart,
            public_url=settings.public_url,
        )
        await in_background(stack, "catchup", behind.run())
