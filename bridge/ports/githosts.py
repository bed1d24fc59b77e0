"""A Git host's webhooks."""

from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, runtime_checkable

from bridge.core.events import Commit, Event, Repository

Body = bytes | bytearray
"""What a request has brought; nobody changes it."""

APART = 1_000_000
"""Bytes of a body up to which it is parsed in this process, see `ParsesApart`."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """What the headers of a webhook say, before its body is read.

    Attributes:
        id: the host's own delivery id; None when it sends none, then the body makes one.
        event: e.g. "push" or "Tag Push Hook", as the host names it.
        proof: what `GitHost.verify` needs; never logged or kept.
        headers: the few headers that are kept with the body, names in lower case.
        event_id: the host's id of what happened, where several webhooks tell of it; with the
            body it makes an id for a delivery without one.
    """

    id: str | None
    event: str
    proof: tuple[str, ...]
    headers: Mapping[str, str]
    event_id: str | None = None


class GitHost(Protocol):
    """A Git host's webhooks: authentic or not, and what they mean. Does no I/O."""

    name: str

    def open(self, headers: Mapping[str, str], now: float) -> Envelope:
        """Read the headers, before the body.

        Raises:
            Rejected: a header that must be there is missing.
            BadSignature: the signature can't be right, whatever the body.
        """

    def fetched(self, headers: Mapping[str, str]) -> Envelope:
        """Read the headers of a delivery that the host's API has handed out: nothing to prove.

        Args:
            headers: names in lower case.

        Raises:
            Rejected: a header that must be there is missing.
        """

    def verify(self, envelope: Envelope, body: Body) -> None:
        """Check the signature over the raw bytes; raises BadSignature."""

    def parse(self, event: str, headers: Mapping[str, str], body: Body) -> Event:
        """Say what a delivery means; `Ignored` with its reason where it is nothing of ours.

        Raises:
            MalformedPayload: the body is not what the host sends.
        """


class ParsesApart(Protocol):
    """Parses large bodies where neither their size nor what they hold does any harm."""

    async def __call__(
        self, host: str, event: str, headers: Mapping[str, str], body: Iterable[bytes]
    ) -> Event:
        """Say what a delivery means, as `GitHost.parse` does.

        Args:
            body: in pieces.

        Raises:
            MalformedPayload: the body is not what the host sends, or takes too much to read.
            Unread: nobody knows why it could not be read; it may work the next time.
        """


# ── What a Git host is asked and told over its API ──────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class PullRequest:
    """A pull or merge request.

    Attributes:
        number: its number within its repository.
        head: the branch it comes from; `head_sha` is where that stands.
        open: neither merged nor closed.
        merge_sha: the commit that merging it has made; None while there is none.
        own: comes from the repository itself, not from a fork.
    """

    number: int
    head: str
    head_sha: str
    open: bool
    merge_sha: str | None = None
    own: bool = True


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment on a pull request; `ours`: written by the account whose credential we use."""

    id: str
    body: str
    ours: bool


@dataclass(frozen=True, slots=True)
class ChangeSet:
    """Which files differ between two commits.

    Attributes:
        paths: sorted, with the old names of renamed files; None if the host can't tell
            all of them.
        note: why `paths` is None, or how it was found, in words for people.
    """

    paths: tuple[str, ...] | None
    note: str = ""


class CommitState(StrEnum):
    """What a commit status says; a host shows what comes nearest among its own words."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCESS = "success"
    FAILURE = "failure"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Pages:
    """The addresses of pages about a repository, under the repository's own.

    Attributes:
        sign: what stands before the number of a pull request.
    """

    commit: str = "/commit/{sha}"
    compare: str = "/compare/{old}...{new}"
    pull_request: str = "/pull/{number}"
    sign: str = "#"


class HostApi(Protocol):
    """What the bridge asks of a Git host, and writes there, with a credential of its own.

    A repository is named as `key` has it.

    Every method raises `NotFound` (no such thing, or not for us), `Refused` (the host says
    no), `Unreachable` (nothing was done; `retry_after` where the host names it) or
    `Unanswered` (it may have been done).
    """

    name: str

    def key(self, repository: Repository) -> str:
        """Return what the API finds a repository by: an id that survives renames, or its name."""

    async def repository(self, name: str) -> Repository:
        """Return a repository by its key or its path."""

    async def commit(self, repository: str, sha: str) -> Commit:
        """Return a commit, with its message and author."""

    async def pull_requests(self, repository: str, commit: str) -> list[PullRequest]:
        """Return those that a commit belongs to, in any state."""

    def comments(self, repository: str, number: int) -> AsyncIterator[Comment]:
        """Return all comments of a pull request, fetched page by page, oldest first."""

    async def comment(self, repository: str, number: int, body: str) -> str:
        """Write a comment; return its id."""

    async def edit_comment(self, repository: str, number: int, id_: str, body: str) -> None:
        """Replace a comment; NotFound when somebody has deleted it."""

    async def set_status(
        self,
        repository: str,
        commit: str,
        context: str,
        state: CommitState,
        description: str,
        url: str | None = None,
    ) -> None:
        """Set a commit's status under a context; the same state again is no error."""

    async def create_deployment(
        self, repository: str, commit: str, ref: str, environment: str, description: str
    ) -> str:
        """Make a deployment object, without merging anything or asking for checks; its id.

        Args:
            ref: in full, e.g. "refs/heads/main".
        """

    async def find_deployment(
        self, repository: str, commit: str, environment: str, description: str
    ) -> str | None:
        """Return the newest deployment object that was created with the same words.

        Where the host keeps no description it is the newest of the commit and environment.
        """

    async def set_deployment(
        self,
        repository: str,
        id_: str,
        state: CommitState,
        description: str,
        *,
        environment_url: str | None = None,
        log_url: str | None = None,
    ) -> None:
        """Say how a deployment object stands."""

    async def compare(self, repository: str, base: str, head: str) -> ChangeSet:
        """Return which files differ between two commits: two-dot, so a rollback shows as well."""

    async def close(self) -> None:
        """Let go of connections and threads."""


@dataclass(frozen=True, slots=True)
class Hook:
    """A webhook as its Git host keeps it.

    Attributes:
        place: whose it is, in the adapter's own words, e.g. "repos/my-org/mono", "app".
        url: where it sends; None if the host does not tell.
        trouble: why the host sends nothing at present, in words for people.
        speaks_for: the only repository that its payloads may speak of, where whoever keeps the
            webhook can shape them; None: the host alone makes them.
    """

    place: str
    id: str
    url: str | None
    trouble: str | None = None
    speaks_for: str | None = None


@dataclass(frozen=True, slots=True)
class Payload:
    """What a host has sent or tried to send: headers, names in lower case, and body.

    The body is put together anew and secrets are left out, so no signature fits any more; that
    it comes from the host's API is the proof.
    """

    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Sending:
    """One try of a host to deliver.

    Attributes:
        id: the host's number for it, for `Redelivers`.
        delivery: what the webhook itself calls it, as `Envelope.id` does; the same for every
            try. None where the host is too old to give one.
        event: as the host names it, e.g. "push".
        at: seconds since 1970; None if the host does not tell.
        answered: we have answered with a 2xx.
        words: what the host says of it, e.g. "timed out".
        payload: what was sent, where the list has that already.
    """

    id: str
    delivery: str | None
    event: str
    at: float | None
    answered: bool
    words: str = ""
    payload: Payload | None = None


@dataclass(frozen=True, slots=True)
class TagAt:
    """A tag and the commit that it stands at."""

    name: str
    commit: str


@runtime_checkable
class Redelivers(Protocol):
    """A Git host that tells what it could not deliver, and where branches and tags stand.

    Errors are those of `HostApi`.
    """

    async def hooks(self, repository: str) -> list[Hook]:
        """Return this repository's webhooks, as far as the credential may see them."""

    def sendings(self, hook: Hook, since: float) -> AsyncIterator[Sending]:
        """Return the tries of a webhook since then, newest first, page after page as asked for.

        Where the host tells no times it is all that it keeps: stop at what is known.
        """

    async def payload(self, hook: Hook, id_: str) -> Payload | None:
        """Return what one try has sent; None if the host lists it without."""

    async def redeliver(self, hook: Hook, id_: str) -> None:
        """Have the host send it again; return once the host has accepted that."""

    async def head(self, repository: str, branch: str) -> str | None:
        """Return the commit that a branch stands at; None when there is no such branch.

        Asked conditionally: while nothing has moved, hosts need not count it.
        """

    async def tags(self, repository: str, limit: int) -> list[TagAt]:
        """Tags of a repository: the newest, or the last by name where the host sorts them so."""
