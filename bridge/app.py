"""The composition root: builds the parts from Settings; the only file that names every part."""

import asyncio
import logging
import os
import signal
import time
from collections.abc import (
    AsyncIterator,
    Coroutine,
    Mapping,
    Sequence,
)
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from secrets import token_hex
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pydantic import SecretStr

from bridge.backends import BACKENDS
from bridge.core.errors import BridgeError, Rejected
from bridge.core.pacing import Limit
from bridge.core.roles import Role
from bridge.core.steady import SteadyClock
from bridge.core.watch import App
from bridge.githosts import APIS, HOSTS
from bridge.githosts.feedback import Plans, Use, shows_of
from bridge.githosts.github import GitHub
from bridge.githosts.gitlab import GitLab
from bridge.journey.authors import Authors
from bridge.journey.build_log import BuildLogs
from bridge.journey.cancel import Canceller
from bridge.journey.catalog import Catalog, Leads, always, never
from bridge.journey.catchup import Diligence, catchup
from bridge.journey.changes import Changes
from bridge.journey.commands import ChatCommands, Known
from bridge.journey.configure import Configurable, Configurer
from bridge.journey.configuring import Configuring
from bridge.journey.delivery import (
    CANCEL_FLOW,
    CONFIGURE_FLOW,
    DEPLOYMENT_FLOW,
    Deliveries,
    Patience,
)
from bridge.journey.deployment import Deployer
from bridge.journey.desk import Desk
from bridge.journey.feedback import Feedback, together
from bridge.journey.following import Pace
from bridge.journey.ingest import Ingest
from bridge.journey.probe import Probe
from bridge.journey.reconcile import ReadsRefs
from bridge.journey.retention import Keeping, Retention
from bridge.journey.showing import Persistence
from bridge.journey.turns import Turns
from bridge.journey.views import Views
from bridge.ports import (
    Backend,
    ChatDoor,
    Clock,
    GitHost,
    HostApi,
    Observe,
    Permits,
    Planner,
    Shows,
    Wake,
)
from bridge.settings import (
    DokploySettings,
    Settings,
    access_of,
    book_of,
    channels_of,
    policy_of,
)
from bridge.storage import (
    Stores,
    database_url,
    flows_of,
    new_owner,
    only_one,
    open_stores,
    sizes_of,
)
from bridge.stores.journal import SqlJournal
from bridge.stores.seal import FernetSeal, NoSeal, key_in

if TYPE_CHECKING:
    from bridge.durable.engine import DurableFlows
    from bridge.web.health import Check
    from bridge.web.metrics import Metrics
    from bridge.web.server import WebServer

log = logging.getLogger(__name__)

CATALOG_LEASE = "catalog"
CATALOG_LEASE_SECONDS = 15.0
"""Renewed every few seconds; who reads the backends and dies is replaced after so long."""


@dataclass(frozen=True, slots=True)
class Bridge:
    """A running bridge.

    Attributes:
        url: where webhooks go.
        backend_url, backend_key: of the embedded backend, where it is the one that deploys.
    """

    stores: Stores
    url: str
    backend_url: str | None
    backend_key: str | None


@dataclass(frozen=True, slots=True)
class Places:
    """Where what happens is shown.

    Attributes:
        planners: which targets a delivery's outcome gets.
        shows: what brings a target up to date, by its kind.
    """

    planners: tuple[Planner, ...] = ()
    shows: Mapping[str, Shows] = field(default_factory=dict)


NO_PLACES = Places()


@asynccontextmanager
async def run_bridge(
    settings: Settings, places: Places = NO_PLACES, *, role: Role = Role.ALL
) -> AsyncIterator[Bridge]:
    """Everything, started in the order in which data travels and stopped in reverse.

    Args:
        places: where to show what happens, besides those that the settings name.
        role: what this process does of it; others share the stores and do the rest.

    Raises:
        Rejected: a setting can't be used, or another process has the data directory.
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
        metrics = Metrics(stores.inbox, stores.journal, sizes_of(settings), clock)
        await metrics.start()
        backends, embedded = await _backends(settings, stack, metrics.backend_request)
        turns = Turns(clock)
        catalog = _catalog(settings, role, backends, stores.journal, owner, clock)
        configurers = _configurers(settings, stores, backends, catalog.wake)
        parts = _Parts(settings, stores, hosts, backends, catalog, turns, configurers, owner, clock)
        slack = await _slack(parts, stack, role)
        checks = {"inbox": _check(stores.inbox.ready), "journal": _check(stores.journal.ready)}
        await catalog.load()
        await _in_background(stack, "catalog", catalog.run())
        if role.works:
            flows = await _work(parts, stack, slack, places)
            checks["workflows"] = _check(flows.ready)
        await _in_background(stack, "lag", metrics.watch_lag())
        server = _listener(parts, role, checks, metrics, slack)
        await server.start()
        stack.push_async_callback(server.stop)
        yield Bridge(stores, server.url, embedded and embedded.url, embedded and embedded.api_key)


@dataclass(frozen=True, slots=True)
class _Parts:
    """What most of the parts are made of.

    Attributes:
        owner: this process among others.
        clock: never jumps; what is signed by others has their time, and is checked by the
            machine's own.
    """

    settings: Settings
    stores: Stores
    hosts: Mapping[str, GitHost]
    backends: Mapping[str, Backend]
    catalog: Catalog
    turns: Turns
    configurers: Mapping[str, Configurer]
    owner: str
    clock: Clock


def steady_clock() -> Clock:
    """A clock that never jumps, though the machine's is set; it goes on while that sleeps."""
    boot = getattr(time, "CLOCK_BOOTTIME", None)  # Linux
    ticks = time.monotonic if boot is None else partial(time.clock_gettime, boot)
    return SteadyClock(time.time, ticks)


def _may_play(settings: Settings, role: Role) -> None:
    """Raise Rejected where a process can't have that role alone."""
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


def _catalog(
    settings: Settings,
    role: Role,
    backends: Mapping[str, Backend],
    journal: SqlJournal,
    owner: str,
    clock: Clock,
) -> Catalog:
    """On Postgres one worker reads the backends, and the others what it has written."""
    leads: Leads = always
    if database_url(settings) is not None:
        leads = partial(journal.hold, CATALOG_LEASE, owner, CATALOG_LEASE_SECONDS)
    return Catalog(
        backends if role.works else {},
        journal,
        clock,
        policy=policy_of(settings),
        book=book_of(settings),
        every=settings.journey.catalog_every,
        eager=settings.journey.catalog_eager,
        leads=leads if role.works else never,
        shared=database_url(settings) is not None,
    )


async def _give_leases_back(journal: SqlJournal, owner: str) -> None:
    try:
        await journal.leave(owner)
    except BridgeError as error:
        log.warning("leases run out by themselves", extra={"why": str(error)})


async def _work(
    parts: _Parts, stack: AsyncExitStack, slack: "SlackParts", places: Places
) -> "DurableFlows":
    """Decide, deploy and show; returns the engine that does it."""
    settings, stores, turns = parts.settings, parts.stores, parts.turns
    apis = host_apis(settings)
    for api in apis.values():
        stack.push_async_callback(api.close)
    changes = Changes(apis, parts.clock, patience=settings.journey.changes_patience)
    stack.push_async_callback(changes.close)
    on_hosts = _on_hosts(settings, apis, turns, await stores.journal.instance())
    shown = _all_of(settings, on_hosts, slack, places)
    flows = await _flows(parts, stack, slack.permits)
    shared = database_url(settings) is not None
    deliveries = Deliveries(
        stores.inbox,
        stores.journal,
        flows,
        parts.catalog,
        parts.hosts,
        parts.clock,
        Patience(window=settings.journey.push_window, poll=1.0 if shared else 0.25),
        policy_of(settings),
        together(shown.planners),
        Views(changes, stores.journal),
        owner=parts.owner,
    )
    stores.inbox.woken = deliveries.wake
    await _in_background(stack, "deliveries", deliveries.run())
    await _timers(parts, stack, apis, flows)
    if settings.feedback.enabled:
        feedback = Feedback(
            stores.journal,
            shown.shows,
            parts.clock,
            Persistence(**settings.feedback.model_dump(exclude={"enabled"})),
            turns=turns,
            owner=parts.owner,
        )
        stores.journal.woken = feedback.wake
        await _in_background(stack, "feedback", feedback.run())
    return flows


async def _flows(parts: _Parts, stack: AsyncExitStack, permits: Permits) -> "DurableFlows":
    """The workflow engine, launched."""
    settings, journal = parts.settings, parts.stores.journal
    flows = flows_of(settings, parts.owner)
    flows.register(
        DEPLOYMENT_FLOW, Deployer(parts.backends, journal, parts.clock, _pace(settings)).run
    )
    may_kill = {name for name, one in dokploys(settings).items() if one.allow_kill_build}
    flows.register(CANCEL_FLOW, Canceller(parts.backends, journal, may_kill=may_kill).run)
    inbox, seal = parts.stores.inbox, seal_of(settings)
    configuring = Configuring(parts.configurers, inbox, journal, seal, permits, parts.clock)
    flows.register(CONFIGURE_FLOW, configuring.run)
    await flows.launch()
    stack.push_async_callback(flows.stop)
    if database_url(settings) is not None:
        await _in_background(stack, "peers", flows.watch_peers())
    return flows


async def _timers(
    parts: _Parts, stack: AsyncExitStack, apis: Mapping[str, HostApi], flows: "DurableFlows"
) -> None:
    """What is done now and then; of several processes one does it."""
    settings, stores, owner = parts.settings, parts.stores, parts.owner
    probe = Probe(
        parts.backends, parts.catalog, leads=partial(stores.journal.hold, "probe", owner, 600.0)
    )
    await _in_background(stack, "probe", probe.run())
    keeping = Keeping(**settings.retention.model_dump())
    retention = Retention(stores.inbox, stores.journal, flows, parts.clock, owner, keeping)
    await _in_background(stack, "retention", retention.run())
    if able := {host: api for host, api in apis.items() if isinstance(api, ReadsRefs)}:
        diligence = Diligence(**settings.catchup.model_dump())
        behind = catchup(
            able,
            parts.hosts,
            stores.inbox,
            stores.journal,
            parts.catalog,
            parts.clock,
            diligence,
            homes=homes_of(settings),
            owner=owner,
        )
        await _in_background(stack, "catchup", behind.run())


def _listener(
    parts: _Parts,
    role: Role,
    checks: "dict[str, Check]",
    metrics: "Metrics",
    slack: "SlackParts",
) -> "WebServer":
    """The public listener; of a worker only its health is seen there."""
    from bridge.web.hooks import BodyLimits
    from bridge.web.server import WebServer, routes

    web = parts.settings.web
    app = routes(
        Ingest(parts.hosts, parts.stores.inbox, time.time),
        HOSTS if role.hears else (),
        BodyLimits(web.max_body, web.max_in_flight, web.body_timeout),
        checks,
        metrics,
        web.metrics_token.get_secret_value() if web.metrics_token else None,
        slack.doors,
    )
    return WebServer(app, parts.settings.host, parts.settings.port)


async def _nobody(_user: str, _app: App, _channel: str) -> str | None:
    return "slack is not set any more, so nobody may configure anything by it"


@dataclass(frozen=True, slots=True)
class SlackParts(Places):
    """Slack, as far as the rest needs to know; empty where it is not set."""

    doors: Mapping[str, ChatDoor] = field(default_factory=dict)
    permits: Permits = _nobody


async def _slack(parts: _Parts, stack: AsyncExitStack, role: Role) -> SlackParts:
    """Slack, where a bot token is set; what it lacks is named in the log."""
    settings, stores, catalog = parts.settings, parts.stores, parts.catalog
    if settings.slack.bot_token is None:
        return SlackParts()
    from bridge.chats.slack.changes import ChangePlans
    from bridge.chats.slack.facts import Links
    from bridge.chats.slack.opening import LIMITS, Slack, Wiring
    from bridge.chats.slack.planning import Cards, Channels

    given = settings.slack
    channels = Channels(channels_of(settings), given.channel)
    access = access_of(settings)
    logs = BuildLogs(parts.backends, stores.journal)
    known = Known(
        catalog.all,
        lambda: catalog.trouble,
        lambda app, here: channels.of(app.label, here),
        catalog.wake,
    )
    slack = Slack(
        Wiring(
            _shown(given.bot_token),
            given.api_url,
            _shown(given.signing_secret) if role.hears else "",
            _shown(given.app_token) if role.hears else "",
            given.team_id,
            given.people_every,
            Links(_web_of(settings.github.api_url), settings.gitlab.url),
        ),
        commands=ChatCommands(stores.inbox, stores.journal, known, access, logs, time.time),
        access=access,
        journal=stores.journal,
        inbox=stores.inbox,
        desk=_desk(parts),
        turn=parts.turns.within(LIMITS),
        tail=logs.tail,
        email_of=Authors(stores.inbox, parts.hosts).email_of,
        clock=time.time,
    )
    stack.push_async_callback(slack.stop)
    if role.hears and slack.door is None and slack.socket is None:
        log.warning(
            "slack can't be heard: set BRIDGE_SLACK_SIGNING_SECRET (HTTP) or"
            " BRIDGE_SLACK_APP_TOKEN (Socket Mode)"
        )
    if isinstance(seal_of(settings), NoSeal):
        log.warning("nobody can configure apps by slack, nor undo a change: %s", NoSeal.REMEDY)
    if not access.grants:
        log.warning("nobody may do anything by slack: say who in `access` of bridge.yaml")
    await _in_background(stack, "slack", slack.run())
    doors = {"slack": slack.door} if slack.door else {}
    planners = (Cards(channels), ChangePlans(channels))
    return SlackParts(planners, slack.shows, doors, slack.permits)


def _desk(parts: _Parts) -> Desk:
    """Where people configure apps by the chat."""
    return Desk(
        parts.configurers,
        parts.backends,
        parts.stores.inbox,
        parts.stores.journal,
        parts.hosts,
        seal_of(parts.settings),
        policy=policy_of(parts.settings),
        book=book_of(parts.settings),
    )


def _shown(secret: SecretStr | None) -> str:
    return secret.get_secret_value() if secret else ""


def _configurers(
    settings: Settings, stores: Stores, backends: Mapping[str, Backend], wake: Wake
) -> dict[str, Configurer]:
    """What changes how apps are configured, by the name of their backend."""
    return {
        name: Configurer(
            backend,
            stores.journal,
            time.time,
            book=book_of(settings),
            semantics=settings.watch.semantics,
            seal=seal_of(settings),
            wake=wake,
        )
        for name, backend in backends.items()
        if isinstance(backend, Configurable)
    }


def seal_of(settings: Settings) -> FernetSeal | NoSeal:
    """What seals the secrets that must be kept for a while.

    Processes that share a Postgres have no folder in common, where a key could be.
    """
    keys = _revealed(settings.secret_key)
    if not keys and database_url(settings) is not None:
        return NoSeal()
    return FernetSeal(lambda: keys or [key_in(settings.data / "secret.key")])


def served_hosts(settings: Settings) -> dict[str, GitHost]:
    """The hosts that have a secret; the others are named in the log, with what would serve them.

    Raises:
        Rejected: a secret can't be one.
    """
    found = _with_secrets(settings)
    setting = {
        "github": "BRIDGE_GITHUB_WEBHOOK_SECRETS",
        "gitlab": "BRIDGE_GITLAB_WEBHOOK_TOKENS or BRIDGE_GITLAB_SIGNING_TOKENS",
    }
    for host in HOSTS:
        if host not in found:
            log.warning("%s is not served (404): set %s", host, setting[host])
    return found


def _with_secrets(settings: Settings) -> dict[str, GitHost]:
    found: dict[str, GitHost] = {}
    github, gitlab = settings.github, settings.gitlab
    try:
        if github.webhook_secrets:
            found["github"] = GitHub(_revealed(github.webhook_secrets))
        if gitlab.webhook_tokens or gitlab.signing_tokens:
            found["gitlab"] = GitLab(
                _revealed(gitlab.webhook_tokens), _revealed(gitlab.signing_tokens)
            )
    except ValueError as error:
        raise Rejected(str(error)) from None
    return found


def known_hosts(settings: Settings) -> dict[str, GitHost]:
    """Every host, to read what other processes have kept; of one not set nobody has the secret."""
    nobodys = [token_hex(32)]
    every: dict[str, GitHost] = {"github": GitHub(nobodys), "gitlab": GitLab(nobodys, ())}
    return every | _with_secrets(settings)


def host_apis(settings: Settings) -> dict[str, HostApi]:
    """The API of each host for which a credential is set; nothing is asked of it yet.

    Raises:
        Rejected: a setting can't be used.
    """
    github = settings.github.model_dump(exclude={"webhook_secrets", "feedback"})
    gitlab = settings.gitlab.model_dump(exclude={"webhook_tokens", "signing_tokens", "feedback"})
    made = {"github": APIS["github"](**github), "gitlab": APIS["gitlab"](**gitlab)}
    return {host: api for host, api in made.items() if api is not None}


def homes_of(settings: Settings) -> dict[str, str]:
    """Where the Git hosts live, as clone addresses name it: for apps with custom Git sources."""
    github = urlsplit(_web_of(settings.github.api_url)).netloc
    return {github: "github", urlsplit(settings.gitlab.url).netloc: "gitlab"}


def _web_of(api_url: str) -> str:
    """Where people look at a GitHub whose API has that address."""
    parts = urlsplit(api_url)
    host = "github.com" if parts.netloc == "api.github.com" else parts.netloc
    return f"{parts.scheme}://{host}"


@asynccontextmanager
async def run_embedded(settings: Settings) -> AsyncIterator[Any]:
    """The embedded backend alone, as a server."""
    from bridge.backends.embedded import EmbeddedServer
    from bridge.backends.embedded.process import Limits

    server = EmbeddedServer(
        settings.data / "embedded",
        host=settings.embedded.host,
        port=settings.embedded.port,
        builds_concurrency=settings.embedded.builds_concurrency,
        limits=Limits(
            build_seconds=settings.embedded.build_timeout,
            memory_bytes=settings.embedded.build_memory * 2**20,
        ),
    )
    try:
        await server.start()
    except OSError as error:
        where = f"{settings.embedded.host}:{settings.embedded.port}"
        raise Rejected(
            f"the embedded backend can't listen on {where} ({error.strerror});"
            " choose another port with BRIDGE_EMBEDDED_PORT"
        ) from error
    try:
        yield server
    finally:
        await server.stop()


async def _backends(
    settings: Settings, stack: AsyncExitStack, observe: Observe
) -> tuple[dict[str, Backend], Any]:
    """The backends that deploy: every Dokploy that is set, else the embedded one."""
    found = {name: dokploy_of(settings, name, observe=observe) for name in dokploys(settings)}
    if not found:
        server = await stack.enter_async_context(run_embedded(settings))
        return {"embedded": BACKENDS["embedded"](server=server)}, server
    for backend in found.values():
        stack.push_async_callback(backend.close)
    return found, None


def dokploys(settings: Settings) -> dict[str, DokploySettings]:
    """The Dokploys that are set, by name."""
    named = {"dokploy": settings.dokploy} | settings.backends
    return {name: dokploy for name, dokploy in named.items() if dokploy.url is not None}


def dokploy_of(settings: Settings, name: str = "dokploy", **others: Any) -> Backend:
    """The Dokploy of that name; raises Rejected where its key is missing."""
    dokploy = dokploys(settings)[name]
    if dokploy.api_key is None:
        where = "BRIDGE_DOKPLOY_API_KEY" if name == "dokploy" else f"backends.{name}.api_key"
        raise Rejected(f"the url of the Dokploy {name!r} is set, but {where} is not")
    return BACKENDS["dokploy"](
        name=name,
        **dokploy.model_dump(exclude={"api_key", "allow_kill_build"}),
        api_key=dokploy.api_key,
        **others,
    )


def _all_of(settings: Settings, *those: Places) -> Places:
    """All places in one; none where feedback is off, so that nothing waits to be shown."""
    if not settings.feedback.enabled:
        return NO_PLACES
    return Places(
        tuple(planner for places in those for planner in places.planners),
        {kind: shows for places in those for kind, shows in places.shows.items()},
    )


WRITES_TO = {
    "github": (Limit(1, 1.0), Limit(80, 60.0)),
    "gitlab": (Limit(1, 1.0), Limit(60, 60.0)),
}
"""How often a credential may write to each Git host."""


def _on_hosts(
    settings: Settings, apis: Mapping[str, HostApi], turns: Turns, instance: str
) -> Places:
    """The places on the Git hosts for which a credential is set."""
    planners: list[Planner] = []
    shows: dict[str, Shows] = {}
    for host, api in apis.items():
        uses = frozenset(map(Use, getattr(settings, host).feedback))
        # Each installation of a GitHub App has limits of its own.
        apart = host == "github" and settings.github.app_id is not None
        planners.append(Plans(host, uses, apart=apart))
        shows |= shows_of(api, turns.within(WRITES_TO[host]), instance)
    return Places(tuple(planners), shows)


def _revealed(secrets: Sequence[SecretStr]) -> list[str]:
    return [secret.get_secret_value() for secret in secrets]


def _pace(settings: Settings) -> Pace:
    journey = settings.journey
    return Pace(
        look=journey.look,
        look_at_most=journey.look_at_most,
        adopt=journey.adopt,
        lost=journey.lost,
        long=journey.long,
    )


@asynccontextmanager
async def _task(name: str, work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    task = asyncio.create_task(work, name=name)
    task.add_done_callback(_end_with_it)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _in_background(stack: AsyncExitStack, name: str, work: Coroutine[Any, Any, None]) -> None:
    await stack.enter_async_context(_task(name, work))


def _end_with_it(task: "asyncio.Task[None]") -> None:
    """A part that must always run has died: better to end and be restarted than to lie.

    By a signal of its own, so that `serve` ends as gracefully as after SIGTERM, but with an
    exit code that a supervisor restarts after.
    """
    if not task.cancelled() and (error := task.exception()) is not None:
        log.critical("%s has died", task.get_name(), exc_info=error)
        os.kill(os.getpid(), signal.SIGUSR1)


def _check(ready: Any) -> Any:
    async def check() -> str | None:
        try:
            await ready()
        except BridgeError as error:
            return str(error)
        return None

    return check
