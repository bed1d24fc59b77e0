"""The backends that deploy, and what configures their apps."""

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from bridge.app.data_folder import must_be_ours, unusable
from bridge.app.parts import seal_of
from bridge.app.storage import Stores
from bridge.backends import BACKENDS
from bridge.core.errors import Rejected
from bridge.pipeline.configure import Configurable, Configurer
from bridge.ports.backends import Backend
from bridge.ports.clock import Clock, Wake
from bridge.ports.figures import Observe
from bridge.settings import DokploySettings, Settings, book_of

EMBEDDED = "embedded"
"""The name of the embedded backend in records, logs and JSON."""


@asynccontextmanager
async def run_embedded(settings: Settings, clock: Clock = time.time) -> AsyncIterator[Any]:
    """Run the embedded backend alone, as a server."""
    must_be_ours(settings.data)
    from bridge.embedded.building.process import Limits
    from bridge.embedded.server import EmbeddedServer

    server = EmbeddedServer(
        settings.data / "embedded",
        host=settings.embedded.host,
        port=settings.embedded.port,
        sites_port=settings.embedded.port_of_sites,
        sites_url=settings.embedded.sites_url,
        builds_concurrency=settings.embedded.builds_concurrency,
        limits=Limits(
            build_seconds=settings.embedded.build_timeout,
            memory_bytes=settings.embedded.build_memory * 2**20,
        ),
        clock=clock,
    )
    try:
        await server.start()
    except OSError as error:
        if error.filename is not None:  # it is about a file, so not about a port
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
    """Return the backends that deploy: every Dokploy that is set, else the embedded one.

    Args:
        clock: the one by which deployments are followed, so that both sides tell the same time.
    """
    check_dokploys(settings)
    found = {
        name: dokploy_of(settings, name, observe=observe, clock=clock)
        for name in dokploys(settings)
    }
    server = None
    if not found:
        server = await stack.enter_async_context(run_embedded(settings, clock))
        found[EMBEDDED] = embedded_of(server.url, server.api_key, observe=observe, clock=clock)
    for backend in found.values():
        stack.push_async_callback(backend.close)
    return found, server


def embedded_of(url: str, api_key: str, **others: Any) -> Backend:
    """Return the client of an embedded backend, which is asked over HTTP as any Dokploy is."""
    return BACKENDS["dokploy"](
        name=EMBEDDED, url=url, api_key=api_key, direct=True, choices=False, **others
    )


def dokploys(settings: Settings) -> dict[str, DokploySettings]:
    """Return the Dokploys that are set, by name."""
    named = {"dokploy": settings.dokploy} | settings.backends
    return {name: dokploy for name, dokploy in named.items() if dokploy.url is not None}


def addresses_of(settings: Settings) -> list[str]:
    """Return where the Dokploys are that deploy; an empty list where the embedded backend does."""
    return [str(dokploy.url) for dokploy in dokploys(settings).values()]


def check_dokploys(settings: Settings) -> None:
    """Raise Rejected where a Dokploy has an address without a key, or a key without an address."""
    for name, dokploy in ({"dokploy": settings.dokploy} | settings.backends).items():
        url, key = _named(name, "url"), _named(name, "api_key")
        if dokploy.url is not None and dokploy.api_key is None:
            raise Rejected(
                f"the url of the Dokploy {name!r} is set, but {key} is not;"
                " make one in Dokploy: Settings, Profile, API/CLI Keys"
            )
        if dokploy.url is None and dokploy.api_key is not None:
            raise Rejected(
                f"{key} is set, but {url} is not, so nothing would deploy there: set it, e.g. to"
                f" https://dokploy.example.com, or leave {key} out"
            )
        if dokploy.url is None and name in settings.backends:
            raise Rejected(
                f"{url} is not set, so nothing would deploy there: set it, or leave"
                f" backends.{name} out"
            )


def _named(name: str, setting: str) -> str:
    """Return what people call a setting of a Dokploy."""
    if name == "dokploy":
        return f"BRIDGE_DOKPLOY_{setting.upper()}"
    return f"backends.{name}.{setting}"


def dokploy_of(settings: Settings, name: str = "dokploy", **others: Any) -> Backend:
    """Return the Dokploy of that name; raise Rejected if its key is missing."""
    check_dokploys(settings)
    dokploy = dokploys(settings)[name]
    return BACKENDS["dokploy"](
        name=name,
        **dokploy.model_dump(exclude={"api_key", "allow_kill_build"}),
        api_key=dokploy.api_key,
        **others,
    )


def configurers_of(
    settings: Settings, stores: Stores, backends: Mapping[str, Backend], wake: Wake
) -> dict[str, Configurer]:
    """Return what changes how apps are configured, by the name of their backend."""
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
