"""`config check --online`: does each backend that is set answer, and take its key?"""

import asyncio
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, cast

from bridge.app.backends import dokploy_of, dokploys
from bridge.core.errors import BridgeError, KeyRefused, Refused

if TYPE_CHECKING:
    from bridge.backends.dokploy.client import Dokploy
    from bridge.settings import Settings

WITHIN = 15.0
"""Seconds for a backend to answer; while its database is away it may take far longer."""


@dataclass(frozen=True, slots=True)
class Tried:
    """The result of two questions that cost a backend little.

    Attributes:
        state: "ok", "key refused", "refused" (the server says no) or "away".
        version: e.g. "v0.30.2"; None where it does not tell.
        why: what is wrong and the remedy; "" where nothing is.
    """

    backend: str
    url: str
    state: str
    version: str | None = None
    why: str = ""


def tried(settings: "Settings") -> list[dict[str, Any]]:
    """The machine form of trying every Dokploy that is set; the embedded one needs no key."""
    return [asdict(one) for one in asyncio.run(_try_all(settings))]


def said_of(one: dict[str, Any]) -> str:
    """Describe a result to a person."""
    if one["state"] == "ok":
        version = f", version {one['version']}" if one["version"] else ""
        return f"{one['backend']} at {one['url']} answers and takes the API key{version}"
    return f"{one['backend']} at {one['url']}: {one['why']}"


async def _try_all(settings: "Settings") -> list[Tried]:
    return await asyncio.gather(*(_try(settings, name) for name in dokploys(settings)))


async def _try(settings: "Settings", name: str) -> Tried:
    """Ask for the version and the queue: every key may, and the door asks the database."""
    url = str(dokploys(settings)[name].url)
    backend = cast("Dokploy", dokploy_of(settings, name))
    try:
        async with asyncio.timeout(WITHIN):
            version = await backend.version()
            await backend.queue()
    except TimeoutError:
        why = f"{name} gives no answer within {WITHIN:g} s"
        if await backend.healthy():
            why += ", though it is there: look whether its database is"
        return Tried(name, url, "away", why=why)
    except BridgeError as error:
        return Tried(name, url, _state_of(error), why=str(error))
    finally:
        await backend.close()
    return Tried(name, url, "ok", version)


def _state_of(error: BridgeError) -> str:
    if isinstance(error, KeyRefused):
        return "key refused"
    return "refused" if isinstance(error, Refused) else "away"
