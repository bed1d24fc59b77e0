"""Find the app or deployment that somebody means, among those that they may view.

People never see the names of anything else. Also: the author of a deployment's commit.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bridge.core.access import EVERY_APP, Access, Person, Right, granting, missing
from bridge.core.apps import MOST_NAMED, App
from bridge.core.chat.replies import (
    Denied,
    NotAllowed,
    denial,
)
from bridge.core.events import RefPushed
from bridge.core.gates.locks import Scope, covered
from bridge.core.lifecycle import Deployment
from bridge.core.people import Writer
from bridge.pipeline.deciding.interpret import Meaning, Reading
from bridge.ports.chats import Place
from bridge.ports.deployments import Deployments
from bridge.ports.inbox import DeliveryState, Inbox
from bridge.ports.journal import AppsAndDeployments


@dataclass(frozen=True, slots=True)
class Known:
    """What is known without a request.

    Attributes:
        apps: all apps of all backends.
        trouble: backends that could not be read the last time, and why.
        channels: where an app's cards are shown, given where the deployment was requested.
        refresh: causes the apps to be read again soon.
    """

    apps: Callable[[], Sequence[App]]
    trouble: Callable[[], Mapping[str, str]]
    channels: Callable[[App, str], Sequence[str]]
    refresh: Callable[[], None]


class Finding:
    """Finds apps and deployments; rights are checked each time."""

    def __init__(self, journal: AppsAndDeployments, known: Known, access: Access) -> None:
        self._journal = journal
        self._known = known
        self.access = access

    def apps(self, person: Person, place: Place, right: Right) -> list[App]:
        """Return the apps to which somebody has a right, by label."""
        found = self.access.having(person, right, self._known.apps(), place.channel)
        return sorted(found, key=lambda app: (app.label, app.id))

    def may(self, person: Person, place: Place, right: Right, label: str) -> bool:
        """Return whether somebody has a right to the app with a label, existing or not."""
        return right in self.access.rights(person, label, place.channel)

    def must_see_some(self, person: Person, seen: Sequence[App], right: Right, name: str) -> None:
        """Raise NotAllowed if somebody may view no app from here."""
        if not seen:
            why = "You may not see any app from here, so there is none by that name for you."
            raise NotAllowed(Denied(right, why, granting(person, right, name)))

    def refresh(self) -> None:
        """Have the apps read again soon: one may have been created just now."""
        self._known.refresh()

    async def gone_apps(self, person: Person, place: Place) -> list[App]:
        """Return the deleted apps that somebody could view: rights go by labels."""
        gone = await self._journal.gone_apps()
        return self.access.having(person, Right.VIEW, gone, place.channel)

    def denied(self, person: Person, place: Place, right: Right, app: App) -> Denied | None:
        """Return why somebody may not do it with an app; None if they may."""
        if self.access.may(person, right, app, place.channel):
            return None
        return denial(self.access, person, right, app.label, app)

    def denied_of(self, person: Person, place: Place, right: Right, label: str) -> Denied | None:
        """Return why somebody may not do it with the app with a label, existing or not."""
        if self.may(person, place, right, label):
            return None
        return denial(self.access, person, right, label)

    def denied_anywhere(self, person: Person, place: Place, right: Right) -> Denied | None:
        """Return why somebody may not do it with every app, future ones too; None if they may."""
        if right in self.access.rights(person, EVERY_APP, place.channel):
            return None
        why = missing(self.access, person, right, EVERY_APP)
        lines = granting(person, right, "*")
        return Denied(right, why, lines, target="every app", subject="every app")

    def scope_denied(self, person: Person, place: Place, scope: Scope) -> Denied | None:
        """Return why somebody may not lock a scope; None if they may lock every app in it."""
        may = {app.id for app in self.apps(person, place, Right.LOCK)}
        lacking = [app for app in covered(scope, self._known.apps()) if app.id not in may]
        if not lacking:
            return None
        ids = {app.id for app in lacking}
        seen = [app for app in self.apps(person, place, Right.VIEW) if app.id in ids]
        why = missing(self.access, person, Right.LOCK, scope.label)
        named = ", ".join(app.label for app in seen[:MOST_NAMED])
        if named and scope.label not in (app.label for app in seen):
            more = " and other apps" if len(lacking) > len(seen[:MOST_NAMED]) else ""
            why += f" It covers {named}{more}, for which you lack it."
        elif not named:
            why += " It covers apps that you may not lock."
        lines = granting(person, Right.LOCK, seen[0].label if len(lacking) == 1 and seen else "*")
        return Denied(Right.LOCK, why, lines, target=scope.label, subject=scope.label)

    def without_apps(self, person: Person, place: Place, right: Right) -> Denied | None:
        """Return the refusal of somebody who has a right to no app; None if there is one."""
        if self.apps(person, place, right):
            return None
        return Denied(
            right,
            f"There is no app that you may {right} from here.",
            granting(person, right, "PROJECT/APP"),
        )


MOST_AUTHORS_KEPT = 50_000
"""Authors of pushes to remember: what is held is judged often, and a push never changes."""


class Authors:
    """Finds commit authors in kept webhooks."""

    def __init__(self, inbox: Inbox, reading: Reading) -> None:
        self._inbox = inbox
        self._reading = reading
        self._known: dict[int, frozenset[tuple[str, Writer]]] = {}
        self._kept = 0

    async def email_of(self, deployment: Deployment) -> str:
        """Return the author's address; "" if the push has none, or a person requested it."""
        event = await self._push(deployment.seq)
        if event is None or event.commit is None or event.commit.sha != deployment.commit:
            return ""
        return event.commit.email

    async def of(self, seq: int) -> frozenset[tuple[str, Writer]]:
        """Return the authors of a delivery's commits and its pusher, as far as it tells."""
        if (known := self._known.get(seq)) is not None:
            return known
        event = await self._push(seq)
        if event is None:
            return frozenset()
        host = event.repository.host
        found = frozenset((host, one) for one in event.authors)
        self._keep(seq, found)
        return found

    def _keep(self, seq: int, found: frozenset[tuple[str, Writer]]) -> None:
        """Remember the authors of a push, each as one, and the push itself as another."""
        if seq not in self._known:
            self._kept += len(found) + 1
        self._known[seq] = found
        while self._kept > MOST_AUTHORS_KEPT:
            self._kept -= len(self._known.pop(next(iter(self._known)))) + 1

    async def _push(self, seq: int) -> RefPushed | None:
        delivery = await self._inbox.get(seq)
        if delivery is None or delivery.stored is None:
            return None
        (found,) = await self._reading.meanings([delivery])
        event = found.event if isinstance(found, Meaning) else None
        return event if isinstance(event, RefPushed) else None


# ── what a cancel could stop ────────────────────────────────────────────────────────────────────

JUST_NOW = 50
"""The newest deliveries to check: they may be undecided, and deploy what should be cancelled."""


async def live_already(
    journal: Deployments, inbox: Inbox, app_id: str, only: str = ""
) -> Deployment | None:
    """Return the deployment for which a cancel comes too late, if it could stop nothing else."""
    going = [one for one in await journal.open_deployments() if one.app_id == app_id]
    meant = [one for one in going if only in ("", one.id)]
    if not meant or not all(one.served for one in meant):
        return None
    return None if not only and await undecided(inbox) else meant[-1]


async def undecided(inbox: Inbox) -> bool:
    """Return whether something has just been requested, which may concern any app."""
    # Only read: `due` would claim deliveries, and this process may not decide them.
    return any(one.state is DeliveryState.KEPT for one in await inbox.newest(JUST_NOW))
