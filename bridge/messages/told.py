"""The content of each kind of message, made from a snapshot."""

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from bridge.core.configuration import plan
from bridge.core.events import COMMAND_HOST, Action
from bridge.core.gates.locks import Lock, PullRef
from bridge.core.health.fate import Fate, Now
from bridge.core.health.rollback import version_of
from bridge.core.lifecycle import Change, Deployment
from bridge.core.previews.preview import Preview, PreviewState
from bridge.core.previews.verdict import STARTED_AGAIN
from bridge.messages.cursor import MessageCursor
from bridge.messages.plans import CARD, CHANGE, LOCK, PULL, Channels
from bridge.messages.publisher import Live, MessagePublisher, Reply, Tells
from bridge.messages.writer import ChatWriter, Target
from bridge.ports.chats import OfDeployment
from bridge.ports.clock import Clock
from bridge.ports.feedback import Publisher, Snapshot
from bridge.ports.outcomes import (
    DONE,
    LINK,
    Audited,
    Cursor,
    Stage,
    Subscription,
    about_change,
    named,
)
from bridge.views.actions import UNDO
from bridge.views.cards import changes_view, deployment_view, failure_view, fate_view
from bridge.views.changes import called, changes_list
from bridge.views.deployments import LOUD
from bridge.views.gates import lock_ended, lock_reminder
from bridge.views.links import Around, Links
from bridge.views.pull_requests import Row, news_in, news_view, preview_row, pull_request_view
from bridge.views.values import Called, Icon, Phrase, Strong, Text
from bridge.views.view import Action as Button
from bridge.views.view import Item, Lines, Question, View, Weight

MOST_AT_ONCE = 40
"""The most changes in one reply."""

_COMMENT = re.compile(r"[^.\s]+\.comment \S+ (\d+)").fullmatch


def publishers_of(
    writer: ChatWriter, channels: Channels, links: Links, *, tail: OfDeployment, clock: Clock
) -> dict[str, Publisher]:
    """Return the publishers of a chat, by kind of subscription.

    Args:
        tail: returns the end of a deployment's log.
    """
    tells: dict[str, Tells[View]] = {
        CARD: Cards(writer, links, tail),
        PULL: PullRequests(links, channels),
        LOCK: Locks(clock),
        CHANGE: changes,
    }
    return {f"{writer.chat}.{kind}": MessagePublisher(writer, one) for kind, one in tells.items()}


# ── deployments ───────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Cards:
    """Tells of deployments.

    Attributes:
        tail: returns the end of a deployment's log.
    """

    writer: ChatWriter
    links: Links
    tail: OfDeployment

    def __call__(
        self, subscription: Subscription, snapshot: Snapshot, known: MessageCursor
    ) -> Live[View] | None:
        """Return the card, and a reply for what has changed."""
        if not snapshot.deployments:
            return None
        deployment = snapshot.deployments[0]
        app, around = snapshot.apps.get(deployment.app_id), around_of(deployment, snapshot)
        newer = _newer(subscription, snapshot, deployment)
        view = deployment_view(deployment, app, self.links, around, newer)
        replies = self._replies(subscription, snapshot, deployment, known)
        return Live(view, int(not deployment.final), replies, linked=True)

    def _replies(
        self,
        subscription: Subscription,
        snapshot: Snapshot,
        deployment: Deployment,
        known: MessageCursor,
    ) -> list[Reply[View]]:
        history = snapshot.history.get(deployment.id, ())
        replies, said = [], known.said
        # The first change is the request, which the card itself shows.
        for upto, news in portions(history, max(known.said - known.turns, 1)):
            said = upto + known.turns
            if loud := news[0].state in LOUD:
                view = partial(self._failure, subscription, snapshot, deployment, news[0])
            else:
                view = partial(_made, changes_view, deployment, news)
            replies.append(Reply(said, view, loud))
        fate = snapshot.fates.get(deployment.id)
        if fate is not None and (turn := _turn_of(fate, known)) not in ("", known.turn):
            saying, view = max(said, len(history)) + 1, partial(_made, fate_view, deployment, fate)
            replies.append(Reply(saying, view, marks={"turning": turn}))
        return replies

    async def _failure(
        self,
        subscription: Subscription,
        snapshot: Snapshot,
        deployment: Deployment,
        change: Change,
    ) -> View:
        log = deployment.log_tail or await self.tail(deployment)
        who = await self.writer.calls(subscription, deployment)
        return await asyncio.to_thread(
            failure_view,
            deployment,
            change,
            log,
            snapshot.apps.get(deployment.app_id),
            self.links,
            around_of(deployment, snapshot),
            (Called(who),) if who else (),
        )


async def _made(view: Callable[..., View], *facts: object) -> View:
    return view(*facts)


def portions(history: Sequence[Change], said: int) -> list[tuple[int, Sequence[Change]]]:
    """Return the next changes to tell: quiet ones together, a loud one alone."""
    portions: list[tuple[int, Sequence[Change]]] = []
    begin = said
    for at in range(said, len(history)):
        last = at + 1 == len(history)
        full = at + 1 - begin == MOST_AT_ONCE
        if history[at].state in LOUD or last or full or history[at + 1].state in LOUD:
            portions.append((at + 1, history[begin : at + 1]))
            begin = at + 1
    return portions


def _turn_of(fate: Fate, known: MessageCursor) -> str:
    """Identify a rollback, or the return from one of which the thread tells; "" for neither."""
    if fate.now is Now.ROLLED_BACK:
        return f"{fate.now} {fate.by.id if fate.by is not None else ''}".strip()
    return f"{fate.now} {fate.returned}" if fate.now is Now.AGAIN and known.turn else ""


def _newer(subscription: Subscription, snapshot: Snapshot, deployment: Deployment) -> str | None:
    """Return the link of the successor's card in the same channel."""
    if deployment.superseded_by is None:
        return None
    channel = Target(subscription, MessageCursor()).channel
    wanted = f"{subscription.kind} {deployment.superseded_by} {channel}"
    link = snapshot.beside.get(wanted, {}).get(LINK)
    return str(link) if link else None


def around_of(deployment: Deployment, snapshot: Snapshot) -> Around:
    """Return the further facts about a deployment in a snapshot."""
    before = snapshot.before.get(deployment.id)
    return Around(
        _pulls_in(snapshot.beside),
        before.deployed_commit if before else None,
        deployment.id in snapshot.last_good,
        snapshot.fates.get(deployment.id),
        version_of(before) if before and deployment.action is Action.ROLLBACK else "",
        snapshot.lock_of(deployment),
        deployment.id in snapshot.overtaken,
    )


def _pulls_in(beside: Mapping[str, Cursor]) -> tuple[int, ...]:
    """Return the pull requests that have a comment about it."""
    posted = [
        id_ for id_, one in beside.items() if (at := MessageCursor.of(one)).message and not at.gone
    ]
    found = map(_COMMENT, posted)
    return tuple(sorted({int(one[1]) for one in found if one}))


# ── pull requests ─────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class PullRequests:
    """Tells of pull requests with previews.

    Attributes:
        channels: where the previews of an app are told.
    """

    links: Links
    channels: Channels

    def __call__(
        self, subscription: Subscription, snapshot: Snapshot, known: MessageCursor
    ) -> Live[View] | None:
        """Return the message of a pull request, and a reply with new outcomes."""
        channel = Target(subscription, known).channel
        here = [one for one in snapshot.previews if channel in self.channels.of_previews(one.app)]
        shown = [one for one in here if _is_shown(one) or one.id in known.told]
        if not shown:
            return None
        rows = rows_of(shown, subscription, snapshot)
        view = pull_request_view(max(shown, key=lambda one: one.version), self.links, rows)
        replies = []
        if news := news_in(rows, known.told):
            telling = {**known.told, **{row.id: row.outcome for row in news}}
            marks = {"telling": telling}
            replies.append(Reply(known.said + 1, partial(_made, news_view, news), marks=marks))
        return Live(view, sum(row.under_way for row in rows), replies, linked=True)


def rows_of(
    previews: Sequence[Preview], subscription: Subscription, snapshot: Snapshot
) -> tuple[Row, ...]:
    """Return each preview with the newest deployment of its app."""
    newest: dict[str, Deployment] = {}
    for deployment in sorted(snapshot.deployments, key=lambda one: one.seq, reverse=True):
        newest.setdefault(deployment.app_id, deployment)
    settled = _is_decided(subscription, snapshot)
    return tuple(
        preview_row(
            *(one, newest.get(one.made or ""), snapshot.served.get(one.made or "")),
            settled=settled,
        )
        for one in previews
    )


def _is_shown(preview: Preview) -> bool:
    """Return whether a preview is of interest; most apps of a repository are not concerned."""
    return preview.state is not PreviewState.SKIPPED or preview.reason in STARTED_AGAIN


def _is_decided(subscription: Subscription, snapshot: Snapshot) -> bool:
    """Return whether the last deployment that was asked for is known."""
    asked = max(map(int, named(subscription.follows, "delivery")), default=0)
    return not asked or any(one.seq >= asked for one in snapshot.explained)


# ── locks ─────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Locks:
    """Tells that a lock still holds, or was released with its pull request; each once."""

    clock: Clock

    def __call__(
        self, subscription: Subscription, _snapshot: Snapshot, _known: MessageCursor
    ) -> Live[View] | None:
        """Return the message about a lock; None for a reminder that an older release planned."""
        place = subscription.place
        if "lock" not in place:
            return None
        said, latest = dict(place["lock"]), place["latest"]
        merge = None if said["merge"] is None else PullRef(**said["merge"])
        lock, ended = Lock(**said | {"merge": merge}), str(place["ended"])
        view = (
            lock_ended(lock, ended)
            if ended
            else lock_reminder(lock, int(place["held"]), mine=bool(place["person"]))
        )
        # A reminder would come at night, or tomorrow's comes soon.
        in_time = partial(self._is_in_time, latest)
        return Live(view, once=True, sought=bool(ended), may_post=in_time)

    def _is_in_time(self, latest: float | None) -> bool:
        return latest is None or self.clock() <= latest


# ── changes of configurations ─────────────────────────────────────────────────────────────────────

_PARTS = {
    "the source": {plan.Change.SET_SOURCE, plan.Change.DISCONNECT, plan.Change.UNDO_SOURCE},
    "the build": {plan.Change.SET_BUILD, plan.Change.UNDO_BUILD},
    "the variables": {plan.Change.SET_VARIABLES, plan.Change.UNDO_VARIABLES},
}
"""By the first word of what was changed."""

MOST_TOLD = 5
"""The most fields to name in a notification."""


def changes(
    subscription: Subscription, snapshot: Snapshot, _known: MessageCursor
) -> Live[View] | None:
    """Return who has changed what, once it is made; it is updated when it was undone."""
    note = note_in(subscription, snapshot)
    if note is None or not was_made(note):
        return None
    follows = (*subscription.follows, about_change(note.number))
    return Live(
        change_view(note, undone_by(note, snapshot)), then=(replace(subscription, follows=follows),)
    )


def change_view(note: Audited, undone: Audited | None = None) -> View:
    """Return who has changed what of an app's configuration, and whether it was undone."""
    what = did(note)
    where = " on the command line" if note.by.door == COMMAND_HOST else ""
    who, app = Text(note.by.name, 80), Text(note.app, 200)
    parts = [changes_list(note.difference)] if note.difference else []
    actions: list[Button] = []
    if note.result != DONE:
        why: Phrase = ("Not as asked: ", Text(note.result.why, 500))
        parts.append(Lines("", [Item(why, Icon.WARN)], weight=Weight.ASIDE))
    if undone is not None:
        by: Phrase = ("Undone by ", Text(undone.by.name, 80), ".")
        parts.append(Lines("", [Item(by)], weight=Weight.ASIDE))
    elif note.undoing and note.result == DONE:
        says = "The previous values come back, if nobody has changed them since."
        asks = Question("Undo this change?", (says,), "Undo", "Leave it")
        actions.append(Button("Undo", UNDO, str(note.number), asks=asks))
    fields = [Text(called(one.field), 60) for one in note.difference[:MOST_TOLD]]
    listed = tuple(piece for one in fields for piece in (", ", one))[1:]
    return View(
        (Strong(who), f" {what} of ", Strong(app), where),
        Icon.GEAR,
        parts=parts,
        brief=(who, f" {what} of ", app, where, *((": ", *listed) if listed else ())),
        actions=actions,
        name=note.app,
        at=note.at,
    )


def did(note: Audited) -> str:
    """Return what somebody did, e.g. "undid a change of the build"."""
    parts = (part for part, changes in _PARTS.items() if note.what in changes)
    part = next(parts, "the configuration")
    if note.undoes is not None:
        return f"undid a change of {part}"
    return f"{'disconnected' if note.what == plan.Change.DISCONNECT else 'changed'} {part}"


def note_in(subscription: Subscription, snapshot: Snapshot) -> Audited | None:
    """Return the change that a subscription's place means: by number, or by its delivery."""
    place = subscription.place
    if "number" in place:
        return next((one for one in snapshot.audited if one.number == place["number"]), None)
    return next((one for one in snapshot.audited if one.seq == place["seq"]), None)


def was_made(note: Audited) -> bool:
    """Return whether the app's configuration differs now, as far as is known."""
    return note.result.stage in (Stage.DONE, Stage.PARTLY)


def undone_by(note: Audited, snapshot: Snapshot) -> Audited | None:
    """Return the change that undid another."""
    of_it = (one for one in snapshot.audited if one.undoes == note.number)
    return next((one for one in of_it if one.result == DONE), None)
