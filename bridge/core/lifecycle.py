"""The life of a deployment as data: its states, and which may follow which."""

from enum import StrEnum


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
    State.ASKED: {State.QUEUED, State.RUNNING} | _ENDS,
    State.QUEUED: {State.RUNNING} | _ENDS,
    State.RUNNING: _ENDS,
    State.DONE: set(),
    State.FAILED: set(),
    State.CANCELLED: set(),
    State.SUPERSEDED: set(),
    State.UNKNOWN: set(),
}

FINAL = frozenset(state for state, following in MOVES.items() if not following)


def may_move(now: State, to: State) -> bool:
    """Whether `to` may follow `now`; late and repeated news may not."""
    return to in MOVES[now]
