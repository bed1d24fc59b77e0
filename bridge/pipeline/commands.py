"""A person's command → the same pipeline as a push → a reply.

Commands that act are kept in the inbox before they are answered, and decided like any delivery;
those that only read use the journal. Rights are checked each time (`lookup`).
"""

from collections.abc import Sequence

from bridge.core.access import Access, Person, Right
from bridge.core.apps import App
from bridge.core.chat.grammar import Command, Unclear, Verb
from bridge.core.chat.replies import (
    Accepted,
    AppList,
    Configure,
    Denied,
    Help,
    Identity,
    Past,
    Reasons,
    Reply,
    Sorry,
    Standing,
    command_for,
    other_ref,
)
from bridge.core.events import Action, Asked, write_command
from bridge.core.lifecycle import Deployment
from bridge.pipeline.lookup import NEEDS, BuildLogs, Finding, Known
from bridge.ports.chats import LogTail, Place
from bridge.ports.clock import Clock
from bridge.ports.inbox import DeliveryState, Inbox, NewDelivery
from bridge.ports.journal import Audit, Journal
from bridge.ports.outcomes import Audited, Explained

REFUSED_AGAIN = 60.0
"""Seconds in which the same refusal is recorded once, so nobody can flood the audit log."""

MOST_REFUSALS = 1000


class ChatAudit:
    """Records requests in the audit log; the same refusal only once in a while."""

    def __init__(self, chat: str, journal: Audit, clock: Clock) -> None:
        self._chat = chat
        self._journal = journal
        self._clock = clock
        self._refusals: dict[tuple[str, str, str], float] = {}

    async def note(self, person: Person, what: str, reply: Reply) -> None:
        """Record in the audit log that somebody asked for something, if that is worth it."""
        by = f"{actor(self._chat, person)} ({person.id})"
        if isinstance(reply, Accepted):
            if not reply.duplicate:
                app, outcome = reply.app, f"kept as {reply.delivery}"
                await self._journal.audit(
                    Audited(self._clock(), by, str(reply.action), app.id, app.label, (), outcome)
                )
        elif isinstance(reply, Denied) and self._is_new(person, what, reply):
            app_id, label = (reply.app.id, reply.app.label) if reply.app else ("", "")
            outcome = f"refused: no right to {reply.right}"
            await self._journal.audit(Audited(self._clock(), by, what, app_id, label, (), outcome))

    def _is_new(self, person: Person, what: str, reply: Denied) -> bool:
        """Return whether a refusal was not recorded a moment ago."""
        now = self._clock()
        key = (person.id, what, reply.app.id if reply.app else "")
        new = now - self._refusals.get(key, -REFUSED_AGAIN) >= REFUSED_AGAIN
        if new:
            self._refusals.pop(key, None)  # move it to the end, so the oldest comes first
            self._refusals[key] = now
            if len(self._refusals) > MOST_REFUSALS:
                del self._refusals[next(iter(self._refusals))]
        return new


def actor(chat: str, person: Person) -> str:
    """Return how a person is named as the cause of a deployment."""
    return f"{chat}: {person.called}"


LISTED = 10
"""Deployments or decisions that an answer shows."""

JUST_NOW = 50
"""The newest deliveries to check: they may be undecided, and deploy what should be cancelled."""


ACTIONS = {
    Verb.DEPLOY: Action.DEPLOY,
    Verb.REDEPLOY: Action.REDEPLOY,
    Verb.CANCEL: Action.CANCEL,
}
VERBS = {action: verb for verb, action in ACTIONS.items()}


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
    ) -> None:
        """Take the parts; `chat` is the `host` of the deliveries requested there."""
        self._chat = chat
        self._inbox = inbox
        self._journal = journal
        self._known = known
        self._finding = Finding(journal, known, access)
        self._logs = logs
        self._clock = clock
        self._audit = ChatAudit(chat, journal, clock)

    # ── the port ──────────────────────────────────────────────────────────

    async def answer(
        self, person: Person, place: Place, typed: Command | Unclear, id_: str
    ) -> Reply:
        """Carry out or answer what somebody typed."""
        if isinstance(typed, Unclear):
            return Sorry(typed.why, typed.suggestions)
        if typed.verb is Verb.HELP:
            return Help(Verb(typed.rest) if typed.rest else None)
        if typed.verb is Verb.WHOAMI:
            return self._identity(person, place)
        if typed.verb is Verb.APPS:
            return await self._list(person, place, typed.rest or "")
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
    ) -> Reply:
        """Carry out what somebody clicked or picked."""
        seen = self.apps(person, place, Right.VIEW)
        app = next((one for one in seen if one.id == app_id), None)
        if app is None:
            return Sorry("That app is gone, or you may not see it.")
        if denied := self._finding.denied(person, place, NEEDS[VERBS[action]], app):
            return denied
        return await self._act(person, place, action, app, id_, deployment)

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
        return Reasons(app, found.commit, explained)

    async def note(self, person: Person, what: str, reply: Reply) -> None:
        """Record in the audit log that somebody asked for something, if that is worth it."""
        await self._audit.note(person, what, reply)

    # ── actions and answers ───────────────────────────────────────────────

    async def _about(
        self, person: Person, place: Place, typed: Command, app: App, id_: str
    ) -> Reply:
        verb = typed.verb
        if verb in ACTIONS:
            if typed.ref is not None and (why := other_ref(app, typed.ref)) is not None:
                return Sorry(why, (command_for(Command(verb, typed.app), app),))
            return await self._act(person, place, ACTIONS[verb], app, id_)
        if verb is Verb.PROVIDER:
            return Configure(app)
        if verb in OF_THE_PAST:
            return await self._past(typed, app)
        return await self._standing(person, place, app)

    async def _past(self, typed: Command, app: App, *, gone: bool = False) -> Past | Reasons:
        """Return what was deployed, or why."""
        if typed.verb is Verb.WHY:
            found = await self._journal.explained(app.id, commit=typed.rest, limit=LISTED)
            return Reasons(app, typed.rest, tuple(found), gone)
        deployments = await self._journal.deployments(limit=LISTED, app_id=app.id)
        return Past(app, tuple(deployments), gone)

    async def _act(
        self,
        person: Person,
        place: Place,
        action: Action,
        app: App,
        id_: str,
        deployment: str = "",
    ) -> Reply:
        if action is Action.CANCEL and not await self._going(app):
            return Sorry(f"Nothing waits or runs for {app.label}, so there is nothing to cancel.")
        asked = Asked(
            action,
            app.id,
            actor(self._chat, person),
            person=person.id,
            channel=place.channel,
            thread=place.thread,
            app=app.label,
            deployment=deployment,
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
        )

    async def _going(self, app: App) -> bool:
        """Return whether something waits or runs for an app, or has just been requested."""
        if any(one.app_id == app.id for one in await self._journal.open_deployments()):
            return True
        # Only read: `due` would claim deliveries, and this process may not decide them.
        lately = await self._inbox.newest(JUST_NOW)
        return any(one.state is DeliveryState.KEPT for one in lately)

    def _identity(self, person: Person, place: Place) -> Identity:
        rights = {
            right: tuple(app.label for app in self.apps(person, place, right)) for right in Right
        }
        return Identity(person, rights, len(rights[Right.VIEW]))

    async def _list(self, person: Person, place: Place, wanted: str) -> AppList:
        words = wanted.lower().split()
        found = [
            app
            for app in self.apps(person, place, Right.VIEW)
            if all(word in app.label.lower() for word in words)
        ]
        return AppList(tuple(found), await self._last(found), wanted)

    async def _standing(self, person: Person, place: Place, app: App | None = None) -> Standing:
        seen = self.apps(person, place, Right.VIEW) if app is None else [app]
        ids = {one.id for one in seen}
        going = [one for one in await self._journal.open_deployments() if one.app_id in ids]
        backends = {one.backend for one in seen}
        trouble = {k: v for k, v in self._known.trouble().items() if k in backends}
        return Standing(app, tuple(seen), tuple(going), await self._last(seen), trouble)

    async def _last(self, apps: Sequence[App]) -> dict[str, Deployment]:
        ids = {app.id for app in apps}
        last = await self._journal.last_deployments()
        return {app_id: one for app_id, one in last.items() if app_id in ids}
