"""The lifecycle of a deployment as data: its states and their transitions."""

from dataclasses import dataclass
from enum import StrEnum

from bridge.core.events import Action


class State(StrEnum):
    """The known state of a deployment."""

    WAITING = "waiting"  # with us: for its turn, or for the backend to come back
    ASKED = "asked"  # the backend has accepted it and shows nothing yet
    QUEUED = "queued"  # it waits in the backend's own queue
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"  # a newer one of the same app deploys what this one would have
    UNKNOWN = "unknown"  # accepted, but the backend can't tell how it ended


_ENDS = {State.DONE, State.FAILED, State.CANCELLED, State.UNKNOWN}

MOVES: dict[State, set[State]] = {
    State.WAITING: {State.ASKED, State.QUEUED, State.RUNNING, State.SUPERSEDED} | _ENDS,
    State.ASKED: {State.QUEUED, State.RUNNING, State.SUPERSEDED} | _ENDS,
    State.QUEUED: {State.RUNNING, State.SUPERSEDED} | _ENDS,
    State.RUNNING: {State.SUPERSEDED} | _ENDS,
    State.DONE: set(),
    State.FAILED: set(),
    State.CANCELLED: set(),
    State.SUPERSEDED: set(),
    State.UNKNOWN: set(),
}

LOSABLE = frozenset({State.ASKED, State.QUEUED, State.RUNNING})
"""States in which the backend can lose a deployment; it then goes back to WAITING."""

FINAL = frozenset(state for state, following in MOVES.items() if not following)


class Cancel(StrEnum):
    """The progress of a person's cancel; it survives restarts of the bridge and the backend."""

    REQUESTED = "requested"  # from here on it is never requested from the backend
    INTERRUPTED = "interrupted"  # its build was interrupted, so an error is the end of a cancel


def may_move(now: State, to: State) -> bool:
    """Return whether `to` may follow `now`; late and repeated reports may not."""
    return to in MOVES[now]


@dataclass(frozen=True, slots=True)
class Deployment:
    """One deployment of one app, in its current state; all times are seconds since 1970.

    Attributes:
        id: the workflow's id, `<delivery's seq, 16 digits>.<app's id>`; greater is newer.
        action: "deploy" clones the head of the branch, "redeploy" builds what is checked out.
        trigger: "push", "tag", or the requester, e.g. "cli: ada".
        commit: the pushed commit; `deployed_commit` is the one that the backend reports.
        note: the newest remark about it, for people.
        token: identifies it in the backend's lists.
        known_before: the app's deployment ids at the backend just before our request.
        log_tail: of a failed one, the log lines that show why, redacted; kept here because the
            backend deletes its logs.
        intent_at: when we were about to request it; without `asked_at`, it may have been requested.
        asked_again: how often the backend has lost it, and it went back to waiting.
        interrupted: how many of those times a restart had interrupted its build.
        maybe_asked: a request was or may have been sent, without a clear answer and without a sign
            of it at the backend.
        cancel: the progress of a person's cancel; None if nobody has cancelled it.
        behind: the id of the deployment of a newer tag; this one is needed only if that fails.
    """

    id: str
    seq: int
    delivery: str
    app_id: str
    app: str
    action: Action
    trigger: str
    state: State
    created_at: float
    ref: str | None = None
    commit: str | None = None
    message: str | None = None
    author: str | None = None
    note: str = ""
    token: str = ""
    known_before: tuple[str, ...] = ()
    backend_id: str | None = None
    deployed_commit: str | None = None
    superseded_by: str | None = None
    intent_at: float | None = None
    asked_at: float | None = None
    started_at: float | None = None
    finished_at: float | None = None
    asked_again: int = 0
    interrupted: int = 0
    maybe_asked: bool = False
    cancel: Cancel | None = None
    log_tail: str | None = None
    behind: str | None = None

    @property
    def final(self) -> bool:
        """Whether its state is final."""
        return self.state in FINAL


@dataclass(frozen=True, slots=True)
class Change:
    """One line of a deployment's history."""

    at: float
    state: State
    note: str


def deployment_id(seq: int, app_id: str) -> str:
    """Return the deterministic id of the deployment that delivery `seq` causes for an app."""
    return f"{seq:016d}.{app_id}"


def app_of(id_: str) -> str:
    """Return the app's id from a deployment's id."""
    return id_.partition(".")[2]


def makes_moot(newer: Action, older: Action) -> bool:
    """Return whether a newer deployment makes an older waiting one of the same app unnecessary.

    A redeploy fetches nothing, so it never replaces a deploy.
    """
    return newer is Action.DEPLOY or older is Action.REDEPLOY
