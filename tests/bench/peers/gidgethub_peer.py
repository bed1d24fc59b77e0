"""gidgethub on aiohttp and uvloop, as its documentation shows."""

import os
import sys

import uvloop
from aiohttp import web
from gidgethub import routing, sansio

router = routing.Router()
SECRET = os.environ["SECRET"]


@router.register("push")
async def push(event: sansio.Event) -> None:
    """Do nothing."""


async def hook(request: web.Request) -> web.Response:
    event = sansio.Event.from_http(request.headers, await request.read(), secret=SECRET)
    await router.dispatch(event)
    return web.Response(status=202)


app = web.Application(client_max_size=2**26)
app.router.add_post("/hooks/github", hook)
web.run_app(
    app,
    host="127.0.0.1",
    port=int(sys.argv[1]),
    access_log=None,
    print=None,
    loop=uvloop.new_event_loop(),
)
