"""Serves published sites: under `/apps/<appName>/` and under the host `<appName>.localhost`."""

import asyncio
import json
import logging
import mimetypes
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.typedefs import Handler

from bridge.embedded.places import Places
from bridge.embedded.records.catalog import Catalog
from bridge.listening.log import Sparing

HOST_SUFFIX = ".localhost"

READ_SECONDS = 30.0
SLOWEST = 8 * 1024
"""A page has to be read within so many seconds, and so many bytes a second on top."""

_sparing = Sparing(logging.getLogger(__name__))

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",  # ask again: the next deployment may be a moment away
}
# What the machine's own tables may lack or have otherwise.
_TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".json": "application/json",
    ".map": "application/json",
    ".md": "text/markdown",
    ".mjs": "text/javascript",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
    ".webp": "image/webp",
    ".woff2": "font/woff2",
    ".xml": "application/xml",
}
_TEXT = frozenset({"application/json", "application/xml", "image/svg+xml"})


@dataclass(frozen=True, slots=True)
class Found:
    """What to send for a path.

    Attributes:
        redirect: whether the path is a folder's and lacks the slash at its end.
        status: 200, or 404 for the site's own page that says so.
    """

    file: Path | None
    redirect: bool = False
    status: int = 200


class Sites:
    """Finds and sends files of the release that is served at the moment."""

    def __init__(self, catalog: Catalog, places: Places) -> None:
        self._catalog = catalog
        self._places = places

    def routes(self) -> list[web.RouteDef]:
        """Routes under `/apps/`."""
        return [
            web.get("/apps/{app}", self._by_path),
            web.get("/apps/{app}/{path:.*}", self._by_path),
        ]

    @web.middleware
    async def by_host(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer where the host is an application's; a middleware."""
        host = (request.headers.get("Host") or "").rpartition(":")
        name = (host[0] or host[2]).lower()
        if not name.endswith(HOST_SUFFIX):
            return await handler(request)
        app_name = name.removesuffix(HOST_SUFFIX)
        if request.method not in ("GET", "HEAD"):
            return web.Response(status=405, headers={"Allow": "GET, HEAD"})
        return await self._send(app_name, request.path.lstrip("/"), request)

    async def _by_path(self, request: web.Request) -> web.StreamResponse:
        app_name = request.match_info["app"]
        if "path" not in request.match_info:
            return _moved(f"/apps/{quote(app_name)}/", request)
        return await self._send(app_name, request.match_info["path"], request)

    async def _send(self, app_name: str, path: str, request: web.Request) -> web.StreamResponse:
        # A name that is no text can't be looked up.
        is_text = app_name.isprintable()
        application_id = await self._catalog.application_named(app_name) if is_text else None
        found = Found(None)
        if application_id is not None:
            found = await asyncio.to_thread(find, self._places.site(application_id), path)
        if found.redirect:
            return _moved(quote(request.path) + "/", request)
        if found.file is None:
            words = "Nothing is published here" if application_id is None else "Not found"
            return web.Response(status=404, text=words + "\n", headers=_HEADERS)
        headers = _HEADERS | {"Content-Type": content_type(found.file)}
        size = await asyncio.to_thread(lambda file: file.stat().st_size, found.file)
        return _Page(found.file, READ_SECONDS + size / SLOWEST, found.status, headers)


class _Page(web.FileResponse):
    """A file that has to be read in time; else the connection goes, and the open file with it."""

    def __init__(self, file: Path, seconds: float, status: int, headers: dict[str, str]) -> None:
        super().__init__(file, status=status, headers=headers)
        self._seconds = seconds

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Send all of the file: for one, aiohttp does that here."""
        try:
            async with asyncio.timeout(self._seconds):
                return await super().prepare(request)
        except TimeoutError:
            _sparing.info("a page was read too slowly", seconds=self._seconds)
            if request.transport is not None:
                request.transport.abort()
            raise ConnectionResetError from None


def find(site: Path, wanted: str) -> Found:
    """The file that a path of a site stands for. Blocks: call it off the event loop.

    Nothing outside of the release is ever found, whatever the path or the links in it.
    """
    try:
        release = (site / "current").resolve(strict=True)
        is_spa = bool(json.loads((release / "release.json").read_text()).get("spa"))
    except (OSError, ValueError):
        return Found(None)
    root = release / "files"
    exact = _inside(root, wanted)
    if exact is not None and exact.is_dir():
        if wanted and not wanted.endswith("/"):
            return Found(None, redirect=True)
        exact = _inside(root, f"{wanted}/index.html")
    if exact is not None and exact.is_file():
        return Found(exact)
    if is_spa and (page := _inside(root, "index.html")) is not None:
        return Found(page)
    return Found(_inside(root, "404.html"), status=404)


def _inside(root: Path, wanted: str) -> Path | None:
    try:
        path = (root / wanted.lstrip("/")).resolve(strict=True)
    except (OSError, ValueError, RuntimeError):  # missing, a NUL in it, links in a circle
        return None
    return path if path.is_relative_to(root) else None


def content_type(file: Path) -> str:
    """E.g. "text/html; charset=utf-8"; unknown files are sent as bytes."""
    known = _TYPES.get(file.suffix.lower()) or mimetypes.guess_type(file.name)[0]
    if known is None:
        return "application/octet-stream"
    return f"{known}; charset=utf-8" if known.startswith("text/") or known in _TEXT else known


def _moved(path: str, request: web.Request) -> web.Response:
    location = path + (f"?{request.query_string}" if request.query_string else "")
    # A path of two slashes would be another host's address.
    location = "/" + location.lstrip("/")
    return web.Response(status=308, headers={"Location": location} | _HEADERS)
