"""Open the backends and Git hosts in the settings, and the ways to sign in."""

import logging
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from bridge.app.data_folder import must_be_ours, seal_of, unusable
from bridge.app.pages import console_of, pages_of
from bridge.app.storage import Stores
from bridge.app.wiring import Publishers
from bridge.backends import EMBEDDED, embedded_client
from bridge.chats import CHATS
from bridge.core.errors import Rejected
from bridge.core.events import Sender
from bridge.githosts import HOSTS
from bridge.githosts.feedback.publishers import WriteTurns
from bridge.githosts.feedback.subscriptions import Plans, Use, shows_of
from bridge.githosts.server import homes_of
from bridge.oauth import OIDC
from bridge.pipeline.deploying.configure import Configurable, Configurer
from bridge.pipeline.feedback.rate_limit import NO_WAIT, RateLimiter
from bridge.pipeline.gates.locks import Pulls
from bridge.ports.backends import Backend
from bridge.ports.clock import Clock, Limit, Wake
from bridge.ports.figures import Observe
from bridge.ports.githosts import HostApi
from bridge.ports.providers import BackendParts, HostSettings
from bridge.settings import Settings, access_of, book_of
from bridge.views.links import Links

if TYPE_CHECKING:
    from bridge.ports.feedback import Publisher
    from bridge.ports.sign_in import SignsIn

log = logging.getLogger(__name__)


@asynccontextmanager
async def run_embedded(settings: Settings, clock: Clock = time.time) -> AsyncIterator[Any]:
    """Run the embedded backend alone, as a server."""
    must_be_ours(settings.data)
    from bridge.embedded.building.process import Limits
    from bridge.embedded.building.sources import Hosts
    from bridge.embedded.server import EmbeddedServer

    server = EmbeddedServer(
        settings.data / "embedded",
        host=settings.embedded.host,
        port=settings.embedded.port,
        sites_port=settings.embedded.port_of_sites,
        sites_url=settings.embedded.sites_url,
        builds_concurrency=settings.embedded.builds_concurrency,
        hosts=Hosts(authorities=authorities_of(settings)),
        limits=Limits(
            build_seconds=settings.embedded.build_timeout,
            memory_bytes=settings.embedded.build_memory * 2**20,
        ),
        clock=clock,
    )
    try:
        await server.start()
    except OSError as error:
        if error.filename is not None:  # the error is about a file, not a port
            raise unusable(settings.data, error) from error
        ports = f"{settings.embedded.port} and {settings.embedded.port_of_sites}"
        raise Rejected(
            f"the embedded backend can't listen on {settings.embedded.host}, ports {ports}"
            f" ({error.strerror}); choose others with BRIDGE_EMBEDDED_PORT and"
            " BRIDGE_EMBEDDED_SITES_PORT"
        ) from error
    try:
        yield server
    finally:
        await server.stop()


def sites_address(settings: Settings) -> str | None:
    """Return the address of the embedded backend's sites; None if it takes a free port."""
    from bridge.listening.listener import local_url

    embedded = settings.embedded
    if embedded.sites_url:
        return embedded.sites_url.rstrip("/")
    return local_url(embedded.host, port) if (port := embedded.port_of_sites) else None


async def backends_of(
    settings: Settings, stack: AsyncExitStack, observe: Observe, clock: Clock
) -> tuple[dict[str, Backend], Any]:
    """Return the backends that deploy: every configured one, else the embedded one.

    Args:
        clock: the one that deployments are followed by, so both sides agree on the time.
    """
    check_backends(settings)
    parts = BackendParts(observe, clock)
    found = {name: one.open(parts) for name, one in settings.backends_set().items()}
    server = None
    if not found:
        server = await stack.enter_async_context(run_embedded(settings, clock))
        found[EMBEDDED] = embedded_client(
            server.url, server.api_key, sites=server.sites_url, observe=observe, clock=clock
        )
    for backend in found.values():
        stack.push_async_callback(backend.close)
    return found, server


def check_backends(settings: Settings) -> None:
    """Raise Rejected if a backend has an address without a key, or a key without an address."""
    for one in settings.backends_named():
        one.check()


def addresses_of(settings: Settings) -> list[str]:
    """Return the addresses of the backends that deploy; none for the embedded one."""
    return [str(one.address) for one in settings.backends_set().values()]


def places_of(settings: Settings) -> list[str]:
    """Return the same for people; several backends carry the names that apps show."""
    found = addresses_of(settings)
    if len(found) == 1:
        return found
    return [f"{name} at {url}" for name, url in zip(settings.backends_set(), found, strict=True)]


def configurers_of(
    settings: Settings, stores: Stores, backends: Mapping[str, Backend], wake: Wake
) -> dict[str, Configurer]:
    """Return the configurer of each backend, by its name."""
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


# ── Git hosts ───────────────────────────────────────────────────────────────────────────────────


PASSING = 0.5
"""The share of its limits that intermediate states may use."""

READ = 0.8
"""The share that comments may use for those: people watch them."""


def senders_of(settings: Settings) -> dict[str, Sender]:
    """Return how to recognise each host; of a further server only its path tells it."""
    servers = settings.host_servers()
    return {name: replace(one.provider, key=name) for name, one in servers.items()}


def host_apis(settings: Settings) -> dict[str, HostApi]:
    """Return the API of each host that has a credential, without sending a request yet.

    Raises:
        Rejected: a setting can't be used.
    """
    servers = settings.host_servers()
    made = {name: one.provider.api(name, one.given) for name, one in servers.items()}
    return {name: api for name, api in made.items() if api is not None}


def authorities_of(settings: Settings) -> dict[str, str]:
    """Return the files with the authorities of Git hosts, by the hosts' addresses."""
    servers = settings.host_servers().values()
    return {server.web_url: server.given.ca for server in servers if server.given.ca is not None}


def on_hosts(
    settings: Settings, apis: Mapping[str, HostApi], rate_limiter: RateLimiter, instance: str
) -> Publishers:
    """Return the publishers for the Git hosts that have a credential."""
    words = {chat: one.link_word for chat, one in CHATS.items()}
    compare = Links(pages_of(settings)).compare
    plans: list[Plans] = []
    publishers: dict[str, Publisher] = {}
    for host, api in apis.items():
        server = settings.host_servers()[host]
        given: HostSettings = server.given
        plan = Plans(
            host,
            frozenset(map(Use, given.feedback)),
            key=api.key,
            apart=server.provider.own_limits(given),
            skipped=given.skipped_status,
            review=server.provider.review,
        )
        plans.append(plan)
        pace = pace_of(rate_limiter, server.provider.limits)
        publishers |= shows_of(api, pace, instance, words, console_of(settings), compare)
    late, previews = (one.late for one in plans), (one.previews for one in plans)
    return Publishers(tuple(plans), tuple(late), tuple(previews), publishers)


def pace_of(rate_limiter: RateLimiter, limits: Sequence[Limit]) -> WriteTurns:
    """Return the write limits of a Git host."""
    turn = rate_limiter.within(limits, longest=NO_WAIT)
    passing = rate_limiter.within(limits, share=PASSING, longest=NO_WAIT)
    read = rate_limiter.within(limits, share=READ, longest=NO_WAIT)
    return WriteTurns(turn, passing, read, rate_limiter.clock)


def pulls_at(settings: Settings, apis: Mapping[str, HostApi]) -> Pulls:
    """Return what finds pull requests at the hosts that have a credential."""
    servers = settings.host_servers()
    signs = {name: one.provider.pages.sign for name, one in servers.items()}
    return Pulls(apis, homes_of(servers.values()), signs)


# ── people who sign in ───────────────────────────────────────────────────────────────────────────


def ways_to_sign_in(settings: Settings) -> "dict[str, SignsIn]":
    """Return them by their keys; nothing is sent yet."""
    access = access_of(settings)
    those = [
        *((key, one.sign_in, getattr(settings, key)) for key, one in HOSTS.items()),
        *((key, one.sign_in, getattr(settings, key)) for key, one in CHATS.items()),
        ("oidc", OIDC, settings.console.oidc),
    ]
    opened = {key: one.open(given, access) for key, one, given in those if one is not None}
    return {key: way for key, way in opened.items() if way is not None}
