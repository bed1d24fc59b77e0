"""Gitea and Forgejo: webhooks of repositories, organisations, users and the whole server.

https://docs.gitea.com/usage/webhooks
"""

import hmac
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any

from multidict import CIMultiDict
from pydantic import Field

from bridge.core.errors import BadSignature, MalformedPayload, Rejected, UnknownSecret
from bridge.core.events import (
    ZERO,
    CheckReported,
    Commit,
    Event,
    Ignored,
    PullRequestChanged,
    Ref,
    RefKind,
    RefPushed,
    Repository,
)
from bridge.core.gates.checks import Check
from bridge.core.pulls import PullRequest
from bridge.githosts.ci import check_of, is_ours, not_a_check, state_of
from bridge.githosts.pulls import seconds_of, touches
from bridge.githosts.webhook import (
    Commits,
    FullRef,
    Id,
    ListedCommit,
    Model,
    Name,
    Sha,
    address,
    as_bytes,
    branch_or_tag,
    check,
    clone_urls,
    find,
    form_field,
    header,
    id_of,
    live,
    load,
    nothing,
    same,
    union,
    web_url,
)
from bridge.ports.githosts import Body, Envelope

PRODUCTS = ("X-Gitea", "X-Forgejo")
"""The header prefix of each product; Forgejo sends both."""

_SIGNATURE = re.compile(r"[0-9a-fA-F]{64}").fullmatch
_FORM = "application/x-www-form-urlencoded"

_WHY_IGNORED = {
    "create": "event create: a push of the same ref is sent as well, which deploys",
}


_NOT_USED = "is not used, only pushes, deletions, pull requests, statuses and workflows are"


class _Owner(Model):
    id: Any = None


class _Repository(Model):
    id: Id
    full_name: Name
    html_url: str | None = None
    clone_url: str | None = None
    ssh_url: str | None = None
    owner: _Owner | None = None


class _Account(Model):
    login: str | None = None
    username: str | None = None
    email: str | None = None


class _Push(Model):
    ref: FullRef
    before: Sha
    after: Sha
    commits: Commits | None = None
    total_commits: int | None = None
    head_commit: ListedCommit | None = None
    repository: _Repository
    pusher: _Account | None = None


class _Deletion(Model):
    ref: Name
    ref_type: Name
    repository: _Repository
    sender: _Account | None = None


class Gitea:
    """Webhooks of Gitea or Forgejo, signed with one of the live secrets."""

    name = "gitea"

    def __init__(self, secrets: Sequence[str]) -> None:
        """Take the live secrets, several while they are rotated; ValueError if one is empty."""
        self._secrets = tuple(map(as_bytes, live("Gitea webhook secret", secrets)))
        if not self._secrets:
            raise ValueError("Gitea needs at least one webhook secret")

    def open(self, headers: Mapping[str, str], now: float) -> Envelope:  # noqa: ARG002 - Gitea sends no time
        """Read the headers; see `GitHost.open`."""
        if not any(f"{product}-Event" in headers for product in PRODUCTS):
            raise Rejected(
                "neither X-Gitea-Event nor X-Forgejo-Event is there, which Gitea and Forgejo send"
                " with every webhook; on the webhook choose the type Gitea or Forgejo"
            )
        signatures = [
            given for product in PRODUCTS if (given := headers.get(f"{product}-Signature"))
        ]
        if not signatures:
            raise BadSignature("X-Gitea-Signature is missing or empty: set a secret on the webhook")
        if not all(map(_SIGNATURE, signatures)):
            raise BadSignature("X-Gitea-Signature must be 64 hex digits")
        return self._envelope(headers, tuple(signatures))

    def fetched(self, headers: Mapping[str, str]) -> Envelope:
        """Read the headers of a delivery that needs no proof."""
        return self._envelope(CIMultiDict(headers), ())

    def _envelope(self, headers: Mapping[str, str], proof: tuple[str, ...]) -> Envelope:
        content_type = header(headers, "Content-Type")
        return Envelope(
            id=_sent(headers, "Delivery"),
            event=_sent(headers, "Event"),
            proof=proof,
            headers={"content-type": content_type} if content_type else {},
        )

    def verify(self, envelope: Envelope, body: Body) -> None:
        """Check the signature over the JSON, even if that is sent as a form.

        If both products' headers are present, both must match; raises BadSignature.
        """
        signed = _json(envelope.headers, body)
        wanted = [hmac.digest(key, signed, "sha256") for key in self._secrets]
        if not all(same(bytes.fromhex(given), wanted) for given in envelope.proof):
            raise UnknownSecret(
                "X-Gitea-Signature does not fit the body: is the webhook's secret one of ours?"
            )

    def parse(self, event: str, headers: Mapping[str, str], body: Body) -> Event:
        """Interpret a delivery; see `GitHost.parse`."""
        if event == "push":
            data = load(_json(headers, body), "gitea push")
            del body  # frees the memory of a large one for the next step
            return _pushed(check(_Push, data, "gitea push"))
        if event == "delete":
            return _deleted(
                check(_Deletion, load(_json(headers, body), "gitea delete"), "gitea delete")
            )
        if event in _OTHERS:
            what = f"gitea {event.replace('_', ' ')}"
            return _OTHERS[event](load(_json(headers, body), what), what)
        return Ignored(_WHY_IGNORED.get(event, f"event {event[:100]} {_NOT_USED}"))


def _sent(headers: Mapping[str, str], name: str) -> str:
    """Return a header under either product's name; raise Rejected if it is missing."""
    found = (header(headers, f"{product}-{name}") for product in PRODUCTS)
    if (value := next((one for one in found if one is not None), None)) is None:
        raise Rejected(f"X-Gitea-{name} is missing; Gitea and Forgejo send it with every webhook")
    return value


def _json(headers: Mapping[str, str], body: Body) -> Body:
    """Return the JSON of a body, which may be in the form field `payload`."""
    if headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
        return body
    return form_field(body, "payload", "gitea webhook")


def _pushed(push: _Push) -> RefPushed | Ignored:
    ref = branch_or_tag(push.ref)
    if isinstance(ref, Ignored):
        return ref
    if push.before == push.after:
        return Ignored(f"a test delivery: the {ref.kind} {ref.name} did not move")
    deleted = nothing(push.after)
    created = not deleted and nothing(push.before)
    paths, note = _paths(push, ref, created=created, deleted=deleted)
    return RefPushed(
        repository=_repository(push.repository),
        ref=ref,
        before=push.before,
        after=push.after,
        commit=None if deleted else _commit(push, ref),
        created=created,
        deleted=deleted,
        forced=None,  # Gitea does not say
        paths=paths,
        paths_note=note,
        pusher=_login(push.pusher),
        pusher_email=address(push.pusher.email if push.pusher else None),
    )


def _deleted(deletion: _Deletion) -> RefPushed | Ignored:
    """Return the deletion of a branch, which sends no push; that of a tag does."""
    if deletion.ref_type != "branch":
        kind = deletion.ref_type[:100]
        return Ignored(f"event delete of a {kind}: a push of the same ref is sent as well")
    full = check(_FullName, {"ref": f"refs/heads/{deletion.ref}"}, "gitea delete").ref
    return RefPushed(
        repository=_repository(deletion.repository),
        ref=Ref.parse(full),
        before=ZERO,  # Gitea does not say
        after=ZERO,
        deleted=True,
        forced=None,
        paths_note="the branch was deleted",
        pusher=_login(deletion.sender),
    )


class _FullName(Model):
    ref: FullRef


def _login(account: _Account | None) -> str:
    return (account and (account.login or account.username)) or ""


def _repository(sent: _Repository) -> Repository:
    return Repository(
        host="gitea",
        id=str(sent.id),
        name=sent.full_name,
        urls=clone_urls(sent.clone_url, sent.ssh_url, sent.html_url),
        web_url=web_url(sent.html_url),
        owner_id=id_of(sent.owner and sent.owner.id),
    )


def _commit(push: _Push, ref: Ref) -> Commit | None:
    """Return the pushed commit; an annotated tag's `after` is the tag object."""
    if push.head_commit:
        return push.head_commit.meaning(push.head_commit.id)
    if listed := find(push.commits or [], push.after):
        return listed.meaning(push.after)
    return Commit(push.after) if ref.kind is RefKind.BRANCH else None


def _paths(
    push: _Push, ref: Ref, *, created: bool, deleted: bool
) -> tuple[tuple[str, ...] | None, str]:
    """Return the changed files and "", or None and why they are unknown."""
    if deleted:
        return None, f"the {ref.kind} was deleted"
    if ref.kind is RefKind.TAG:
        return None, "a tag push lists no files"
    if created:
        return None, "a new branch has nothing to compare with"
    return _listed(push)


def _listed(push: _Push) -> tuple[tuple[str, ...] | None, str]:
    """Read the files of the listed commits; a server lists 5 by default."""
    commits, total = push.commits or [], push.total_commits
    if not commits and push.before != push.after:
        return None, "Gitea listed no commits although the branch moved"
    if total is None:
        return None, "this Gitea does not say how many commits the push has, as before 1.18"
    if total > len(commits):
        return None, f"Gitea listed {len(commits)} of {total} commits"
    every: list[list[str]] = []
    for commit in commits:
        if (files := commit.files()) is None:
            return None, f"Gitea listed no files for commit {commit.id[:7]}"
        every.append(files)
    return union(every), ""


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
    user: _Account | None = None
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
            author=_login(self.user),
            draft=says_so if self.draft is None else self.draft,
            labels=frozenset(one.name for one in self.labels or ()),
            url=web_url(self.html_url),
            updated_at=seconds_of(self.updated_at),
        )


class _PullEvent(Model):
    action: str
    number: Id
    pull_request: Pull
    repository: _Repository
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
    return PullRequestChanged(_repository(event.repository), pull, opened)


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
    repository: _Repository


class _Run(Model):
    head_sha: Sha


class _WorkflowEvent(Model):
    workflow_run: _Run | None = None
    workflow_job: _Run | None = None
    repository: _Repository


class _ActionRun(Model):
    commit_sha: Sha
    repository: _Repository


class _ActionEvent(Model):
    run: _ActionRun


def _of_status(data: Any, what: str) -> CheckReported | Ignored:
    event = check(_StatusEvent, data, what)
    if is_ours(event.context):
        return Ignored(not_a_check(event.context))
    url = event.target_url
    found = CommitStatus(id=event.id, context=event.context, status=event.state, target_url=url)
    return CheckReported(_repository(event.repository), event.sha, found.meaning())


def _of_workflow(data: Any, what: str) -> CheckReported:
    """Return that a workflow of Gitea's has changed; its statuses are the checks."""
    event = check(_WorkflowEvent, data, what)
    run = event.workflow_run or event.workflow_job
    if run is None:
        raise MalformedPayload(f"{what}: workflow_run is missing, workflow_job as well")
    return CheckReported(_repository(event.repository), run.head_sha)


def _of_action(data: Any, what: str) -> CheckReported:
    """Return that a workflow of Forgejo's has ended."""
    run = check(_ActionEvent, data, what).run
    return CheckReported(_repository(run.repository), run.commit_sha)


_OTHERS: Mapping[str, Callable[[Any, str], Event]] = {
    "pull_request": _of_pull,
    "status": _of_status,
    "workflow_run": _of_workflow,
    "workflow_job": _of_workflow,
    "action_run_success": _of_action,
    "action_run_failure": _of_action,
    "action_run_recover": _of_action,
}
