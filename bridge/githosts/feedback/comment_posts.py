"""The one comment of a pull request: when it is written, and how it is found again."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from bridge.core.errors import BridgeError, NotFound, Rejected
from bridge.core.lifecycle import BAD
from bridge.githosts.feedback.comment import is_marked, render_comment
from bridge.githosts.feedback.comment_reasons import Compares, nothing
from bridge.githosts.feedback.publishers import WriteTurns
from bridge.githosts.feedback.statuses import newest
from bridge.messages.cursor import MessageCursor
from bridge.messages.publisher import Live
from bridge.messages.writer import Body, Gone, Posted, Target, Writer
from bridge.ports.feedback import Snapshot
from bridge.ports.githosts import HostApi
from bridge.ports.outcomes import Subscription, named
from bridge.views.links import NO_CONSOLE, ConsolePages


@dataclass(frozen=True, slots=True)
class Comments:
    """Tells how all apps of a pull request stand.

    Attributes:
        chats: the word for a link to a card in each chat; see `render_comment`.
    """

    instance: str
    chats: Mapping[str, str] = field(default_factory=dict)
    console: ConsolePages = NO_CONSOLE
    compare: Compares = nothing

    def __call__(
        self, subscription: Subscription, snapshot: Snapshot, known: MessageCursor
    ) -> Live[str]:
        """Return the comment; what has failed waits for nothing."""
        body = render_comment(
            snapshot,
            self.instance,
            self.chats,
            self.console,
            self.compare,
            merged={int(seq) for seq in named(subscription.follows, "merge")},
        )
        deployments = newest(snapshot)
        bad = " ".join(sorted(one.id for one in deployments if one.state in BAD))
        urgent = hashlib.sha256(bad.encode()).hexdigest()[:16]
        under_way = sum(not one.final for one in deployments)
        if known.urgent not in ("", urgent):
            under_way = 0
        return Live(body, under_way, marks={"urgent": urgent})


class CommentWriter(Writer[str]):
    """Writes the comments of one host.

    Without an id, all comments are searched before one is written: a process may have died between
    posting and storing, or another may be posting.
    """

    finds = True
    shared = True
    lands = 5.0
    revives = True

    def __init__(self, api: HostApi, pace: WriteTurns, instance: str) -> None:
        self.chat = api.name
        self._api = api
        self._pace = pace
        self._instance = instance

    def render(self, content: str) -> Body:
        return {"body": content}

    async def ready(self, to: Target) -> None:
        """Wait for a turn; an edit that another follows leaves the limit to outcomes."""
        self._pace.calm(self.chat, to.under_way, to.known.at or None)
        passing = to.under_way > 0 and to.known.message != ""
        await self._pace.wait(to.subscription.lane, passing=passing, read=True)

    async def post(self, body: Body, to: Target) -> Posted:
        place = to.subscription.place
        return Posted(await self._api.comment(place["repository"], place["number"], body["body"]))

    async def edit(self, body: Body, to: Target) -> None:
        place, id_ = to.subscription.place, to.known.message
        try:
            await self._api.edit_comment(place["repository"], place["number"], id_, body["body"])
        except NotFound as error:
            raise Gone from error

    async def find(self, to: Target) -> Posted | None:
        """Return our oldest comment with this bridge's marker."""
        place = to.subscription.place
        async for comment in self._api.comments(place["repository"], place["number"]):
            if comment.ours and is_marked(comment.body, self._instance):
                return Posted(comment.id, body={"body": comment.body})
        return None

    def was_not_sent(self, error: BridgeError) -> bool:
        return isinstance(error, Rejected) or super().was_not_sent(error)

    def now(self) -> float:
        return self._pace.clock()
