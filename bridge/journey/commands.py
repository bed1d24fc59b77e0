"""A person's command → the same journey as a push → a reply.

What acts is kept in the inbox before it is answered and decided like any delivery; what only
asks reads the journal. Rights are checked here, each time, and nothing that a person may not
see is ever named to them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bridge.core.access import Access, Person, Right, granting, missing
from bridge.core.asking import command_for, other_ref
from bridge.core.chat_commands import OPENS_PICKER, Command, Unclear, Verb
from bridge.core.commands import CHAT_HOST, write_command
from bridge.core.events import Action, Asked
from bridge.core.lifecycle import Deployment
from bridge.core.naming import apps_like, fitting
from bridge.core.replies import (
    Accepted,
    AppList,
    Configure,
    Denied,
    Help,
    Identity,
    Past,
    Pick,
    Reasons,
    Reply,
    Sorry,
    Standing,
)
from bridge.core.watch import App
from bridge.journey.build_log import BuildLogs
from bridge.journey.chat_audit import ChatAudit, actor
from bridge.ports.chats import LogTail, Place
from bridge.ports.clock import Clock
from bridge.ports.inbox import DeliveryState, Inbox, NewDelivery
from bridge.ports.journal import Journal
from bridge.ports.outcomes import Explained

LISTED = 10
"""Deployments or decisions that an answer shows."""

JUST_NOW = 50
"""Of the newest deliveries so many may not be decided yet, and ask for what is to be cancelled."""

NEEDS = {
    Verb.DEPLOY: Right.DEPLOY,
    Verb.REDEPLOY: Right.DEPLOY,
    Verb.CANCEL: Right.CANCEL,
    Verb.PROVIDER: Right.CONFIGURE,
}
"""The rights that commands need; all others need `view`."""

ACTIONS = {
    Verb.DEPLOY: Action.DEPLOY,
    Verb.REDEPLOY: Action.REDEPLOY,
    Verb.CANCEL: Action.CANCEL,
}
VERBS = {action: verb for verb, action in ACTIONS.items()}


@dataclass(frozen=True, slots=True)
class Known:
    """What there is to read without asking anybody.

    Attributes:
        apps: all apps of all backends.
        trouble: backends that could not be read the last time, and why.
        channels: where the cards of an app's deployments are shown, by where it was asked.
        refresh: reads the apps anew, soon.
    """

    apps: Callable[[], Sequence[App]]
    trouble: Callable[[], Mapping[str, str]]
    channels: Callable[[App, str], Sequence[str]]
    refresh: Callable[[], None]


class ChatCommands:
    """Answers people, and keeps what they ask for."""

    def __init__(
        self,
        inbox: Inbox,
        journal: Journal,
        known: Known,
        access: Access,
        logs: BuildLogs,
        clock: Clock,
    ) -> None:
        self._inbox = inbox
        self._journal = journal
        self._known = known
        self._access = access
        self._logs = logs
        self._clock = clock
        self._audit = ChatAudit(journal, clock)

    # ── the port ──────────────────────────────────────────────────────────

    async def answer(
        self, person: Person, place: Place, typed: Command | Unclear, id_: str
    ) -> Reply:
        """Do or answer what somebody typed."""
        if isinstance(typed, Unclear):
            return Sorry(typed.why, typed.suggestions)
        if typed.verb is Verb.HELP:
            return Help(Verb(typed.rest) if typed.rest else None)
        if typed.verb is Verb.WHOAMI:
            return self._identity(person, place)
        if typed.verb is Verb.APPS:
            return await self._list(person, place, typed.rest or "")
        if typed.app is None:
            return self._unnamed(person, place, typed.verb) or await self._standing(person, place)
        app = self._find(person, place, typed)
        if not isinstance(app, App):
            return app
        if denied := self._denied(person, place, NEEDS.get(typed.verb, Right.VIEW), app):
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
        """Do what somebody clicked or picked."""
        seen = self.apps(person, place, Right.VIEW)
        app = next((one for one in seen if one.id == app_id), None)
        if app is None:
            return Sorry("That app is gone, or you may not see it.")
        if denied := self._denied(person, place, NEEDS[VERBS[action]], app):
            return denied
        return await self._act(person, place, action, app, id_, deployment)

    def apps(self, person: Person, place: Place, right: Right) -> list[App]:
        """The apps to which somebody has a right, by label."""
        found = self._access.having(person, right, self._known.apps(), place.channel)
        return sorted(found, key=lambda app: (app.label, app.id))

    async def log_of(self, person: Person, place: Place, deployment_id: str) -> LogTail | Reply:
        """The end of a deployment's log, without secrets."""
        found = await self._deployment(person, place, deployment_id)
        if not isinstance(found, Deployment):
            return found
        return LogTail(found, await self._logs.tail(found))

    async def why(self, person: Person, place: Place, deployment_id: str) -> Reply:
        """Why a deployment was made."""
        found = await self._deployment(person, place, deployment_id)
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
        """Keep in the audit log that somebody asked for something, where that is worth it."""
        await self._audit.note(person, what, reply)

    # ── finding ───────────────────────────────────────────────────────────

    def _find(self, person: Person, place: Place, typed: Command) -> App | Reply:
        """The one app that is meant, among those that the person may see."""
        assert typed.app is not None
        right = NEEDS.get(typed.verb, Right.VIEW)
        seen = self.apps(person, place, Right.VIEW)
        if not seen:
            why = "You may not see any app from here, so there is none by that name for you."
            return Denied(right, why, granting(person, right, typed.app))
        fits = fitting(seen, typed.app)
        if len(fits) == 1:
            return fits[0]
        self._known.refresh()  # it may have been made just now: then the next try finds it
        allowed = self.apps(person, place, right)
        meant = tuple(command_for(typed, app) for app in apps_like(allowed, typed.app))
        why = f"{typed.app!r} fits several apps." if fits else f"There is no app {typed.app!r}."
        return Sorry(why, meant)

    def _denied(self, person: Person, place: Place, right: Right, app: App) -> Denied | None:
        if self._access.may(person, right, app, place.channel):
            return None
        why = missing(self._access, person, right, app.label)
        return Denied(right, why, granting(person, right, app.label), app)

    def _unnamed(self, person: Person, place: Place, verb: Verb) -> Reply | None:
        """A command without an app: it is picked, if there is anything to pick from."""
        if verb not in OPENS_PICKER:
            return None
        if self.apps(person, place, NEEDS[verb]):
            return Pick(verb)
        right = NEEDS[verb]
        return Denied(
            right,
            f"There is no app that you may {right} from here.",
            granting(person, right, "PROJECT/APP"),
        )

    async def _deployment(
        self, person: Person, place: Place, deployment_id: str
    ) -> Deployment | Reply:
        found = await self._journal.deployment(deployment_id)
        seen = {app.id for app in self.apps(person, place, Right.VIEW)}
        if found is None or found.app_id not in seen:
            return Sorry("That deployment is gone, or you may not see its app.")
        return found

    # ── acting and answering ──────────────────────────────────────────────

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
        if verb is Verb.HISTORY:
            return Past(app, tuple(await self._journal.deployments(limit=LISTED, app_id=app.id)))
        if verb is Verb.WHY:
            found = await self._journal.explained(app.id, commit=typed.rest, limit=LISTED)
            return Reasons(app, typed.rest, tuple(found))
        return await self._standing(person, place, app)

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
            actor(person),
            person=person.id,
            channel=place.channel,
            thread=place.thread,
            app=app.label,
            deployment=deployment,
        )
        new = NewDelivery(CHAT_HOST, id_, action, {}, write_command(asked), self._clock())
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
        """Whether something waits or runs for an app, or has been asked for just now."""
        if any(one.app_id == app.id for one in await self._journal.open_deployments()):
            return True
        # Only looked at: what `due` hands out is for who decides it, and nobody else would.
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
