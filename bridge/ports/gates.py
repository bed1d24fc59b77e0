"""Gates: the facts that hold deployments, and where they are kept."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from bridge.core.apps import App
from bridge.core.checks import Check, Required
from bridge.core.events import Repository
from bridge.core.gates.approvals import NO_COMPARED, Approval, Compared
from bridge.core.gates.ci import Ci
from bridge.core.gates.freezes import Freeze
from bridge.core.gates.locks import Lock, Scope
from bridge.core.gates.order import Earlier
from bridge.core.holds import Lift, Proposal
from bridge.core.lifecycle import Deployment
from bridge.core.people import NO_IDENTITIES, Identities
from bridge.ports.outcomes import Audited, Audits, Subscription


@dataclass(frozen=True, slots=True)
class CommitAt:
    """A commit of a repository on a Git host, and the branch on which it is built.

    Attributes:
        host: the server's name, e.g. "github"; repository: as the host's API names it.
    """

    host: str
    repository: str
    commit: str
    branch: str


@dataclass(frozen=True, slots=True)
class Judging:
    """The inputs of a judgement besides the facts in the journal.

    Attributes:
        app: with the rules that apply to it.
        freezes: those of the settings that cover it.
        earlier: the ids of the apps that must be live first, by label.
        head: the commit that would be built; None if it is not known.
        unknown_head: why it is not known; "" if nobody needs it.
        again_at: when to try again to find that out; None if no host can tell.
        compared: commits beside the one that would be built, for each app that they concern.
        proposal: what an approval would be for; None if it is not known, or nobody has to approve.
        identities: who the people are that have approved.
    """

    app: App
    freezes: Sequence[Freeze] = ()
    earlier: Mapping[str, str] = field(default_factory=dict)
    head: CommitAt | None = None
    unknown_head: str = ""
    again_at: float | None = None
    compared: Compared = field(default_factory=lambda: NO_COMPARED)
    proposal: Proposal | None = None
    identities: Identities = NO_IDENTITIES


JudgedBy = Callable[[str], Awaitable[Judging]]
"""Returns what a deployment, by its id, is judged by now; asks the Git host for the head if a gate
needs it."""


HeadOf = Callable[[App, Deployment], Awaitable[str | None]]
"""Returns the commit that would be built of an app now; None if its Git host can't tell."""


async def untold(_app: App, _deployment: Deployment) -> str | None:
    """No host can tell the head."""
    return None


class PinsCommits(Protocol):
    """Has the backend build exactly one commit of an app; see `pipeline.pinning.Pins`."""

    def pins(self, app: App) -> bool:
        """Return whether an app is pinned, or is to be."""

    async def must_be_head(self, app: App, commit: str) -> None:
        """Raise Rejected unless an app that is not pinned is built from this commit anyway.

        Raises:
            Refused: the Git host does not tell.
            Unreachable: it may tell later.
        """

    async def place(self, app: App, commit: str | None) -> str:
        """Make the branch that the backend builds point to a commit; return it. Idempotent.

        Raises:
            Rejected, Refused: it can't be done; names what is missing.
            Unreachable: it may work later, and is safe to repeat.
        """


@dataclass(frozen=True, slots=True)
class Taken:
    """The result of asking for a lock.

    Attributes:
        lock: the one that holds now; unless `taken`, somebody else's.
        before: the one that was there before, if it was renewed or stolen.
    """

    lock: Lock
    taken: bool
    before: Lock | None = None


@dataclass(frozen=True, slots=True)
class DueCi:
    """A commit whose checks are to be read from its host.

    Attributes:
        since: when somebody first waited for them.
        reported: the number of events about them so far.
        failures: attempts that failed in a row.
    """

    at: CommitAt
    known: Ci
    since: float
    reported: int
    failures: int


@dataclass(frozen=True, slots=True)
class DueLock:
    """A lock whose owner is to be reminded, or at whose pull request is to be looked.

    Attributes:
        held: how many deployments it holds.
        looks: how often its pull request was looked at since the last event; None if that is not
            due.
    """

    lock: Lock
    held: int
    looks: int | None


TellsRelease = Callable[[Audited], Sequence[Subscription]]
"""Returns where a chat says that a lock was released, by the entry of the audit log."""


class Gates(Protocol):
    """What holds deployments: locks, freezes and approvals; and the held ones.

    Every change of a fact marks the held deployments that it concerns, in the same transaction, so
    `due_holds` returns them. What `audit` returns of it is written in the same transaction, too.

    `concerns` are the ids of the apps that a scope covers; None for all.
    """

    async def judge(self, id_: str, by: Judging, *, seen: float | None = None) -> Deployment | None:
        """Hold a waiting deployment, or let a held one pass, as the gates say now.

        Return it as it is then; None if it is neither held nor waits, or is about to be asked for.
        A held one that passes waits again, and `starts` grows by one.

        Args:
            seen: its `look_at` before what it is judged by was collected. If it differs by now, a
                fact has changed meanwhile, so it stays due.
        """

    async def earlier(self, ids: Mapping[str, str]) -> dict[str, Earlier]:
        """Return what of earlier apps matters, by their labels; "" is the id of what is no app."""

    async def due_holds(self, now: float, limit: int) -> list[Deployment]:
        """Return held deployments at which to look again by now, oldest first."""

    async def next_hold_at(self, now: float) -> float | None:
        """Return when the next held deployment is due after now; None if only a fact matters."""

    async def look_again(self, app_ids: Sequence[str] | None) -> None:
        """Mark the held deployments of these apps, or of all: the head or the app has changed."""

    async def lift(
        self, id_: str, lift: Lift, audit: Audits[Deployment | None] | None = None
    ) -> Deployment | None:
        """Let a held deployment pass these holds; None if it is not held (any more)."""

    async def take_lock(
        self,
        lock: Lock,
        concerns: Sequence[str] | None,
        *,
        steal: bool,
        audit: Audits[Taken] | None = None,
    ) -> Taken:
        """Take a lock, renew one's own, or steal it."""

    async def release_lock(
        self,
        scope: str,
        concerns: Sequence[str] | None,
        audit: Audits[Lock | None] | None = None,
    ) -> Lock | None:
        """Remove a lock; return it, or None if there was none."""

    async def locks(self) -> list[Lock]:
        """Return the locks that have not expired, by scope."""

    async def freeze(
        self, freeze: Freeze, concerns: Sequence[str] | None, audit: Audits[None] | None = None
    ) -> None: ...

    async def unfreeze(
        self,
        scope: Scope,
        concerns: Sequence[str] | None,
        audit: Audits[list[Freeze]] | None = None,
    ) -> list[Freeze]:
        """End the freezes by command of this scope; return them."""

    async def freezes(self) -> list[Freeze]:
        """Return the freezes by command that have not ended."""

    async def approve(self, approval: Approval, audit: Audits[bool] | None = None) -> bool:
        """Record an approval, in place of an older one; return whether it is new."""

    async def approvals(self, app_id: str, commit: str | None = None) -> list[Approval]:
        """Return an app's approvals, oldest first; only of a commit, if given."""

    async def forget_gates(self, before: float, limit: int) -> int:
        """Delete some facts from before then that hold nothing any more; return how many.

        These are approvals, checks for which nothing waits, and locks and freezes that have ended.
        """

    # What happens to locks by time, and by the pull requests with whose end they are released.

    async def next_lock_at(self) -> Mapping[str, float]:
        """Return when something is due for a lock next, by the host of its pull request.

        The host is "" for locks without one, and for the end of any lock.
        """

    async def end_locks(self) -> None:
        """Delete the locks that have expired; places that show them become pending."""

    async def due_locks(self, now: float, limit: int, host: str) -> list[DueLock]:
        """Return locks for which something is due by now; none that has expired.

        Args:
            host: of their pull requests; "" for locks without one.
        """

    async def remind(
        self, lock: Lock, again_at: float | None, those: Sequence[Subscription]
    ) -> bool:
        """Add a reminder's subscriptions; return whether they were added.

        They are not if the lock has changed, or another process has added them.
        """

    async def keep_lock(
        self, lock: Lock, again_at: float | None, audit: Audits[bool] | None = None
    ) -> bool:
        """Set when a lock's owner is reminded next; return whether the lock is still there."""

    async def look_later(self, lock: Lock, at: float) -> None:
        """Set when to look at a lock's pull request next."""

    async def report_pull(self, host: str, names: Sequence[str], number: int) -> bool:
        """Record an event about a pull request; return whether a lock ends with it.

        Args:
            names: of its repository, and its id.
        """

    async def release_merged(
        self, lock: Lock, concerns: Sequence[str] | None, note: Audited, tell: TellsRelease
    ) -> bool:
        """Remove a lock whose pull request has ended, in one transaction with what tells of it.

        Return whether it was still there.
        """


class CiFacts(Protocol):
    """The checks of commits for which deployments wait."""

    async def want_ci(self, at: CommitAt, due_at: float, *, listed_after: float = 0.0) -> bool:
        """Begin to wait for a commit's checks; return whether they are to be read anew.

        Args:
            due_at: when to read them.
            listed_after: an earlier list is too old to let anything pass.
        """

    async def ci(self, at: CommitAt) -> Ci | None:
        """Return what is known of a commit's checks; None if nobody has waited for them."""

    async def due_ci(self, now: float, limit: int, host: str) -> list[DueCi]:
        """Return the commits of a host whose checks are to be read by now."""

    async def next_ci_at(self) -> Mapping[str, float]:
        """Return when to read checks next, by host; without those for which nobody waits."""

    async def save_ci(
        self, at: CommitAt, ci: Ci, *, reported: int, due_at: float | None, failures: int = 0
    ) -> bool:
        """Record what a host has listed; return whether it was.

        It is not if an event came meanwhile; nor with `due_at` None, while a held deployment waits
        for the commit.

        Args:
            reported: the number of events before the reading began.
            due_at: when to read them next, None for not any more; an event makes it due at once.
        """

    async def report_check(
        self, repository: Repository, commit: str, check: Check | None, now: float
    ) -> bool:
        """Record an event about a commit's checks, which are then due to be read.

        Return whether somebody waits for them. Held deployments become due once they were read.
        """

    async def awaited(self, commit: str) -> bool:
        """Return whether a held deployment waits for a commit."""


@runtime_checkable
class ReadsChecks(Protocol):
    """A Git host that lists the checks of a commit; errors are those of `HostApi`."""

    async def checks(self, repository: str, commit: str) -> list[Check]:
        """Return the newest run of each check, through all pages; our own statuses left out."""

    async def required_checks(self, repository: str, branch: str) -> tuple[Required, ...] | None:
        """Return what the branch's protection requires; None if that can't be seen."""


@runtime_checkable
class TellsApps(Protocol):
    """A Git host on which an app may set commit statuses, whose lists don't name it."""

    async def with_apps(
        self, repository: str, commit: str, checks: Sequence[Check], names: Collection[str]
    ) -> list[Check]:
        """Return the checks, those of these names that are statuses with the app that set them."""


@runtime_checkable
class RequiresGlobs(Protocol):
    """A Git host whose branches require globs of names, not names."""

    def fits(self, required: str, name: str) -> bool:
        """Return whether a required glob matches a check's name."""
