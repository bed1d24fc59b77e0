"""Build the console from the parts of a running process."""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import replace

from aiohttp import web

from bridge.app.chats import announced
from bridge.app.commands import commands_of
from bridge.app.pages import pages_of, titles_of
from bridge.app.unmatched import Unmatched
from bridge.app.wiring import Parts
from bridge.console.live import Live
from bridge.console.pages.door import Console
from bridge.console.records import Records
from bridge.console.sharing import Workshop
from bridge.console.visitors import SignIn, with_owner
from bridge.core.events import CONSOLE_HOST
from bridge.githosts.large_bodies import Apart
from bridge.pipeline.feedback.build_logs import BuildLogs
from bridge.ports.sign_in import SignsIn
from bridge.settings import access_of, policy_of
from bridge.settings.gates import freezes_of
from bridge.views.links import Links


def console_routes(
    parts: Parts, ways: Mapping[str, SignsIn], stack: AsyncExitStack
) -> list[web.RouteDef]:
    """Return the routes of the console.

    Args:
        ways: how people can sign in, besides by a link.
        stack: ends the open streams, before it stops the server.
    """
    settings, stores, catalog = parts.settings, parts.stores, parts.catalog
    access = with_owner(access_of(settings))
    logs = BuildLogs(parts.backends, stores.journal)
    records = Records(
        stores.journal,
        stores.inbox,
        commands_of(
            parts,
            CONSOLE_HOST,
            access,
            logs,
            configurers=announced(parts),
            program="dokploy-bridge",
            help_as="dokploy-bridge {} --help",
        ),
        access,
        catalog.all,
        lambda: catalog.trouble,
        parts.hosts,
        replace(parts.reading, apart=Apart(most=2)),
        Links(pages_of(settings), titles_of(settings)),
        logs,
        policy_of(settings),
        parts.clock,
        Workshop(parts.clock),
        Unmatched(settings, catalog, stores.journal).found,
        freezes_of(settings.freezes),
    )
    sign_in, live = SignIn(ways, parts.settings.public_url), Live(records)
    stack.push_async_callback(live.close)
    return Console(records, sign_in, live).routes()
