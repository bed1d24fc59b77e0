"""The embedded backend as a server: everything put together, started and stopped."""

import asyncio
import contextlib
import fcntl
import os
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from bridge.backends.embedded.building.logs import Growth
from bridge.backends.embedded.building.pipeline import Pipeline
from bridge.backends.embedded.building.process import Limits
from bridge.backends.embedded.building.sources import Hosts
from bridge.backends.embedded.engine import Engine
from bridge.backends.embedded.http import docs
from bridge.backends.embedded.http.api import BODY_LIMIT, Api, checks_key
from bridge.backends.embedded.http.sites import Sites
from bridge.backends.embedded.http.streaming import Streaming
from bridge.backends.embedded.parts import Parts
from bridge.backends.embedded.places import Places
from bridge.backends.embedded.records.catalog import Catalog
from bridge.backends.embedded.records.database import Database
from bridge.backends.embedded.records.history import History
from bridge.backends.embedded.records.ids import new_id
from bridge.backends.embedded.sweeping import sweep
from bridge.core.errors import Rejected
from bridge.ports.clock import Clock

_SHUTDOWN_SECONDS = 5.0

_LOCK_PATIENCE = 1.0
"""Seconds to wait for the lock: a program that a killed server was just about to start keeps its
lock until it has begun."""


class EmbeddedServer:
    """A small deploy server that speaks Dokploy's HTTP API and serves what it publishes.

    Args:
        data_dir: holds everything; made when it is missing. One server at a time.
        port: 0 takes a free one; `url` tells which.
        api_key: None makes one at the first start and keeps it in `data_dir/api-key`.
        builds_concurrency: so many builds at a time; one at a time of each application.
        hosts: where GitHub and GitLab are, and tokens for private repositories.
        limits: time and size of builds.
        search_path: where programs are looked up, as in PATH; None means our own PATH.
        self_hosted_cancel: refuse `cancelDeployment` in the words of a self-hosted Dokploy.
    """

    def __init__(
        self,
        data_dir: Path | str,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        api_key: str | None = None,
        builds_concurrency: int = 2,
        hosts: Hosts | None = None,
        limits: Limits | None = None,
        search_path: str | None = None,
        self_hosted_cancel: bool = False,
        clock: Clock = time.time,
        new_id: Callable[[], str] = new_id,
    ) -> None:
        self._places = places = Places(Path(data_dir).absolute())
        self._host, self._port = host, port
        self._given_key = api_key
        self._key: str | None = None
        self._database = Database(places.database)
        catalog, history, growth = Catalog(self._database), History(self._database), Growth()
        pipeline = Pipeline(
            catalog,
            places,
            growth,
            hosts=hosts or Hosts(),
            limits=limits or Limits(),
            search_path=search_path,
        )
        engine = Engine(
            history,
            pipeline,
            places,
            builds_concurrency=builds_concurrency,
            clock=clock,
            new_id=new_id,
        )
        self.parts = Parts(
            catalog=catalog,
            history=history,
            engine=engine,
            places=places,
            growth=growth,
            clock=clock,
            new_id=new_id,
            self_hosted_cancel=self_hosted_cancel,
            search_path=search_path,
        )
        self._lock: int | None = None
        self._runner: web.AppRunner | None = None
        self._bound: tuple[str, int] | None = None

    @property
    def url(self) -> str:
        """E.g. "http://127.0.0.1:41807"; there once it has started."""
        if self._bound is None:
            raise RuntimeError("the embedded server has not started")
        host, port = self._bound
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    @property
    def api_key(self) -> str:
        """What clients send as `x-api-key`; there once it has started."""
        if self._key is None:
            raise RuntimeError("the embedded server has not started")
        return self._key

    @property
    def running(self) -> bool:
        """Whether it has started and not stopped."""
        return self._bound is not None

    def site_url(self, app_name: str) -> str:
        """Where a published static site is, e.g. "http://127.0.0.1:41807/apps/web-jwkg6q/"."""
        return f"{self.url}/apps/{quote(app_name)}/"

    async def start(self) -> None:
        """Open the data, go on with what waits, and listen.

        Raises:
            Rejected: another server uses the data directory.
            OSError: e.g. the port is taken.
        """
        try:
            self._lock = await asyncio.to_thread(_lock, self._places.root)
            key = self._given_key
            if not key:
                key = await asyncio.to_thread(_kept_key, self._places.key_file)
            self._key = key
            await self._database.open()
            known = {one["applicationId"] for one in await self.parts.catalog.applications()}
            await asyncio.to_thread(sweep, self._places, known)
            await self._listen(key)
            await asyncio.to_thread(self._places.url_file.write_text, self.url)
            await self.parts.engine.start()
        except BaseException:  # also a cancel: what is open must be closed
            await self.stop()
            raise

    async def stop(self) -> None:
        """Stop listening, end what runs, close the data; what waits is kept."""
        if self._bound is not None:
            self._places.url_file.unlink(missing_ok=True)
        self._bound = None
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        await self.parts.engine.stop()
        await self._database.close()
        if self._lock is not None:
            await asyncio.to_thread(os.close, self._lock)
            self._lock = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        await self.stop()

    async def _listen(self, key: str) -> None:
        authorised = checks_key(key)
        sites = Sites(self.parts.catalog, self._places)
        streaming = Streaming(self.parts, authorised)
        app = web.Application(client_max_size=BODY_LIMIT, middlewares=[_hosts(sites)])
        app.add_routes(docs.routes())
        app.add_routes(Api(self.parts, authorised).routes())
        app.add_routes(sites.routes())
        app.add_routes(streaming.routes())

        async def say_goodbye(_app: web.Application) -> None:
            await streaming.close()

        app.on_shutdown.append(say_goodbye)
        self._runner = web.AppRunner(
            app, access_log=None, shutdown_timeout=_SHUTDOWN_SECONDS, handle_signals=False
        )
        await self._runner.setup()
        await web.TCPSite(self._runner, self._host, self._port).start()
        address = self._runner.addresses[0]
        self._bound = (str(address[0]), int(address[1]))


def _hosts(sites: Sites) -> Middleware:
    @web.middleware
    async def by_host(request: web.Request, handler: Handler) -> web.StreamResponse:
        answer = await sites.by_host(request)
        return answer if answer is not None else await handler(request)

    return by_host


def _lock(root: Path) -> int:
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle = os.open(root / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    until = time.monotonic() + _LOCK_PATIENCE
    while not _taken(handle):
        if time.monotonic() > until:
            os.close(handle)
            raise Rejected(
                f"another embedded backend uses {root}; stop it or choose another data directory"
            )
        time.sleep(0.05)  # in a thread; nothing tells when a lock becomes free
    return handle


def _taken(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _kept_key(file: Path) -> str:
    with contextlib.suppress(FileNotFoundError):
        if kept := file.read_text().strip():  # an empty key would let everybody in
            return kept
    key = secrets.token_urlsafe(32)
    # Written whole before it has its name, so that no half of a key is ever read.
    fresh = file.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as out:
        out.write(key + "\n")
    fresh.replace(file)
    return key
