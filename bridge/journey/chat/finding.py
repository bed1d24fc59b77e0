"""The app or deployment that somebody means, among those that they have a right to.

What a person may not see is never named to them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bridge.core.access import Access, Person, Right, granting, missing
from bridge.core.chat.about_app import command_for
from bridge.core.chat.grammar import OPENS_PICKER, Command, Verb
from bridge.core.chat.replies import Denied, Pick, Reply, Sorry
from bridge.core.lifecycle import Deployment
from bridge.core.naming import apps_like, fitting
from bridge.core.watch import App
from bridge.ports.chats import Place
from bridge.ports.journal import Journal

NEEDS = {
    Verb.DEPLOY: Right.DEPLOY,
    Verb.REDEPLOY: Right.DEPLOY,
    Verb.CANCEL: Right.CANCEL,
    Verb.PROVIDER: Right.CONFIGURE,
}
"""The rights that commands need; all others need `view`."""


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


class Finding:
    """Finds what is meant; rights are checked each time."""

    def __init__(self, journal: Journal, known: Known, access: Access) -> None:
        self._journal = journal
        self._known = known
        self._access = access

    def apps(self, person: Person, place: Place, right: Right) -> list[App]:
        """The apps to which somebody has a right, by label."""
        found = self._access.having(person, right, self._known.apps(), place.channel)
        return sorted(found, key=lambda app: (app.label, app.id))

    def find(self, person: Person, place: Place, typed: Command) -> App | Reply:
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

    async def deleted(self, person: Person, place: Place, typed: Command) -> App | None:
        """The one app that was deleted at its backend and is meant; None where a live one is.

        Its history stays, for those who could see the app: rights go by labels.
        """
        gone = await self._journal.gone_apps()
        seen = self._access.having(person, Right.VIEW, gone, place.channel)
        fits = fitting(self.apps(person, place, Right.VIEW), typed.app or "", seen)
        return fits[0] if len(fits) == 1 and fits[0] in seen else None

    def denied(self, person: Person, place: Place, right: Right, app: App) -> Denied | None:
        """Why somebody may not do it with an app; None where they may."""
        if self._access.may(person, right, app, place.channel):
            return None
        why = missing(self._access, person, right, app.label)
        return Denied(right, why, granting(person, right, app.label), app)

    def unnamed(self, person: Person, place: Place, verb: Verb) -> Reply | None:
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

    async def deployment(
        self, person: Person, place: Place, deployment_id: str
    ) -> Deployment | Reply:
        """One deployment, of an app that the person may see."""
        found = await self._journal.deployment(deployment_id)
        seen = {app.id for app in self.apps(person, place, Right.VIEW)}
        if found is None or found.app_id not in seen:
            return Sorry("That deployment is gone, or you may not see its app.")
        return found
