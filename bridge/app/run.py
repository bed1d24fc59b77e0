"""Start everything in the order in which data travels, and stop it in reverse."""

import logging
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from bridge.app.backends import backends_of, configurers_of, dokploys
from bridge.app.chats import ChatPlaces, open_chats
from bridge.app.data_folder import database_url
from bridge.app.hosts import known_hosts, served_hosts
from bridge.app.parts import NO_PUBLISHERS, Parts, Publishers, check, in_background, steady_clock
from bridge.app.presence import new_owner, only_one
from bridge.app.storage import Stores, open_stores, sizes_of
from bridge.app.work import work
from bridge.core.errors import BridgeError, Rejected
from bridge.core.roles import Role
from bridge.githosts import HOSTS
from bridge.pipeline.app_reading import troubles_in
from bridge.pipeline.catalog import Catalog, Leads, always, never
from bridge.pipeline.catchup import notice_absence, stay
from bridge.pipeline.ingest import Ingest, RefusalLog
from bridge.pipeline.leader import Lead, Turn, at_once
from bridge.pipeline.rate_limit import RateLimiter
from bridge.ports.backends import Backend
from bridge.ports.clock import Clock
from bridge.settings import Settings, book_of, policy_of
from bridge.storage.journal import SqlJournal

if TYPE_CHECKING:
    from bridge.web.health import Check
    from bridge.web.metrics import Metrics
    from bridge.web.server import WebServer


log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Bridge:
    """A running bridge.

    Attributes:
        url: where webhooks go.
        backend_url, backend_key, sites_url: of the embedded backend, if it is the one that deploys.
    """

    stores: Stores
    url: str
    backend_url: str | None
    backend_key: str | None
    sites_url: str | None = None


@asynccontextmanager
async def run_bridge(
    settings: Settings, publishers: Publishers = NO_PUBLISHERS, *, role: Role = Role.ALL
) -> AsyncIterator[Bridge]:
    """Start everything in the order in which data travels; stop it in reverse.

    Args:
        places: where to show what happens, besides those that the settings name.
        role: what this process does of it; others share the stores and do the rest.

    Raises:
        Rejected: a setting can't be used, or another process has the data folder.
    """
    from bridge.web.metrics import Metrics

    hosts = served_hosts(settings) if role.hears else known_hosts(settings)
    async with AsyncExitStack() as stack:
        _may_play(settings, role)
        if database_url(settings) is None:
            stack.enter_context(only_one(settings.data))
        owner = new_owner(settings)
        clock = steady_clock()
        opened = open_stores(settings, owner, listens=role.works, clock=clock)
        stores = await stack.enter_async_context(opened)
        stack.push_async_callback(_give_leases_back, stores.journal, owner)
        if await stores.inbox.continue_after(await stores.journal.last_seq()):
            log.warning(
                "the inbox is older than the journal, as of another copy: what came in between"
                " is lost here, unless the Git hosts still have it"
            )
        await notice_absence(stores.journal, stores.inbox, clock)
        await in_background(stack, "alive", stay(stores.journal, clock))
        events = frozenset[str]().union(*(one.events for one in HOSTS.values()))
        metrics = Metrics(stores.inbox, stores.journal, sizes_of(settings), clock, events)
        await metrics.start()
        backends, embedded = await backends_of(settings, stack, metrics.backend_request, clock)
        rate_limiter = RateLimiter(clock)
        leads, turn = await _leading(settings, role, stores.journal, owner, stack)
        catalog = _catalog(settings, role, backends, stores.journal, leads, clock)
        configurers = configurers_of(settings, stores, backends, catalog.wake)
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
        )
        chats = await open_chats(parts, stack, role)
        checks = {"inbox": check(stores.inbox.ready), "journal": check(stores.journal.ready)}
        await catalog.load()
        stack.push_async_callback(catalog.close)
        await in_background(stack, "catalog", catalog.run())
        if role.works:
            flows = await work(parts, stack, chats, publishers)
            checks["workflows"] = check(flows.ready)
        await in_background(stack, "lag", metrics.watch_lag())
        refusals = RefusalLog(stores.journal, HOSTS, clock)
        stack.push_async_callback(refusals.flush)
        await in_background(stack, "refusals", refusals.run())
        server = _listener(parts, role, checks, metrics, chats, refusals)
        await server.start()
        stack.push_async_callback(server.stop)
        told = (embedded.url, embedded.api_key, embedded.sites_url) if embedded else (None,) * 3
        yield Bridge(stores, server.url, *told)


def _may_play(settings: Settings, role: Role) -> None:
    """Raise Rejected if a process can't have that role alone."""
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
    if not dokploys(settings):
        raise Rejected(
            f"--role {role} needs a backend that all processes reach: set BRIDGE_DOKPLOY_URL,"
            " to a Dokploy or to what `dokploy-bridge backend` prints"
        )


async def _leading(
    settings: Settings, role: Role, journal: SqlJournal, owner: str, stack: AsyncExitStack
) -> tuple[Leads, Turn]:
    """Return the lead: whether, and when, this process does periodic work."""
    if not role.works:
        return never, at_once  # it has no periodic work then
    if database_url(settings) is None:
        return always, at_once
    lead = Lead(journal, owner)
    await lead.ask()  # so that the first to start leads when it first reads
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
    """Return whether this process reads the backends: on Postgres one worker does for all."""
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
        log.warning("leases run out by themselves", extra={"why": str(error)})


def _listener(
    parts: Parts,
    role: Role,
    checks: "dict[str, Check]",
    metrics: "Metrics",
    chats: ChatPlaces,
    refusals: RefusalLog,
) -> "WebServer":
    """Return the public listener; a worker serves only its health there."""
    from bridge.web.hooks import BodyLimits
    from bridge.web.server import WebServer, routes

    web = parts.settings.web
    app = routes(
        Ingest(parts.hosts, parts.stores.inbox, time.time),
        HOSTS,
        BodyLimits(web.max_body, web.max_in_flight, web.body_timeout),
        checks,
        metrics,
        web.metrics_token.get_secret_value() if web.metrics_token else None,
        chats.doors,
        hears=role.hears,
        beside=partial(troubles_in, parts.stores.journal),
        note=refusals.note,
    )
    return WebServer(app, parts.settings.host, parts.settings.port)
