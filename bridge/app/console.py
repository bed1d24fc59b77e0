"""Build the console from the parts of a running process."""

import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import replace

from aiohttp import web

from bridge.app.commands import commands_of
from bridge.app.doctor.unmatched import Unmatched
from bridge.app.health import ways_of
from bridge.app.keyrings import heard_of
from bridge.app.providers import pages_of, titles_of
from bridge.app.wiring import Parts
from bridge.chats.facts.links import Links
from bridge.console.live import Live
from bridge.console.pages.door import Console
from bridge.console.records import Records
from bridge.console.sign_in import SignIn
from bridge.console.slow_results import Workshop
from bridge.console.visitors import with_owner
from bridge.core.events import CONSOLE_HOST
from bridge.githosts.large_bodies import Apart
from bridge.pipeline.deploying.adopt import Adopter
from bridge.pipeline.deploying.replay import Replays
from bridge.pipeline.feedback.lookup import BuildLogs
from bridge.ports.sign_in import SignsIn
from bridge.settings import access_of, policy_of


def console_routes(
    parts: Parts, ways: Mapping[str, SignsIn], stack: AsyncExitStack
) -> list[web.RouteDef]:
    """Return the routes of the console.

    Args:
        ways: how people can sign in, besides by a link.
        stack: ends the open streams, before it stops the server.
    """
    records = _records(parts)
    sign_in, live = SignIn(ways, parts.settings.public_url), Live(records)
    stack.push_async_callback(live.close)
    return Console(records, sign_in, live).routes()


def _records(parts: Parts) -> Records:
    settings, stores, catalog = parts.settings, parts.stores, parts.catalog
    access = with_owner(access_of(settings))
    logs = BuildLogs(parts.backends, stores.journal)
    return Records(
        stores.journal,
        stores.inbox,
        commands_of(parts, CONSOLE_HOST, access, logs),
        access,
        catalog.all,
        lambda: catalog.trouble,
        parts.hosts,
        replace(parts.reading, apart=Apart(most=2)),
        Links(pages_of(settings), titles_of(settings)),
        logs,
        policy_of(settings),
        parts.clock,
        lambda: _adopter(parts),
        Workshop(parts.clock),
        Replays(parts.heads, ways_of(parts)),
        Unmatched(settings, catalog, stores.journal).found,
    )


async def _adopter(parts: Parts) -> Adopter:
    made = {one.host for one in await parts.stores.journal.made_hooks() if one.hook is not None}
    heard = heard_of(parts.settings, made)
    return Adopter(parts.backends, parts.stores.journal, time.time, heard, parts.catalog.wake)
