"""GitHub and GitHub Enterprise Server: webhooks of repositories, organisations and Apps.

https://docs.github.com/en/webhooks/webhook-events-and-payloads#push
"""

import hmac
import re
from collections.abc import Mapping, Sequence
from typing import Any

from multidict import CIMultiDict

from bridge.core.errors import BadSignature, MalformedPayload, UnknownSecret
from bridge.core.events import (
    Commit,
    Event,
    Ignored,
    PullRequestOpened,
    Ref,
    RefKind,
    RefPushed,
    Repository,
)
from bridge.githosts.webhook import (
    Commits,
    FullRef,
    Id,
    ListedCommit,
    Model,
    Name,
    Sha,
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

_SIGNATURE = re.compile(r"sha256=[0-9a-fA-F]{64}").fullmatch
_FORM = "application/x-www-form-urlencoded"
_WHY_IGNORED = {
    "ping": "event ping: GitHub says hello, the webhook works",
    "create": "event create: GitHub sends push for the same ref, which deploys",
    "delete": "event delete: GitHub sends push for the same ref, which says so",
}


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


class _Pusher(Model):
    name: str | None = None


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
    pusher: _Pusher | None = None


class _HeadRepository(Model):
    id: Id


class _Head(Model):
    ref: Name
    sha: Sha
    repo: _HeadRepository | None = None


class _Pull(Model):
    head: _Head
    number: Id | None = None


class _PullRequest(Model):
    action: str
    number: Id | None = None
    pull_request: _Pull
    repository: _Repository


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
        content_type = header(headers, "Content-Type")
        return Envelope(
            id=required(headers, "X-GitHub-Delivery"),
            event=required(headers, "X-GitHub-Event"),
            proof=proof,
            headers={"content-type": content_type} if content_type else {},
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
        if event == "pull_request":
            data = load(_json(headers, body), "github pull request")
            return _opened(check(_PullRequest, data, "github pull request"))
        if event != "push":
            other = f"event {event[:100]} is not used, only push and pull_request are"
            return Ignored(_WHY_IGNORED.get(event, other))
        data = load(_json(headers, body), "github push")
        del body  # frees the memory of a large one for the next step
        push = check(_Push, data, "github push")
        del data
        ref = branch_or_tag(push.ref)
        return ref if isinstance(ref, Ignored) else _meaning(push, ref)


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
        moment=_moment(push.repository.pushed_at),
    )


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


def _opened(event: _PullRequest) -> PullRequestOpened | Ignored:
    head = event.pull_request.head
    number = event.pull_request.number if event.number is None else event.number
    if event.action not in ("opened", "reopened"):
        return Ignored(f"pull_request {event.action[:100]} is not used, only opened and reopened")
    if number is None:
        raise MalformedPayload(
            "github pull request: number is missing, pull_request.number as well"
        )
    if head.repo is None or head.repo.id != event.repository.id:
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
