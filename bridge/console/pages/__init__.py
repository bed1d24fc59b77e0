"""The pages: each collects its facts, which `templates` draw."""

from collections.abc import Awaitable, Callable, Mapping

from bridge.console.pages.apps import an_app, apps
from bridge.console.pages.commands import command, commands
from bridge.console.pages.deliveries import a_delivery, deliveries, refused
from bridge.console.pages.deployments import a_deployment, deployments
from bridge.console.pages.dry_run import dry_run
from bridge.console.pages.figures import audit, figures
from bridge.console.pages.gates import gates
from bridge.console.pages.overview import now
from bridge.console.pages.previews import previews
from bridge.console.pages.search import search
from bridge.console.records import Asked, Records
from bridge.console.render import Page
from bridge.console.visitors import Visitor

View = Callable[[Records, Visitor, Asked], Awaitable[Page]]

PAGES: Mapping[str, View] = {
    "/console": now,
    "/console/apps": apps,
    "/console/apps/{id}": an_app,
    "/console/gates": gates,
    "/console/previews": previews,
    "/console/deliveries": deliveries,
    "/console/deliveries/{seq}": a_delivery,
    "/console/deliveries/{seq}/today": dry_run,
    "/console/refused": refused,
    "/console/deployments": deployments,
    "/console/deployments/{id}": a_deployment,
    "/console/figures": figures,
    "/console/audit": audit,
    "/console/search": search,
    "/console/do": commands,
    "/console/do/{name}": command,
}
"""Each page by its path."""
