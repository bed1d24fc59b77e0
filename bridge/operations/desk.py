"""The parts of the bridge that operations use, as each door has them."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # declaring operations must be quick: each start of a command waits for it
    from bridge.core.apps import App
    from bridge.core.decision import Policy
    from bridge.core.gates.freezes import Freeze
    from bridge.operations.suspects import Suspects
    from bridge.pipeline.audit import ChatAudit
    from bridge.pipeline.deciding.interpret import Reading
    from bridge.pipeline.deciding.what_if import Told
    from bridge.pipeline.deploying.configure import Configurers
    from bridge.pipeline.deploying.hosting import Hosting
    from bridge.pipeline.deploying.rollback_plan import Replays, Ways
    from bridge.pipeline.feedback.build_logs import BuildLogs
    from bridge.pipeline.feedback.lookup import Finding
    from bridge.pipeline.gates.commands import GateCommands
    from bridge.ports.clock import Clock
    from bridge.ports.githosts import HostApi
    from bridge.ports.inbox import Inbox
    from bridge.ports.journal import Journal


async def untroubled() -> Mapping[str, str]:
    """Return that all backends can be read."""
    return {}


@dataclass(frozen=True, slots=True)
class Desk:
    """The parts of the bridge that operations use.

    Attributes:
        door: the key of what people use, e.g. "slack" or "cli".
        apps: returns all apps.
        trouble: returns why backends can't be asked now, by their names.
        channels: returns where an app's cards are shown, given where somebody asks.
        freezes: those of the settings.
        ways: finds the ways to earlier versions; None if no backend can be asked.
        compare: returns the page that compares two commits of an app, if it is known.
        gone: apps that were deleted at their backend.
        program: how calls begin at this door, e.g. "/dokploy".
        help: how help about a call is asked for there.
        no_apps: why no app is known.
        troubles: returns, by backend, that it can't be read, and since when.
        logs: the backends' logs of deployments; None if no backend can be asked.
        suspects: finds the refused webhooks that may be a missing push.
        hosting: acts at Git hosts and backends; None if they can't be reached.
        none_shown: why nothing is published anywhere.
        hosts: the Git hosts' servers, by whose names their webhooks are kept.
        replays: finds how earlier versions are deployed again; None if no backend can be asked.
        configurers: change how apps are configured; None where nothing can.
        reading: returns what reads kept deliveries.
        policy: the settings that apply to the decisions for all apps.
        apis: returns the APIs of the Git hosts that have a credential.
        sent: a webhook that is not kept, which the command line has read from a file.
    """

    door: str
    journal: "Journal"
    inbox: "Inbox"
    finding: "Finding"
    gates: "GateCommands"
    audit: "ChatAudit"
    apps: "Callable[[], Sequence[App]]"
    clock: "Clock"
    reading: "Callable[[], Reading]"
    policy: "Policy"
    trouble: "Callable[[], Mapping[str, str]]" = dict
    channels: "Callable[[App, str], Sequence[str]]" = lambda _app, _here: ()
    freezes: "Sequence[Freeze]" = ()
    ways: "Ways | None" = None
    compare: "Callable[[App, str | None, str | None], str | None]" = lambda *_: None
    gone: "Sequence[App]" = ()
    program: str = "dokploy-bridge"
    help: str = "{} --help"
    no_apps: str = "There is no app that you may see"
    troubles: "Callable[[], Awaitable[Mapping[str, str]]]" = untroubled
    logs: "BuildLogs | None" = None
    suspects: "Suspects | None" = None
    hosting: "Hosting | None" = None
    none_shown: str = "Nothing is shown anywhere yet"
    hosts: "Collection[str]" = ()
    replays: "Replays | None" = None
    configurers: "Configurers | None" = None
    apis: "Callable[[], Mapping[str, HostApi]]" = dict
    sent: "Told | None" = None
