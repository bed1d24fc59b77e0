"""A bridge with its console, and a browser of somebody who signed in."""

import html
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from bridge.app.wiring import NO_PUBLISHERS
from bridge.console.visitors import Visitor, begin, new_link
from bridge.core.access import Person
from bridge.core.lifecycle import State
from tests.worlds.bridge import Origin, World, running_world
from tests.worlds.sites import make_site

COOKIE = "bridge-console"


@dataclass
class ConsoleWorld:
    """A running bridge, and its address."""

    world: World

    @property
    def url(self) -> str:
        return self.world.bridge.url

    async def link(self) -> str:
        """Return a link that lets the owner in."""
        return await new_link(self.world.stores.journal, self.url)

    async def session(self, id_: str, name: str = "", **others: object) -> str:
        """Begin a session of somebody who signed in elsewhere; return its secret."""
        person = Person(id_, name or id_, member=False, **others)  # type: ignore[arg-type]
        return await begin(self.world.stores.journal, Visitor(person, "github"))

    @asynccontextmanager
    async def browsing(self, secret: str | None = None) -> AsyncIterator[httpx.AsyncClient]:
        """A browser without scripts; of the owner, unless it brings another session."""
        async with httpx.AsyncClient(base_url=self.url, trust_env=False, timeout=20) as web:
            if secret is None:
                answer = await web.get((await self.link()).removeprefix(self.url))
                assert answer.status_code == 303, answer.text
            elif secret:
                web.cookies.set(COOKIE, secret)
            yield web

    async def deployed(self, origin: Origin, messages: Sequence[str] = ("feat: open",)) -> str:
        """Create an app, and push to it so often; return its id."""
        app = await make_site(self.world, origin)
        for number, message in enumerate(messages):
            await self.world.commit(origin, message, {"web/index.html": f"{number}"})
            ended = await self.world.ended(number + 1)
            assert ended[-1].state is State.DONE
        return str(app["applicationId"])


@asynccontextmanager
async def console_world(data: Path, **others: Any) -> AsyncIterator[ConsoleWorld]:
    """Run a bridge."""
    async with running_world(data, NO_PUBLISHERS, **others) as world:
        yield ConsoleWorld(world)


def fields_of(page: str, button: str) -> tuple[str, dict[str, str]]:
    """Return where the form with a button is sent, and its fields."""
    (form,) = [one for one in re.findall(r"<form.*?</form>", page, re.DOTALL) if button in one]
    (action,) = re.findall(r'action="([^"]*)"', form)
    fields = re.findall(r'name="([^"]*)" value="([^"]*)"', form)
    return html.unescape(action), {name: html.unescape(value) for name, value in fields}


async def sent(
    web: httpx.AsyncClient, page: httpx.Response, button: str, **typed: str
) -> httpx.Response:
    """Send the form with a button, as a browser without scripts does."""
    action, fields = fields_of(page.text, button)
    return await web.post(action, data=fields | typed)


async def replayed(web: httpx.AsyncClient, seq: int) -> httpx.Response:
    """Replay a delivery as it was from its page; return the page that it leads to."""
    page = await web.get(f"/console/deliveries/{seq}")
    answer = await sent(web, page, "Replay as it was")
    return await web.get(answer.headers["Location"]) if answer.status_code == 303 else answer
