"""The apps' pages: each names the commit that is served, unless that version is broken.

What the page says is the truth, whatever the bridge or the backend's records have of it.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from tests.chaos.dokploy.jobs import Served
from tests.chaos.pushes import is_broken
from tests.chaos.recording_backend import RecordingBackend
from tests.fakes.host import FakeRepository
from tests.fakes.serving import served

WATCHED_FOR = 1.5
"""Seconds within which a version must answer well."""


@dataclass
class Pages:
    """One page for each app.

    Attributes:
        found_broken: is told the app when the next broken version answers.
    """

    backend: RecordingBackend
    repositories: Mapping[str, FakeRepository]
    url: str = ""
    found_broken: asyncio.Future[str] | None = None

    def works(self, served: Served) -> bool:
        """Return whether what is served works."""
        return self.work_at(served.app, served.commit)

    def work_at(self, app: str, commit: str) -> bool:
        """Return whether an app works at a commit."""
        name, _ = self.backend.source(app)
        return not is_broken(self.repositories[name], app, commit)

    def rule(self, app: str) -> Mapping[str, Any]:
        """Return the rule by which the bridge looks at an app's page, and goes back by itself."""
        within = f"{WATCHED_FOR}s"
        how = {"contains": "{commit}", "within": within, "every": "0.2s", "rollback": True}
        return {"verify": {"url": f"{self.url}/{app}", **how}}

    async def page(self, request: web.Request) -> web.Response:
        """Answer as the app's version does."""
        served = self.backend.serves(request.match_info["app"])
        if served is None:
            return web.Response(status=503, text="nothing is deployed yet")
        if not self.works(served):
            if self.found_broken is not None and not self.found_broken.done():
                self.found_broken.set_result(served.app)
            return web.Response(status=500, text=f"a bug in {served.commit}")
        return web.Response(text=f"this is {served.commit}")


@asynccontextmanager
async def pages_of(
    backend: RecordingBackend, repositories: Mapping[str, FakeRepository]
) -> AsyncIterator[Pages]:
    """Serve the pages on loopback."""
    pages = Pages(backend, repositories)
    app = web.Application()
    app.router.add_get("/{app}", pages.page)
    async with served(app) as pages.url:
        yield pages
