"""Webhooks of the hosts whose payloads are GitHub's: also Gitea's and Forgejo's.

A host of this kind adds its headers, and what its payloads say otherwise.
"""

import hmac
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Generic, TypeVar

from multidict import CIMultiDict
from pydantic import AliasChoices, Field

from bridge.core.checks import Check
from bridge.core.errors import MalformedPayload, UnknownSecret
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
from bridge.githosts.base.commits import (
    NOBODY,
    Account,
    authors_of,
    check_of,
    is_ours,
    state_of,
)
from bridge.githosts.base.webhook import (
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
    id_of,
    live,
    load,
    nothing,
    same,
    seconds_of,
    touches,
    unlisted,
    web_url,
)
from bridge.ports.githosts import Body, Envelope

_FORM = "application/x-www-form-urlencoded"

_OPENED = frozenset({"opened", "reopened"})


# ── Repositories and pushes ───────────────────────────────────────────────────────────────────────


class Sent(Model, ABC):
    """A repository, as events have it."""

    owner: Account | None = None
    html_url: str | None = None
    clone_url: str | None = None
    ssh_url: str | None = None
    git_url: str | None = None

    @abstractmethod
    def meaning(self, host: str) -> Repository:
        """Return the repository."""


class SentRepository(Sent):
    """A repository, as today's events and the API have it."""

    id: Id
    full_name: Name

    def meaning(self, host: str) -> Repository:
        return Repository(
            host=host,
            id=str(self.id),
            name=self.full_name,
            urls=clone_urls(self.clone_url, self.ssh_url, self.git_url, self.html_url),
            web_url=web_url(self.html_url),
            owner_id=id_of(self.owner and self.owner.id),
        )


R = TypeVar("R", bound=Sent)


class Push(Model, Generic[R]):
    """A push."""

    ref: FullRef
    before: Sha
    after: Sha
    created: bool = False
    deleted: bool = False
    forced: bool = False
    head_commit: ListedCommit | None = None
    commits: Commits | None = None
    total_commits: int | None = None
    repository: R
    pusher: Account | None = None
    sender: Account | None = None

    @property
    def has_more(self) -> bool:
        """Whether it may have more commits than it lists."""
        return self.total_commits is None or self.total_commits > len(self.commits or ())

    def commit(self, ref: Ref) -> Commit | None:
        """Return the pushed commit; an annotated tag's `after` is the tag object."""
        if self.head_commit:
            return self.head_commit.meaning(self.head_commit.id)
        if listed := find(self.commits or [], self.after):
            return listed.meaning(self.after)
        return Commit(self.after) if ref.kind is RefKind.BRANCH else None


# ── Pull requests ─────────────────────────────────────────────────────────────────────────────────


class _Label(Model):
    name: Name


class _SideRepository(Model):
    id: Id


class _Base(Model):
    ref: Name = ""
    repo: _SideRepository | None = None  # None for a fork that was deleted
    repo_id: int | None = None

    @property
    def repository(self) -> int | None:
        """The id of its repository."""
        return self.repo_id if self.repo is None else self.repo.id


class _Head(_Base):
    ref: Name
    sha: Sha


class Pull(Model):
    """A pull request, as events and the API have it.

    Attributes:
        drafts: how a draft's title begins, where its host does not say that it is one.
    """

    drafts: ClassVar[tuple[str, ...]] = ()

    number: Id | None = None
    state: str = "open"
    head: _Head
    base: _Base = _Base()
    title: str | None = None
    user: Account | None = None  # None for an account that was deleted
    draft: bool | None = None
    labels: Annotated[list[_Label], Field(fail_fast=True)] | None = None
    html_url: str | None = None
    updated_at: Any = None
    merged: bool | None = None
    merged_at: str | None = None
    merge_commit_sha: Name | None = None  # while it is open, that of a test merge

    def told(self, number: int, repository: int | None = None) -> PullRequest:
        """Return the pull request; `repository`: the id of its base's, if that does not say."""
        base = repository if self.base.repository is None else self.base.repository
        title = self.title or ""
        return PullRequest(
            number=number,
            head=self.head.ref,
            head_sha=self.head.sha,
            open=self.state == "open",
            merge_sha=self.merge_commit_sha if self.merged or self.merged_at else None,
            own=self.head.repository is not None and self.head.repository == base,
            base=self.base.ref,
            title=title,
            author=(self.user or NOBODY).called,
            draft=title.lower().startswith(self.drafts) if self.draft is None else self.draft,
            labels=frozenset(label.name for label in self.labels or ()),
            url=web_url(self.html_url),
            updated_at=seconds_of(self.updated_at),
        )


P = TypeVar("P", bound=Pull)


class PullEvent(Model, Generic[P, R]):
    """What happened to a pull request."""

    action: str
    number: Id | None = None
    pull_request: P
    repository: R
    changes: dict[str, Any] | None = None


# ── Commit statuses ───────────────────────────────────────────────────────────────────────────────

PASSED = frozenset({"success", "warning", "skipped"})
"""States of a commit status; GitHub has only the first, Gitea combines all to a success."""

FAILED = frozenset({"failure", "error"})


class CommitStatus(Model):
    """A commit status, as events and the API have it."""

    id: Id = 0
    context: Name
    state: str = Field(validation_alias=AliasChoices("state", "status"))
    target_url: str | None = None

    def meaning(self) -> Check:
        """Return the check."""
        state = state_of(self.state, passed=PASSED, failed=FAILED)
        return check_of(self.context, state, "", self.target_url)


class StatusEvent(CommitStatus, Generic[R]):
    """A commit status that was set."""

    sha: Sha
    repository: R


# ── The webhooks of a host ────────────────────────────────────────────────────────────────────────

Reader = tuple[type[Model], Callable[[Any], Event]]
"""What is read of an event, and what that means."""


class SignedWebhooks(ABC):
    """Webhooks signed with one of the live secrets; a `GitHost`.

    Attributes:
        title: the host's, for people.
        signature: the header of the signature over the body.
        signs_json: a form's JSON is signed; else its raw bytes.
        hook: the header that says which webhook has sent it, in lower case; "" for none.
        tells_total: it says how many commits a push has.
        uses: the actions with a pull request that matter, besides opening it.
        ignored: why events are not used; others are none of `kinds`.
    """

    name: str
    title: ClassVar[str]
    signature: ClassVar[str]
    signs_json: ClassVar[bool] = False
    hook: ClassVar[str] = ""
    tells_total: ClassVar[bool] = False
    uses: ClassVar[frozenset[str]]
    ignored: ClassVar[Mapping[str, str]]
    kinds: ClassVar[str]
    form: ClassVar[str]
    private: ClassVar[re.Pattern[str]]

    def __init__(self, secrets: Sequence[str]) -> None:
        """Take the live secrets, several during a rotation; raise ValueError if one is empty."""
        self._secrets = tuple(map(as_bytes, live(f"{self.title} webhook secret", secrets)))
        if not self._secrets:
            raise ValueError(f"{self.title} needs at least one webhook secret")
        self._readers = self.readers()

    @abstractmethod
    def readers(self) -> Mapping[str, Reader]:
        """Return how each event is read."""

    @abstractmethod
    def envelope(self, headers: Mapping[str, str], proof: tuple[str, ...]) -> Envelope:
        """Return the headers that count, with the signatures as hex digits."""

    def fetched(self, headers: Mapping[str, str]) -> Envelope:
        return self.envelope(CIMultiDict(headers), ())

    def verify(self, envelope: Envelope, body: Body) -> None:
        signed = self.json_in(envelope.headers, body) if self.signs_json else body

        def fits(given: str) -> bool:
            wanted = (hmac.digest(key, signed, "sha256") for key in self._secrets)
            return same(bytes.fromhex(given), wanted)

        if not envelope.proof or not all(map(fits, envelope.proof)):
            raise UnknownSecret(
                f"{self.signature} does not fit the body: is the webhook's secret one of ours?"
            )

    def parse(self, event: str, headers: Mapping[str, str], body: Body) -> Event:
        if event not in self._readers:
            why = f"event {event[:100]} is not used, only {self.kinds} are"
            return Ignored(self.ignored.get(event, why))
        model, meaning = self._readers[event]
        what = f"{self.name} {event.replace('_', ' ')}"
        data = load(self.json_in(headers, body), what)
        del body  # frees the memory of a large one for the next step
        sent = check(model, data, what)
        del data
        means = meaning(sent)
        hook = headers.get(self.hook, "") if self.hook else ""
        return replace(means, hook=hook) if hook and isinstance(means, RefPushed) else means

    def json_in(self, headers: Mapping[str, str], body: Body) -> Body:
        """Return the JSON of a body, which may be in the form field `payload`."""
        if headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
            return body
        return form_field(body, "payload", self.form)

    # ── events ──────────────────────────────────────────────────────────────

    def pushed(self, push: Push[Any]) -> RefPushed | Ignored:
        """Return the meaning of a push."""
        ref = branch_or_tag(push.ref)
        if isinstance(ref, Ignored):
            return ref
        deleted = push.deleted or nothing(push.after)
        created = not deleted and (push.created or nothing(push.before))
        why = unlisted(ref, deleted=deleted, created=created)
        paths, note = (None, why) if why else self.files(push)
        return RefPushed(
            repository=push.repository.meaning(self.name),
            ref=ref,
            before=push.before,
            after=push.after,
            commit=None if deleted else push.commit(ref),
            created=created,
            deleted=deleted,
            forced=self.forced(push),
            paths=paths,
            paths_note=note,
            pusher=(push.pusher or NOBODY).called,
            authors=authors_of(
                self.private,
                push.commits,
                *self.pushers(push),
                cut=push.after if self.tells_total and push.has_more else "",
            ),
            moment=self.moment(push),
        )

    def forced(self, push: Push[Any]) -> bool | None:  # noqa: ARG002 - most hosts don't say
        """Return whether a push removed commits; None if the host does not say."""
        return None

    def moment(self, push: Push[Any]) -> str:  # noqa: ARG002 - most hosts don't say
        """Return the time of a push, in the host's own format; "" if it does not say."""
        return ""

    @abstractmethod
    def files(self, push: Push[Any]) -> tuple[tuple[str, ...] | None, str]:
        """Return the files that a push to a branch lists, and why they are unknown."""

    @abstractmethod
    def pushers(self, push: Push[Any]) -> Iterable[Writer]:
        """Return who pushed."""

    def pull_changed(self, event: PullEvent[Any, Any]) -> PullRequestChanged | Ignored:
        """Return the meaning of a pull request's event."""
        number = event.pull_request.number if event.number is None else event.number
        if event.action not in _OPENED | self.uses:
            why = "is not used, only what opens, changes or closes it"
            return Ignored(f"pull_request {event.action[:100]} {why}")
        if number is None:
            raise MalformedPayload(
                f"{self.name} pull request: number is missing, pull_request.number as well"
            )
        if event.action == "edited" and not touches(event.changes, ("title", "base", "ref")):
            return Ignored(f"pull_request edited: {number} has the same title and base branch")
        repository = event.repository.meaning(self.name)
        pull, opened = event.pull_request.told(number, event.repository.id), event.action in _OPENED
        if opened or event.action == "closed":
            pull = replace(pull, open=opened)
        return PullRequestChanged(repository, pull, opened)

    def status_set(self, event: StatusEvent[Any]) -> CheckReported | Ignored:
        """Return the meaning of a commit status."""
        if is_ours(event.context):
            why = "is the bridge's own, which no deployment waits for"
            return Ignored(f"status {event.context[:100]} {why}")
        return CheckReported(event.repository.meaning(self.name), event.sha, event.meaning())
