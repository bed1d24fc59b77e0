"""The composition root: builds the parts from Settings; the only file that names every part."""

import asyncio
import fcntl
import logging
import os
import signal
import sqlite3
import time
from collections.abc import (
    AsyncIterator,
    Coroutine,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import SecretStr
from sqlalchemy.exc import DatabaseError

from bridge.backends import BACKENDS
from bridge.core.errors import BridgeError, Rejected
from bridge.core.pacing import Limit
from bridge.core.watch import App
from bridge.githosts import APIS, HOSTS
from bridge.githosts.feedback import Plans, Use, shows_of
from bridge.githosts.github import GitHub
from bridge.githosts.gitlab import GitLab
from bridge.journey.authors import Authors
from bridge.journey.build_log import BuildLogs
from bridge.journey.cancel import Canceller
from bridge.journey.catalog import Catalog
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
from bridge.ports import Backend, ChatDoor, GitHost, HostApi, Observe, Permits, Planner, Shows, Wake
from bridge.settings import (
    DokploySettings,
    Settings,
    access_of,
    book_of,
    channels_of,
    policy_of,
)
from bridge.stores.engines import sqlite_engine
from bridge.stores.inbox import SqliteInbox
from bridge.stores.journal import SqlJournal
from bridge.stores.seal import FernetSeal, key_in

log = logging.getLogger(__name__)

EXECUTOR = "solo"
"""On SQLite one process works, so it takes up what its predecessor left (durability.md)."""


@dataclass(frozen=True, slots=True)
class Stores:
    """What is on disk; enough for every question, and to ask for something."""

    inbox: SqliteInbox
    journal: SqlJournal


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
async def open_stores(settings: Settings) -> AsyncIterator[Stores]:
    """The stores, beside a running bridge or without one."""
    if os.environ.get("DATABASE_URL"):
        raise Rejected(
            "DATABASE_URL is set, but this release keeps everything in SQLite: unset it,"
            " and mount a volume at BRIDGE_DATA"
        )
    data = settings.data
    inbox = SqliteInbox(data / "inbox.sqlite")
    journal = SqlJournal(sqlite_engine(data / "journal.sqlite"), clock=time.time)
    async with AsyncExitStack() as stack:
        for store in (inbox, journal):
            stack.push_async_callback(store.stop)
            await _opened(store, data)
        yield Stores(inbox, journal)


async def _opened(store: SqliteInbox | SqlJournal, data: Path) -> None:
    try:
        await store.start()
    except (OSError, sqlite3.DatabaseError, DatabaseError) as error:
        why = str(getattr(error, "orig", error))
        raise Rejected(f"the data in {data} can't be used: {why}; is it a bridge's?") from error


@asynccontextmanager
async def run_bridge(settings: Settings, places: Places = NO_PLACES) -> AsyncIterator[Bridge]:
    """Everything, started in the order in which data travels and stopped in reverse.

    Args:
        places: where to show what happens, besides those that the settings name.

    Raises:
        Rejected: a setting can't be used, or another process has the data directory.
    """
    from bridge.durable.engine import DurableFlows
    from bridge.durable.engine import sqlite_engine as flows_engine
    from bridge.web.hooks import BodyLimits
    from bridge.web.metrics import Metrics
    from bridge.web.server import WebServer, routes

    hosts = served_hosts(settings)
    async with AsyncExitStack() as stack:
        stack.enter_context(only_one(settings.data))
        stores = await stack.enter_async_context(open_stores(settings))
        metrics = Metrics(stores.inbox, stores.journal, lambda: _sizes(settings.data), time.time)
        await metrics.start()
        backends, embedded = await _backends(settings, stack, metrics.backend_request)
        flows = DurableFlows(
            flows_engine(settings.data / "workflows.sqlite"),
            executor_id=EXECUTOR,
            concurrency=settings.journey.deployments_at_a_time,
        )
        turns = Turns(time.time)
        apis = host_apis(settings)
        for api in apis.values():
            stack.push_async_callback(api.close)
        changes = Changes(apis, time.time, patience=settings.journey.changes_patience)
        stack.push_async_callback(changes.close)
        on_hosts = _on_hosts(settings, apis, turns, await stores.journal.instance())
        policy = policy_of(settings)
        catalog = Catalog(
            backends,
            stores.journal,
            time.time,
            policy=policy,
            book=book_of(settings),
            every=settings.journey.catalog_every,
            eager=settings.journey.catalog_eager,
        )
        seal = seal_of(settings)
        configurers = _configurers(settings, stores, backends, catalog.wake)
        desk = Desk(
            configurers,
            backends,
            stores.inbox,
            stores.journal,
            hosts,
            seal,
            policy=policy,
            book=book_of(settings),
        )
        slack = await _slack(settings, stack, stores, backends, hosts, catalog, turns, desk)
        configuring = Configuring(
            configurers, stores.inbox, stores.journal, seal, slack.permits, time.time
        )
        flows.register(CONFIGURE_FLOW, configuring.run)
        shown = _all_of(settings, on_hosts, slack, places)
        deployer = Deployer(backends, stores.journal, time.time, _pace(settings))
        flows.register(DEPLOYMENT_FLOW, deployer.run)
        may_kill = {name for name, one in dokploys(settings).items() if one.allow_kill_build}
        canceller = Canceller(backends, stores.journal, may_kill=may_kill)
        flows.register(CANCEL_FLOW, canceller.run)
        await flows.launch()
        stack.push_async_callback(flows.stop)
        deliveries = Deliveries(
            stores.inbox,
            stores.journal,
            flows,
            catalog,
            hosts,
            time.time,
            Patience(window=settings.journey.push_window),
            policy,
            together(shown.planners),
            Views(changes, stores.journal),
        )
        stores.inbox.woken = deliveries.wake
        await catalog.load()
        await _in_background(stack, "catalog", catalog.run())
        await _in_background(stack, "deliveries", deliveries.run())
        await _in_background(stack, "probe", Probe(backends, catalog).run())
        retention = Retention(
            stores.inbox,
            stores.journal,
            flows,
            time.time,
            EXECUTOR,
            Keeping(**settings.retention.model_dump()),
        )
        await _in_background(stack, "retention", retention.run())
        if able := {host: api for host, api in apis.items() if isinstance(api, ReadsRefs)}:
            diligence = Diligence(**settings.catchup.model_dump())
            behind = catchup(
                able,
                hosts,
                stores.inbox,
                stores.journal,
                catalog,
                time.time,
                diligence,
                homes=homes_of(settings),
                owner=EXECUTOR,
            )
            await _in_background(stack, "catchup", behind.run())
        if settings.feedback.enabled:
            feedback = Feedback(
                stores.journal,
                shown.shows,
                time.time,
                Persistence(**settings.feedback.model_dump(exclude={"enabled"})),
                turns=turns,
                owner=EXECUTOR,
            )
            stores.journal.woken = feedback.wake
            await _in_background(stack, "feedback", feedback.run())
        await _in_background(stack, "lag", metrics.watch_lag())
        token = settings.web.metrics_token
        limits = BodyLimits(
            settings.web.max_body, settings.web.max_in_flight, settings.web.body_timeout
        )
        app = routes(
            Ingest(hosts, stores.inbox, time.time),
            HOSTS,
            limits,
            {
                "inbox": _check(stores.inbox.ready),
                "journal": _check(stores.journal.ready),
                "workflows": _check(flows.ready),
            },
            metrics,
            token.get_secret_value() if token else None,
            slack.doors,
        )
        server = WebServer(app, settings.host, settings.port)
        await server.start()
        stack.push_async_callback(server.stop)
        yield Bridge(stores, server.url, embedded and embedded.url, embedded and embedded.api_key)


async def _nobody(_user: str, _app: App, _channel: str) -> str | None:
    return "slack is not set any more, so nobody may configure anything by it"


@dataclass(frozen=True, slots=True)
class SlackParts(Places):
    """Slack, as far as the rest needs to know; empty where it is not set."""

    doors: Mapping[str, ChatDoor] = field(default_factory=dict)
    permits: Permits = _nobody


async def _slack(
    settings: Settings,
    stack: AsyncExitStack,
    stores: Stores,
    backends: Mapping[str, Backend],
    hosts: Mapping[str, GitHost],
    catalog: Catalog,
    turns: Turns,
    desk: Desk,
) -> SlackParts:
    """Slack, where a bot token is set; what it lacks is named in the log."""
    if settings.slack.bot_token is None:
        return SlackParts()
    from bridge.chats.slack.changes import ChangePlans
    from bridge.chats.slack.opening import LIMITS, Slack, Wiring
    from bridge.chats.slack.planning import Cards, Channels

    given = settings.slack
    channels = Channels(channels_of(settings), given.channel)
    access = access_of(settings)
    logs = BuildLogs(backends, stores.journal)
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
            _shown(given.signing_secret),
            _shown(given.app_token),
            given.team_id,
            given.people_every,
        ),
        commands=ChatCommands(stores.inbox, stores.journal, known, access, logs, time.time),
        access=access,
        journal=stores.journal,
        inbox=stores.inbox,
        desk=desk,
        turn=turns.within(LIMITS),
        tail=logs.tail,
        email_of=Authors(stores.inbox, hosts).email_of,
        clock=time.time,
    )
    stack.push_async_callback(slack.stop)
    if slack.door is None and slack.socket is None:
        log.warning(
            "slack can't be heard: set BRIDGE_SLACK_SIGNING_SECRET (HTTP) or"
            " BRIDGE_SLACK_APP_TOKEN (Socket Mode)"
        )
    if not access.grants:
        log.warning("nobody may do anything by slack: say who in `access` of bridge.yaml")
    await _in_background(stack, "slack", slack.run())
    doors = {"slack": slack.door} if slack.door else {}
    planners = (Cards(channels), ChangePlans(channels))
    return SlackParts(planners, slack.shows, doors, slack.permits)


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


def seal_of(settings: Settings) -> FernetSeal:
    """What seals the secrets that must be kept for a while."""
    keys = _revealed(settings.secret_key)
    return FernetSeal(lambda: keys or [key_in(settings.data / "secret.key")])


def served_hosts(settings: Settings) -> dict[str, GitHost]:
    """The hosts that have a secret; the others are named in the log, with what would serve them.

    Raises:
        Rejected: a secret can't be one.
    """
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
    setting = {
        "github": "BRIDGE_GITHUB_WEBHOOK_SECRETS",
        "gitlab": "BRIDGE_GITLAB_WEBHOOK_TOKENS or BRIDGE_GITLAB_SIGNING_TOKENS",
    }
    for host in HOSTS:
        if host not in found:
            log.warning("%s is not served (404): set %s", host, setting[host])
    return found


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
    api = urlsplit(settings.github.api_url).netloc
    github = "github.com" if api == "api.github.com" else api
    return {github: "github", urlsplit(settings.gitlab.url).netloc: "gitlab"}


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


def _sizes(data: Path) -> dict[str, int]:
    """Bytes of each store's file and of those that SQLite keeps beside it."""
    sizes: dict[str, int] = {}
    for store in ("inbox", "journal", "workflows"):
        files = (data / f"{store}.sqlite{end}" for end in ("", "-wal"))
        sizes[store] = sum(file.stat().st_size for file in files if file.exists())
    return sizes


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


class InUse(Rejected):
    """Another process holds a data directory."""


@contextmanager
def only_one(data: Path) -> Iterator[None]:
    """Hold a data directory for this process: SQLite's flows must not run in two.

    Raises:
        InUse: another process holds it.
        Rejected: it can't be one.
    """
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = (data / "lock").open("a+")
    except OSError as error:
        raise Rejected(
            f"{data} can't hold the data ({error.strerror}); choose another with BRIDGE_DATA"
        ) from error
    with lock as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise InUse(
                f"another bridge is running on {data}; stop it, or choose another BRIDGE_DATA"
            ) from None
        yield


def is_running(data: Path) -> bool:
    """Whether a bridge is at work on a data directory."""
    try:
        with only_one(data):
            return False
    except InUse:
        return True
