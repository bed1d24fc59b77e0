"""`serve` and `backend`: run until stopped."""

import asyncio
import contextlib
import ctypes
import gc
import logging
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bridge.app.roles import Role
from bridge.backends import BACKENDS, titles
from bridge.chats import CHATS
from bridge.cli.context import Config, settings_of
from bridge.cli.logs import set_up_logs
from bridge.cli.show import called_as, console, on_terminal, say
from bridge.core.errors import Rejected
from bridge.githosts import HOSTS
from bridge.ports.providers import BY_HTTP

if TYPE_CHECKING:
    from collections.abc import Iterable
    from socket import socket

    from bridge.app.run import Bridge
    from bridge.app.wiring import Beginning
    from bridge.ports.providers import BackendProvider
    from bridge.settings import Settings


ADDRESS = "https://bridge.example.com"


def hosts_of(settings: "Settings") -> list[str]:
    """Return the hosts that have a secret."""
    return [name for name, one in settings.host_servers().items() if one.serves]


def welcome(
    settings: "Settings",
    bridge: "Bridge",
    apps: int,
    command: str,
    made: "Iterable[str]" = (),
    link: str | None = None,
) -> list[str]:
    """Return lines for a terminal of 80 columns.

    Args:
        apps: how many are known.
        command: how this program is called from here.
        made: the hosts at which the bridge has made webhooks.
        link: to setup in the browser.
    """
    from bridge.app.data_folder import whereabouts
    from bridge.app.providers import places_of

    hosts = list(dict.fromkeys([*hosts_of(settings), *made]))
    lines = ["", f"The bridge listens on {bridge.url}, data in {whereabouts(settings)}"]
    lines += [f"  webhooks  {bridge.url}/hooks/{host}" for host in hosts]
    lines += [
        f"  {chat:<9} {_heard(chat, given, bridge)}" for chat, given in settings.chats_set().items()
    ]
    if bridge.backend_url is None:
        servers = settings.backends_set().values()
        lines += [
            f"  deploys   on {one.provider.title}, {place}"
            for one, place in zip(servers, places_of(settings), strict=True)
        ]
    else:
        lines.append(f"  deploys   on the embedded backend, {bridge.backend_url}/api")
        lines.append(f"            its key: {settings.data}/embedded/api-key")
        lines.append(f"  sites     {bridge.sites_url}")
    if apps:
        lines.append(f"  apps      {apps}, see: {command} apps")
    steps = [*_let_a_host_in(settings, bridge, hosts), *_have_apps(bridge, apps, command)]
    if link is not None:
        lines += ["", "Set up in the browser (the link works once, for 30 minutes):", f"  {link}"]
        lines += ["", "Or by hand:", *(f"  {step}" for step in steps)]
    elif steps:
        lines += ["", "Next:", *(f"  {step}" for step in steps)]
    return [*lines, ""]


def _heard(chat: str, given: Any, bridge: "Bridge") -> str:
    """Return how a chat's requests reach the bridge."""
    ways = (
        f"{bridge.url}/{chat}/events" if way == BY_HTTP else way
        for way in CHATS[chat].heard_by(given)
    )
    return " and ".join(ways) or f"cards only; {CHATS[chat].cards_only}"


def _let_a_host_in(settings: "Settings", bridge: "Bridge", hosts: list[str]) -> list[str]:
    if hosts:
        return []
    steps = [
        "Let a Git host in: choose a secret, and start again with it in the environment",
        *_secrets_to_set(),
        "  Then add a webhook with that secret to your repository there:",
        *(f"    {ADDRESS}/hooks/{key}   {one.webhook_note}".rstrip() for key, one in HOSTS.items()),
        "  of pushes, tags, and pull or merge requests.",
        f"  {ADDRESS} stands for what leads to {bridge.url}",
    ]
    if settings.host == "127.0.0.1":
        steps.append("  from there; in a container listen on all addresses: --host 0.0.0.0")
    return steps


def _secrets_to_set() -> list[str]:
    """Return a line for each Git host that sets a secret for its webhooks."""
    lines = [
        (f"export {one.variable(one.secrets[0].setting)}=…", f"the same for {one.title}")
        for one in HOSTS.values()
    ]
    lines[0] = lines[0][0], "`openssl rand -hex 32` makes one"
    widest = max(len(export) for export, _ in lines)
    return [f"    {export:{widest}}  # {remark}" for export, remark in lines]


def _have_apps(bridge: "Bridge", apps: int, command: str) -> list[str]:
    if bridge.backend_url is None or apps:
        return []
    return [
        f"Have something to deploy: your {titles()}'s apps,",
        *(line for one in BACKENDS.values() for line in _leads_to(one)),
        "  or a static site on the embedded backend, while this runs:",
        f"    {command} app create web --repo ADDRESS --publish FOLDER",
    ]


def _leads_to(backend: "BackendProvider") -> tuple[str, str]:
    """Return the settings that lead to a backend's apps."""
    return (
        f"    export {backend.variable(backend.address)}={backend.example}",
        f"    export {backend.variable(backend.credential)}=…  # there: {backend.keys_at}",
    )


# ── `serve` and `backend`: run until stopped ───────────────────────────────────────────────

log = logging.getLogger(__name__)

MANY_FILES = 16_384

SWITCH = 0.001
"""Seconds that a thread may hold the interpreter while others wait. The event loop needs it again
after every read and write, so with Python's 5 ms, deciding a batch makes senders wait many times as
long."""


def serve(
    config: Config = None,
    role: Annotated[Role, typer.Option(help="web receives, worker deploys.")] = Role.ALL,
    host: Annotated[
        str | None, typer.Option(help="Address to listen on.", show_default="127.0.0.1")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            min=0, max=65535, help="Port; 0 takes a free one.", show_default="PORT, or 8080"
        ),
    ] = None,
) -> None:
    """Receive webhooks and deploy until stopped."""
    from bridge.app.data_folder import stands_aside
    from bridge.app.stored_settings import Stored
    from bridge.app.wiring import Beginning
    from bridge.listening.listener import inherited
    from bridge.settings import read_settings

    stored = Stored()
    settings = read_settings(config, os.environ, stored)
    given = {"host": _to_listen_on(host), "port": port}
    settings = settings.model_copy(update={k: v for k, v in given.items() if v is not None})
    for_people = set_up_logs(settings.log_format, settings.log_level)
    if stands_aside(settings, role, os.environ):
        _run(_stand_aside())
    else:
        held: list[socket] = []
        beginning = Beginning(inherited(os.environ), stored.version, config, os.environ)
        _run(_serve(settings, role, for_people, beginning, held))
        if held:
            _start_anew(held)


def migrate(config: Config = None) -> None:
    """Bring all tables up to date, as every start does; several may run at once."""
    from bridge.app.data_folder import whereabouts
    from bridge.app.storage import migrate as bring_up_to_date

    settings = settings_of(config)
    asyncio.run(bring_up_to_date(settings))
    say(f"all tables are up to date in {whereabouts(settings)}")


def backend(
    config: Config = None,
    host: Annotated[
        str | None, typer.Option(help="Address to listen on.", show_default="127.0.0.1")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            min=0, max=65535, help="Port of the API; 0 takes a free one.", show_default="8090"
        ),
    ] = None,
    sites_port: Annotated[
        int | None,
        typer.Option(
            min=0, max=65535, help="Port of the sites.", show_default="the one after --port"
        ),
    ] = None,
) -> None:
    """Run the embedded deploy backend alone, as a server with Dokploy's HTTP API."""
    settings = settings_of(config)
    given = {"host": _to_listen_on(host), "port": port, "sites_port": sites_port}
    embedded = settings.embedded.model_copy(
        update={k: v for k, v in given.items() if v is not None}
    )
    settings = settings.model_copy(update={"embedded": embedded})
    for_people = set_up_logs(settings.log_format, settings.log_level)
    _run(_backend(settings, for_people))


def _to_listen_on(host: str | None) -> str | None:
    from bridge.settings import listening_address

    try:
        return None if host is None else listening_address(host)
    except ValueError as error:
        raise Rejected(f"--host: {error}") from None


AGAIN = -1
"""Instead of an exit code: start anew, with other settings."""


async def _serve(
    settings: "Settings",
    role: Role,
    for_people: bool,
    beginning: "Beginning",
    held: "list[socket]",
) -> int:
    """Serve until told to stop.

    Args:
        held: takes copies of the listening sockets if the process is to start anew.
    """
    from bridge.app.data_folder import whereabouts
    from bridge.app.providers import addresses_of
    from bridge.app.run import run_bridge
    from bridge.app.setup.door import setup_routes
    from bridge.app.setup.entry import new_link

    stop = _told_to_stop()
    beginning = replace(beginning, anew=partial(_tell, stop, AGAIN), setup=setup_routes)
    async with run_bridge(settings, role=role, beginning=beginning) as bridge:
        made = [one.host for one in await bridge.stores.journal.made_hooks()]
        hosts = list(dict.fromkeys([*hosts_of(settings), *made]))
        link = None
        if role.hears and not hosts:
            link = await new_link(bridge.stores.journal, str(settings.public_url or bridge.url))
        if for_people and role is Role.ALL:
            apps = len(await bridge.stores.journal.apps())
            for line in welcome(settings, bridge, apps, called_as(), made, link):
                typer.echo(line)
        elif link is not None:
            log.info("set up in the browser, once, within 30 minutes", extra={"link": link})
        leave_the_program_alone()
        log.info(
            "serving",
            extra={
                "url": bridge.url,
                "hosts": hosts,
                "backend": ", ".join(addresses_of(settings)) or bridge.backend_url,
                "data": whereabouts(settings),
                "role": str(role),
            },
        )
        code = await stop
        if code == AGAIN:
            log.info("restarting: the stored settings have changed")
            held += bridge.sockets()
            code = 0
        else:
            log.info("stopping")
        _be_gone_within(9.0)  # platforms kill ten seconds after SIGTERM
    return code


def _start_anew(sockets: "Sequence[socket]") -> None:
    """Replace this process by a new one with the same arguments, which goes on listening."""
    from bridge.listening.listener import hand_over

    sys.stdout.flush()
    hand_over(sockets, os.environ)
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - ourselves


async def _stand_aside() -> int:
    """Do nothing until told to stop."""
    stop = _told_to_stop()
    log.warning(
        "this worker has nothing to do: without DATABASE_URL one process does all the work; set"
        " DATABASE_URL to a Postgres that all share, or run no worker"
    )
    return await stop


def leave_the_program_alone() -> None:
    """Exclude all objects of the start from garbage collection.

    Scanning modules and classes again and again finds nothing, and blocks the event loop for a
    tenth of a second.
    """
    gc.collect()
    gc.freeze()


def _be_gone_within(seconds: float) -> None:
    """Exit hard if a part does not end, such as one that waits for a lost database.

    Interrupted work continues elsewhere or after the next start, as after any crash.
    """

    def end() -> None:
        log.critical("a component did not stop in time", extra={"seconds": seconds})
        os._exit(1)

    timer = threading.Timer(seconds, end)
    timer.daemon = True  # none of our code waits for it
    timer.start()


async def _backend(settings: "Settings", for_people: bool) -> int:
    from bridge.app.providers import run_embedded

    stop = _told_to_stop()
    async with run_embedded(settings) as server:
        key_file = settings.data / "embedded" / "api-key"
        if for_people:
            console().print(f"embedded backend  {server.url}/api", style="bold")
            console().print(f"sites             {server.sites_url}")
            console().print(f"key               {key_file}")
        if on_terminal():  # never into a log
            console().print(f"x-api-key         {server.api_key}")
        told = {"url": f"{server.url}/api", "sites": server.sites_url, "key_in": str(key_file)}
        log.info("backend serves", extra=told)
        return await stop


def _told_to_stop() -> "asyncio.Future[int]":
    """Return a future that a stop signal completes with its exit code."""
    loop = asyncio.get_running_loop()
    stop: asyncio.Future[int] = loop.create_future()

    loop.add_signal_handler(signal.SIGTERM, _tell, stop, 0)
    loop.add_signal_handler(signal.SIGINT, _tell, stop, 130)
    loop.add_signal_handler(signal.SIGUSR1, _tell, stop, 1)  # a part has died, see app/wiring.py
    return stop


def _tell(stop: "asyncio.Future[int]", code: int) -> None:
    if not stop.done():
        stop.set_result(code)


def _run(work: Coroutine[Any, Any, int]) -> None:
    """Run on uvloop if it is installed (extra `fast`)."""
    make_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
    with contextlib.suppress(ImportError):
        from uvloop import new_event_loop as make_loop
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)  # every connection is an open file
    wanted = MANY_FILES if hard == resource.RLIM_INFINITY else min(hard, MANY_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    sys.setswitchinterval(SWITCH)
    give_memory_back()
    # Without its own command line, with Pygments and Rich, httpx takes 3.5 MiB less.
    sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]  # as Python documents it
    with asyncio.Runner(loop_factory=make_loop) as runner:
        code = runner.run(work)
    sys.stdout.flush()
    if code:
        raise typer.Exit(code)


# ── Memory: glibc would keep that of a crowd for ever ─────────────────────────────────────────────

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of <malloc.h>
LARGE_BLOCK = 2**20
"""Bytes; larger than a usual webhook, which is unaffected."""


def give_memory_back() -> None:
    """Give large blocks back as soon as they are free, and small ones a few seconds later.

    By default glibc keeps the memory of a 22 MB body, and copies such a body as it grows. It keeps
    that of thousands of connections, too.
    """
    with contextlib.suppress(OSError, AttributeError):  # musl and macOS have no `mallopt`
        library = ctypes.CDLL(None)
        library.mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK)
        library.mallopt(M_TRIM_THRESHOLD, 2 * LARGE_BLOCK)

        def trim() -> None:
            while True:
                time.sleep(10.0)  # one trim takes a millisecond or two
                library.malloc_trim(0)

        threading.Thread(target=trim, daemon=True).start()
