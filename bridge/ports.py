"""The doors between the journey and the world: small Protocols and the records that pass them.

Adapters implement these; the journey knows nothing else of them. What only some
adapters can do is a capability of its own (`Configures`).
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol, TypeVar, runtime_checkable

from bridge.core.access import Person, Right
from bridge.core.change_sets import Live
from bridge.core.chat_commands import Command, Unclear
from bridge.core.configuration import BuildType, Environment, ProviderSettings, Saved
from bridge.core.decision import Decision
from bridge.core.difference import Changed, Configured
from bridge.core.events import Action, Asked, Commit, Event, RefPushed, Repository
from bridge.core.lifecycle import Change, Deployment, State
from bridge.core.merge import Wanted
from bridge.core.plan import Plan
from bridge.core.rehearsal import Rehearsal
from bridge.core.replies import Reply
from bridge.core.watch import App, Rules, SourceType

T = TypeVar("T")

Clock = Callable[[], float]
"""Seconds since 1970; injected, so that tests own the time."""

Wake = Callable[[], None]
"""Tells a later step that there is something to do; may be called from the event loop only."""


Body = bytes | bytearray
"""What a request has brought; nobody changes it."""


# ── Git hosts ────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Envelope:
    """What the headers of a webhook say, before its body is read.

    Attributes:
        id: the host's own delivery id; None when it sends none, then the body makes one.
        event: e.g. "push" or "Tag Push Hook", as the host names it.
        proof: what `GitHost.verify` needs; never logged or kept.
        headers: the few headers that the parser needs later, names in lower case.
    """

    id: str | None
    event: str
    proof: tuple[str, ...]
    headers: Mapping[str, str]


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

    def parse(self, event: str, headers: Mapping[str, str], body: bytes) -> Event:
        """Say what a delivery means; `Ignored` with its reason where it is nothing of ours.

        Raises:
            MalformedPayload: the body is not what the host sends.
        """


# ── A Git host's API ─────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class PullRequest:
    """A pull or merge request.

    Attributes:
        number: GitHub's number, GitLab's iid.
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
        paths: sorted, with the old names of renamed files; None where the host can't tell
            all of them.
        note: why `paths` is None, or how it was found, in words for people.
    """

    paths: tuple[str, ...] | None
    note: str = ""


class CommitState(StrEnum):
    """What a commit status says, in the words that both hosts share."""

    PENDING = "pending"
    RUNNING = "running"  # GitHub knows only pending
    SUCCESS = "success"
    FAILURE = "failure"
    CANCELLED = "cancelled"  # GitHub has error


class HostApi(Protocol):
    """What the bridge asks of a Git host, and writes there, with a credential of its own.

    A repository is named as `Repository.name`; GitLab takes `Repository.id` as well.

    Every method raises `NotFound` (no such thing, or not for us), `Refused` (the host says
    no), `Unreachable` (nothing was done; `retry_after` where the host names it) or
    `Unanswered` (it may have been done).
    """

    name: str

    async def repository(self, name: str) -> Repository:
        """A repository by its path, on GitLab also by its numeric id."""

    async def commit(self, repository: str, sha: str) -> Commit:
        """A commit, with its message and author."""

    async def pull_requests(self, repository: str, commit: str) -> list[PullRequest]:
        """Those that a commit belongs to, in any state."""

    def comments(self, repository: str, number: int) -> AsyncIterator[Comment]:
        """All comments of a pull request, page after page as they are asked for, oldest first."""

    async def comment(self, repository: str, number: int, body: str) -> str:
        """Write a comment; returns its id."""

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
        """The newest deployment object that `create_deployment` has made with the same words.

        GitLab keeps no description, so there it is the newest of the commit and environment.
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
        """Which files differ between two commits: two-dot, so a rollback shows as well."""

    async def close(self) -> None:
        """Let go of connections and threads."""


@dataclass(frozen=True, slots=True)
class Hook:
    """A webhook as its Git host keeps it.

    Attributes:
        place: whose it is, in the adapter's own words, e.g. "repos/my-org/mono", "app".
        url: where it sends; None where the host does not tell.
        trouble: why the host sends nothing at present, in words for people.
    """

    place: str
    id: str
    url: str | None
    trouble: str | None = None


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
        at: seconds since 1970; None where the host does not tell (GitLab).
        answered: we have answered with a 2xx.
        words: what the host says of it, e.g. "timed out".
        payload: what was sent, where the list has that already (GitLab).
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
        """The webhooks that send this repository's events, as far as the credential may see."""

    def sendings(self, hook: Hook, since: float) -> AsyncIterator[Sending]:
        """The tries of a webhook since then, newest first, page after page as asked for.

        Where the host tells no times it is all that it keeps: stop at what is known.
        """

    async def payload(self, hook: Hook, id_: str) -> Payload:
        """What one try has sent."""

    async def redeliver(self, hook: Hook, id_: str) -> None:
        """Have the host send it again; returns once the host has accepted that."""

    async def head(self, repository: str, branch: str) -> str | None:
        """The commit that a branch stands at; None when there is no such branch.

        Asked conditionally: while nothing has moved it costs nothing of GitHub's rate limit.
        """

    async def tags(self, repository: str, limit: int) -> list[TagAt]:
        """Tags of a repository: the newest on GitLab, on GitHub the last by name."""


# ── Deliveries (the inbox) ───────────────────────────────────────────────────


class DeliveryState(StrEnum):
    """How far a delivery has come."""

    KEPT = "kept"
    DECIDED = "decided"
    IGNORED = "ignored"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class NewDelivery:
    """A delivery before it is kept; `headers` and `body` are all that its parser will see."""

    host: str
    id: str
    event: str
    headers: Mapping[str, str]
    body: Body
    received_at: float


@dataclass(frozen=True, slots=True)
class Delivery:
    """A kept delivery and how far it has come.

    Attributes:
        seq: position in the inbox; greater is newer.
        attempts: how often it was tried; `error` is the last reason it did not work.
        body: None in listings, and where it was forgotten (`Inbox.forget_bodies`).
    """

    seq: int
    host: str
    id: str
    event: str
    headers: Mapping[str, str]
    received_at: float
    state: DeliveryState
    attempts: int = 0
    error: str | None = None
    body: bytes | None = None


@dataclass(frozen=True, slots=True)
class Kept:
    """Where a delivery is kept; `duplicate`: it was there before."""

    seq: int
    duplicate: bool


@dataclass(frozen=True, slots=True)
class Finished:
    """How far a delivery has come now.

    Attributes:
        state: KEPT with a later `due_at` means: try again then.
        error: why it failed or was ignored; why the last try did not work.
    """

    seq: int
    host: str
    id: str
    state: DeliveryState
    error: str | None = None
    attempts: int = 0
    due_at: float = 0.0


class Inbox(Protocol):
    """Deliveries, each on disk before it is answered."""

    def known(self, host: str, id: str) -> Kept | None:  # noqa: A002 - the field's own name
        """The answer for a delivery that is surely kept already; None: ask `keep`."""

    async def keep(self, new: NewDelivery) -> Kept:
        """Write a delivery to disk; returns once it is there. Raises Unreachable."""

    async def finish(self, finished: Sequence[Finished]) -> None:
        """Record how far deliveries have come, in one transaction."""

    async def due(self, now: float, limit: int) -> list[Delivery]:
        """Kept deliveries whose turn has come, with bodies, oldest first."""

    async def newest(self, limit: int, *, before: int | None = None) -> list[Delivery]:
        """The newest deliveries, newest first, without bodies."""

    async def find(self, host: str, id: str) -> Delivery | None:  # noqa: A002 - as above
        """One delivery by the host's own id, with its body."""

    async def get(self, seq: int) -> Delivery | None:
        """One delivery by its position, with its body."""

    async def forget_bodies(self, before: float, limit: int) -> int:
        """Forget the bodies of some decided deliveries from before then; how many."""

    async def forget(self, before: float, limit: int) -> int:
        """Forget some decided deliveries from before then, their ids too; how many."""


# ── What deliveries lead to (the journal) ────────────────────────────────────


@dataclass(frozen=True, slots=True)
class PushSeen:
    """What makes two deliveries bring the same push.

    Attributes:
        ref_key: host, repository id and full ref in one text.
        found: by reconciliation, so a webhook may still bring it, with another `before`.
    """

    ref_key: str
    before: str
    after: str
    found: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one delivery led to, to be recorded at once.

    Attributes:
        delivery: the host's own delivery id.
        explicit: a person wants it, whether or not the same push has come before.
        targets: the places that will show what becomes of it.
    """

    seq: int
    delivery: str
    decisions: tuple[Decision, ...]
    deployments: tuple[Deployment, ...] = ()
    push: PushSeen | None = None
    explicit: bool = False
    targets: tuple["Target", ...] = ()


@dataclass(frozen=True, slots=True)
class Explained:
    """A recorded decision with what it was about.

    Attributes:
        delivery, ref, commit: of the push; None where a person asked instead.
        at: when it was decided.
    """

    seq: int
    at: float
    decision: Decision
    delivery: str | None = None
    ref: str | None = None
    commit: str | None = None


@dataclass(frozen=True, slots=True)
class Recorded:
    """What follows from recorded outcomes.

    Attributes:
        start: deployments to start.
        drop: deployments that a newer one has superseded; their flows need not run.
    """

    start: tuple[str, ...]
    drop: tuple[str, ...]


BEGUN = "begun"
"""The outcome of a change while it is made; that of one which was cut off stays so."""

DONE = "done"
WAITS = "waits for "
"""How the outcome of a change begins that will be made once its backend is there again."""

UNKNOWN = "outcome unknown"
"""How that of one begins in which the bridge itself has failed: it may have been made."""


@dataclass(frozen=True, slots=True)
class Audited:
    """That somebody changes how an app is configured.

    Attributes:
        by: e.g. "cli: ada".
        what: e.g. "provider set".
        difference: secrets are not in it.
        outcome: `BEGUN`, "done", "waits for …", "outcome unknown: …", or why not.
        number: counts up; 0 while it is not kept.
        seq: of the delivery that asked for it; None where nobody did by chat.
        undoing: what was before and after, sealed, so that it can be undone; "" where it can't.
        undoes: number of the change that this one takes back.
    """

    at: float
    by: str
    what: str
    app_id: str
    app: str
    difference: tuple[Changed, ...]
    outcome: str = BEGUN
    number: int = 0
    seq: int | None = None
    undoing: str = field(default="", repr=False)
    undoes: int | None = None

    @property
    def over(self) -> bool:
        """Whether it was made, or never will be."""
        return self.outcome != BEGUN and not self.outcome.startswith(WAITS)


# ── Feedback ─────────────────────────────────────────────────────────────────

Memory = Mapping[str, Any]
"""What a place remembers of itself, JSON: the message's ts, the comment's id, what it shows.

One name has a meaning for all: `LINK`.
"""

LINK = "link"
"""Where in a memory a place's own address for people stands, as a card's permalink. When it
becomes known or another one, what may link to it is raised: all that shows the same deployments
or their deliveries, or a deployment that one of them has superseded (`Story.beside`)."""

Remember = Callable[[Memory], Awaitable[None]]
"""Keeps a target's memory, in place of what it was, on disk once it returns: before a thing is
made, that it is about to be; then its id."""

Turn = Callable[[str], Awaitable[None]]
"""Waits until a lane may be written to again. Await it with the lane right before every single
write to a service that counts them, so that nothing else is counted: a card's update and a line
in its thread are two. Raises TooEarly where that would be long. Made by `Turns.within` from
the service's limits, and given to a `Shows` when it is built."""


@dataclass(frozen=True, slots=True)
class Target:
    """One place that shows something, as a card in a channel, a comment or a status.

    Attributes:
        id: the same for the same place, so wanting it again changes nothing.
        kind: which `Shows` brings it up to date, e.g. "slack.card", "github.comment".
        lane: what shares a rate limit, as a channel or a credential; targets of one lane go one
            at a time, and an answer "too many" makes all of them wait.
        follows: what raises it when it changes: `about_deployment`, `about_delivery`.
        place: where it is, in its adapter's own words; JSON.
    """

    id: str
    kind: str
    lane: str
    follows: tuple[str, ...]
    place: Mapping[str, Any]


def about_deployment(id_: str) -> str:
    """Raises what shows one deployment."""
    return f"deployment {id_}"


ABOUT_ANYTHING = "anything"
"""Raises what shows how everything stands."""


def about_change(number: int) -> str:
    """Raises what shows how an app was configured differently."""
    return f"change {number}"


def about_delivery(seq: int) -> str:
    """Raises what shows all that one delivery has led to."""
    return f"delivery {seq}"


@dataclass(frozen=True, slots=True)
class Raised:
    """A target whose place may show something old.

    Attributes:
        wanted: counts up with every change; what was read under it is shown up to it.
        shown: the count that the place is up to; 0 while it has never been shown.
        due_at: since when it waits for its turn, or when it is tried again; None: it is up to
            date, or parked.
        attempts: how often it has failed in a row; `failing_since`, `error` belong to that.
        parked: given up for now; the next change tries it again.
    """

    target: Target
    memory: Memory
    wanted: int
    due_at: float | None
    shown: int = 0
    attempts: int = 0
    failing_since: float | None = None
    error: str | None = None
    parked: bool = False


@dataclass(frozen=True, slots=True)
class Story:
    """All that is known about what a target follows, read in one moment, for it to be shown.

    Attributes:
        explained: the decisions of its deliveries, newest first.
        deployments: of those deliveries, or the one deployment; newest first.
        history: the changes, oldest first, of each deployment that it follows by its id.
        apps: by id.
        beside: what other targets about the same deployments remember, and about those that
            have superseded them, by target id; so that a comment can link to the card.
        audited: the changes that it follows, and those that its deliveries asked for, with
            those that take them back; oldest first.
    """

    explained: tuple[Explained, ...] = ()
    deployments: tuple[Deployment, ...] = ()
    history: Mapping[str, tuple[Change, ...]] = field(default_factory=dict)
    apps: Mapping[str, App] = field(default_factory=dict)
    beside: Mapping[str, Memory] = field(default_factory=dict)
    audited: tuple[Audited, ...] = ()


class Shows(Protocol):
    """Brings one kind of place up to what is so: level, not edge, and newest wins."""

    async def show(
        self, target: Target, story: Story, memory: Memory, remember: Remember
    ) -> Sequence[Target]:
        """Bring the place up to the story; where it shows that already, nothing is sent.

        May be called again for the same story, also after the process died halfway: what
        can't be repeated is announced with `remember` before, and looked for first after.
        Writes wait for their `Turn`. It is cut off after `feedback.longest` seconds.

        Returns:
            Further targets that are wanted from now on, as when a push's pull requests are found.

        Raises:
            Refused, Rejected: the place said no, or is gone; it is parked until the next change.
            Unreachable, Unanswered: it is tried again later, after `retry_after` where given,
                and so is everything in its lane.
        """


@dataclass(frozen=True, slots=True)
class Occasion:
    """What a delivery has led to, for planners to say who shall see it.

    Attributes:
        event: the push, or what a person asked for.
        asked: what a person asked, also where it was to replay a push; None for a push by itself.
        outcome: the decisions and deployments that are about to be recorded; some deployments
            may be dropped as duplicates, and their targets with them.
        apps: those that were decided about, by id.
    """

    event: RefPushed | Asked
    asked: Asked | None
    outcome: Outcome
    apps: Mapping[str, App]


Planner = Callable[[Occasion], Sequence[Target]]
"""Says where what an occasion leads to is shown: pure, quick, and without looking anywhere. A chat
makes a target of each deployment (`about_deployment`) and channel; a Git host one of each push
(`about_delivery`), whose `Shows` then finds the pull requests and returns further targets."""


# ── The journal ──────────────────────────────────────────────────────────────


class Journal(Protocol):
    """Apps, decisions, deployments and every change of them, for good."""

    async def save_apps(self, backend: str, found: Sequence[App]) -> None:
        """Replace what is known of a backend's apps; those not found any more are gone."""

    async def apps(self) -> list[App]:
        """The apps that there are, by label, each with the rules that were set for it."""

    async def apps_version(self) -> int:
        """Counts up whenever `apps` would say something new."""

    async def app(self, app_id: str) -> App | None:
        """One app, also when it is gone by now."""

    async def rules(self, app_id: str) -> Rules:
        """Our own rules that were set for an app."""

    async def save_rules(self, app_id: str, rules: Rules, *, by: str) -> None:
        """Set them, in place of those before."""

    async def audit(self, new: Audited) -> int:
        """Note that somebody changes something; returns its number.

        A note of the same delivery is written anew instead.
        """

    async def settle(self, number: int, outcome: str) -> None:
        """Note what became of it."""

    async def audited(self, *, limit: int, app_id: str | None = None) -> list[Audited]:
        """The newest changes, newest first; of one app where given."""

    async def change(self, number: int) -> Audited | None:
        """One change by its number."""

    async def change_of(self, seq: int) -> Audited | None:
        """The change that a delivery asked for, once it is noted."""

    async def keep_draft(self, id_: str, sealed: str) -> None:
        """Keep a change that is shown to somebody; those that are a week old are forgotten."""

    async def draft(self, id_: str) -> str | None:
        """A change that was kept; None where it is not, or not any more."""

    async def drop_draft(self, id_: str) -> None:
        """Forget one that was carried out, or never will be."""

    async def record(self, outcomes: Sequence[Outcome], *, window: float) -> Recorded:
        """Write what deliveries led to, all or nothing."""

    async def decisions(self, seqs: Sequence[int]) -> dict[int, list[Decision]]:
        """The decisions of deliveries, by their seq."""

    async def explained(
        self, app_id: str, *, commit: str | None = None, limit: int
    ) -> list[Explained]:
        """What was decided for an app, newest first; only of pushes of a commit where given."""

    async def last_pushes(self) -> dict[str, float]:
        """When the newest push of its repository came, by an app's id."""

    async def deployed_tags(self, app_ids: Sequence[str]) -> dict[str, list[str]]:
        """The tags that apps were deployed for, or are; not those that failed or were cancelled."""

    async def live(self, app_ids: Sequence[str]) -> dict[str, Live]:
        """What apps run, by id; none for those that no deployment has brought up yet."""

    async def deployment(self, id_: str) -> Deployment | None:
        """One deployment by its id."""

    async def deployments(
        self, *, limit: int, app_id: str | None = None, seq: int | None = None
    ) -> list[Deployment]:
        """The newest deployments, newest first; of one app or one delivery where given."""

    async def last_deployments(self) -> dict[str, Deployment]:
        """The newest deployment of every app that has one, by the app's id."""

    async def open_deployments(self) -> list[Deployment]:
        """All that have not ended, oldest first."""

    async def changes(self, id_: str, *, after: int = 0) -> list[Change]:
        """A deployment's history, oldest first, without its first `after` lines."""

    async def intend(self, id_: str, known_before: Sequence[str]) -> Deployment | None:
        """Say that the backend is about to be asked; None when it is not waiting any more."""

    async def ask_again(
        self, id_: str, known_before: Sequence[str], token: str, note: str
    ) -> Deployment | None:
        """Say that the backend has lost it and is about to be asked again, from the start."""

    async def withdraw(self, id_: str) -> None:
        """Take the intent back: nothing was asked, so a newer one may supersede it again."""

    async def move(self, id_: str, to: State, note: str = "", **facts: Any) -> Deployment | None:
        """Move a deployment on, with what is known now; None when `to` may not follow."""

    async def say(self, id_: str, note: str) -> None:
        """Add a line to a deployment's history without moving it; a repeated one is left out."""

    async def cancel_waiting(self, app_id: str, seq: int, note: str) -> list[Deployment]:
        """Cancel what still waits with us for an app and came before `seq`."""

    async def instance(self) -> str:
        """A random name for this journal, made once: another bridge's tokens are not ours."""

    async def forget(self, before: float, limit: int) -> int:
        """Forget what some deliveries from before then led to, if all of it has ended.

        An app's newest deployment stays. Returns how many deliveries.
        """

    async def forget_audit(self, before: float, limit: int) -> int:
        """Forget some of who changed what before then; how many."""

    async def newest_push(self, ref_key: str) -> str | None:
        """Where the newest decided push of a ref has led to; None where none was decided."""

    async def note(self, key: str, value: str) -> None:
        """Keep a small fact of the bridge's own, in place of the one before."""

    async def recall(self, key: str) -> str | None:
        """A fact that was noted."""

    async def unwant(self, target_id: str) -> None:
        """Show it no more."""

    async def want(self, targets: Sequence[Target]) -> None:
        """Have them shown from now on; one that is wanted already follows what is new as well."""

    async def raised(self, until: float, limit: int, *, busy: Sequence[str] = ()) -> list[Raised]:
        """Targets that are due by `until`, of each lane the one that has waited longest.

        In the order in which they are due; none of the lanes in `busy`, none that is parked.
        """

    async def story(self, target: Target) -> Story:
        """What there is to show of what it follows."""

    async def remember(self, target_id: str, memory: Memory) -> None:
        """Keep what a place remembers of itself; a new `LINK` raises what may show it."""

    async def showed(self, target_id: str, wanted: int) -> None:
        """It shows what was so at `wanted`; what has changed since raises it again."""

    async def not_shown(
        self, target_id: str, wanted: int, error: str, *, due_at: float | None
    ) -> None:
        """It could not be shown; again at `due_at`; None parks it until something changes.

        What has changed since `wanted` was read counts: then it is due again at once.
        """

    async def feedback(self, *, limit: int, failing: bool = False) -> list[Raised]:
        """Targets, the newest first; only those that fail or are parked where asked for."""

    async def show_again(self, target_id: str | None = None) -> int:
        """Have one that fails or is parked tried again at once, or all; returns how many."""

    async def hold(self, name: str, owner: str, seconds: float) -> bool:
        """Hold a lease, or renew it: what must run once in a cluster runs with its holder."""

    async def release(self, name: str, owner: str) -> None:
        """Give a lease back, if it is held."""

    async def leave(self, owner: str) -> None:
        """Give back every lease that one holds."""


# ── Figures, for those who watch over it ─────────────────────────────────────


@dataclass(frozen=True, slots=True)
class InboxFigures:
    """How full the inbox is.

    Attributes:
        waiting: deliveries that are not decided yet.
        oldest: when the one that has waited longest came; None where none waits.
    """

    waiting: int
    oldest: float | None


@dataclass(frozen=True, slots=True)
class JournalFigures:
    """How much is going on.

    Attributes:
        open: deployments that have not ended, by state.
        raised: places that show something old; `parked` ones are given up for now.
        overdue: when the one that has waited longest was due; None where none is.
    """

    open: Mapping[State, int]
    raised: int
    parked: int
    overdue: float | None


@dataclass(frozen=True, slots=True)
class Ended:
    """A deployment that has come to its end.

    Attributes:
        number: of the change in the journal; counts up, though not strictly in order.
        seconds: that it ran; None where it never did.
    """

    number: int
    app: str
    result: State
    seconds: float | None


class InboxMeter(Protocol):
    """An inbox that tells how full it is."""

    async def figures(self) -> InboxFigures:
        """Now."""


class JournalMeter(Protocol):
    """A journal that tells how much is going on, and what has ended."""

    async def figures(self) -> JournalFigures:
        """Now."""

    async def newest_change(self) -> int:
        """The number of the newest change; 0 where there is none."""

    async def ended(self, after: int) -> list[Ended]:
        """What has ended by a change with a number above `after`, each deployment once."""


Observe = Callable[[str, str, float], None]
"""Is told of each request to a backend: its name, what was asked, and seconds it took."""

# ── Chats ────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a chat somebody is; a channel's id, and a thread's where they are in one."""

    channel: str = ""
    thread: str = ""


class Commands(Protocol):
    """What people can ask for by chat. Rights are checked at every call; nothing is cached."""

    async def answer(
        self, person: Person, place: Place, typed: Command | Unclear, id_: str
    ) -> Reply:
        """Do or answer what somebody typed.

        Args:
            id_: of the delivery that an action is kept as; the same one acts once.

        Raises:
            Unreachable: it could not be kept, so nothing will happen.
        """

    async def ask(
        self, person: Person, place: Place, action: Action, app_id: str, id_: str
    ) -> Reply:
        """Do what somebody clicked or picked; raises as `answer`."""

    def apps(self, person: Person, place: Place, right: Right) -> list[App]:
        """The apps to which somebody has a right, by label."""

    async def log_of(self, person: Person, place: Place, deployment_id: str) -> "LogTail | Reply":
        """The end of a deployment's log, without secrets."""

    async def why(self, person: Person, place: Place, deployment_id: str) -> Reply:
        """Why a deployment was made."""

    async def note(self, person: Person, what: str, reply: Reply) -> None:
        """Keep in the audit log that somebody asked for something, where that is worth it."""


@dataclass(frozen=True, slots=True)
class LogTail:
    """The end of a deployment's log; "" where there is none, or none any more."""

    deployment: Deployment
    text: str


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """What a chat's request is answered with."""

    status: int
    body: str = ""
    content_type: str = "text/plain"


class ChatDoor(Protocol):
    """A chat that sends requests by HTTP."""

    def open(self, headers: Mapping[str, str]) -> Any:
        """Read the headers, before the body; what `take` needs. Raises BadSignature."""

    async def take(self, opened: Any, headers: Mapping[str, str], body: bytes) -> HttpAnswer:
        """Check and handle a request. Raises BadSignature."""


# ── Workflows ────────────────────────────────────────────────────────────────


class Steps(Protocol):
    """What a flow's body gets: each step's result is kept, so a finished step never runs again.

    A step that was under way when the process died runs again: at least once, not once.
    """

    async def run(self, name: str, action: Callable[[], Awaitable[T]]) -> T:
        """Run one step, or return its kept result."""


class Flows(Protocol):
    """The workflow engine: what is started survives the process."""

    async def start(self, flow: str, id_: str, *, key: str) -> None:
        """Start a flow unless its id was started before; flows of one key run one at a time."""

    async def ensure(self, flow: str, wanted: Mapping[str, str]) -> None:
        """See to it that flows of these ids, by id their keys, are under way."""

    async def drop(self, flow: str, ids: Sequence[str]) -> None:
        """Take waiting flows out of the queue, where others would wait behind them."""

    async def forget(self, before: float, limit: int) -> int:
        """Forget some flows that ended before then; how many. Starting one again would run it."""


# ── Secrets ──────────────────────────────────────────────────────────────────


class Seal(Protocol):
    """Keeps secrets that must be written down from being read there (docs/notes/0011)."""

    def close(self, text: str) -> str:
        """Seal a text."""

    def open(self, sealed: str) -> str:
        """The text again; raises Rejected where it was sealed with a key that is gone."""


# ── Backends ─────────────────────────────────────────────────────────────────


class Progress(StrEnum):
    """A deployment's status in the backend's own words."""

    RUNNING = "running"
    DONE = "done"
    ERROR = "error"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class BackendDeployment:
    """One record of the backend's deployment history.

    Attributes:
        title, description: ours while it runs; a Git deploy overwrites them at its end with
            the commit message and `Commit: <sha>` (facts.md).
        created_at, started_at, finished_at: seconds since 1970.
        commit: the deployed commit, read from the description, once the backend has told.
    """

    id: str
    title: str
    description: str
    status: Progress
    created_at: float
    started_at: float | None = None
    finished_at: float | None = None
    error: str | None = None
    commit: str | None = None


@dataclass(frozen=True, slots=True)
class QueuedJob:
    """A job that waits or is active in the backend's queue."""

    app: str
    title: str
    description: str
    active: bool


class Backend(Protocol):
    """What the journey needs of a deploy backend.

    Every method raises `Refused` (the backend said no), `Unreachable` (nothing was asked)
    or `Unanswered` (it may have been).
    """

    name: str

    async def apps(self) -> list[App]:
        """Every application and compose stack that the key may see, with its source."""

    async def deploy(self, app: App, *, title: str, description: str) -> None:
        """Ask for a deployment of the head of the app's branch; returns once accepted."""

    async def redeploy(self, app: App, *, title: str, description: str) -> None:
        """Ask to build the existing checkout again; fetches nothing."""

    async def deployments(self, app: App) -> list[BackendDeployment]:
        """The app's newest deployments (about ten), newest first."""

    async def queue(self) -> list[QueuedJob] | None:
        """What waits and runs; None where the backend is too old to tell."""

    async def log_tail(self, deployment: BackendDeployment, lines: int) -> str:
        """The last lines of a deployment's log; "" where the backend can't tell."""

    async def drop_waiting(self, app: App) -> None:
        """Drop what waits for this app in the backend's queue; what runs goes on."""

    async def cancel(self, app: App) -> str:
        """Cancel the running deployment; returns the backend's words. Refused when self-hosted."""

    async def version(self) -> str | None:
        """E.g. "v0.30.2"; None where it does not tell."""

    async def healthy(self) -> bool:
        """Whether it answers at all; never raises."""

    async def close(self) -> None:
        """Let go of connections."""


@runtime_checkable
class KillsBuilds(Protocol):
    """A backend that can interrupt builds, but not single ones."""

    async def kill_build(self, app: App) -> None:
        """Interrupt every Docker build on the app's host, whosever it is."""


@runtime_checkable
class Configures(Protocol):
    """A backend whose apps can be configured; each call is sent as it is, nothing is merged."""

    async def saved(self, app: App) -> Saved:
        """How the app is configured now; what is secret stays sealed."""

    async def save_provider(self, app: App, settings: ProviderSettings) -> None:
        """Set where the app's code comes from."""

    async def disconnect_provider(self, app: App) -> None:
        """Forget the app's source."""

    async def save_build_type(self, app: App, settings: BuildType) -> None:
        """Set how it is built."""

    async def save_environment(self, app: App, settings: Environment) -> None:
        """Set its environment, build arguments and build secrets."""

    async def clear_deployments(self, app: App) -> None:
        """Remove old deployments' logs."""


@dataclass(frozen=True, slots=True)
class GitAccount:
    """A Git account that is connected in the backend; `id` is its githubId or gitlabId."""

    id: str
    name: str
    type: SourceType


@dataclass(frozen=True, slots=True)
class GitRepository:
    """A repository that a Git account can see.

    Attributes:
        id: the host's numeric id; a GitLab source needs it.
        path: with its whole namespace, e.g. "my-group/sub/my-project".
    """

    id: int
    owner: str
    name: str
    path: str


class Choices(Protocol):
    """Lists to choose from; the backend asks the Git host in turn, so they may be slow."""

    async def git_providers(self) -> list[GitAccount]:
        """The Git accounts that are connected and that the key may use."""

    async def repositories(self, provider: GitAccount) -> list[GitRepository]:
        """What an account can see."""

    async def branches(self, provider: GitAccount, repository: GitRepository) -> list[str]:
        """The repository's branches, by name."""


@runtime_checkable
class OffersChoices(Protocol):
    """A backend that lists what a source can be chosen from."""

    pickers: Choices


# ── Configuring by chat ──────────────────────────────────────────────────────

Permits = Callable[[str, App, str], Awaitable[str | None]]
"""Why somebody, by their id in the chat, may not configure an app from a channel; None: they may.
Raises Unreachable where that can't be found out."""


class Desk(Protocol):
    """What a chat shows and prepares before somebody changes an app; nothing is changed here.

    Raises what the backend raises; Rejected where a change can't be, naming the field.
    """

    async def now(self, app: App) -> Configured:
        """How the app is configured at this moment."""

    async def lately(self, app: App) -> Configured:
        """How it was configured a moment ago: for what is redrawn at every key that is pressed."""

    async def plan(self, app: App, wanted: Wanted) -> Plan:
        """What a change would do."""

    async def keep(self, plan: Plan) -> str:
        """Keep a plan, sealed, until it is agreed to; returns the draft's id."""

    async def accounts(self, app: App) -> list[GitAccount]:
        """The Git accounts that the app's backend has; none where it offers no lists."""

    async def repositories(self, app: App, account: str) -> list[GitRepository]:
        """What an account can see."""

    async def branches(self, app: App, account: str, path: str) -> list[str]:
        """The branches of a repository, by its whole path."""

    async def rehearse(self, app: App, configured: Configured) -> Rehearsal:
        """What the app's recent pushes would do if it were configured like that."""
