"""Publish the current state as comments and commit statuses."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

from bridge.core.errors import NotFound, Refused, Rejected, TooEarly, Unreachable
from bridge.core.lifecycle import BAD
from bridge.githosts.feedback.comment import Compares, is_marked, nothing, render_comment
from bridge.githosts.feedback.statuses import contexts, newest, standings, status_of
from bridge.ports.clock import Clock
from bridge.ports.feedback import NO_CONSOLE, ConsolePages, SaveCursor, Snapshot, Turn
from bridge.ports.githosts import Comment, HostApi
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
        standing = next((app for app in standings(snapshot) if app.app_id == place["app"]), None)
        said = status_of(standing, snapshot) if standing else None
        if standing is None or said is None or cursor.get("shown") == said.level:
            return ()
        app, page = snapshot.apps.get(place["app"]), None
        deployment = None if standing.skipped else standing.deployment
        if deployment is not None:
            page = self.console.deployment(deployment.id)
        elif standing.newest is not None:
            page = self.console.delivery(standing.newest.seq)
        passing = deployment is not None and not deployment.final
        await self.pace.wait(subscription.lane, passing=passing)
        try:
            await self.api.set_status(
                place["repository"],
                place["commit"],
                place.get("context")  # an older release stored none
                or contexts({standing.app_id: standing.label})[standing.app_id],
                said.state,
                said.description,
                page or (app.page if app else None),
            )
        except NotFound as error:
            await too_early(cursor, save_cursor, error)
        await save_cursor({"shown": said.level})
        return ()


async def too_early(cursor: Cursor, save_cursor: SaveCursor, error: NotFound) -> NoReturn:
    """Schedule another attempt a little later; after the last one raise the error itself."""
    tries = int(cursor.get("tries", 0)) + 1
    if tries >= FRESH_COMMIT_TRIES:
        raise error
    await save_cursor({**cursor, "tries": tries})
    raise TooEarly("the Git host", str(error), retry_after=FRESH_COMMIT_PAUSE) from error
