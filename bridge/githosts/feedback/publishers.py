"""Publish the current state as comments, commit statuses and deployment objects."""

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NoReturn

from bridge.core.apps import App
from bridge.core.console import NO_CONSOLE, ConsolePages
from bridge.core.errors import NotFound, Refused, Rejected, TooEarly, Unreachable
from bridge.core.health.fate import Fate, Now
from bridge.core.lifecycle import BAD, OURS, Deployment, State
from bridge.githosts.feedback.comment import Compares, is_marked, nothing, render_comment
from bridge.githosts.feedback.statuses import (
    Said,
    Standing,
    contexts,
    deployment_status,
    environments,
    newest,
    standings,
    status_of,
)
from bridge.ports.clock import Clock
from bridge.ports.feedback import SaveCursor, Snapshot, Turn
from bridge.ports.githosts import Comment, CommitState, HasDeployments, HostApi
from bridge.ports.outcomes import Cursor, Subscription

CALM_EACH = 0.1
"""Seconds between two edits of a comment, for each app under way."""

CALM = 15.0
"""The most seconds between two edits of a comment."""

AGAIN = 15.0
"""The most seconds until an intermediate state, or its successor, is tried again."""


@dataclass(frozen=True, slots=True)
class WriteTurns:
    """Limits writes to a subscription.

    Attributes:
        turn: for final states.
        passing: for intermediate states; it leaves part of the limit to final ones.
    """

    turn: Turn
    passing: Turn
    clock: Clock

    async def wait(self, lane: str, *, passing: bool) -> None:
        """Take a turn to write; raise TooEarly if it is not free yet."""
        if not passing:
            await self.turn(lane)
            return
        try:
            await self.passing(lane)
        except TooEarly as error:
            # Try again soon: the state may be final then.
            wait = min(error.retry_after or AGAIN, AGAIN)
            raise TooEarly(
                lane, "the rest of its limit is for outcomes", retry_after=wait
            ) from None

    def calm(self, service: str, under_way: int, written_at: float | None) -> None:
        """Raise TooEarly if the last write is too recent for so many apps under way."""
        if written_at is None:
            return
        calm, since = min(CALM_EACH * under_way, CALM), self.clock() - written_at
        if 0 <= since < calm:
            why = f"{under_way} apps are under way, so it is edited every {calm:.1f} s"
            raise TooEarly(service, why, retry_after=calm - since)


# ── Publish comments, commit statuses and deployment objects ──────────────────────────────────────

FRESH_COMMIT_TRIES = 3
"""Attempts for a commit that the host does not know: its API lags behind its pushes."""

FRESH_COMMIT_PAUSE = 3.0

LANDS = 5.0
"""Seconds in which the comment of a process that died while posting appears."""


@dataclass(frozen=True, slots=True)
class CommentPublisher:
    """The one comment of a pull request.

    Its id is stored. Without an id, all comments are searched before one is written: a process may
    have died between posting and storing, or another may be posting.
    """

    api: HostApi
    pace: WriteTurns
    instance: str
    chats: Mapping[str, str] = field(default_factory=dict)
    """The word for a link to a card in each chat; see `render_comment`."""
    console: ConsolePages = NO_CONSOLE
    compare: Compares = nothing

    async def publish(
        self,
        subscription: Subscription,
        snapshot: Snapshot,
        cursor: Cursor,
        save_cursor: SaveCursor,
    ) -> Sequence[Subscription]:
        """Post or edit it; see `Publisher`."""
        body = render_comment(snapshot, self.instance, self.chats, self.console, self.compare)
        shows = {"shown": _digest(body), "bad": _bad(snapshot)}
        if cursor.get("shown") == shows["shown"] or cursor.get("unwanted"):
            return ()
        under_way = sum(not deployment.final for deployment in newest(snapshot))
        if cursor.get("bad", shows["bad"]) != shows["bad"]:
            under_way = 0  # what has failed waits for nothing
        self.pace.calm(self.api.name, under_way, cursor.get("at"))
        id_ = cursor.get("comment")
        if id_ is not None:
            if await self._edited(subscription, id_, body, passing=under_way > 0):
                await save_cursor({**cursor, **shows, "at": self.pace.clock()})
                return ()
            if cursor.get("again"):
                await save_cursor({"unwanted": True})  # deleted twice: on purpose
                return ()
            cursor = {"again": True}
        id_ = await self._posted(subscription, body, cursor, save_cursor)
        at = self.pace.clock()
        await save_cursor({**_quiet(cursor), "comment": id_, **shows, "at": at})
        return ()

    async def _edited(
        self, subscription: Subscription, id_: str, body: str, *, passing: bool
    ) -> bool:
        place = subscription.place
        await self.pace.wait(subscription.lane, passing=passing)
        try:
            await self.api.edit_comment(place["repository"], place["number"], id_, body)
        except NotFound:
            return False
        return True

    async def _posted(
        self, subscription: Subscription, body: str, cursor: Cursor, save_cursor: SaveCursor
    ) -> str:
        repository, number = subscription.place["repository"], subscription.place["number"]
        if (there := await self._there(repository, number)) is not None:
            if there.body != body:
                await self.pace.turn(subscription.lane)
                await self.api.edit_comment(repository, number, there.id, body)
            return there.id
        if cursor.get("posting") and not cursor.get("waited"):
            await save_cursor({**cursor, "waited": True})
            raise TooEarly(self.api.name, "a comment may be on its way", retry_after=LANDS)
        await self.pace.turn(subscription.lane)
        await save_cursor({**_quiet(cursor), "posting": True})
        try:
            return await self.api.comment(repository, number, body)
        except (Unreachable, Refused, Rejected):  # surely not posted
            await save_cursor(_quiet(cursor))
            raise

    async def _there(self, repository: str, number: int) -> Comment | None:
        """Return our oldest comment with this bridge's marker."""
        async for comment in self.api.comments(repository, number):
            if comment.ours and is_marked(comment.body, self.instance):
                return comment
        return None


def _bad(snapshot: Snapshot) -> str:
    """Return what tells one set of deployments that have ended badly from another."""
    bad = (deployment.id for deployment in newest(snapshot) if deployment.state in BAD)
    return _digest(" ".join(sorted(bad)))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _quiet(cursor: Cursor) -> dict[str, Any]:
    """Return a comment's cursor without the mark that one may be on its way."""
    return {name: cursor[name] for name in cursor.keys() - {"posting", "waited"}}


@dataclass(frozen=True, slots=True)
class StatusPublisher:
    """The status of one app under one commit."""

    api: HostApi
    pace: WriteTurns
    console: ConsolePages = NO_CONSOLE

    async def publish(
        self,
        subscription: Subscription,
        snapshot: Snapshot,
        cursor: Cursor,
        save_cursor: SaveCursor,
    ) -> Sequence[Subscription]:
        """Set it if it differs; see `Publisher`."""
        place = subscription.place
        standing = next((of for of in standings(snapshot) if of.app_id == place["app"]), None)
        said = status_of(standing, snapshot) if standing else None
        if standing is None or said is None or cursor.get("shown") == _level(said):
            return ()
        app = snapshot.apps.get(place["app"])
        await self.pace.wait(subscription.lane, passing=_passing(standing))
        try:
            await self.api.set_status(
                place["repository"],
                place["commit"],
                place.get("context") or _context(standing),
                said.state,
                said.description,
                _page_about(standing, self.console) or (app.page if app else None),
            )
        except NotFound as error:
            await _too_early(cursor, save_cursor, error)
        await save_cursor({"shown": _level(said)})
        return ()


def _page_about(standing: Standing, console: ConsolePages) -> str | None:
    """Return the console's page of what a status is about."""
    if standing.deployment is not None and not standing.skipped:
        return console.deployment(standing.deployment.id)
    return None if standing.newest is None else console.delivery(standing.newest.seq)


@dataclass(slots=True)
class DeploymentObject:
    """A deployment object, as it is or shall be.

    Attributes:
        place: its `repository`, `commit`, `ref` and `environment`.
        words: its description, by which it is found again; see `words_of`.
        cursor: what is known of this object alone; `store` replaces it.
        transient: it is of a preview.
    """

    lane: str
    place: Mapping[str, Any]
    words: str
    cursor: Cursor
    store: SaveCursor
    transient: bool = False

    async def save(self, cursor: Cursor) -> None:
        """Replace the cursor."""
        self.cursor = cursor
        await self.store(cursor)


def words_of(deployment: Deployment) -> str:
    """Return the description of a deployment's object."""
    return f"{deployment.app} by dokploy-bridge, deployment {deployment.id}"[:140]


@dataclass(frozen=True, slots=True)
class DeploymentPublisher:
    """The deployment object of one deployment; it is created once the backend was asked."""

    api: HasDeployments
    pace: WriteTurns
    console: ConsolePages = NO_CONSOLE

    async def publish(
        self,
        subscription: Subscription,
        snapshot: Snapshot,
        cursor: Cursor,
        save_cursor: SaveCursor,
    ) -> Sequence[Subscription]:
        """Create it if missing, and set its state; see `Publisher`."""
        for deployment in snapshot.deployments[:1]:
            told = snapshot.told_by(deployment)
            if told.id != deployment.id and not _is_of(told, subscription.place["commit"]):
                told = deployment
            app = snapshot.apps.get(deployment.app_id)
            place, words = subscription.place, words_of(deployment)
            made = DeploymentObject(subscription.lane, place, words, cursor, save_cursor)
            fate = snapshot.fates.get(deployment.id) or snapshot.fates.get(told.id)
            await self.show(made, told, app, fate)
        return ()

    async def show(
        self,
        made: DeploymentObject,
        deployment: Deployment,
        app: App | None,
        fate: Fate | None = None,
    ) -> None:
        """Create the object of a deployment if it is missing, and set its state.

        Args:
            app: its address and page are shown.
            fate: what has become of it; None unless it went live.
        """
        cursor = made.cursor
        if never_asked(deployment) and "deployment" not in cursor:
            return
        said = deployment_status(deployment)
        level = _level(said)
        if fate is not None and fate.deployed and fate.returned is not None:
            level += f"{_AGAIN}{fate.returned}"
        shown = str(cursor.get("shown", ""))
        if fate is not None and fate.gone and shown.startswith(_ENDED):
            # What has come back is newer on the host than the push that had replaced it.
            if _AGAIN in shown or not (_by_push(fate) and _is_in(made.place, app)):
                await self._end(made, fate)
            return
        if shown == level and "ended" not in cursor:
            return
        passing = not deployment.final
        if fate is not None and fate.now is Now.AGAIN and not self.api.reactivates:
            made.cursor = {name: cursor[name] for name in cursor.keys() - {"deployment"}}
        id_ = made.cursor.get("deployment") or await self._make(made, passing)
        if said.waits and "shown" not in cursor:
            return  # as it is made
        await self.pace.wait(made.lane, passing=passing)
        await self.api.set_deployment(
            made.place["repository"],
            id_,
            said.state,
            said.description,
            # During a build, or after a failed one, the address still serves an older deployment.
            environment_url=app.url if app and deployment.served else None,
            log_url=self.console.deployment(deployment.id) or (app.page if app else None),
        )
        await made.save({"deployment": id_, "shown": level})
        if fate is not None and fate.gone:  # an older one that succeeds late must not seem active
            await self._end(made, fate)

    async def _end(self, made: DeploymentObject, fate: Fate) -> None:
        """Say once that it is not served any more."""
        if made.cursor.get("ended") == fate.says:
            return
        await self.pace.wait(made.lane, passing=fate.by is not None and not fate.by.final)
        with suppress(NotFound):  # somebody has deleted it
            await self.api.end_deployment(
                made.place["repository"], made.cursor["deployment"], fate.says, replaced=True
            )
        await made.save({**made.cursor, "ended": fate.says})

    async def find(self, made: DeploymentObject) -> str | None:
        """Return the host's id of an object, if there is one."""
        if (known := made.cursor.get("deployment")) is not None:
            return str(known)
        if not made.cursor.get("making"):
            return None
        place = made.place
        return await self.api.find_deployment(
            place["repository"], place["commit"], place["environment"], made.words
        )

    async def _make(self, made: DeploymentObject, passing: bool) -> str:
        place, before = made.place, made.cursor
        id_ = await self.find(made)
        if id_ is None:
            await self.pace.wait(made.lane, passing=passing)
            await made.save({**before, "making": True})
            try:
                id_ = await self.api.create_deployment(
                    place["repository"],
                    place["commit"],
                    place["ref"],
                    place["environment"],
                    made.words,
                    transient=made.transient,
                )
            except NotFound as error:
                await _too_early(before, made.save, error)
        await made.save({"deployment": id_})
        return id_


_ENDED = (str(CommitState.SUCCESS), str(CommitState.FAILURE))
"""How what is shown of something that went live begins, once that has ended."""

_AGAIN = " again "
"""Marks a version that has come back, in what was shown; what brought it back follows."""


def _is_of(told: Deployment, commit: str) -> bool:
    """Return whether what was asked for in place of a push has brought its commit."""
    return not told.pushed and told.served and told.deployed_commit == commit


def _by_push(fate: Fate) -> bool:
    """Return whether a newer push was deployed in its place, and works.

    Its object then ends those before it in its environment, without a request of ours.
    """
    by = fate.by if fate.look is None else None
    return by is not None and by.pushed and by.state is State.DONE


def _is_in(place: Mapping[str, Any], app: App | None) -> bool:
    """Return whether a push of an app has its object in a place: nobody has renamed or moved it."""
    if app is None:
        return False
    source, names = app.source, environments({app.id: app.label}, {app.id: app})
    known = {source.repository, source.repository_id} - {None} if source is not None else set()
    return place["environment"] in names.values() and (not known or place["repository"] in known)


def _context(standing: Standing) -> str:
    """Return the status name for a subscription of an older release, which stored none."""
    return contexts({standing.app_id: standing.label})[standing.app_id]


def _passing(standing: Standing) -> bool:
    """Return whether an app's status will change again."""
    deployment = standing.deployment
    return not standing.skipped and deployment is not None and not deployment.final


def never_asked(deployment: Deployment) -> bool:
    """Return whether the backend was never asked, e.g. because a gate holds it."""
    return deployment.state in OURS or (
        deployment.asked_at is None and deployment.state in (State.SUPERSEDED, State.CANCELLED)
    )


async def _too_early(cursor: Cursor, save_cursor: SaveCursor, error: NotFound) -> NoReturn:
    """Schedule another attempt a little later; after the last one raise the error itself."""
    tries = int(cursor.get("tries", 0)) + 1
    if tries >= FRESH_COMMIT_TRIES:
        raise error
    await save_cursor({**cursor, "tries": tries})
    raise TooEarly("the Git host", str(error), retry_after=FRESH_COMMIT_PAUSE) from error


def _level(said: Said) -> str:
    """Return what is shown; whoever waits need not know where, which saves writes."""
    return str(said.state) if said.waits else f"{said.state} {said.description}"
