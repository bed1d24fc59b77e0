"""Events of Gitea and Forgejo other than pushes: pull requests, statuses and workflows.

https://docs.gitea.com/usage/webhooks
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Annotated, Any

from pydantic import Field

from bridge.core.checks import Check
from bridge.core.errors import MalformedPayload
from bridge.core.events import CheckReported, Event, Ignored, PullRequestChanged, Repository
from bridge.core.pulls import PullRequest
from bridge.githosts.ci import check_of, is_ours, not_a_check, state_of
from bridge.githosts.pulls import seconds_of, touches
from bridge.githosts.webhook import Id, Model, Name, Sha, check, clone_urls, id_of, web_url


class _Owner(Model):
    id: Any = None


class SentRepository(Model):
    """A repository, as events have it."""

    id: Id
    full_name: Name
    html_url: str | None = None
    clone_url: str | None = None
    ssh_url: str | None = None
    owner: _Owner | None = None


class Account(Model):
    """A person, as events have them."""

    id: Any = None
    login: str | None = None
    username: str | None = None
    email: str | None = None


def login_of(account: Account | None) -> str:
    """Return the name of an account; "" if there is none."""
    return (account and (account.login or account.username)) or ""


def repository_of(sent: SentRepository) -> Repository:
    """Return the repository of an event."""
    return Repository(
        host="gitea",
        id=str(sent.id),
        name=sent.full_name,
        urls=clone_urls(sent.clone_url, sent.ssh_url, sent.html_url),
        web_url=web_url(sent.html_url),
        owner_id=id_of(sent.owner and sent.owner.id),
    )


# ── Pull requests ─────────────────────────────────────────────────────────────────────────────────

_OPENED = frozenset({"opened", "reopened"})

_PULLS_USED = _OPENED | {"synchronized", "label_updated", "label_cleared", "edited", "closed"}

_DRAFTS = ("wip:", "[wip]")
"""The beginnings of a draft's title, as Gitea has them unless it is configured otherwise."""


class _Label(Model):
    name: Name


class _Side(Model):
    ref: Name = ""
    repo_id: int | None = None


class _Head(Model):
    ref: Name
    sha: Sha
    repo_id: int


class Pull(Model):
    """A pull request, as events and the API have it."""

    number: Id | None = None
    state: str = "open"
    head: _Head
    base: _Side = _Side()
    title: str | None = None
    user: Account | None = None
    draft: bool | None = None  # before 1.22 it is not told
    labels: Annotated[list[_Label], Field(fail_fast=True)] | None = None
    html_url: str | None = None
    updated_at: Any = None
    merged: bool | None = None
    merge_commit_sha: Name | None = None

    def meaning(self, number: int, repository: int | None = None) -> PullRequest:
        """Return the pull request; `repository`: the id of its base's, if that does not say."""
        base = repository if self.base.repo_id is None else self.base.repo_id
        title = self.title or ""
        says_so = title.lower().startswith(_DRAFTS)
        return PullRequest(
            number=number,
            head=self.head.ref,
            head_sha=self.head.sha,
            open=self.state == "open",
            merge_sha=self.merge_commit_sha if self.merged else None,
            own=self.head.repo_id == base,
            base=self.base.ref,
            title=title,
            author=login_of(self.user),
            draft=says_so if self.draft is None else self.draft,
            labels=frozenset(one.name for one in self.labels or ()),
            url=web_url(self.html_url),
            updated_at=seconds_of(self.updated_at),
        )


class _PullEvent(Model):
    action: str
    number: Id
    pull_request: Pull
    repository: SentRepository
    changes: dict[str, Any] | None = None


def _of_pull(data: Any, what: str) -> PullRequestChanged | Ignored:
    event = check(_PullEvent, data, what)
    if event.action not in _PULLS_USED:
        why = "is not used, only what opens, changes or closes it"
        return Ignored(f"pull_request {event.action[:100]} {why}")
    if event.action == "edited" and not touches(event.changes, ("title", "ref")):
        return Ignored(f"pull_request edited: {event.number} has the same title and base branch")
    pull, opened = (
        event.pull_request.meaning(event.number, event.repository.id),
        event.action in _OPENED,
    )
    if opened or event.action == "closed":
        pull = replace(pull, open=opened)
    return PullRequestChanged(repository_of(event.repository), pull, opened)


# ── Checks of commits: statuses, and the workflows that set them ──────────────────────────────────

_PASSED = frozenset({"success", "warning", "skipped"})
"""Those that Gitea combines to a success."""

_FAILED = frozenset({"failure", "error"})


class CommitStatus(Model):
    """A commit status, as the API has it; events call its `status` `state`."""

    id: Id
    context: Name
    status: str
    target_url: str | None = None

    def meaning(self) -> Check:
        """Return the check."""
        state = state_of(self.status, passed=_PASSED, failed=_FAILED)
        return check_of(self.context, state, "", self.target_url)


class _StatusEvent(Model):
    id: Id = 0
    sha: Sha
    context: Name
    state: str
    target_url: str | None = None
    repository: SentRepository


class _Run(Model):
    head_sha: Sha


class _WorkflowEvent(Model):
    workflow_run: _Run | None = None
    workflow_job: _Run | None = None
    repository: SentRepository


class _ActionRun(Model):
    commit_sha: Sha
    repository: SentRepository


class _ActionEvent(Model):
    run: _ActionRun


def _of_status(data: Any, what: str) -> CheckReported | Ignored:
    event = check(_StatusEvent, data, what)
    if is_ours(event.context):
        return Ignored(not_a_check(event.context))
    url = event.target_url
    found = CommitStatus(id=event.id, context=event.context, status=event.state, target_url=url)
    return CheckReported(repository_of(event.repository), event.sha, found.meaning())


def _of_workflow(data: Any, what: str) -> CheckReported:
    """Return that a workflow of Gitea's has changed; its statuses are the checks."""
    event = check(_WorkflowEvent, data, what)
    run = event.workflow_run or event.workflow_job
    if run is None:
        raise MalformedPayload(f"{what}: workflow_run is missing, workflow_job as well")
    return CheckReported(repository_of(event.repository), run.head_sha)


def _of_action(data: Any, what: str) -> CheckReported:
    """Return that a workflow of Forgejo's has ended."""
    run = check(_ActionEvent, data, what).run
    return CheckReported(repository_of(run.repository), run.commit_sha)


BESIDES_PUSHES: Mapping[str, Callable[[Any, str], Event]] = {
    "pull_request": _of_pull,
    "status": _of_status,
    "workflow_run": _of_workflow,
    "workflow_job": _of_workflow,
    "action_run_success": _of_action,
    "action_run_failure": _of_action,
    "action_run_recover": _of_action,
}
"""The parser of each event; those of pushes and deletions are in `webhooks.py`."""
