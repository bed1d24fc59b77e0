"""Static sites: copy a folder of the repository to a release, switch to it, and serve it.

A site is served under `/apps/<appName>/`, under the host `<appName>.localhost`, and under the hosts
of its domains.
"""

import asyncio
import logging
import mimetypes
import os
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias, cast
from urllib.parse import quote

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.typedefs import Handler

from bridge.embedded.building.builders import Work
from bridge.embedded.building.process import Limits
from bridge.embedded.storage.history import Facts, facts_in
from bridge.embedded.storage.paths import BuildFailed, Places, inside, never_published, undivided
from bridge.embedded.storage.records import Catalog, Domains
from bridge.listening.log import RateLimitedLog

_CHUNK = 1024 * 1024

_Entry: TypeAlias = tuple[Path, str, bool]
"""An entry of a folder: its real path, its name there, and whether it is a folder."""


@dataclass(slots=True)
class Release:
    """A copy of a folder of the checkout: planned within the limits, then made.

    Links within the repository are followed, so a few links can stand for more folders than any
    disk holds. Everything is therefore counted before anything is written.

    Attributes:
        root: the checkout's real path; no link may lead out of it.
        stop: set to cancel; checked for each entry and each piece of a file.
        left_out: names in the site of files that are never published.
    """

    root: Path
    limits: Limits
    stop: threading.Event = field(default_factory=threading.Event)
    files: int = 0
    size: int = 0
    left_out: list[str] = field(default_factory=list)
    _entries: int = 0
    _above: dict[Path, None] = field(default_factory=dict)
    _read: dict[Path, list[_Entry]] = field(default_factory=dict)
    _folders: list[str] = field(default_factory=list)
    _sources: list[tuple[Path, str]] = field(default_factory=list)

    def plan(self, source: Path) -> None:
        """List everything below a folder; raise BuildFailed for what can't be published."""
        self._plan(source, "")

    def copy(self, target: Path) -> None:
        """Copy to a new folder; raise BuildFailed once it is cancelled."""
        target.mkdir(parents=True)
        for name in self._folders:
            self.check_wanted()
            (target / name).mkdir()
        for source, name in self._sources:
            self._copy(source, target / name)
        self.files = len(self._sources)

    def check_wanted(self) -> None:
        """Raise BuildFailed if the deployment has been cancelled."""
        if self.stop.is_set():
            raise BuildFailed("the deployment was cancelled")

    def _plan(self, source: Path, name: str) -> None:
        if len(self._above) >= self.limits.site_depth:
            limit = self.limits.site_depth
            raise BuildFailed(f"the site is deeper than its limit of {limit} folders")
        if source in self._above:
            raise BuildFailed(f"symbolic link to {self._name(source)!r} goes in a circle")
        self._above[source] = None
        for real, own_name, is_folder in self._inside(source):
            self._count()
            if never_published((own_name,)):
                if not own_name.endswith(".git"):  # not worth a line
                    self.left_out.append(name + own_name)
            elif is_folder:
                self._folders.append(name + own_name)
                self._plan(real, f"{name}{own_name}/")
            else:
                self._sources.append((real, name + own_name))
        del self._above[source]

    def _count(self) -> None:
        self.check_wanted()
        self._entries += 1
        if self._entries > self.limits.site_entries:
            limit = self.limits.site_entries
            raise BuildFailed(
                f"the site has more than its limit of {limit} files and folders; links to"
                " folders count as their targets"
            )

    def _inside(self, folder: Path) -> list[_Entry]:
        """List a folder; cached, since many links may lead to the same folder."""
        if folder not in self._read:
            with os.scandir(folder) as entries:
                self._read[folder] = [self._entry(entry) for entry in entries]
        return self._read[folder]

    def _entry(self, found: "os.DirEntry[str]") -> _Entry:
        self.check_wanted()
        path = Path(found.path)
        if never_published((found.name,)):
            return path, found.name, False
        real = self._real(path) if found.is_symlink() else path
        is_folder = real.is_dir()
        if not is_folder and not real.is_file():
            raise BuildFailed(f"{self._name(path)!r} is neither a file nor a folder")
        return real, found.name, is_folder

    def _copy(self, source: Path, target: Path) -> None:
        handle = os.open(source, os.O_RDONLY | os.O_NOFOLLOW)
        with os.fdopen(handle, "rb") as file, target.open("xb") as out:
            while chunk := file.read(_CHUNK):
                self.check_wanted()
                self.size += len(chunk)
                if self.size > self.limits.site_bytes:
                    limit = self.limits.site_bytes
                    raise BuildFailed(f"the site is larger than its limit of {limit} bytes")
                out.write(chunk)
        self.check_wanted()

    def _real(self, link: Path) -> Path:
        try:
            real = link.resolve(strict=True)
        except (OSError, RuntimeError) as error:
            raise BuildFailed(f"symbolic link {self._name(link)!r} leads nowhere") from error
        if not real.is_relative_to(self.root):
            raise BuildFailed(f"symbolic link {self._name(link)!r} leads outside the repository")
        if (hidden := never_published(real.relative_to(self.root).parts)) is not None:
            raise BuildFailed(
                f"symbolic link {self._name(link)!r} leads to {hidden!r}, which is never published"
            )
        return real

    def _name(self, path: Path) -> str:
        return str(path.relative_to(self.root))


class StaticSite:
    """Publish `publishDirectory` of the build path; nothing is run."""

    async def build(self, work: Work) -> None:
        """Copy it to a new release, then switch the served link."""
        wanted = work.application["publishDirectory"]
        is_spa = bool(work.application["isStaticSpa"])
        log = work.runner.log
        await log.say(f"Publishing {wanted or '/'}")
        release = Release(work.checkout, work.runner.limits)
        try:
            await undivided(lambda: _make(release, work, is_spa=is_spa), on_cancel=release.stop.set)
            async with work.serving:
                old = await undivided(lambda: _serve(release, work), on_cancel=release.stop.set)
        except BaseException:  # also on cancellation: a release that is not served is useless
            if work.releases.served() != work.deployment_id:
                work.remover.later(work.releases.folder(work.deployment_id))
            raise
        for one in old:
            work.remover.later(*work.releases.folders(one))
        if release.left_out:
            more = f" and {count} more" if (count := len(release.left_out) - 5) > 0 else ""
            names = ", ".join(sorted(release.left_out)[:5])
            await log.say(f"Left out: {names}{more}; never published")
        files = "1 file" if release.files == 1 else f"{release.files} files"
        await log.say(f"Published {files}, {release.size} bytes: ✅")


def _make(release: Release, work: Work, *, is_spa: bool) -> None:
    wanted = work.application["publishDirectory"]
    release.root = work.checkout.resolve()
    source = inside(work.folder, wanted, what="publish directory")
    if not source.is_dir():
        raise BuildFailed(f"publish directory {wanted!r} is not a folder")
    release.plan(source)
    release.copy(work.releases.folder(work.deployment_id) / "files")
    work.releases.complete(work.deployment_id, Facts(spa=is_spa))


def _serve(release: Release, work: Work) -> list[str]:
    release.check_wanted()
    work.releases.serve(work.deployment_id)
    return work.releases.superfluous()


# ── Serving ─────────────────────────────────────────────────────────────────────────────────────

HOST_SUFFIX = ".localhost"

READ_SECONDS = 30.0
SLOWEST = 8 * 1024
"""A client must read a page within READ_SECONDS plus its size at SLOWEST bytes a second."""

_sparing = RateLimitedLog(logging.getLogger(__name__))

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",  # clients revalidate: a deployment may come at any moment
}
# Types that the machine's own tables may lack, or define differently.
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
    """The file to send for a path.

    Attributes:
        redirect: the path is a folder's and lacks its trailing slash.
        status: 200, or 404 with the site's own error page.
    """

    file: Path | None
    redirect: bool = False
    status: int = 200


class Sites:
    """Serve the files of the current release of each site."""

    def __init__(self, catalog: Catalog, domains: Domains, places: Places) -> None:
        self._catalog = catalog
        self._domains = domains
        self._places = places

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/apps/{app}", self._by_path),
            web.get("/apps/{app}/{path:.*}", self._by_path),
        ]

    @web.middleware
    async def by_host(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer requests for an application's host; a middleware."""
        host = (request.headers.get("Host") or "").rpartition(":")
        name = (host[0] or host[2]).lower()
        application_id = await self._at(name, request.path)
        if application_id is None and not name.endswith(HOST_SUFFIX):
            return await handler(request)
        if application_id is None:
            application_id = await self._named(name.removesuffix(HOST_SUFFIX))
        if request.method not in ("GET", "HEAD"):
            return web.Response(status=405, headers={"Allow": "GET, HEAD"})
        return await self._send(application_id, request.path.lstrip("/"), request)

    async def _at(self, host: str, path: str) -> str | None:
        """Return the application with that address: of its domains, the one that says most."""
        found = await self._domains.at(host) if host.isprintable() else []
        fits = [
            one
            for one in found
            if path == one["path"] or path.startswith(one["path"].rstrip("/") + "/")
        ]
        best = max(fits, key=lambda one: len(one["path"]), default={"applicationId": None})
        return cast("str | None", best["applicationId"])

    async def _named(self, app_name: str) -> str | None:
        # A name with unprintable characters can't be looked up.
        return await self._catalog.application_named(app_name) if app_name.isprintable() else None

    async def _by_path(self, request: web.Request) -> web.StreamResponse:
        app_name = request.match_info["app"]
        if "path" not in request.match_info:
            return _moved(f"/apps/{quote(app_name)}/", request)
        return await self._send(await self._named(app_name), request.match_info["path"], request)

    async def _send(
        self, application_id: str | None, path: str, request: web.Request
    ) -> web.StreamResponse:
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
    """A file that must be read in time; else its connection and the file are closed."""

    def __init__(self, file: Path, seconds: float, status: int, headers: dict[str, str]) -> None:
        super().__init__(file, status=status, headers=headers)
        self._seconds = seconds

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Send the whole file, which is what aiohttp does here."""
        try:
            async with asyncio.timeout(self._seconds):
                return await super().prepare(request)
        except TimeoutError:
            _sparing.info("page was read too slowly", seconds=self._seconds)
            if request.transport is not None:
                request.transport.abort()
            raise ConnectionResetError from None


def find(site: Path, wanted: str) -> Found:
    """Return the file for a path of a site, never one outside the release.

    It blocks: call it in a thread.
    """
    try:
        release = (site / "current").resolve(strict=True)
    except OSError:
        return Found(None)
    if (facts := facts_in(release)) is None:
        return Found(None)
    root = release / "files"
    exact = _inside(root, wanted)
    if exact is not None and exact.is_dir():
        if wanted and not wanted.endswith("/"):
            return Found(None, redirect=True)
        exact = _inside(root, f"{wanted}/index.html")
    if exact is not None and exact.is_file():
        return Found(exact)
    if facts.spa and (page := _inside(root, "index.html")) is not None:
        return Found(page)
    return Found(_inside(root, "404.html"), status=404)


def _inside(root: Path, wanted: str) -> Path | None:
    try:
        path = (root / wanted.lstrip("/")).resolve(strict=True)
    except (OSError, ValueError, RuntimeError):  # missing, a NUL in the path, a circle of links
        return None
    return path if path.is_relative_to(root) else None


def content_type(file: Path) -> str:
    """Return e.g. "text/html; charset=utf-8"; an unknown file is sent as bytes."""
    known = _TYPES.get(file.suffix.lower()) or mimetypes.guess_type(file.name)[0]
    if known is None:
        return "application/octet-stream"
    return f"{known}; charset=utf-8" if known.startswith("text/") or known in _TEXT else known


def _moved(path: str, request: web.Request) -> web.Response:
    location = path + (f"?{request.query_string}" if request.query_string else "")
    # A location that starts with two slashes would name another host.
    location = "/" + location.lstrip("/")
    return web.Response(status=308, headers={"Location": location} | _HEADERS)
