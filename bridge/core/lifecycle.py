"""The life of a deployment as data: its states, and which may follow which."""

from dataclasses import dataclass
from enum import StrEnum

from bridge.core.events import Action


class State(StrEnum):
    """Where a deployment stands, as far as is known."""

    WAITING = "waiting"  # with us: for its turn, or for the backend to come back
    ASKED = "asked"  # the backend has accepted it and shows nothing yet
    QUEUED = "queued"  # it waits in the backend's own queue
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"  # a newer one of the same app deploys what this one would have
    UNKNOWN = "unknown"  # accepted, but the backend can't tell what became of it


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
    """The progress of a person's cancel; it outlives restarts of the bridge and the backend."""

    REQUESTED = "requested"  # from here on the backend is never asked for it
    INTERRUPTED = "interrupted"  # its build was interrupted, so an error is the end of a cancel


def may_move(now: State, to: State) -> bool:
    """Return whether `to` may follow `now`; late and repeated news may not."""
    return to in MOVES[now]


@dataclass(frozen=True, slots=True)
class Deployment:
    """One deployment of one app, as far as it has come; all times are seconds since 1970.

    Attributes:
        id: the workflow's id, `<delivery's seq, 16 digits>.<app's id>`; greater is newer.
        action: "deploy" clones the head of the branch, "redeploy" builds what is checked out.
        trigger: "push", "tag", or who asked, e.g. "cli: ada".
        commit: the pushed commit. What was really deployed is `deployed_commit`, from the backend.
        note: the newest thing there is to say about it, for people.
        token: how we find it again in the backend's lists.
        known_before: the backend's deployment ids of this app just before we asked.
        log_tail: of one that failed, the lines of the backend's log that show why, redacted;
            kept here since the backend forgets its logs.
        intent_at: when we were about to ask; set and no `asked_at`: it may have been asked.
        asked_again: how often the backend has lost it, and it went back to waiting.
        interrupted: how often of those a restart had interrupted its build.
        maybe_asked: a request was sent, or may have been, and nothing has come of it: no answer
            that tells, and no sign of it at the backend.
        cancel: how far a person's cancel has come; None if nobody wants it cancelled.
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
        """Whether nothing more will happen to it."""
        return self.state in FINAL


@dataclass(frozen=True, slots=True)
class Change:
    """One line of a deployment's history."""

    at: float
    state: State
    note: str


def deployment_id(seq: int, app_id: str) -> str:
    """Return the id of the deployment that delivery `seq` causes for an app; deterministic."""
    return f"{seq:016d}.{app_id}"


def app_of(id_: str) -> str:
    """Return the id of the app that a deployment's id holds."""
    return id_.partition(".")[2]


def makes_moot(newer: Action, older: Action) -> bool:
    """Return whether a newer deployment does all that an older waiting one of the same app would.

    A redeploy fetches nothing, so it never stands in for a deploy.
    """
    return newer is Action.DEPLOY or older is Action.REDEPLOY
