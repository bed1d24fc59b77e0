"""What the settings tell of hosts and backends without asking them: their pages and titles."""

from typing import TYPE_CHECKING

from bridge.core.refs import Pages
from bridge.settings import Settings
from bridge.views.links import NO_CONSOLE, ConsolePages

if TYPE_CHECKING:
    from bridge.operations.suspects import Suspects
    from bridge.ports.clock import Clock
    from bridge.ports.journal import Journal


def pages_of(settings: Settings) -> dict[str, tuple[str, Pages]]:
    """Return each Git host's web address, and the paths of a repository's pages there."""
    servers = settings.host_servers()
    return {name: (one.web_url, one.provider.pages) for name, one in servers.items()}


def titles_of(settings: Settings) -> dict[str, str]:
    """Return what people call each backend."""
    return {name: one.provider.title for name, one in settings.backends_set().items()}


def console_of(settings: Settings) -> ConsolePages:
    """Return the console's pages, as others reach them."""
    served = settings.console.enabled and settings.public_url
    return ConsolePages(settings.public_url or "") if served else NO_CONSOLE


def suspects_of(settings: Settings, journal: "Journal", clock: "Clock") -> "Suspects":
    """Return what finds the refused webhooks that may be a missing push."""
    from bridge.githosts import HOSTS
    from bridge.githosts.server import homes_of
    from bridge.operations.suspects import Suspects

    servers = settings.host_servers()
    return Suspects(journal, clock, HOSTS, servers, homes_of(servers.values()))
