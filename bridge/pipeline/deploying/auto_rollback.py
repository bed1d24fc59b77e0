"""Roll back by itself what turned out to be unhealthy, where an app's rules say so.

Once for each version, never to one that was bad too, and never where the environment or the source
has changed in between: the old version might not fit what is there now. Never where something else
is served by now: somebody may have mended it at the backend. If what it goes back to is unhealthy
as well, it goes back further, but only to verified versions, and not for ever.
"""

import asyncio
import hashlib
import hmac
import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol, runtime_checkable

from bridge.core.apps import App
from bridge.core.configuration.configuration import Saved, fields_of, plain
from bridge.core.errors import BridgeError, Rejected, Unanswered, Unreachable
from bridge.core.events import COMMAND_HOST, Action, Asked
from bridge.core.gates.locks import BRIDGE, BY_ITSELF
from bridge.core.health.rollback import version_of
from bridge.core.lifecycle import Deployment, State
from bridge.core.people import Actor
from bridge.pipeline.deploying.outcome import Ending
from bridge.pipeline.deploying.rollback_plan import FAR_BACK, Plan, Ways
from bridge.pipeline.deploying.serving import Looks
from bridge.ports.backends import Backend, ShowsSaved, is_stopped
from bridge.ports.clock import Clock, Sleep
from bridge.ports.deployments import Deployments
from bridge.ports.inbox import Inbox, as_delivery
from bridge.ports.journal import AppsDeploymentsAndNotes


@runtime_checkable
class Inspectable(Backend, ShowsSaved, Protocol):
    """A backend that shows how its apps are configured."""


MOST_FURTHER = 2
"""How many unhealthy rollbacks in a row lead back further by themselves."""


@dataclass(frozen=True, slots=True)
class Announced:
    """What is done by itself about an unhealthy deployment.

    Attributes:
        plan: how to go back; None for not at all, or not yet.
        says: what will be done, or why nothing is, for the unhealthy deployment's note.
        later: it is decided once the backend can be asked.
    """

    plan: Plan | None
    says: str
    later: bool = False

    @property
    def back_to(self) -> str | None:
        """See `Deployment.back_to`."""
        if self.plan is not None:
            return self.plan.way.to.id
        return "" if self.later else None

    @property
    def way_back(self) -> str:
        """See `Deployment.way_back`."""
        return self.says if self.plan is not None or self.later else ""


NOTHING_TO_UNDO = Announced(None, "not rolled back: what it has built does not run")


@dataclass(frozen=True, slots=True)
class GoingBack:
    """Asks for rollbacks of unhealthy deployments."""

    backends: Mapping[str, Backend]
    journal: AppsDeploymentsAndNotes
    inbox: Inbox
    ways: Ways
    clock: Clock

    async def fingerprint(self, app: App) -> str | None:
        """Return a text that differs once an app's source or environment has changed.

        None if the backend does not tell them. Nobody can read a secret from it.

        Raises:
            Unreachable, Unanswered: the backend can't be asked now.
        """
        backend = self.backends.get(app.backend)
        if not isinstance(backend, Inspectable):
            return None
        try:
            saved = await backend.saved(app)
        except (Unreachable, Unanswered):
            raise
        except BridgeError:
            return None
        secret = await self.journal.secret("fingerprint")
        return hmac.new(secret.encode(), _text(saved), hashlib.sha256).hexdigest()

    async def decide(self, unhealthy: Deployment, app: App) -> Announced:
        """Return whether to go back, and the words for it.

        Raises:
            Unreachable, Unanswered: the backend can't be asked now.
        """
        try:
            plan = await self.plan(unhealthy, app)
        except (Unreachable, Unanswered):
            raise
        except BridgeError as error:
            return Announced(None, f"not rolled back: {error}{await self._held(app)}")
        untried = "" if plan.tried else ", which was never verified,"
        says = f"it goes back to {version_of(plan.way.to)}{untried} by itself"
        if plan.holds:
            says += f" once nothing holds it: {'; '.join(one.says for one in plan.holds)}"
        return Announced(plan, says)

    async def _held(self, app: App) -> str:
        """Return what may be the fix, and what holds it; "" if nothing is held."""
        held = await self.journal.deployments(limit=1, app_id=app.id, state=State.HELD)
        reasons = "; ".join(one.says for fix in held for one in fix.holds)
        return f"; #{held[0].seq} may be the fix, and is held: {reasons}" if held else ""

    async def plan(self, unhealthy: Deployment, app: App) -> Plan:
        """Return how to go back; raise BridgeError if that is no help, or can't be told now."""
        further = unhealthy.action is Action.ROLLBACK
        fits = partial(_fits, await self.fingerprint(app))
        plan = await self.ways.plan(
            app, person=BY_ITSELF, failing=unhealthy, verified_only=further, fits=fits
        )
        await self._check(unhealthy, app)
        return plan

    async def _check(self, unhealthy: Deployment, app: App) -> None:
        """Raise Rejected if going back would be no help."""
        history = await self.journal.deployments(limit=FAR_BACK, app_id=app.id, lived=True)
        serving = await self.journal.serving_of(app)
        if serving is not None and (instead := serving.instead_of(unhealthy)) is not None:
            raise Rejected(instead)
        if (why := await why_not_started(self.backends[app.backend], app)) is not None:
            raise Rejected(why)
        going = await self.journal.open_deployments(held=False, app_id=app.id)
        newer = (one for one in going if one.seq > unhealthy.seq and one.under_way)
        if (coming := next(newer, None)) is not None:  # it may be the fix; others may wait for long
            raise Rejected(f"deployment #{coming.seq} is newer and about to be deployed")
        if _in_a_row(unhealthy, history) > MOST_FURTHER:
            raise Rejected(f"{MOST_FURTHER + 1} rollbacks in a row were unhealthy")
        if (before := _left_before(unhealthy, history)) is not None:
            raise Rejected(f"{version_of(before)} was unhealthy before, and rolled back once")

    async def ask(self, unhealthy: Deployment, plan: Plan) -> None:
        """Ask for the rollback, once however often this is called."""
        asked = Asked(
            Action.ROLLBACK,
            plan.app.id,
            Actor(name=BRIDGE),
            app=plan.app.label,
            deployment=plan.way.to.id,
            way=plan.way.rung,
            commit=plan.way.commit or "",
            image=plan.way.image or "",
            back_from=unhealthy.id,
        )
        id_ = f"rollback-{unhealthy.id}"
        await self.inbox.keep(as_delivery(COMMAND_HOST, id_, asked, self.clock()))


def _fits(now: str | None, to: Deployment) -> None:
    """Raise Rejected unless a version was deployed with the app's source and environment of now."""
    if to.fingerprint is None or now is None:
        raise Rejected("it is not known whether its source or environment has changed since")
    if to.fingerprint != now:
        raise Rejected(
            f"its source or environment has changed since {version_of(to)} was deployed;"
            " `rollback` goes back all the same"
        )


def _left_before(unhealthy: Deployment, history: Sequence[Deployment]) -> Deployment | None:
    """Return a deployment of the same version that was served, and from which the bridge left."""
    version = unhealthy.deployed_commit or unhealthy.image
    left = {one.back_from for one in history}
    same = (one for one in history if version in (one.deployed_commit, one.image))
    return next((one for one in same if version and one.id in left), None)


def _in_a_row(unhealthy: Deployment, history: Sequence[Deployment]) -> int:
    """Return how many unhealthy rollbacks an unhealthy deployment ends, itself included."""
    row = itertools.takewhile(
        lambda one: one.action is Action.ROLLBACK and one.state is State.UNHEALTHY,
        (one for one in history if one.seq < unhealthy.seq),
    )
    return (unhealthy.action is Action.ROLLBACK) + len(list(row))


def _text(saved: Saved) -> bytes:
    """Return an app's source, build and environment, always in the same form."""
    row = {} if saved.row is None else fields_of(saved.row)
    parts = [
        {name: plain(value) for name, value in row.items() if not name.startswith("docker.image")},
        {} if saved.build is None else saved.build.model_dump(),
        {
            name: plain(getattr(saved.environment, name))
            for name in type(saved.environment).model_fields
        },
    ]
    return json.dumps(parts, sort_keys=True, default=str).encode()


# ── not starting a stopped app, nor overtaking a fix ─────────────────────────────────────────────

PAUSE = 15.0
"""Seconds between two looks at a build that may be the fix."""


async def why_not_started(backend: Backend, app: App) -> str | None:
    """Return why the bridge does not start an app by itself; None if it may."""
    if await is_stopped(backend, app) is False:
        return None
    return "it is idle, so somebody may have stopped it"


async def is_in_queue(backend: Backend, app: App) -> bool:
    """Return whether a deployment is in the backend's queue, whoever has asked for it."""
    return any(one.app == app.id for one in await backend.queue() or ())


@dataclass(frozen=True, slots=True)
class HandsOff:
    """Looks at the backend before it is asked for a rollback by the bridge itself."""

    journal: Deployments
    ending: Ending
    looks: Looks
    sleep: Sleep = field(default=asyncio.sleep, kw_only=True)

    async def lets(self, own: Deployment, backend: Backend, app: App) -> bool:
        """Return whether the backend may be asked; else wait, or end what must not be asked for.

        What is served by now is stored for the journal to judge.

        Args:
            own: a rollback by the bridge itself; what people ask for always may be asked for.
        """
        assert own.back_from is not None
        if await is_in_queue(backend, app):
            await self.journal.say(own.id, "waits for what the backend builds: it may be the fix")
            await self.sleep(PAUSE)
            return False
        await self.looks.at(backend, app)
        if (why := await why_not_started(backend, app)) is None:
            return True
        left = await self.journal.deployment(own.back_from)
        note = f"not gone back{f' from {version_of(left)}' if left is not None else ''}: {why}"
        if own.maybe_asked:
            note += "; the backend may have been asked for it before"
        await self.ending.end(own.id, State.UNKNOWN if own.maybe_asked else State.CANCELLED, note)
        return False
