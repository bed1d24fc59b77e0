"""Gitea and Forgejo: webhooks of repositories, organisations, users and the whole server.

https://docs.gitea.com/usage/webhooks
"""

import hmac
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from multidict import CIMultiDict

from bridge.core.errors import BadSignature, MalformedPayload, Rejected, UnknownSecret
from bridge.core.events import (
    ZERO,
    CheckReported,
    Commit,
    Event,
    Ignored,
    PullRequestClosed,
    PullRequestOpened,
    Ref,
    RefKind,
    RefPushed,
    Repository,
)
from bridge.core.gates.checks import Check
from bridge.githosts.ci import check_of, is_ours, not_a_check, state_of
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


class _Head(Model):
    ref: Name
    sha: Sha
    repo_id: int


class _Pull(Model):
    head: _Head


class _PullRequest(Model):
    action: str
    number: Id
    pull_request: _Pull
    repository: _Repository


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
        if event == "pull_request":
            data = load(_json(headers, body), "gitea pull request")
            return _of_pull(check(_PullRequest, data, "gitea pull request"))
        if event in _REPORTS:
            what = f"gitea {event.replace('_', ' ')}"
            return _REPORTS[event](load(_json(headers, body), what), what)
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


def _of_pull(event: _PullRequest) -> PullRequestOpened | PullRequestClosed | Ignored:
    head, number = event.pull_request.head, event.number
    if event.action == "closed":
        return PullRequestClosed(_repository(event.repository), number)
    if event.action not in ("opened", "reopened"):
        used = "is not used, only opened, reopened and closed"
        return Ignored(f"pull_request {event.action[:100]} {used}")
    if head.repo_id != event.repository.id:
        return Ignored(f"pull request {number} is from a fork, which sends its own pushes")
    return PullRequestOpened(_repository(event.repository), number, head.ref, head.sha)


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


_REPORTS: Mapping[str, Callable[[Any, str], Event]] = {
    "status": _of_status,
    "workflow_run": _of_workflow,
    "workflow_job": _of_workflow,
    "action_run_success": _of_action,
    "action_run_failure": _of_action,
    "action_run_recover": _of_action,
}
