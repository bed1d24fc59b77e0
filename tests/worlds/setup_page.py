"""`/setup` alone by HTTP, and what a browser would read of its pages."""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from aiohttp import ClientSession, CookieJar

from bridge.app.setup import entry
from bridge.app.setup.door import SetupDoor
from bridge.app.setup.home import home_route
from bridge.app.setup.services import BY, AppsSetup, Checkup
from bridge.app.stored_settings import SettingUp, Stored
from bridge.settings import read_settings
from bridge.storage.journal import SqlJournal
from bridge.web.hooks import BodyLimits
from bridge.web.server import WebServer, routes

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@dataclass
class Door:
    """The listener with `/setup` alone, on settings of a folder and an environment."""

    data: Path
    journal: SqlJournal
    environment: dict[str, str]
    settings: Any = None
    backends: dict[str, Any] = field(default_factory=dict)
    started_anew: int = 0
    is_set_up: bool = True
    client: Any = None
    server: WebServer | None = None
    jar: dict[str, str] = field(default_factory=dict)

    async def open(self) -> None:
        """Begin as a process does, with what is stored."""
        given = {"BRIDGE_DATA": str(self.data)} | self.environment
        found = self.settings = read_settings(None, given, Stored())
        setting_up = SettingUp(found, self.journal, None, given, BY)
        for backend in self.backends.values():
            await backend.close()
        self.backends = {name: one.open() for name, one in found.backends_set().items()}
        apps = AppsSetup(found, self.journal, self.backends, lambda: None)
        checkup = Checkup(setting_up, self.journal)
        door = SetupDoor(found, setting_up, self.journal, apps, checkup, self._anew)
        limits = BodyLimits(2**20, 2**20, 5.0)
        no_ingest: Any = None  # no webhook is sent here
        pages = [home_route(found, self.journal, is_set_up=self.is_set_up), *door.routes()]
        app = routes(no_ingest, {}, limits, {}, hears=False, pages=pages)
        await self.close()
        self.server = WebServer(app, "127.0.0.1", 0)
        await self.server.start()
        self.client = ClientSession(self.server.url, cookie_jar=CookieJar(unsafe=True))

    async def close(self) -> None:
        """Close the listener, with its client."""
        if self.server is not None:
            await self.client.close()
            await self.server.stop()

    def _anew(self) -> None:
        self.started_anew += 1

    async def link(self) -> str:
        made = urlsplit(await entry.new_link(self.journal, "https://b.example.com"))
        return f"{made.path}?{made.query}"

    async def sign_in(self) -> str:
        """Return the session's secret."""
        answer = await self.client.get(await self.link(), allow_redirects=False)
        assert (answer.status, answer.headers["Location"]) == (303, "/setup")
        self.jar = {"bridge-setup": answer.cookies["bridge-setup"].value}
        return self.jar["bridge-setup"]

    async def page(self, path: str = "/setup", status: int = 200, **headers: str) -> str:
        answer = await self.client.get(path, cookies=self.jar, headers=headers)
        text = str(await answer.text())
        assert answer.status == status, Forms(text).alerts
        return text

    async def post(self, path: str, status: int = 303, /, **form: str) -> str:
        answer = await self.client.post(
            path, data=form, headers=FORM, cookies=self.jar, allow_redirects=False
        )
        text = str(await answer.text())
        assert answer.status == status, Forms(text).alerts
        return str(answer.headers.get("Location") or text)

    async def stored(self) -> set[str]:
        return set(await self.journal.stored_settings())


class Forms(HTMLParser):
    """The forms of a page, and everything that a browser would run or load."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.actions: list[str] = []
        self.hidden: dict[str, str] = {}
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.alerts: list[str] = []
        self._in_alert = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = dict(attrs)
        self.tags.add(tag)
        self.attributes |= set(said)
        self._in_alert = said.get("role") == "alert"
        if tag == "form":
            self.actions.append(said.get("action") or "")
        if tag == "input" and said.get("type") == "hidden":
            self.hidden[said["name"] or ""] = said["value"] or ""

    def handle_data(self, data: str) -> None:
        if self._in_alert and data.strip():
            self.alerts.append(data)
