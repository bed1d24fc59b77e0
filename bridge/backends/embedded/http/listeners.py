"""The two listeners of the embedded backend: one for its API, one for the sites.

Browsers tell pages apart by host and port. A site's scripts come from a repository, so they must
not share those with the page that asks for the API key.
"""

from http import HTTPStatus

from aiohttp import web

from bridge.backends.embedded.http import docs
from bridge.backends.embedded.http.api import BODY_LIMIT, Api, checks_key
from bridge.backends.embedded.http.sites import Sites
from bridge.backends.embedded.http.streaming import Streaming
from bridge.backends.embedded.parts import Parts
from bridge.listening.listener import Listener, share_of_files

_MOST_OF_API = 128
_MOST_OF_SITES = 512
_API_PART = 32
_SITES_PART = 16
"""One in so many of the files that we may open; a site's connection has a second one, its page."""


def api_listener(parts: Parts, api_key: str, host: str, port: int) -> Listener:
    """Serves the API, its page and the logs that are followed."""
    authorised = checks_key(api_key)
    streaming = Streaming(parts, authorised)
    app = web.Application(client_max_size=BODY_LIMIT)
    app.add_routes(docs.routes())
    app.add_routes(Api(parts, authorised).routes())
    app.add_routes(streaming.routes())

    async def say_goodbye(_app: web.Application) -> None:
        await streaming.close()

    app.on_shutdown.append(say_goodbye)
    most = share_of_files(_API_PART, _MOST_OF_API)
    return Listener(app, host, port, name="embedded_api", most=most, say=_as_the_api)


def sites_listener(parts: Parts, host: str, port: int) -> Listener:
    """Serves the sites, and nothing that needs a key."""
    sites = Sites(parts.catalog, parts.places)
    app = web.Application(middlewares=[sites.by_host])
    app.add_routes(sites.routes())
    most = share_of_files(_SITES_PART, _MOST_OF_SITES)
    # A page that nobody reads any more is closed with its connection.
    return Listener(
        app, host, port, name="sites", most=most, say=_as_a_page, handler_cancellation=True
    )


def _as_the_api(status: int, words: str) -> web.Response:
    """A refusal in the form of Dokploy's errors."""
    return web.json_response({"message": words, "code": HTTPStatus(status).name}, status=status)


def _as_a_page(status: int, words: str) -> web.Response:
    """A refusal for people, as those of pages that are not there."""
    return web.Response(status=status, text=words + "\n")
