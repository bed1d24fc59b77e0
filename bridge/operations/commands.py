"""A person's command → the same pipeline as a push → a reply.

Commands that act are kept in the inbox before they are answered, and decided like any delivery;
those that only read use the journal. Rights are checked each time (`lookup`).
"""

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType

from bridge.core.access import Access, Person, Right
from bridge.core.apps import App
from bridge.core.chat.calls import Call
from bridge.core.chat.grammar import Read, Unclear, capital
from bridge.core.chat.replies import (
    Help,
    NotAllowed,
    Sorry,
)
from bridge.core.decision import Policy
from bridge.core.errors import Rejected
from bridge.core.gates.freezes import Freeze
from bridge.core.people import NO_IDENTITIES, Identities
from bridge.operations.base import Context, Unfound
from bridge.operations.calls import asking, carry_out
from bridge.operations.desk import Desk
from bridge.operations.every import OPERATIONS
from bridge.operations.reminders import Reminders
from bridge.operations.suspects import Suspects
from bridge.operations.typed import lacks_all, written
from bridge.operations.words import parse, topic, usages
from bridge.pipeline.audit import ChatAudit
from bridge.pipeline.deciding.interpret import Reading
from bridge.pipeline.deploying.configure import Configurers
from bridge.pipeline.deploying.hosting import Hosting
from bridge.pipeline.deploying.rollback_plan import Replays, Ways
from bridge.pipeline.feedback.build_logs import BuildLogs
from bridge.pipeline.feedback.lookup import (
    Finding,
    Known,
)
from bridge.pipeline.gates.commands import GateCommands
from bridge.pipeline.gates.locks import NO_PULLS, Pulls
from bridge.ports.chats import AnyReply, Place
from bridge.ports.clock import Clock, Wake
from bridge.ports.gates import HeadOf, untold
from bridge.ports.githosts import HostApi
from bridge.ports.inbox import Inbox
from bridge.ports.journal import Journal

PLAIN_POLICY = Policy()


class ChatCommands:
    """Answers people, and keeps their requests."""

    def __init__(
        self,
        chat: str,
        inbox: Inbox,
        journal: Journal,
        known: Known,
        access: Access,
        logs: BuildLogs,
        clock: Clock,
        *,
        freezes: Sequence[Freeze] = (),
        ways: Ways | None = None,
        wake: Wake = lambda: None,
        pulls: Pulls = NO_PULLS,
        head_of: HeadOf = untold,
        identities: Identities = NO_IDENTITIES,
        configurers: Configurers | None = None,
        suspects: Suspects | None = None,
        hosting: Hosting | None = None,
        hosts: Collection[str] = (),
        replays: Replays | None = None,
        reading: Reading | None = None,
        policy: Policy = PLAIN_POLICY,
        apis: Mapping[str, HostApi] = MappingProxyType({}),
        program: str = "/dokploy",
        help_as: str = "/dokploy help {}",
    ) -> None:
        """Take the parts.

        Args:
            chat: the `host` of the deliveries requested there.
            freezes: those of the settings.
            ways: finds the ways back to earlier versions; None: nobody can go back by chat.
            wake: wakes the gatekeeper, if it runs in this process.
            pulls: finds the pull requests with whose end locks are released.
            head_of: tells whether what somebody approves would still be built.
            identities: who is who.
            configurers: change how apps are configured; None: nobody can by chat.
            suspects: see `Desk`.
            hosting: acts at Git hosts and backends; None: nobody can do that by chat.
            hosts: the Git hosts' servers that are served.
            replays: finds how earlier versions are deployed again; None: nobody can do that.
            reading: reads kept deliveries; None: none is of a host.
            policy: the settings that apply to the decisions for all apps.
            apis: of the Git hosts that have a credential.
            program, help_as: how calls begin there, and how help is asked for.
        """
        read = reading or Reading(inbox, {})
        self._known = known
        self._finding = Finding(journal, known, access)
        self._audit = ChatAudit(chat, journal, clock)
        gates = GateCommands(
            journal,
            known.apps,
            clock,
            wake=wake,
            pulls=pulls,
            head_of=head_of,
            identities=identities,
        )
        self.reminders = Reminders(chat, gates, self._finding, journal, self._audit)
        self._desk = Desk(
            chat,
            journal,
            inbox,
            self._finding,
            gates,
            self._audit,
            known.apps,
            clock,
            lambda: read,
            policy,
            known.trouble,
            known.channels,
            freezes,
            ways,
            program=program,
            help=help_as,
            troubles=self._troubles,
            logs=logs,
            configurers=configurers,
            suspects=suspects,
            hosting=hosting,
            hosts=hosts,
            replays=replays,
            apis=lambda: apis,
        )

    # ── the port ──────────────────────────────────────────────────────────

    parse = staticmethod(parse)

    async def answer(self, person: Person, place: Place, typed: Read, id_: str) -> AnyReply:
        """Carry out or answer what somebody typed."""
        if isinstance(typed, Unclear):
            return Sorry(typed.why, typed.suggestions)
        if isinstance(typed, Call):
            return await self._carry_out(person, place, typed, id_)
        return Help(topic(typed.rest), usages())

    async def _troubles(self) -> Mapping[str, str]:
        trouble = self._known.trouble()
        return {name: f"{name} can't be read: {why}" for name, why in trouble.items()}

    def apps(self, person: Person, place: Place, right: Right) -> list[App]:
        """Return the apps to which somebody has a right, by label."""
        return self._finding.apps(person, place, right)

    async def _carry_out(self, person: Person, place: Place, call: Call, id_: str) -> AnyReply:
        if call.name not in OPERATIONS:  # a click's value may be of another version
            return Sorry("That button does not work any more: write the command instead.")
        asked = OPERATIONS[call.name]
        if lacks_all(asked, call.given):
            none = self._finding.without_apps(person, place, asked.needs or Right.VIEW)
            if none is not None:
                await self._audit.note(person, asked.name, none)
            return none or asking(asked, call)
        try:
            return await carry_out(Context(self._desk, call, person, place, once=id_))
        except NotAllowed as error:
            return error.denied
        except Unfound as error:
            others = (error.instead(call.given, one) for one in error.like)
            return Sorry(f"{capital(error.why)}.", tuple(written(call.name, one) for one in others))
        except Rejected as error:
            said = str(error)
            return Sorry(said if said.endswith((".", "?")) else f"{said}.")
