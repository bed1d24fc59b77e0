"""A person's command → the same pipeline as a push → a reply.

Commands that act are kept in the inbox before they are answered, and decided like any delivery;
those that only read use the journal. Rights are checked each time (`lookup`).
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence

from bridge.core.access import Access, Person, Right
from bridge.core.apps import App
from bridge.core.chat.calls import Call
from bridge.core.chat.grammar import Command, Read, Unclear, Verb, capital
from bridge.core.chat.replies import (
    Help,
    NotAllowed,
    Reasons,
    Reply,
    Sorry,
)
from bridge.core.errors import Rejected
from bridge.core.gates.freezes import Freeze
from bridge.core.lifecycle import Deployment, State
from bridge.core.people import NO_IDENTITIES, Identities
from bridge.operations.base import Context, Desk, Unfound
from bridge.operations.calls import asking, carry_out
from bridge.operations.chat_previews import ChatPreviews
from bridge.operations.every import OPERATIONS
from bridge.operations.reminders import Reminders
from bridge.operations.typed import lacks_all, written
from bridge.operations.words import parse, topic, usages
from bridge.pipeline.audit import ChatAudit
from bridge.pipeline.deploying.configure import Configurers
from bridge.pipeline.deploying.rollback_plan import Ways
from bridge.pipeline.feedback.lookup import (
    BuildLogs,
    Finding,
    Known,
)
from bridge.pipeline.gates.commands import GateCommands
from bridge.pipeline.gates.locks import NO_PULLS, Pulls
from bridge.ports.chats import AnyReply, LogTail, Place
from bridge.ports.clock import Clock, Wake
from bridge.ports.gates import HeadOf, untold
from bridge.ports.inbox import Inbox
from bridge.ports.journal import Journal
from bridge.ports.outcomes import Explained

LISTED = 10
"""Deployments or decisions that an answer shows."""

Answers = Callable[[Person, Place, Command], Awaitable[Reply]]
"""Answers commands of a kind."""

OF_THE_PAST = frozenset({Verb.WHY})
"""Commands that also work for an app that was deleted at its backend."""


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
        """
        self._chat = chat
        self._inbox = inbox
        self._journal = journal
        self._known = known
        self._finding = Finding(journal, known, access)
        self._logs = logs
        self._ways = ways
        self._clock = clock
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
        self.reminders = Reminders(chat, gates, self._finding, journal)
        self._desk = Desk(
            chat,
            journal,
            inbox,
            self._finding,
            gates,
            self._audit,
            known.apps,
            clock,
            known.trouble,
            known.channels,
            freezes,
            ways,
            program="/dokploy",
            help="/dokploy help {}",
            troubles=self._troubles,
            configurers=configurers,
        )
        self.previews = ChatPreviews(chat, journal, known.apps, access, clock)
        self._elsewhere: Mapping[Verb, Answers] = {
            Verb.PREVIEWS: self.previews.answer,
        }

    # ── the port ──────────────────────────────────────────────────────────

    parse = staticmethod(parse)

    async def answer(self, person: Person, place: Place, typed: Read, id_: str) -> AnyReply:
        """Carry out or answer what somebody typed."""
        if isinstance(typed, Unclear):
            return Sorry(typed.why, typed.suggestions)
        if isinstance(typed, Call):
            return await self._carry_out(person, place, typed, id_)
        return await self._answer(person, place, typed)

    async def _answer(self, person: Person, place: Place, typed: Command) -> AnyReply:
        if typed.verb is Verb.HELP:
            return Help(topic(typed.rest), usages())
        if (answers := self._elsewhere.get(typed.verb)) is not None:
            return await answers(person, place, typed)
        if typed.app is None:
            raise AssertionError(typed.verb)
        if typed.verb in OF_THE_PAST and (
            gone := await self._finding.deleted(person, place, typed)
        ):
            return await self._past(typed, gone, gone=True)
        app = self._finding.find(person, place, typed)
        return await self._past(typed, app) if isinstance(app, App) else app

    async def _troubles(self) -> Mapping[str, str]:
        trouble = self._known.trouble()
        return {name: f"{name} can't be read: {why}" for name, why in trouble.items()}

    def apps(self, person: Person, place: Place, right: Right) -> list[App]:
        """Return the apps to which somebody has a right, by label."""
        return self._finding.apps(person, place, right)

    async def log_of(self, person: Person, place: Place, deployment_id: str) -> LogTail | Reply:
        """Return the end of a deployment's log, without secrets."""
        found = await self._finding.deployment(person, place, deployment_id)
        if not isinstance(found, Deployment):
            return found
        return LogTail(found, await self._logs.tail(found))

    async def why(self, person: Person, place: Place, deployment_id: str) -> Reply:
        """Return why a deployment was made."""
        found = await self._finding.deployment(person, place, deployment_id)
        if not isinstance(found, Deployment):
            return found
        (app,) = [one for one in self.apps(person, place, Right.VIEW) if one.id == found.app_id]
        decided = (await self._journal.decisions([found.seq]))[found.seq]
        explained = tuple(
            Explained(found.seq, found.created_at, one, found.delivery, found.ref, found.commit)
            for one in decided
            if one.app_id == found.app_id
        )
        held = found if found.state is State.HELD else None
        return Reasons(app, found.commit, explained, held=held)

    async def note(self, person: Person, what: str, reply: AnyReply) -> None:
        """Record in the audit log that somebody was refused something, unless it just was."""
        await self._audit.note(person, what, reply)

    async def _carry_out(self, person: Person, place: Place, call: Call, id_: str) -> AnyReply:
        if call.name not in OPERATIONS:  # a click's value may be of another version
            return Sorry("That button does not work any more: write the command instead.")
        asked = OPERATIONS[call.name]
        if lacks_all(asked, call.given):
            none = self._finding.without_apps(person, place, asked.needs or Right.VIEW)
            return none or asking(asked, call)
        try:
            return await carry_out(Context(self._desk, call, person, place, once=id_))
        except NotAllowed as error:
            return error.denied
        except Unfound as error:
            others = ({**call.given, error.argument: one} for one in error.like)
            return Sorry(f"{capital(error.why)}.", tuple(written(call.name, one) for one in others))
        except Rejected as error:
            said = str(error)
            return Sorry(said if said.endswith((".", "?")) else f"{said}.")

    # ── actions and answers ───────────────────────────────────────────────

    async def _past(self, typed: Command, app: App, *, gone: bool = False) -> Reasons:
        """Return why it was or was not deployed."""
        found = await self._journal.explained(app.id, commit=typed.rest, limit=LISTED)
        return Reasons(app, typed.rest, tuple(found), gone, await self._held(app, gone))

    async def _held(self, app: App, gone: bool) -> Deployment | None:
        """Return the deployment of an app that gates hold."""
        open_ = [] if gone else await self._journal.open_deployments()
        held = [one for one in open_ if one.app_id == app.id and one.state is State.HELD]
        return held[-1] if held else None
