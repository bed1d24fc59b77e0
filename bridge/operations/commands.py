"""A person's command → the same pipeline as a push → a reply.

Commands that act are kept in the inbox before they are answered, and decided like any delivery;
those that only read use the journal. Rights are checked each time (`lookup`).
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace

from bridge.core.access import Access, Person, Right
from bridge.core.apps import App, of_people
from bridge.core.chat.calls import Call
from bridge.core.chat.grammar import Command, Read, Unclear, Verb, capital
from bridge.core.chat.replies import (
    Accepted,
    AppList,
    Configure,
    Help,
    Identity,
    NotAllowed,
    Past,
    PromotionOffered,
    Reasons,
    Reply,
    Sorry,
    Standing,
    WayBackFound,
    command_for,
    other_ref,
)
from bridge.core.chat.when import ends_at, zone_of
from bridge.core.errors import Rejected
from bridge.core.events import Action, Asked, write_command
from bridge.core.gates.freezes import Freeze
from bridge.core.health.rollback import Rung
from bridge.core.lifecycle import Deployment, State, too_late
from bridge.core.origin import Actor
from bridge.core.people import NO_IDENTITIES, Identities
from bridge.operations.base import Context, Desk, Unfound, carry_out
from bridge.operations.chat_previews import ChatPreviews
from bridge.operations.every import OPERATIONS
from bridge.operations.reminders import Reminders
from bridge.operations.typed import written
from bridge.operations.words import parse, usages
from bridge.pipeline.audit import ChatAudit
from bridge.pipeline.deploying.rollback_plan import Ways, promotion, version_asked
from bridge.pipeline.feedback.lookup import (
    NEEDS,
    BuildLogs,
    Finding,
    Known,
    live_already,
    undecided,
)
from bridge.pipeline.gates.commands import GateCommands
from bridge.pipeline.gates.locks import NO_PULLS, Pulls
from bridge.ports.chats import AnyReply, LogTail, Place
from bridge.ports.clock import Clock, Wake
from bridge.ports.gates import HeadOf, untold
from bridge.ports.inbox import Inbox, NewDelivery
from bridge.ports.journal import Journal
from bridge.ports.outcomes import Explained

LISTED = 10
"""Deployments or decisions that an answer shows."""

ACTIONS = {
    Verb.DEPLOY: Action.DEPLOY,
    Verb.REDEPLOY: Action.REDEPLOY,
    Verb.ROLLBACK: Action.ROLLBACK,
    Verb.CANCEL: Action.CANCEL,
}
VERBS = {action: verb for verb, action in ACTIONS.items()}


NO_VERSION: Mapping[str, str] = {}
"""What is asked for without a certain version: the branch's head."""

Answers = Callable[[Person, Place, Command], Awaitable[Reply]]
"""Answers commands of a kind."""

OF_THE_PAST = frozenset({Verb.HISTORY, Verb.WHY})
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
            self._finding,
            gates,
            self._audit,
            known.apps,
            clock,
            freezes,
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
        return await self._answer(person, place, typed, id_)

    async def _answer(self, person: Person, place: Place, typed: Command, id_: str) -> Reply:
        if typed.verb is Verb.HELP:
            return Help(typed.rest, usages())
        if typed.verb is Verb.WHOAMI:
            return self._identity(person, place)
        if typed.verb is Verb.APPS:
            return await self._list(person, place, typed.rest or "")
        if (answers := self._elsewhere.get(typed.verb)) is not None:
            return await answers(person, place, typed)
        if typed.app is None:
            return self._finding.unnamed(person, place, typed.verb) or await self._standing(
                person, place
            )
        if typed.verb in OF_THE_PAST and (
            gone := await self._finding.deleted(person, place, typed)
        ):
            return await self._past(typed, gone, gone=True)
        app = self._finding.find(person, place, typed)
        if not isinstance(app, App):
            return app
        if denied := self._finding.denied(person, place, NEEDS.get(typed.verb, Right.VIEW), app):
            return denied
        return await self._about(person, place, typed, app, id_)

    async def ask(
        self,
        person: Person,
        place: Place,
        action: Action,
        app_id: str,
        id_: str,
        *,
        deployment: str = "",
        way: str = "",
        served: str = "",
    ) -> Reply:
        """Carry out what somebody clicked or picked.

        Args:
            served: of a rollback, the deployment from which to go back, as it was shown.
        """
        seen = self.apps(person, place, Right.VIEW)
        app = next((one for one in seen if one.id == app_id), None)
        if app is None:
            return Sorry("That app is gone, or you may not see it.")
        if denied := self._finding.denied(person, place, NEEDS[VERBS[action]], app):
            return denied
        to = None
        if way:
            to = await self._journal.deployment(deployment)
            if to is None or not await self._still_offered(action, app, to, way, seen):
                return Sorry("That version is gone, or another one runs there now: ask again.")
        gone = served and await self._no_longer_served(app, served, if_unknown=True)
        if gone:
            return gone
        return await self._act(
            person, place, action, app, id_, deployment, version=version_asked(to, way)
        )

    async def _still_offered(
        self, action: Action, app: App, to: Deployment, way: str, seen: Sequence[App]
    ) -> bool:
        """Return whether an app's version may be brought; a click's value proves nothing.

        The way of a rollback is looked at again when it is made, and so is whether an app can be
        built at an earlier commit of its own: it is pinned, or that is still the head.
        """
        if action is Action.ROLLBACK:
            return to.app_id == app.id and to.state is State.DONE
        if to.app_id == app.id:
            return way == Rung.PIN
        from_ = next((one for one in seen if one.id == to.app_id), None)
        if from_ is None:
            return False
        try:
            offered = await promotion(self._journal, from_, app)
        except Rejected:
            return False
        return (offered.version.id, offered.rung) == (to.id, way)

    async def way_back(
        self, person: Person, place: Place, deployment_id: str, *, to_it: bool = False
    ) -> Reply:
        """Return how to go back from a deployment's version, or to it, to be confirmed."""
        found = await self._finding.deployment(person, place, deployment_id)
        if not isinstance(found, Deployment):
            return found
        (app,) = [one for one in self.apps(person, place, Right.VIEW) if one.id == found.app_id]
        if denied := self._finding.denied(person, place, Right.DEPLOY, app):
            return denied
        if to_it:
            return await self._way_back(person, app, found.id)
        return await self._no_longer_served(app, found.id) or await self._way_back(person, app)

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

    async def _about(
        self, person: Person, place: Place, typed: Command, app: App, id_: str
    ) -> Reply:
        verb = typed.verb
        if verb is Verb.ROLLBACK:
            return await self._way_back(person, app, typed.rest)
        if verb is Verb.PROMOTE:
            return await self._promotion(person, place, typed, app)
        if verb in ACTIONS:
            if typed.ref is not None and (why := other_ref(app, typed.ref)) is not None:
                return Sorry(why, (command_for(Command(verb, typed.app), app),))
            if typed.when is not None:
                return await self._act_later(person, place, typed, app, id_)
            return await self._act(person, place, ACTIONS[verb], app, id_)
        if verb is Verb.PROVIDER:
            return Configure(app)
        if verb in OF_THE_PAST:
            return await self._past(typed, app)
        return await self._standing(person, place, app)

    async def _way_back(self, person: Person, app: App, wanted: str | None = None) -> Reply:
        """Return how to go back; nothing is done before that is confirmed."""
        if self._ways is None:
            return Sorry("Nobody can go back by chat here.")
        try:
            plan = await self._ways.plan(app, wanted, person=person.key(self._chat))
        except Rejected as error:
            return Sorry(f"{app.label} can't go back: {error}.")
        way, served = plan.way, plan.served.id if plan.served is not None else ""
        return WayBackFound(app, way.to, served, way.rung, plan.says, plan.warns)

    async def _no_longer_served(
        self, app: App, served: str, *, if_unknown: bool = False
    ) -> Sorry | None:
        """Return a refusal if the version that somebody saw as live is live no more.

        Args:
            if_unknown: refuse as well if it is not known what is served.
        """
        serving = await self._journal.serving_of(app)
        now = serving.version_served if serving is not None else None
        if now is None and not if_unknown:
            return None
        if now is not None and now.id == served:
            return None
        why = f"By now it is not known what {app.label} serves."
        if now is not None:
            by = f", by #{now.ours.seq}" if now.ours is not None else ""
            why = f"By now another version of {app.label} is live: {now}{by}."
        return Sorry(f"{why} Nothing was done.", (command_for(Command(Verb.ROLLBACK), app),))

    async def _promotion(self, person: Person, place: Place, typed: Command, app: App) -> Reply:
        """Return how to promote another app's version to this one, to be confirmed."""
        from_ = self._finding.find(person, place, Command(Verb.STATUS, typed.rest))
        if not isinstance(from_, App):
            return from_
        if self._ways is None:
            return Sorry("Nobody can promote by chat here.")
        try:
            key = person.key(self._chat)
            return PromotionOffered(await self._ways.promotion(from_, app, key))
        except Rejected as error:
            return Sorry(f"{app.label} can't be promoted: {error}.")

    async def _past(self, typed: Command, app: App, *, gone: bool = False) -> Past | Reasons:
        """Return what was deployed, or why."""
        if typed.verb is Verb.WHY:
            found = await self._journal.explained(app.id, commit=typed.rest, limit=LISTED)
            return Reasons(app, typed.rest, tuple(found), gone, await self._held(app, gone))
        deployments = await self._journal.deployments(limit=LISTED, app_id=app.id)
        return Past(app, tuple(deployments), gone)

    async def _held(self, app: App, gone: bool) -> Deployment | None:
        """Return the deployment of an app that gates hold."""
        open_ = [] if gone else await self._journal.open_deployments()
        held = [one for one in open_ if one.app_id == app.id and one.state is State.HELD]
        return held[-1] if held else None

    async def _act_later(
        self, person: Person, place: Place, typed: Command, app: App, id_: str
    ) -> Reply:
        """Ask for a deployment at a later time; the gates hold it until then."""
        assert typed.when is not None
        try:
            at = ends_at(typed.when, self._clock())
        except Rejected as error:
            return Sorry(f"{error}.")
        reply = await self._act(person, place, ACTIONS[typed.verb], app, id_, at=at)
        return (
            replace(reply, zone=zone_of(typed.when).key) if isinstance(reply, Accepted) else reply
        )

    async def _act(
        self,
        person: Person,
        place: Place,
        action: Action,
        app: App,
        id_: str,
        deployment: str = "",
        at: float | None = None,
        version: Mapping[str, str] = NO_VERSION,
    ) -> Reply:
        if action is Action.CANCEL and (refusal := await self._nothing_to_cancel(app, deployment)):
            return refusal
        asked = Asked(
            action,
            app.id,
            Actor(self._chat, person.called),
            person=person.key(self._chat) if person.chat else person.id,
            accounts=" ".join(person.accounts(self._chat)),
            channel=place.channel,
            thread=place.thread,
            app=app.label,
            deployment=deployment,
            not_before="" if at is None else f"{at:.0f}",
            **version,
        )
        new = NewDelivery(self._chat, id_, action, {}, write_command(asked), self._clock())
        kept = await self._inbox.keep(new)
        trouble = self._known.trouble().get(app.backend)
        return Accepted(
            action,
            app,
            id_,
            kept.duplicate,
            tuple(self._known.channels(app, place.channel)),
            f"it waits for the backend: {trouble}" if trouble else "",
            at,
        )

    async def _nothing_to_cancel(self, app: App, only: str) -> Sorry | None:
        """Return why a cancel would stop nothing; what was just requested may still be stopped."""
        if (live := await live_already(self._journal, self._inbox, app.id, only)) is not None:
            back = command_for(Command(Verb.ROLLBACK), app)
            return Sorry(
                f"It can't be cancelled: {too_late(live)}. A rollback leads back.", (back,)
            )
        going = await self._journal.open_deployments()
        if any(one.app_id == app.id for one in going) or await undecided(self._inbox):
            return None
        return Sorry(f"Nothing waits or runs for {app.label}, so there is nothing to cancel.")

    def _identity(self, person: Person, place: Place) -> Identity:
        rights = {
            right: tuple(app.label for app in of_people(self.apps(person, place, right)))
            for right in Right
        }
        return Identity(person, rights, len(rights[Right.VIEW]))

    async def _list(self, person: Person, place: Place, wanted: str) -> AppList:
        words = wanted.lower().split()
        found = [
            app
            for app in of_people(self.apps(person, place, Right.VIEW))
            if all(word in app.label.lower() for word in words)
        ]
        live = await self._journal.serving(found)
        return AppList(tuple(found), await self._last(found), wanted, live=live)

    async def _standing(self, person: Person, place: Place, app: App | None = None) -> Standing:
        every = self.apps(person, place, Right.VIEW) if app is None else [app]
        ids = {one.id for one in every}
        going = [one for one in await self._journal.open_deployments() if one.app_id in ids]
        seen = of_people(every) if app is None else every
        backends = {one.backend for one in seen}
        trouble = {k: v for k, v in self._known.trouble().items() if k in backends}
        live = None if app is None else await self._journal.serving_of(app)
        return Standing(app, tuple(seen), tuple(going), await self._last(seen), trouble, live)

    async def _last(self, apps: Sequence[App]) -> dict[str, Deployment]:
        ids = {app.id for app in apps}
        last = await self._journal.last_deployments()
        return {app_id: one for app_id, one in last.items() if app_id in ids}
