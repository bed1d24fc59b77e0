"""`/`: leads to the console, or to set-up."""

from http import HTTPStatus

from aiohttp import web

from bridge.app.setup import entry
from bridge.ports.journal import Sessions
from bridge.settings import Settings
from bridge.web.browsers import plain_page, sent_to

NOT_SET_UP = (
    "No Git host is connected to this bridge yet. On its server, `dokploy-bridge setup` prints a"
    " link that opens set-up here."
)
NO_CONSOLE = "It takes webhooks and deploys; its console is switched off in its settings."


def home_route(settings: Settings, sessions: Sessions, *, is_set_up: bool) -> web.RouteDef:
    """Return the route of the bare address.

    Args:
        is_set_up: webhooks of some Git host are taken.
    """
    console = settings.console.enabled
    further = ("/console", "To the console") if console else ("/healthz", "Is it alive?")

    async def home(request: web.Request) -> web.StreamResponse:
        if await entry.is_in(sessions, entry.COOKIE.in_(request)):
            return sent_to(entry.PATH)
        if not is_set_up:
            return plain_page(HTTPStatus.OK, "Not set up yet", NOT_SET_UP, *further)
        if console:
            return sent_to("/console")
        return plain_page(HTTPStatus.OK, "This is a bridge", NO_CONSOLE, *further)

    return web.get("/", home)
