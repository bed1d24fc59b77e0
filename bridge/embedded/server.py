"""The server: its parts, its two listeners, its start and its stop."""

import asyncio
import contextlib
import email.utils
import fcntl
import os
import secrets
import time
from collections.abc import Callable, Collection
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Self

from aiohttp import web

from bridge.core.errors import Rejected
from bridge.embedded.building.logs import Growth
from bridge.embedded.building.pipeline import Pipeline
from bridge.embedded.building.process import Limits
from bridge.embedded.building.queue import Engine
from bridge.embedded.building.sites import Sites
from bridge.embedded.building.sources import Hosts
from bridge.embedded.http import docs
from bridge.embedded.http.api import BODY_LIMIT, Api, Streaming, checks_key
from bridge.embedded.http.procedure import Parts
from bridge.embedded.storage.history import History, Releases, kept_of
from bridge.embedded.storage.paths import Clock, Places, remove, write_private
from bridge.embedded.storage.records import Catalog, Database, Domains, new_id
from bridge.listening.listener import Listener, share_of_files


def sweep(places: Places, known: Collection[str], built: Collection[str]) -> None:
    """Remove the remains of killed builds and deleted applications, before the server starts.

    Args:
        known: ids of all applications.
        built: ids of the deployments that can be served again.
    """
    root = places.root
    left = [*root.glob("applications/*/build-*"), *root.glob("sites/*/current.*")]
    for kind in ("applications", "sites", "logs"):
        left += (one for one in root.glob(f"{kind}/*") if one.name not in known)
    for site in root.glob("sites/*"):
        # Releases that are half made, or of forgotten deployments; never the served one.
        releases = Releases.of(places, site.name)
        stay = {*built, releases.served()}
        for folder in (site / "releases", releases.variables_root):
            left += (one for one in folder.glob("*") if one.name not in stay)
    for one in left:
        if one.is_dir() and not one.is_symlink():
            remove(one)
        else:
            one.unlink(missing_ok=True)


# ── The listeners ───────────────────────────────────────────────────────────────────────────────


def api_listener(parts: Parts, api_key: str, host: str, port: int) -> Listener:
    """Return the listener of the API, its documentation and the logs that clients follow."""
    authorised = checks_key(api_key)
    streaming = Streaming(parts, authorised)
    app = web.Application(client_max_size=BODY_LIMIT)
    app.add_routes(docs.routes())
    app.add_routes(Api(parts, authorised).routes())
    app.add_routes(streaming.routes())

    async def say_goodbye(_app: web.Application) -> None:
        await streaming.close()

    def as_the_api(status: int, words: str) -> web.Response:
        return web.json_response({"message": words, "code": HTTPStatus(status).name}, status=status)

    async def add_headers(_request: web.Request, response: web.StreamResponse) -> None:
        # There is no dashboard for clients to link to.
        response.headers["X-Dashboard"] = "none"
        # Clients compare `Date` with the times of records, which are by this clock.
        response.headers["Date"] = email.utils.formatdate(parts.clock(), usegmt=True)

    app.on_shutdown.append(say_goodbye)
    app.on_response_prepare.append(add_headers)
    most = share_of_files(32, 128)
    return Listener(
        app, host, port, name="bridge.listening.embedded_api", most=most, say=as_the_api
    )


def sites_listener(parts: Parts, host: str, port: int) -> Listener:
    """Return the listener of the sites; nothing there needs a key."""
    sites = Sites(parts.catalog, parts.domains, parts.places)
    app = web.Application(middlewares=[sites.by_host])
    app.add_routes(sites.routes())
    most = share_of_files(16, 512)  # a connection also opens a page

    def as_a_page(status: int, words: str) -> web.Response:
        return web.Response(status=status, text=words + "\n")

    # A page is closed together with its connection.
    return Listener(
        app,
        host,
        port,
        name="bridge.listening.sites",
        most=most,
        say=as_a_page,
        handler_cancellation=True,
    )


# ── The server ──────────────────────────────────────────────────────────────────────────────────

_LOCK_PATIENCE = 1.0
"""Seconds to wait for the lock: a program that a killed server was starting holds it until it has
started."""


class EmbeddedServer:
    """A small deploy server that speaks Dokploy's HTTP API and serves what it publishes.

    Args:
        data_dir: holds everything; created if missing. Only one server can use it.
        port: of the API; 0 takes a free one, which `url` names.
        sites_port: of the sites, and not the same; 0 as for `port`.
        sites_url: the public address of the sites, e.g. "https://sites.example.com"; None if
            it is unknown.
        api_key: None creates one at the first start and stores it in `data_dir/api-key`.
        builds_concurrency: builds at a time; never two of one application.
        hosts: addresses of GitHub and GitLab, and tokens for private repositories.
        limits: of builds.
        search_path: of programs, as in PATH; None means our own PATH.
        self_hosted_cancel: refuse `cancelDeployment`, as a self-hosted Dokploy does.
    """

    def __init__(
        self,
        data_dir: Path | str,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        sites_port: int = 0,
        sites_url: str | None = None,
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
        self._host, self._port, self._sites_port = host, port, sites_port
        self._public_sites_url = sites_url.rstrip("/") if sites_url else None
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
            domains=Domains(self._database),
            history=history,
            engine=engine,
            places=places,
            growth=growth,
            clock=clock,
            new_id=new_id,
            self_hosted_cancel=self_hosted_cancel,
            search_path=search_path,
            public_sites=self._public_sites_url,
        )
        self._lock: int | None = None
        self._listeners: list[Listener] = []
        self._bound: tuple[str, str] | None = None

    @property
    def url(self) -> str:
        """The address of the API on this machine, e.g. "http://127.0.0.1:41807"."""
        return self._addresses()[0]

    @property
    def sites_url(self) -> str:
        """The address of the sites: the public one if it is known, else that on this machine."""
        return self._public_sites_url or self._addresses()[1]

    def _addresses(self) -> tuple[str, str]:
        if self._bound is None:
            raise RuntimeError("the embedded server has not started")
        return self._bound

    @property
    def api_key(self) -> str:
        if self._key is None:
            raise RuntimeError("the embedded server has not started")
        return self._key

    async def start(self) -> None:
        """Open the data folder, listen, and continue with the waiting jobs.

        Raises:
            Rejected: another server uses the data folder.
            OSError: e.g. the port is in use.
        """
        try:
            await self._take_lock()
            key = self._given_key
            if not key:
                key = await asyncio.to_thread(_kept_key, self._places.key_file)
            self._key = key
            await self._database.open()
            known = {one["applicationId"] for one in await self.parts.catalog.applications()}
            built = await asyncio.to_thread(kept_of, self._places, await self.parts.history.all())
            await asyncio.to_thread(sweep, self._places, known, built)
            await self._listen(key)
            await asyncio.to_thread(self._places.url_file.write_text, self.url)
            await asyncio.to_thread(self._places.sites_url_file.write_text, self.sites_url)
            await self.parts.engine.start()
        except BaseException:  # also a cancellation: close what is open
            await self.stop()
            raise

    async def _take_lock(self) -> None:
        taking = asyncio.ensure_future(asyncio.to_thread(_lock, self._places.root))
        try:
            self._lock = await asyncio.shield(taking)
        except asyncio.CancelledError:  # the thread takes it all the same
            self._lock = await taking
            raise

    async def stop(self) -> None:
        """Stop listening, cancel the running jobs, close the data folder; waiting jobs are kept."""
        if self._bound is not None:
            self._places.url_file.unlink(missing_ok=True)
            self._places.sites_url_file.unlink(missing_ok=True)
        self._bound = None
        while self._listeners:
            await self._listeners.pop().stop()
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
        api = api_listener(self.parts, key, self._host, self._port)
        sites = sites_listener(self.parts, self._host, self._sites_port)
        for listener in (api, sites):
            await listener.start()
            self._listeners.append(listener)
        self._bound = api.url, sites.url


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
        time.sleep(0.05)  # in a thread; there is no event for a released lock
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
    write_private(file, key + "\n")
    return key
