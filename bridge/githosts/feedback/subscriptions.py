"""Plan the places on a Git host that show a push, and find its pull requests.

A push gets a status for each app that follows its branch or tag, and a deployment object for each
deployment. Its pull requests must be looked up, so the push is itself a subscription: publishing it
adds the comment of each pull request.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from operator import attrgetter

from bridge.core.decision import Decision
from bridge.core.errors import NotFound, TooEarly
from bridge.core.events import Asked, PullRequestChanged, RefKind, Repository
from bridge.core.lifecycle import deployment_id
from bridge.core.previews.preview import Preview, pull_id, pull_in
from bridge.core.pulls import PullRequest
from bridge.githosts.feedback.comment import NO_CHATS
from bridge.githosts.feedback.comment_posts import Comments, CommentWriter
from bridge.githosts.feedback.comment_reasons import Compares, nothing
from bridge.githosts.feedback.deployments import DeploymentPublisher, PreviewDeploymentPublisher
from bridge.githosts.feedback.publishers import StatusPublisher, WriteTurns
from bridge.githosts.feedback.statuses import (
    ELSEWHERE,
    SILENT,
    contexts,
    environments,
    preview_environment,
    watches,
)
from bridge.messages.publisher import MessagePublisher
from bridge.ports.feedback import Occasion, Publisher, SaveCursor, Snapshot
from bridge.ports.githosts import HasDeployments, HostApi
from bridge.ports.outcomes import (
    Cursor,
    Rank,
    Subscription,
    about_delivery,
    about_deployment,
    about_merge,
    about_pull,
)
from bridge.views.links import NO_CONSOLE, ConsolePages

LOOKS_AGAIN = (2.0, 5.0)
"""Seconds until a commit without pull requests is checked again: hosts send a push a little before
they know its pull requests."""


class Use(StrEnum):
    """The parts of a host that show results."""

    COMMENT = "comment"
    STATUS = "status"
    DEPLOYMENT = "deployment"


@dataclass(frozen=True, slots=True)
class Plans:
    """Plans the subscriptions for pushes to one host.

    Attributes:
        key: returns what the host's API identifies a repository by.
        apart: each owner's repositories have their own rate limit.
        skipped: apps that a push does not deploy also get a status.
        review: how the names of previews' environments begin.
    """

    host: str
    uses: frozenset[Use]
    key: Callable[[Repository], str] = attrgetter("name")
    apart: bool = False
    skipped: bool = False
    review: str = "preview"

    def __call__(self, occasion: Occasion) -> list[Subscription]:
        """Return the subscriptions for a delivery's outcome; none if no app follows its ref."""
        push, outcome = occasion.event, occasion.outcome
        if isinstance(push, Asked):
            return self._of_asked_previews(occasion)
        if push.repository.host != self.host:
            return []
        if push.deleted or push.commit is None:
            return []
        if not watches(decision.reason for decision in outcome.decisions):
            return []
        planned, commit = list[Subscription](), push.commit.sha
        if Use.COMMENT in self.uses:
            # It follows the delivery only to be deleted with it.
            branch = push.ref.name if push.ref.kind is RefKind.BRANCH else None
            seq, at = outcome.seq, partial(self._at, commit=commit, branch=branch)
            follows = about_delivery(seq)
            planned.append(at("push", f"{seq}", push.repository, follows, delivery=seq))
        if Use.STATUS in self.uses:
            planned += self._statuses(occasion, push.repository, commit)
        if Use.DEPLOYMENT in self.uses:
            names = environments(_labels(occasion), occasion.apps)
            planned += [
                self._at(
                    "deployment",
                    made.id,
                    push.repository,
                    about_deployment(made.id),
                    rank=Rank.DEPLOYED,
                    commit=commit,
                    ref=str(push.ref),
                    environment=names[made.app_id],
                )
                for made in outcome.deployments
            ]
        return planned

    def _of_asked_previews(self, occasion: Occasion) -> list[Subscription]:
        """Return the comments of pull requests whose previews somebody deploys again.

        They are there since the previews are, so only what they follow is new.
        """
        if Use.COMMENT not in self.uses:
            return []
        follows = about_delivery(occasion.outcome.seq)
        apps = [occasion.apps.get(made.app_id) for made in occasion.outcome.deployments]
        pulls = [pull_in(app) for app in apps if app is not None]
        return [
            self._comment(repository, number, follows)
            for repository, number in filter(None, pulls)
            if repository.host == self.host
        ]

    def previews(self, preview: Preview, seq: int | None) -> list[Subscription]:
        """Return where a preview is shown; `seq`: the delivery that asks for its deployment."""
        repository, pull = preview.repository, preview.pull
        if repository.host != self.host:
            return []
        planned = list[Subscription]()
        follows = [about_pull(pull_id(repository, pull.number))]
        follows += [] if seq is None else [about_delivery(seq)]
        if Use.COMMENT in self.uses:
            planned.append(self._comment(repository, pull.number, *follows))
        if Use.DEPLOYMENT in self.uses and seq is not None:
            name = preview_environment(self.review, preview.app, pull.number)
            place = {"preview": preview.id, "environment": name}
            planned.append(
                self._at("preview", preview.id, repository, *follows, rank=Rank.DEPLOYED, **place)
            )
        if Use.STATUS in self.uses and seq is not None and preview.made is not None:
            (name,) = contexts({"": preview.app}).values()
            about, app = about_deployment(deployment_id(seq, preview.made)), preview.made
            planned.append(self._status(repository, pull.head_sha, app, f"{name} (preview)", about))
        return planned

    def late(
        self, opened: PullRequestChanged, decided: Mapping[int, Sequence[Decision]]
    ) -> list[Subscription]:
        """Return the comment of a pull request opened after its pushes."""
        if opened.repository.host != self.host or Use.COMMENT not in self.uses:
            return []
        follows = [
            about_delivery(seq)
            for seq, decisions in decided.items()
            if watches(decision.reason for decision in decisions)
        ]
        return [self._comment(opened.repository, opened.pull.number, *follows)] if follows else []

    def _statuses(
        self, occasion: Occasion, repository: Repository, commit: str
    ) -> Iterator[Subscription]:
        outcome, names = occasion.outcome, contexts(_labels(occasion))
        deployed = {made.app_id: about_deployment(made.id) for made in outcome.deployments}
        for decision in outcome.decisions:
            app = decision.app_id
            if decision.reason in SILENT | ELSEWHERE:
                continue
            if app in deployed:
                yield self._status(repository, commit, app, names[app], deployed[app])
            elif self.skipped:
                about = about_delivery(outcome.seq)
                yield self._status(repository, commit, app, names[app], about, Rank.SKIPPED)

    def _comment(self, repository: Repository, number: int, *follows: str) -> Subscription:
        return self._at("comment", f"{repository.id} {number}", repository, *follows, number=number)

    def _status(
        self,
        repository: Repository,
        commit: str,
        app: str,
        context: str,
        follows: str,
        rank: Rank = Rank.DEPLOYED,
    ) -> Subscription:
        id_, place = f"{repository.id} {commit} {app}", {"app": app, "context": context}
        return self._at("status", id_, repository, follows, rank=rank, commit=commit, **place)

    def _at(
        self,
        kind: str,
        id_: str,
        repository: Repository,
        *follows: str,
        rank: Rank = Rank.READ,
        **place: object,
    ) -> Subscription:
        owner = repository.name.rpartition("/")[0].lower()
        return Subscription(
            id=f"{self.host}.{kind} {id_}",
            kind=f"{self.host}.{kind}",
            lane=f"{self.host} {owner}" if self.apart else self.host,
            follows=follows,
            place={"repository": self.key(repository), "repository_id": repository.id, **place},
            rank=rank,
        )


def _labels(occasion: Occasion) -> dict[str, str]:
    """Return the label of each app of the pushed repository, by id."""
    outcome = occasion.outcome
    deployed = {made.app_id: made.app for made in outcome.deployments}
    return deployed | {decision.app_id: decision.app for decision in outcome.decisions}


@dataclass(frozen=True, slots=True)
class FindsPullRequests:
    """Finds the pull requests of a push, whose comments then show it."""

    api: HostApi

    async def publish(
        self,
        subscription: Subscription,
        snapshot: Snapshot,  # noqa: ARG002 - the comments show it
        cursor: Cursor,
        save_cursor: SaveCursor,
    ) -> Sequence[Subscription]:
        """Return the comments to publish; see `Publisher`.

        Raises:
            TooEarly: the host does not know the commit or its pull requests yet.
        """
        place = subscription.place
        if "found" in cursor:
            return self._comments(subscription, cursor)
        try:
            known = await self.api.pull_requests(place["repository"], place["commit"])
        except NotFound as error:
            await _look_again(cursor, save_cursor, str(error))
            known = []
        pulls = [pull for pull in known if concerns(pull, place["branch"], place["commit"])]
        if not pulls:
            await _look_again(cursor, save_cursor, "no pull request contains this commit")
        merged = [pull.number for pull in pulls if not pull.open]
        found = {"found": [pull.number for pull in pulls], **({"merged": merged} if merged else {})}
        await save_cursor(found)
        return self._comments(subscription, found)

    def _comments(self, subscription: Subscription, found: Cursor) -> list[Subscription]:
        merged = found.get("merged", ())
        return [
            self._comment(subscription, number, merged=number in merged)
            for number in found["found"]
        ]

    def _comment(self, subscription: Subscription, number: int, *, merged: bool) -> Subscription:
        place, host = subscription.place, subscription.kind.partition(".")[0]
        seq = place["delivery"]
        follows = (about_delivery(seq), about_merge(seq)) if merged else (about_delivery(seq),)
        return Subscription(
            id=f"{host}.comment {place['repository_id']} {number}",
            kind=f"{host}.comment",
            lane=subscription.lane,
            follows=follows,
            place={"repository": place["repository"], "number": number},
        )


async def _look_again(cursor: Cursor, save_cursor: SaveCursor, why: str) -> None:
    """Schedule another look a little later, unless it was the last."""
    looks = int(cursor.get("looks", 0))
    if looks < len(LOOKS_AGAIN):
        await save_cursor({"looks": looks + 1})
        raise TooEarly("the Git host", why, retry_after=LOOKS_AGAIN[looks])


def concerns(one: PullRequest, branch: str | None, commit: str) -> bool:
    """Return whether `commit`, pushed to `branch`, is a pull request's head or merge.

    A branch of a fork may have the same name, and is another branch.
    """
    if one.open:
        return one.own and branch is not None and one.head == branch
    return one.merge_sha == commit


def shows_of(
    api: HostApi,
    pace: WriteTurns,
    instance: str,
    chats: Mapping[str, str] = NO_CHATS,
    console: ConsolePages = NO_CONSOLE,
    compare: Compares = nothing,
) -> dict[str, Publisher]:
    """Return a host's publishers by kind of subscription; for the rest see `render_comment`."""
    publishers: dict[str, Publisher] = {
        f"{api.name}.push": FindsPullRequests(api),
        f"{api.name}.comment": MessagePublisher(
            CommentWriter(api, pace, instance), Comments(instance, chats, console, compare)
        ),
        f"{api.name}.status": StatusPublisher(api, pace, console),
    }
    if isinstance(api, HasDeployments):
        publishers[f"{api.name}.deployment"] = each = DeploymentPublisher(api, pace, console)
        publishers[f"{api.name}.preview"] = PreviewDeploymentPublisher(each)
    return publishers
