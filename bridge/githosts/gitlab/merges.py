"""Merge requests, as GitLab's webhooks and its API have them.

https://docs.gitlab.com/user/project/integrations/webhook_events/#merge-request-events
"""

from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import Field

from bridge.core.pulls import PullRequest
from bridge.githosts.base.webhook import Id, Model, Name, Sha, seconds_of, touches, web_url

OPEN = frozenset({"opened", "locked"})
"""The states of an open one; "locked": GitLab is merging it."""

_OPENED = ("open", "reopen")
_USED = (*_OPENED, "update", "merge", "close")
_RELEVANT = ("labels", "title", "target_branch", "draft", "work_in_progress", "state_id", "state")


class _Head(Model):
    id: Sha


class _Label(Model):
    title: Name


class _User(Model):
    id: Id | None = None
    username: Name | None = None


_Labels = Annotated[list[_Label], Field(fail_fast=True)]


class Merge(Model):
    """What webhooks and the API have in common."""

    iid: Id
    state: str | None = None
    source_branch: Name
    target_branch: Name = ""
    source_project_id: Id | None = None  # None for a fork that was deleted
    target_project_id: Id
    title: str | None = None
    draft: bool | None = None
    work_in_progress: bool | None = None
    updated_at: Any = None
    merge_commit_sha: Name | None = None
    squash_commit_sha: Name | None = None

    def told(
        self,
        *,
        head_sha: str,
        is_open: bool,
        merged: bool,
        author: str,
        labels: Iterable[str],
        url: str | None,
    ) -> PullRequest:
        """Return the merge request, with what they tell in different ways."""
        # A fast-forward merge makes no commit of its own: the target's head is the branch's.
        made = self.merge_commit_sha or self.squash_commit_sha or head_sha or None
        return PullRequest(
            number=self.iid,
            head=self.source_branch,
            head_sha=head_sha,
            open=is_open,
            merge_sha=made if merged else None,
            own=self.source_project_id == self.target_project_id,
            base=self.target_branch,
            title=self.title or "",
            author=author,
            draft=bool(self.work_in_progress if self.draft is None else self.draft),
            labels=frozenset(labels),
            url=web_url(url),
            updated_at=seconds_of(self.updated_at),
        )


class _Attributes(Merge):
    action: str | None = None
    last_commit: _Head | None = None
    oldrev: Name | None = None
    author_id: Id | None = None
    labels: _Labels | None = None
    url: str | None = None


class MergeEvent(Model):
    """The event of a merge request, except for its project."""

    user: _User | None = None
    object_attributes: _Attributes
    labels: _Labels | None = None
    changes: dict[str, Any] | None = None

    @property
    def opened(self) -> bool:
        """Whether it was opened or reopened."""
        return self.object_attributes.action in _OPENED

    def ignored(self) -> str | None:
        """Return why the event does not matter; None if it does.

        GitLab sends an `update` for almost everything: reviewers, descriptions, time spent.
        """
        about = self.object_attributes
        if about.action not in _USED or (self.opened and about.last_commit is None):
            what = (about.action or "without an action")[:100]
            return f"merge request {what} is not used, only open, reopen, update, merge and close"
        if about.action == "update" and not about.oldrev and not touches(self.changes, _RELEVANT):
            what = "commits, title, target branch, draft and labels"
            return f"merge request update: {about.iid} has the same {what}"
        return None

    def meaning(self) -> PullRequest:
        """Return the merge request as it is now."""
        about = self.object_attributes
        labels = about.labels if self.labels is None else self.labels
        return about.told(
            head_sha=about.last_commit.id if about.last_commit else "",
            is_open=self.opened or (about.action == "update" and about.state in (*OPEN, None)),
            merged=about.action == "merge" or about.state == "merged",
            author=self._author(),
            labels=(label.title for label in labels or ()),
            url=about.url,
        )

    def _author(self) -> str:
        """Return the author, by name only if they have caused the event."""
        number, user = self.object_attributes.author_id, self.user or _User()
        if number is None:
            return ""
        return user.username if user.username and user.id == number else f"{_BY_NUMBER}{number}"


_BY_NUMBER = "id:"


def number_in(login: str) -> int | None:
    """Return the number of an account without a name; None for a name, which has no colon."""
    number = login.removeprefix(_BY_NUMBER)
    return int(number) if number != login and number.isascii() and number.isdecimal() else None
