"""Request a deployment from its backend, once, whatever happens in between.

A step that was running when the process died runs again. It therefore first checks what exists: in
the journal, then at the backend (adopt before create).
"""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from typing import TypeVar

from bridge.core.apps import App, SourceType
from bridge.core.errors import BridgeError, NotFound, Refused, Rejected, Unanswered, Unreachable
from bridge.core.events import Action
from bridge.core.health.rollback import Rung
from bridge.core.lifecycle import Deployment, NoteKind, State
from bridge.core.tracking import description_of, marked, title_of
from bridge.pipeline.deploying.auto_rollback import HandsOff
from bridge.pipeline.deploying.outcome import Ending, FollowTiming
from bridge.pipeline.deploying.polling import BackendPollers, Look, seen
from bridge.ports.backends import Backend, WritesSource, read_apps
from bridge.ports.clock import Clock, Sleep
from bridge.ports.gates import JudgedBy, PinsCommits
from bridge.ports.journal import JOURNAL, AppsDeploymentsAndNotes

T = TypeVar("T")

log = logging.getLogger(__name__)

GONE = 404
"""A backend's status for an app that it does not have, or no longer has."""

MOST_UNKNOWN = 3
"""Attempts to pin a commit that its Git host does not know: it may know a fresh one later."""

ADOPTED = "the backend had accepted it already"


@dataclass(slots=True)
class _Attempt:
    """The state of one request.

    Attributes:
        may_be_there: it may have been made already, so look before requesting. True at first,
            because an intent in the journal may date from before a crash or a failed write.
        unanswered: how many requests got no clear answer.
        answer: what came instead, the last time.
        placed: the branch to build is at the commit to build, as far as that matters.
        pinned: where that branch is, for the note; "" if the app is not pinned.
        image: of a Docker source, the image that the app had just before.
    """

    may_be_there: bool = True
    away: int = 0
    unanswered: int = 0
    answer: str = ""
    placed: bool = False
    pinned: str = ""
    image: str | None = None


@dataclass(frozen=True, slots=True)
class Asker:
    """Requests deployments from backends, each once."""

    pollers: BackendPollers
    journal: AppsDeploymentsAndNotes
    ending: Ending
    clock: Clock
    timing: FollowTiming
    judging: JudgedBy
    pins: PinsCommits
    hands_off: HandsOff
    sleep: Sleep = field(default=asyncio.sleep, kw_only=True)

    @property
    def _images(self) -> "Images":
        return Images(self.journal, self.pollers.troubled)

    async def ask(self, waiting: Deployment) -> None:
        """Have the backend accept it, once; return when it has, or when there is no need."""
        attempt, id_ = _Attempt(), waiting.id
        deployment: Deployment | None = waiting
        while deployment is not None:
            try:
                await self._ask_once(deployment, attempt)
            except Unreachable as error:
                if error.service == JOURNAL:  # the workflow engine's database, not the backend
                    raise
                self.pollers.troubled(error.service)
                note = f"waits for the backend: {error}"
                await self._wait(deployment, note, error, attempt, NoteKind.AWAY)
            except Unanswered as error:
                again = _again(deployment, attempt)
                attempt.unanswered, attempt.answer = attempt.unanswered + 1, str(error)
                attempt.may_be_there = True
                await self.journal.say(id_, f"{again}{error}; looking whether it arrived")
            except Refused as error:
                if error.status == GONE:
                    self.pollers.troubled(error.service)
                asked = attempt.may_be_there or deployment.maybe_asked
                await self._fail(deployment, "refused by", error, maybe_asked=asked)
            deployment = await self.ending.still_waiting(id_)

    async def _ask_once(self, deployment: Deployment, attempt: _Attempt) -> None:
        """Look for an earlier request, or record the intent, place the commit, and request.

        What takes long ends the attempt: the next one begins with what the journal says by then.
        """
        app = await self.ending.app(deployment.app_id)
        if deployment.intent_at is None:
            attempt.may_be_there = attempt.placed = False
            await self._intend(deployment, app, attempt)
            intended = await self.ending.still_waiting(deployment.id)  # or cancelled meanwhile
            if intended is None or intended.intent_at is None:
                return
            deployment = intended
        if attempt.may_be_there:
            await self._look_for_it(deployment, app, attempt)
        elif deployment.cancel is not None:  # decided since the intent
            await self._withdraw(deployment)
        elif self._must_be_placed(deployment, app) and not attempt.placed:
            await self._place(deployment, app, attempt)
        else:
            await self._ask_now(deployment, app, attempt)

    async def _intend(self, deployment: Deployment, app: App, attempt: _Attempt) -> None:
        """Record that a request is about to be made, and which records existed before.

        The gates are looked at once more: the deployment is held if one has closed meanwhile.
        The image is read once more: somebody may have changed it since the decision.
        A record with our token shows that the journal lacks an earlier request, as after a restore.
        """
        records, _, by, attempt.image = await asyncio.gather(
            self._backend(app).deployments(app),
            self.pollers.of(app).begin_to_watch(),
            self.judging(deployment.id),
            image_of(self._backend(app), app),
        )
        ours = next((one for one in records if marked(deployment, seen(one))), None)
        if ours is not None:
            began = self.pollers.of(app).by_our_clock(ours.created_at)
            await self._accepted(deployment.id, ADOPTED, min(self.clock(), began))
        elif (changed := await self._changed_meanwhile(deployment, attempt.image)) is not None:
            await self.ending.end(deployment.id, State.CANCELLED, changed)
        elif deployment.back_from is None or await self.hands_off.lets(
            deployment, self._backend(app), app
        ):
            own = deployment.way == Rung.IMAGE or attempt.image is None
            facts = {} if own else {"image": attempt.image}
            ids = [record.id for record in records]
            await self.journal.intend(deployment.id, ids, by, **facts)

    async def _changed_meanwhile(self, deployment: Deployment, image: str | None) -> str | None:
        """Return why the bridge does not set an image by itself; None if it may.

        Somebody may have set another one since the deployment that it goes back from.
        """
        if deployment.way != Rung.IMAGE or deployment.back_from is None:
            return None
        left = await self.journal.deployment(deployment.back_from)
        if left is None or image in (left.image, deployment.image):
            return None
        return f"not gone back from {left.image}: the app's image is {image} by now"

    def _must_be_placed(self, deployment: Deployment, app: App) -> bool:
        """Return whether a commit is cloned for it, and the branch has to be at a certain one."""
        clones = deployment.action is not Action.REDEPLOY and deployment.way != Rung.IMAGE
        return clones and (self.pins.pins(app) or deployment.pinned is not None)

    async def _place(self, deployment: Deployment, app: App, attempt: _Attempt) -> None:
        """Have the backend clone the commit that was judged, if the app is pinned.

        If it is not, a commit that somebody asked for has to be the head of the branch.
        Here nobody builds the app: its deployments are requested one after the other.
        """
        attempt.pinned = ""
        try:
            if self.pins.pins(app):
                wanted = deployment.pinned or deployment.head or deployment.commit
                attempt.pinned = f", pinned to {(await self.pins.place(app, wanted))[:7]}"
            elif deployment.pinned:
                await self.pins.must_be_head(app, deployment.pinned)
        except (Unreachable, Refused, Rejected) as error:
            early = isinstance(error, NotFound) and attempt.away < MOST_UNKNOWN
            if early or isinstance(error, Unreachable):
                await self._wait(deployment, f"waits for its Git host: {error}", error, attempt)
            else:
                asked = deployment.maybe_asked
                await self._fail(deployment, "not pinned:", error, maybe_asked=asked)
        else:
            attempt.placed = True

    async def _fail(
        self, deployment: Deployment, what: str, error: BridgeError, *, maybe_asked: bool
    ) -> None:
        """End it; if an earlier request may have arrived, its outcome is not known."""
        if maybe_asked:
            note = f"may have been requested, outcome unknown: {error}"
            note += _and(await self._put_back(deployment))
            await self.ending.end(deployment.id, State.UNKNOWN, note)
        else:
            restored = await self._put_back(deployment)
            await self.ending.end(deployment.id, State.FAILED, f"{what} {error}{_and(restored)}")

    async def _ask_now(self, deployment: Deployment, app: App, attempt: _Attempt) -> None:
        attempt.may_be_there, at = True, self.clock()
        try:
            await self._send(deployment, app, attempt)
        except (Unreachable, Refused):
            attempt.may_be_there = False
            raise
        log.info("deployment asked for", extra={"app": deployment.app, "deployment": deployment.id})
        # The answer may arrive after the build has ended.
        note = f"{_again(deployment, attempt)}the backend accepted it{attempt.pinned}"
        await self._accepted(deployment.id, note + _and(await self._images.left(deployment)), at)

    async def _accepted(self, id_: str, note: str, at: float) -> None:
        """Record that the backend has accepted it at `at`, however long the journal is away.

        This must not be lost: a later step might not find it, and would request it again.
        """
        while True:
            try:
                await self.journal.move(id_, State.ASKED, note, asked_at=at)
            except Unreachable as error:
                log.warning("deployment waits", extra={"deployment": id_, "why": str(error)})
                await self.sleep(self.timing.retry.first)
            else:
                return

    # ── what may have been requested already ─────────────────────────────

    async def _look_for_it(self, deployment: Deployment, app: App, attempt: _Attempt) -> None:
        """Adopt what the backend has; if it has nothing, wait for a turn again."""
        look = await self._found(deployment, app)
        if look.present:
            # It may have ended already, so the request's time is the intent's, not the present.
            await self._accepted(deployment.id, ADOPTED, deployment.intent_at or self.clock())
        elif look.doubtful:
            await self.ending.doubtful(deployment, look.doubtful)
        elif attempt.unanswered and not await self._may_ask_again(deployment, app, attempt):
            return
        else:
            # The backend does not have it: a cancel or a newer push may still come first.
            await self._withdraw(deployment, maybe_asked=True)

    async def _found(self, deployment: Deployment, app: App) -> Look:
        """Poll for a while, since lists may lag; stop at a record that is surely ours."""
        poller = self.pollers.of(app)
        until = self.clock() + self.timing.adopt
        while True:
            began = self.clock()
            look = await poller.look_now(deployment, app)
            if look.present or began >= until:
                return look
            await self.sleep(self.timing.look.first)

    async def _may_ask_again(self, deployment: Deployment, app: App, attempt: _Attempt) -> bool:
        """Decide whether to request once more, after no answer and without a trace."""
        if attempt.unanswered > 1:
            why = "the backend was asked twice and shows no such deployment"
        elif not await self.pollers.of(app).tells_queue():
            why = "it may have been requested, and the backend lists no queue"
        else:
            note = f"for {self.timing.adopt:g} s the backend has shown no sign of it"
            await self.journal.say(deployment.id, note)
            return True
        note = f"outcome unknown: {why}; {attempt.answer}"
        note += _and(await self._put_back(deployment))
        await self.ending.end(deployment.id, State.UNKNOWN, note)
        return False

    async def _wait(
        self,
        deployment: Deployment,
        note: str,
        error: BridgeError,
        attempt: _Attempt,
        kind: NoteKind | None = None,
    ) -> None:
        if not attempt.may_be_there:
            # Nothing was requested, so a newer push may supersede this one meanwhile.
            await self._withdraw(deployment)
        await self.journal.say(deployment.id, note, kind)
        attempt.away += 1
        await self.sleep(self.timing.retry.after(attempt.away, error))

    async def _send(self, deployment: Deployment, app: App, attempt: _Attempt) -> None:
        """Request the deployment, with the token that identifies it."""
        backend = self._backend(app)
        if deployment.way == Rung.IMAGE:
            await self._images.write(backend, app, deployment, attempt.image)
        ask = backend.redeploy if deployment.action is Action.REDEPLOY else backend.deploy
        await ask(app, title=title_of(deployment), description=description_of(deployment))

    # ── what was not requested after all ─────────────────────────────────

    async def _withdraw(self, deployment: Deployment, *, maybe_asked: bool = False) -> None:
        """Withdraw the intent; until then nobody else asks for the app, so first put it back."""
        restored = await self._put_back(deployment)
        await self.journal.withdraw(deployment.id, maybe_asked=maybe_asked, note=restored)

    async def _put_back(self, deployment: Deployment) -> str:
        """Put the app's image back, however long the backend is away; return what to say of it."""
        if deployment.way != Rung.IMAGE:
            return ""
        app, away = await self.ending.app(deployment.app_id), 0
        while True:
            try:
                return await self._images.put_back(self._backend(app), app, deployment)
            except Unreachable as error:
                if error.service == JOURNAL:
                    raise
                away += 1
                note = f"waits for the backend, to put the app's image back: {error}"
                await self.journal.say(deployment.id, note, NoteKind.AWAY)
                await self.sleep(self.timing.retry.after(away, error))

    def _backend(self, app: App) -> Backend:
        return self.pollers.of(app).backend


def _again(deployment: Deployment, attempt: _Attempt) -> str:
    """Return the beginning of the note on a sent request, if it was not the first."""
    return "asked again; " if deployment.asked_again or attempt.unanswered else ""


def _and(words: str) -> str:
    """Return the end of a note that says one thing more, if there is one."""
    return f"; {words}" if words else ""


# ── images ───────────────────────────────────────────────────────────────────────────────────────


async def image_of(backend: Backend, app: App) -> str | None:
    """Return the image that an app has now; None without a Docker source, or if it is gone."""
    if app.source is None or app.source.type is not SourceType.DOCKER:
        return None
    found = await _idempotent(backend, lambda: read_apps(backend, [app]))
    return next((one.source.image for one in found if one.source is not None), None)


@dataclass(frozen=True, slots=True)
class _Written:
    """An image that was set for a deployment, and the one that it has replaced."""

    deployment: str
    before: str
    image: str


@dataclass(frozen=True, slots=True)
class Images:
    """Sets an app's image for one deployment, and puts it back if nothing is requested after all.

    What was there is recorded first, one note for each app, so a crash in between forgets nothing.

    Attributes:
        changed: called with the name of a backend whose apps have to be read again.
    """

    journal: AppsDeploymentsAndNotes
    changed: Callable[[str], None]

    async def write(
        self, backend: Backend, app: App, deployment: Deployment, now: str | None
    ) -> None:
        """Set the app's image; `now` is the one that it has."""
        image, before = deployment.image, now or (app.source.image if app.source else None)
        if not isinstance(backend, WritesSource) or image is None or before is None:
            raise Refused(backend.name, f"the image of {app.label} can't be set from here")
        if before != image:
            written = _Written(deployment.id, before, image)
            await self.journal.note(_key(deployment), json.dumps(asdict(written)))
            await self._set(backend, app, image)

    async def put_back(self, backend: Backend, app: App, deployment: Deployment) -> str:
        """Set the image that was there before, unless it was changed since; return what to say."""
        written = await self._written(deployment)
        if written is None or not isinstance(backend, WritesSource):
            return ""
        try:
            now = await image_of(backend, app)
            if now == written.image:
                await self._set(backend, app, written.before)
                now = written.before
        except Refused as error:
            return (
                f"the app's image may still be {written.image}, since it could not be put back"
                f" ({error}): run `dokploy-bridge provider set docker {app.label} --image"
                f" {written.before}`"
            )
        await self.journal.note(_key(deployment), "")
        if now == written.before:
            return f"the app's image is {now} as before"
        return f"the app's image is {now}: somebody has changed it meanwhile" if now else ""

    async def _set(self, backend: Backend, app: App, image: str) -> None:
        """Set an app's image, and have its record here follow."""
        assert isinstance(backend, WritesSource), "callers have looked"
        fields = {"docker.image": image}
        await _idempotent(backend, lambda: backend.write_source(app, fields))
        await self.journal.renew_apps(await _idempotent(backend, lambda: read_apps(backend, [app])))
        self.changed(backend.name)

    async def left(self, deployment: Deployment) -> str:
        """Return what to say of an image that stays set."""
        written = await self._written(deployment)
        return "" if written is None else f"the app's image was {written.before} before"

    async def _written(self, deployment: Deployment) -> _Written | None:
        """Return what was set for this deployment, as far as it was not put back."""
        if deployment.way != Rung.IMAGE:
            return None
        found = await self.journal.recall(_key(deployment))
        written = _Written(**json.loads(found)) if found else None
        return written if written and written.deployment == deployment.id else None


def _key(deployment: Deployment) -> str:
    return f"image {deployment.app_id}"


async def _idempotent(backend: Backend, call: Callable[[], Awaitable[T]]) -> T:
    """Make a call that may be repeated: no answer is as good as none sent."""
    try:
        return await call()
    except Unanswered as error:
        raise Unreachable(backend.name, error.why) from error
