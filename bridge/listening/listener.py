"""A listener for an aiohttp application, whose connections are bounded from the first byte on."""

import asyncio
import logging
import resource
from typing import Any

from aiohttp import web

from bridge.listening.crowd import Crowd
from bridge.listening.guests import Guests
from bridge.listening.quiet import nameless, quiet_logger
from bridge.listening.refusing import Refusing, Say

KEEPALIVE_SECONDS = 15.0
"""That a connection may idle, take for its headers (aiohttp allows an hour), or read nothing."""

FEWEST_CONNECTIONS = 16

_STOP_SECONDS = 5.0
_BACKLOG = 128


class Listener:
    """Serves an application on one address.

    Args:
        name: of the listener in logs, e.g. "sites".
        most: connections at a time, of which one client has no more than half.
        say: makes refusals in the form that the application's own have.
        settings: further ones of `aiohttp.web.AppRunner`.
    """

    def __init__(
        self,
        app: web.Application,
        host: str,
        port: int,
        *,
        name: str,
        most: int,
        say: Say,
        **settings: Any,
    ) -> None:
        self._host, self._port = host, port
        self._name, self._most = name, most
        app.on_response_prepare.append(nameless)
        self._say = say
        self._settings: dict[str, Any] = {
            "access_log": None,
            "logger": quiet_logger(f"bridge.listening.{name}"),
            "keepalive_timeout": KEEPALIVE_SECONDS,
            "lingering_time": 0,
        }
        self._runner = web.AppRunner(
            app,
            handle_signals=False,
            shutdown_timeout=_STOP_SECONDS,
            **self._settings,
            **settings,
        )
        self._crowd = Crowd(logging.getLogger(f"bridge.listening.{name}"))
        self._listener: asyncio.Server | None = None

    @property
    def url(self) -> str:
        """Where it is reached from this machine, e.g. "http://127.0.0.1:41807"."""
        return local_url(self._host, self._port)

    @property
    def port(self) -> int:
        """The port that it got, once it has started."""
        return self._port

    async def start(self) -> None:
        """Bind and serve; raises OSError where the address can't be had."""
        await self._runner.setup()
        assert self._runner.server is not None
        aiohttp = Refusing(self._runner.server, self._say, self._settings)
        guests = Guests(
            self._most, KEEPALIVE_SECONDS, each=max(1, self._most // 2), crowd=self._crowd
        )
        try:
            self._listener = await asyncio.get_running_loop().create_server(
                lambda: guests.expect(aiohttp()), self._host, self._port, backlog=_BACKLOG
            )
        except BaseException:
            await self._runner.cleanup()
            raise
        self._port = self._listener.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop taking requests, finish those under way."""
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.close()
            self._crowd.end()
            await self._runner.cleanup()


def local_url(host: str, port: int) -> str:
    """Where what listens on an address is reached from this machine."""
    host = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def share_of_files(part: int, most: int) -> int:
    """How many connections a listener may have: one in `part` of the files that we may open."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return most
    return max(FEWEST_CONNECTIONS, min(most, files // part))
