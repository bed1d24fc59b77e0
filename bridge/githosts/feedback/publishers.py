"""Publish the current state as comments and commit statuses."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

from bridge.core.errors import NotFound, TooEarly
from bridge.githosts.feedback.statuses import contexts, standings, status_of
from bridge.ports.clock import Clock
from bridge.ports.feedback import SaveCursor, Snapshot, Turn
from bridge.ports.githosts import HostApi
from bridge.ports.outcomes import Cursor, Subscription
from bridge.views.links import NO_CONSOLE, ConsolePages

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
        read: for what people read of those; it leaves less, so it does not wait for what only
            machines read.
    """

    turn: Turn
    passing: Turn
    read: Turn
    clock: Clock

    async def wait(self, lane: str, *, passing: bool, read: bool = False) -> None:
        """Take a turn to write; raise TooEarly if it is not free yet.

        Args:
            passing: an intermediate state is written.
            read: people read it.
        """
        if not passing:
            await self.turn(lane)
            return
        try:
            await (self.read if read else self.passing)(lane)
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
