"""Git hosts: their webhooks and their APIs."""

from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol, runtime_checkable

from bridge.core.events import Commit, Event, Repository
from bridge.core.hooks import SignedBy
from bridge.core.pulls import PullRequest

Body = bytes | bytearray
"""A request's body; never modified."""

APART = 1_000_000
"""The largest body, in bytes, that is parsed in this process; see `ParsesApart`."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """A webhook's headers, before its body is read.

    Attributes:
        id: the host's own delivery id; without one, the body makes it, with `event_id`.
        event: as the host names it, e.g. "Tag Push Hook".
        proof: what `GitHost.verify` needs; never logged or kept.
        headers: the few that are kept with the body, names in lower case.
        event_id: the host's id of the event, which several webhooks may report.
        keys: the secrets that may have signed it, for a host with several; never logged or kept.
    """

    id: str | None
    event: str
    proof: tuple[str, ...]
    headers: Mapping[str, str]
    event_id: str | None = None
    keys: tuple[Any, ...] = ()


class GitHost(Protocol):
    """Authenticates and interprets a Git host's webhooks. Does no I/O."""

    name: str

    def open(self, headers: Mapping[str, str], now: float) -> Envelope:
        """Read the headers, before the body.

        Raises:
            Rejected: a required header is missing.
            BadSignature: the signature can't be right, whatever the body.
        """

    def fetched(self, headers: Mapping[str, str]) -> Envelope:
        """Read the headers (names in lower case) of a delivery fetched from the host's API.

        It needs no proof. Raises Rejected if a required header is missing.
        """

    def verify(self, envelope: Envelope, body: Body) -> SignedBy | None:
        """Verify the signature over the raw bytes; raise BadSignature.

        Return the secret that has signed it, if that speaks only for some repositories.
        """

    def parse(self, event: str, headers: Mapping[str, str], body: Body) -> Event:
        """Return what a delivery means; `Ignored`, with the reason, if it is irrelevant.

        Raises MalformedPayload: the body is not what the host sends.
        """


@runtime_checkable
class Binds(Protocol):
    """A Git host whose events are checked after they were parsed, wherever that was."""

    def bind(self, event: Event) -> Event:
        """Return an event as this server's; raise Rejected if it is of another."""


class ParsesApart(Protocol):
    """Parses large bodies where neither their size nor their content can do harm."""

    async def __call__(
        self, host: GitHost, event: str, headers: Mapping[str, str], body: Iterable[bytes]
    ) -> Event:
        """Return what a delivery means, as `GitHost.parse` does, given the body in pieces.

        Raises:
            MalformedPayload: as `parse`, or it needs too much memory.
            Unread: it could not be read for an unknown reason; it may work the next time.
        """


# ── A Git host's API ────────────────────────────────────────────────────────────────────────────


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
        paths: sorted, with the old names of renamed files; None if the host can't list all.
        note: why `paths` is None, or how it was found, for people.
    """

    paths: tuple[str, ...] | None
    note: str = ""


class CommitState(StrEnum):
    """The state of a commit status; each host uses its own nearest term."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCESS = "success"
    FAILURE = "failure"
    CANCELLED = "cancelled"


class HostApi(Protocol):
    """What the bridge reads from a Git host and writes there, with its own credential.

    A repository is named by its `key`.

    Every method raises `NotFound` (no such thing, or not visible to us), `Refused` (the host
    says no), `Unreachable` (nothing was done; with `retry_after` if the host gives one) or
    `Unanswered` (it may have been done).
    """

    name: str

    def key(self, repository: Repository) -> str:
        """Return a repository's key for the API: an id that survives renames, or its name."""

    async def repository(self, name: str) -> Repository:
        """Return a repository by its key or its path."""

    async def commit(self, repository: str, sha: str) -> Commit: ...

    async def pull_requests(self, repository: str, commit: str) -> list[PullRequest]:
        """Return the pull requests that a commit belongs to, in any state."""

    def comments(self, repository: str, number: int) -> AsyncIterator[Comment]:
        """Yield all comments of a pull request, oldest first, fetched page by page."""

    async def comment(self, repository: str, number: int, body: str) -> str:
        """Write a comment; return its id."""

    async def edit_comment(self, repository: str, number: int, id_: str, body: str) -> None:
        """Replace a comment; raise NotFound if somebody has deleted it."""

    async def set_status(
        self,
        repository: str,
        commit: str,
        context: str,
        state: CommitState,
        description: str,
        url: str | None = None,
    ) -> None:
        """Set a commit's status under a context; setting the same state again is fine."""

    async def compare(self, repository: str, base: str, head: str) -> ChangeSet:
        """Return which files differ between two commits: two-dot, to include rollbacks."""

    async def close(self) -> None: ...


@runtime_checkable
class ReadsPulls(Protocol):
    """A Git host whose pull requests can be read by number; errors are those of `HostApi`."""

    async def pull_request(self, repository: str, number: int) -> PullRequest: ...


@runtime_checkable
class ListsPulls(ReadsPulls, Protocol):
    """A Git host whose pull requests can be followed; errors are those of `HostApi`."""

    async def open_pulls(self, repository: str) -> list[PullRequest]:
        """Return all open pull requests.

        Pages are read until two readings agree, so none is missing because others were opened or
        closed meanwhile. The answer is a little old: look at one by its number before anything ends
        because it is not listed.
        """

    async def pulls_since(self, repository: str, since: float) -> list[PullRequest]:
        """Return the pull requests in any state that changed at or after a time.

        One request while nothing has changed, which a host may not even count.

        Args:
            since: seconds since 1970 by the host's clock: an earlier `updated_at`.
        """

    async def pull_files(self, repository: str, number: int) -> ChangeSet:
        """Return which files a pull request changes, from where it left its base."""


@runtime_checkable
class TellsWriters(Protocol):
    """A Git host that tells who may write to a repository; errors are those of `HostApi`."""

    async def may_write(self, repository: str, login: str) -> bool:
        """Return whether an account may push to the repository; False for an unknown one.

        Args:
            login: as `PullRequest.author` has it.

        Raises Refused: our credential may not see that; it names what it needs.
        """


@runtime_checkable
class HasDeployments(Protocol):
    """A Git host that has deployment objects; errors are those of `HostApi`.

    Attributes:
        reactivates: one that was replaced can be made its environment's newest again.
    """

    reactivates: bool

    async def create_deployment(
        self,
        repository: str,
        commit: str,
        ref: str,
        environment: str,
        description: str,
        *,
        transient: bool = False,
    ) -> str:
        """Create a deployment object, without merging or required checks; return its id.

        Args:
            ref: in full, e.g. "refs/heads/main".
            transient: its environment is for a preview, and ends: see `end_deployment`.
        """

    async def find_deployment(
        self, repository: str, commit: str, environment: str, description: str
    ) -> str | None:
        """Return the newest deployment object that was created with the same description.

        If the host stores no description, return the newest of the commit and environment.
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
    ) -> None: ...

    async def end_deployment(self, repository: str, id_: str, why: str, *, replaced: bool) -> None:
        """Say that nothing serves it any more. Idempotent; raise NotFound if it is gone.

        Args:
            why: in a few words, where the host has a field for it.
            replaced: something else is served in its environment; else that ends, too.
        """


@dataclass(frozen=True, slots=True)
class Hook:
    """A webhook as configured at its Git host; None where the host does not say.

    Attributes:
        place: its owner, in the adapter's own terms, e.g. "repos/my-org/mono", "app".
        trouble: why the host sends nothing at present, for people.
        speaks_for: the only repository that its payloads may name, if the webhook's owner can shape
            them; None if only the host makes them.
        events: those that it sends, in the host's words.
        content_type: "json" or "form"; None if the host has no choice.
        verifies_tls: whether the host checks our certificate.
        signed: whether it has a secret.
    """

    place: str
    id: str
    url: str | None
    trouble: str | None = None
    speaks_for: str | None = None
    events: frozenset[str] | None = None
    content_type: str | None = None
    verifies_tls: bool = True
    signed: bool | None = None


@dataclass(frozen=True, slots=True)
class Payload:
    """What a host has sent or tried to send: headers, names in lower case, and body.

    The body is reassembled without secrets, so no signature fits; that it comes from the host's
    API is the proof.
    """

    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Sending:
    """One attempt of a host to deliver.

    Attributes:
        id: the host's number for it, for `Redelivers`.
        delivery: as `Envelope.id`, the same for every attempt; None if the host is too old.
        at: seconds since 1970; None if the host does not say.
        answered: we answered with a 2xx.
        words: the host's description, e.g. "timed out".
        payload: what was sent, if the list includes it.
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
    """A tag and its commit."""

    name: str
    commit: str


@runtime_checkable
class ListsRefs(Protocol):
    """A Git host that lists the commits of branches and tags; errors are those of `HostApi`."""

    async def head(self, repository: str, branch: str) -> str | None:
        """Return a branch's commit; None if there is no such branch.

        Requests are conditional: while nothing has moved, hosts may not count them.
        """

    async def tags(self, repository: str, limit: int) -> list[TagAt]:
        """Return a repository's newest tags, or the last by name if the host sorts them so."""


@runtime_checkable
class MovesBranches(Protocol):
    """A Git host whose branches we can put anywhere; errors are those of `HostApi`.

    A refusal names what the credential needs for it.
    """

    async def move_branch(self, repository: str, branch: str, commit: str) -> None:
        """Have a branch point to exactly this commit; make it if it is missing. Idempotent.

        Raises NotFound: there is no such repository, or no such commit in it.
        """

    async def delete_branch(self, repository: str, branch: str) -> None:
        """Delete a branch; one that is not there is fine."""


@runtime_checkable
class ListsHooks(Protocol):
    """A Git host that tells its webhooks; errors are those of `HostApi`."""

    async def hooks(self, repository: str) -> list[Hook]:
        """Return this repository's webhooks that the credential may see."""


@runtime_checkable
class ShowsHooks(ListsHooks, Protocol):
    """A Git host that tells whose webhooks the credential may see."""

    async def hooks_by_place(self, repository: str) -> dict[str, list[Hook] | None]:
        """Return a repository's webhooks by their owners' places; None: they can't be seen."""


def all_in(places: Mapping[str, list[Hook] | None]) -> list[Hook]:
    """Return the webhooks of all places."""
    return [hook for hooks in places.values() for hook in hooks or ()]


@runtime_checkable
class Redelivers(ListsHooks, Protocol):
    """A Git host that lists what its webhooks have sent, and sends it again."""

    def sendings(self, hook: Hook, since: float) -> AsyncIterator[Sending]:
        """Yield a webhook's delivery attempts since then, newest first, fetched page by page.

        If the host gives no times, yield all that it keeps; the caller stops at a known one.
        """

    async def payload(self, hook: Hook, id_: str) -> Payload | None:
        """Return what one attempt sent; None if the host lists it without its payload."""

    async def redeliver(self, hook: Hook, id_: str) -> None:
        """Have the host send it again; return once the host has accepted that."""
