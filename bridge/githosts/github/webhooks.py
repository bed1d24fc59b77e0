"""GitHub and GitHub Enterprise Server: webhooks of repositories, organisations and Apps.

https://docs.github.com/en/webhooks/webhook-events-and-payloads#push
"""

import hmac
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any

from multidict import CIMultiDict
from pydantic import Field

from bridge.core.checks import Check
from bridge.core.errors import BadSignature, MalformedPayload, UnknownSecret
from bridge.core.events import (
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
from bridge.core.people import Writer
from bridge.core.pulls import PullRequest
from bridge.githosts.authors import Account, Signature, authors_of
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
    required,
    same,
    union,
    web_url,
)
from bridge.ports.githosts import Body, Envelope

MOST_COMMITS = 2048
MOST_FILES = 3000
LONGEST_MOMENT = 40
HOOK = "X-GitHub-Hook-ID"

PRIVATE = re.compile(r"(?:(\d+)\+)?([\w-]+(?:\[bot\])?)@users\.noreply\.[\w.-]+", re.ASCII)
"""The private addresses of accounts: their number, if it is in it, and their login."""

_SIGNATURE = re.compile(r"sha256=[0-9a-fA-F]{64}").fullmatch
_FORM = "application/x-www-form-urlencoded"
_WHY_IGNORED = {
    "ping": "event ping: GitHub says hello, the webhook works",
    "create": "event create: GitHub sends push for the same ref, which deploys",
    "delete": "event delete: GitHub sends push for the same ref, which says so",
}


_NOT_USED = "is not used, only pushes, pull requests, checks and statuses are"


class _Owner(Model):
    id: Any = None
    login: Name | None = None
    name: Name | None = None


class _Repository(Model):
    id: Id | None = None
    name: Name
    full_name: Name | None = None
    owner: _Owner | None = None
    html_url: str | None = None
    url: str | None = None
    clone_url: str | None = None
    ssh_url: str | None = None
    git_url: str | None = None
    pushed_at: Any = None


class _Push(Model):
    ref: FullRef
    before: Sha
    after: Sha
    created: bool = False
    deleted: bool = False
    forced: bool = False
    head_commit: ListedCommit | None = None
    commits: Commits | None = None
    repository: _Repository
    pusher: Signature | None = None
    sender: Account | None = None


class GitHub:
    """Webhooks of GitHub, signed with one of the live secrets."""

    name = "github"

    def __init__(self, secrets: Sequence[str]) -> None:
        """Take the live secrets, several during a rotation; raise ValueError if one is empty."""
        self._secrets = tuple(map(as_bytes, live("GitHub webhook secret", secrets)))
        if not self._secrets:
            raise ValueError("GitHub needs at least one webhook secret")

    def open(self, headers: Mapping[str, str], now: float) -> Envelope:  # noqa: ARG002 - GitHub sends no time
        """Read the headers; see `GitHost.open`."""
        signature = headers.get("X-Hub-Signature-256")
        if signature is None:
            raise BadSignature("X-Hub-Signature-256 is missing: set a secret on GitHub's webhook")
        if not _SIGNATURE(signature):
            raise BadSignature("X-Hub-Signature-256 must be sha256= and 64 hex digits")
        return self._envelope(headers, (signature[7:],))

    def fetched(self, headers: Mapping[str, str]) -> Envelope:
        """Read the headers of a delivery from GitHub's API."""
        return self._envelope(CIMultiDict(headers), ())

    def _envelope(self, headers: Mapping[str, str], proof: tuple[str, ...]) -> Envelope:
        kept = {name.lower(): header(headers, name) for name in ("Content-Type", HOOK)}
        return Envelope(
            id=required(headers, "X-GitHub-Delivery"),
            event=required(headers, "X-GitHub-Event"),
            proof=proof,
            headers={name: value for name, value in kept.items() if value},
        )

    def verify(self, envelope: Envelope, body: Body) -> None:
        """Check the signature over the raw bytes; raises BadSignature."""
        given = bytes.fromhex(envelope.proof[0])
        if not same(given, (hmac.digest(key, body, "sha256") for key in self._secrets)):
            raise UnknownSecret(
                "X-Hub-Signature-256 does not fit the body: is the webhook's secret one of ours?"
            )

    def parse(self, event: str, headers: Mapping[str, str], body: Body) -> Event:
        """Return the meaning of a delivery; see `GitHost.parse`."""
        if event in _OTHERS:
            what = f"github {event.replace('_', ' ')}"
            return _OTHERS[event](load(_json(headers, body), what), what)
        if event != "push":
            return Ignored(_WHY_IGNORED.get(event, f"event {event[:100]} {_NOT_USED}"))
        data = load(_json(headers, body), "github push")
        del body  # frees the memory of a large one for the next step
        push = check(_Push, data, "github push")
        del data
        ref = branch_or_tag(push.ref)
        hook = headers.get(HOOK.lower(), "")
        return ref if isinstance(ref, Ignored) else replace(_meaning(push, ref), hook=hook)


def _json(headers: Mapping[str, str], body: Body) -> Body:
    """Return the JSON of a body, which may be in the form field `payload`."""
    if headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
        return body
    return form_field(body, "payload", "github push")


def _meaning(push: _Push, ref: Ref) -> RefPushed:
    deleted = push.deleted or nothing(push.after)
    created = not deleted and (push.created or nothing(push.before))
    paths, note = _paths(push, ref, created=created, deleted=deleted)
    return RefPushed(
        repository=_repository(push.repository),
        ref=ref,
        before=push.before,
        after=push.after,
        commit=None if deleted else _commit(push, ref),
        created=created,
        deleted=deleted,
        forced=push.forced,
        paths=paths,
        paths_note=note,
        pusher=(push.pusher and push.pusher.name) or "",
        authors=authors_of(PRIVATE, push.commits, *_pushers(push)),
        moment=_moment(push.repository.pushed_at),
    )


def _pushers(push: _Push) -> Iterator[Writer]:
    if push.pusher:
        yield Writer(push.pusher.name or "", "", address(push.pusher.email))
    if push.sender:
        yield Writer(push.sender.login or "", id_of(push.sender.id))


def _moment(sent: Any) -> str:
    """Return seconds since 1970; payloads of 2012 have a date."""
    return str(sent)[:LONGEST_MOMENT] if isinstance(sent, int | str) else ""


def _repository(sent: _Repository) -> Repository:
    name, owner = sent.full_name, sent.owner or _Owner()
    if not name:
        if not (login := owner.login or owner.name):
            raise MalformedPayload("github push: repository.full_name is missing")
        name = f"{login}/{sent.name}"
    return Repository(
        host="github",
        # payloads of 2012 have no id; a name contains a slash, so it can't be mistaken for one
        id=name if sent.id is None else str(sent.id),
        name=name,
        urls=clone_urls(sent.clone_url, sent.ssh_url, sent.git_url, sent.html_url or sent.url),
        web_url=web_url(sent.html_url, sent.url),
        owner_id=id_of(owner.id),
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
    if push.forced:
        return None, "a forced push does not list the files that it took back"
    return _listed(push)


def _listed(push: _Push) -> tuple[tuple[str, ...] | None, str]:
    if push.commits is None or (not push.commits and push.before != push.after):
        return None, "GitHub listed no commits although the branch moved"
    if len(push.commits) >= MOST_COMMITS:
        return None, f"GitHub lists no more than {MOST_COMMITS} commits"
    every: list[list[str]] = []
    for commit in push.commits:
        if (files := commit.files()) is None:
            return None, f"GitHub listed no files for commit {commit.id[:7]}"
        if not files:
            # "for extremely large commits … this may be empty even if files were added"
            return None, f"GitHub listed no files for commit {commit.id[:7]}; it may be too large"
        if len(files) >= MOST_FILES:
            return None, f"GitHub lists no more than {MOST_FILES} files of a commit"
        every.append(files)
    return union(every), ""


# ── Pull requests ─────────────────────────────────────────────────────────────────────────────────

_OPENED = frozenset({"opened", "reopened"})
_CHANGED = frozenset({"synchronize", "labeled", "unlabeled", "converted_to_draft"})
_PULLS_USED = _OPENED | _CHANGED | {"edited", "ready_for_review", "closed"}


class _Account(Model):
    login: Name


class _Label(Model):
    name: Name


class _SideRepository(Model):
    id: Id


class _Head(Model):
    ref: Name
    sha: Sha
    repo: _SideRepository | None = None  # a fork that was deleted


class _Base(Model):
    ref: Name = ""
    repo: _SideRepository | None = None


class Pull(Model):
    """A pull request, as events and the API have it."""

    number: Id | None = None
    state: str = "open"
    head: _Head
    base: _Base = _Base()
    title: str | None = None
    user: _Account | None = None  # an account that was deleted
    draft: bool | None = None
    labels: Annotated[list[_Label], Field(fail_fast=True)] | None = None
    html_url: str | None = None
    updated_at: Any = None
    merged_at: str | None = None
    merge_commit_sha: Name | None = None  # while it is open, that of a test merge

    def meaning(self, number: int, repository: int | None = None) -> PullRequest:
        """Return the pull request; `repository`: the id of its base's, if that does not say."""
        base = self.base.repo.id if self.base.repo else repository
        return PullRequest(
            number=number,
            head=self.head.ref,
            head_sha=self.head.sha,
            open=self.state == "open",
            merge_sha=self.merge_commit_sha if self.merged_at else None,
            own=self.head.repo is not None and self.head.repo.id == base,
            base=self.base.ref,
            title=self.title or "",
            author=self.user.login if self.user else "",
            draft=bool(self.draft),
            labels=frozenset(one.name for one in self.labels or ()),
            url=web_url(self.html_url),
            updated_at=seconds_of(self.updated_at),
        )


class _PullEvent(Model):
    action: str
    number: Id | None = None
    pull_request: Pull
    repository: _Repository
    changes: dict[str, Any] | None = None


def _of_pull(data: Any, what: str) -> PullRequestChanged | Ignored:
    event = check(_PullEvent, data, what)
    number = event.pull_request.number if event.number is None else event.number
    if event.action not in _PULLS_USED:
        why = "is not used, only what opens, changes or closes it"
        return Ignored(f"pull_request {event.action[:100]} {why}")
    if number is None:
        raise MalformedPayload(
            "github pull request: number is missing, pull_request.number as well"
        )
    if event.action == "edited" and not touches(event.changes, ("title", "base")):
        return Ignored(f"pull_request edited: {number} has the same title and base branch")
    pull, opened = event.pull_request.meaning(number, event.repository.id), event.action in _OPENED
    if opened or event.action == "closed":
        pull = replace(pull, open=opened)
    return PullRequestChanged(_repository(event.repository), pull, opened)


# ── Checks of commits: runs of apps, and statuses ─────────────────────────────────────────────────

_BOT = "[bot]"
"""The end of an App's login; no person's has brackets."""

_PASSED = frozenset({"success", "neutral", "skipped"})
_FAILED = frozenset(
    {"failure", "cancelled", "timed_out", "action_required", "startup_failure", "stale", "error"}
)


class _App(Model):
    id: Id | None = None
    name: Name | None = None


class CheckRun(Model):
    """A check run, as events and the API have it."""

    id: Id
    name: Name
    status: str | None = None
    conclusion: str | None = None
    app: _App | None = None
    html_url: str | None = None
    details_url: str | None = None

    def meaning(self, *, again: bool = False) -> Check:
        """Return the check; `again`: it was asked to run again, so its conclusion is an old one."""
        word = None if again or self.status != "completed" else self.conclusion
        state = state_of(word, passed=_PASSED, failed=_FAILED)
        app = self.app or _App()
        urls = self.html_url, self.details_url
        return check_of(self.name, state, app.name, *urls, app_id=app.id)


class _Creator(Model):
    login: str | None = None


class CommitStatus(Model):
    """A commit status, as events and the API have it."""

    id: Id
    context: Name
    state: str
    target_url: str | None = None
    creator: _Creator | None = None

    def meaning(self) -> Check:
        """Return the check."""
        state = state_of(self.state, passed={"success"}, failed={"failure", "error"})
        return check_of(self.context, state, "", self.target_url)

    @property
    def slug(self) -> str | None:
        """The slug of the App that has set it; None for a person, or if it is not told."""
        login = (self.creator and self.creator.login) or ""
        return login.removesuffix(_BOT) if login.endswith(_BOT) else None


class _ReportedRun(CheckRun):
    head_sha: Sha


class _RunEvent(Model):
    action: str
    check_run: _ReportedRun
    repository: _Repository


class _Suite(Model):
    head_sha: Sha


class _SuiteEvent(Model):
    action: str
    check_suite: _Suite
    repository: _Repository


class _StatusEvent(CommitStatus):
    sha: Sha
    repository: _Repository


def _of_run(data: Any, what: str) -> CheckReported:
    event = check(_RunEvent, data, what)
    found = event.check_run.meaning(again=event.action == "rerequested")
    return CheckReported(_repository(event.repository), event.check_run.head_sha, found)


def _of_suite(data: Any, what: str) -> CheckReported | Ignored:
    event = check(_SuiteEvent, data, what)
    if event.action not in ("completed", "requested", "rerequested"):
        return Ignored(f"check_suite {event.action[:100]} is not used, its check runs are")
    return CheckReported(_repository(event.repository), event.check_suite.head_sha)


def _of_status(data: Any, what: str) -> CheckReported | Ignored:
    event = check(_StatusEvent, data, what)
    if is_ours(event.context):
        return Ignored(not_a_check(event.context))
    return CheckReported(_repository(event.repository), event.sha, event.meaning())


_OTHERS: Mapping[str, Callable[[Any, str], Event]] = {
    "pull_request": _of_pull,
    "check_run": _of_run,
    "check_suite": _of_suite,
    "status": _of_status,
}
