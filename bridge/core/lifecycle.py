"""The lifecycle of a deployment as data: its states and their transitions."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from bridge.core.events import Action
from bridge.core.holds import Hold, Lift
from bridge.core.people import Cause, Origin


class State(StrEnum):
    """The known state of a deployment."""

    WAITING = "waiting"  # with us: for its turn, or for the backend to come back
    HELD = "held"  # with us: gates keep it from being asked for
    ASKED = "asked"  # the backend has accepted it and shows nothing yet
    QUEUED = "queued"  # it waits in the backend's own queue
    RUNNING = "running"
    VERIFYING = "verifying"  # the backend calls it done, and we look whether it works
    DONE = "done"
    UNHEALTHY = "unhealthy"  # the backend calls it done, and it does not work
    FAILED = "failed"
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"  # a newer one of the same app deploys what this one would have
    UNKNOWN = "unknown"  # accepted, but the backend can't tell how it ended


HELD = "held: "
"""The beginning of a held deployment's note; the reasons follow."""


class Verdict(StrEnum):
    """Whether a version that was served works, as far as anybody has looked."""

    VERIFIED = "verified"
    HEALTHY = "healthy"  # it looked well, but which image runs is not proven
    UNVERIFIED = "unverified"
    UNHEALTHY = "unhealthy"


class Evidence(StrEnum):
    """What shows that a backend serves a version."""

    RECORD = "record"  # the backend's record of the deployment says that it is done
    LOG = "log"  # the log of the build says so, where the backend could not record it
    ANSWER = "answer"  # the backend has confirmed a request of which it keeps no record
    IMAGE = "image"  # the image that its containers run is the one that was built


class NoteKind(StrEnum):
    """What a note says, where something depends on that."""

    LIVE = "live"  # it begins with "commit 13dfa1f is live"
    AGAIN = "again"  # it begins with "13dfa1f is served again"
    UNTOLD = "untold"  # something is live, but the backend does not say what
    AWAY = "away"  # it waits for the backend


VERIFIED = "; verified"
"""The end of the note of a deployment that was looked at and works, for people."""

_ENDS = {State.VERIFYING, State.DONE, State.FAILED, State.CANCELLED, State.UNKNOWN}

MOVES: dict[State, set[State]] = {
    State.WAITING: {State.HELD, State.ASKED, State.QUEUED, State.RUNNING, State.SUPERSEDED} | _ENDS,
    State.HELD: {State.WAITING, State.SUPERSEDED, State.CANCELLED},
    State.ASKED: {State.QUEUED, State.RUNNING, State.SUPERSEDED} | _ENDS,
    State.QUEUED: {State.RUNNING, State.SUPERSEDED} | _ENDS,
    State.RUNNING: {State.SUPERSEDED} | _ENDS,
    State.VERIFYING: {State.DONE, State.UNHEALTHY, State.UNKNOWN},
    State.DONE: {State.UNHEALTHY},
    State.UNHEALTHY: set(),
    State.FAILED: set(),
    State.CANCELLED: set(),
    State.SUPERSEDED: set(),
    State.UNKNOWN: set(),
}

OURS = frozenset({State.HELD, State.WAITING})
"""States in which the backend does not have a deployment."""

LOSABLE = frozenset({State.ASKED, State.QUEUED, State.RUNNING})
"""States in which the backend can lose a deployment; it then goes back to WAITING."""

LIVE = (State.DONE, State.UNHEALTHY)
"""Final states in which the backend has said that it serves what it built."""

SERVED = (*LIVE, State.VERIFYING)
"""States in which the backend has said that it serves what it built."""

BAD = (State.FAILED, State.UNHEALTHY)
"""Final states that somebody has to look at."""

FINAL = frozenset({*LIVE, State.FAILED, State.CANCELLED, State.SUPERSEDED, State.UNKNOWN})
"""States in which nothing more is done for a deployment. What is served may still break."""


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
        action: "deploy" clones the head of the branch, "redeploy" builds what is checked out,
            "rollback" goes back to an earlier version.
        origin: what led to it; `trigger` is its text.
        commit: the pushed commit; `deployed_commit` is the one that the backend reports.
        note: the newest remark about it, for people.
        token: identifies it in the backend's lists.
        known_before: the app's deployment ids at the backend just before our request.
        log_tail: of a failed one, the log lines that show why, kept here because the backend
            deletes its logs; of an unhealthy one, what was answered and printed. Redacted.
        intent_at: when we were about to request it; without `asked_at`, it may have been requested.
        asked_again: how often the backend has lost it, and it went back to waiting.
        interrupted: how many of those times a restart had interrupted its build.
        maybe_asked: a request was or may have been sent, without a clear answer and without a sign
            of it at the backend.
        cancel: the progress of a person's cancel; None if nobody has cancelled it.
        behind: the id of the deployment of a newer tag; this one is needed only if that fails.
        person: who asked for it, e.g. "slack:U012AB3CD"; "" for a push.
        accounts: what else their service calls them, e.g. "github:#583231".
        head: the commit that would be built, as last read; None if it was not read.
        not_before: the time for which somebody asked; None for at once.
        holds: what holds it; empty unless it is held.
        held_at: when it was first held; None if it never was.
        look_at: when what holds it has to be looked at again; None if only a new fact matters.
        starts: how often it has left the gates; each start has a flow of its own.
        target: the deployment to whose version a rollback goes back, or whose version is promoted
            or built again.
        way: how that is done; see `core.health.rollback.Rung`.
        image: of a Docker source, the image that is deployed.
        fingerprint: identifies the app's source and environment of then; None if unknown.
        live_at: when the backend began to serve it; None if it never did, as far as it says.
        pinned: the commit to build, whatever the head is, e.g. to go back to it; None for the
            head. Only a pinned app can have one; see `core.pins`.
        verdict: whether what it brought works; None until that is judged, or if it was never
            served.
        evidence: what shows that it was served; None if it never was.
        back_to: of an unhealthy one, the deployment to whose version the bridge is about to go back
            by itself; "" while that is not decided.
        images: the ids of its own images, which it has built; None until that was looked at, () if
            they are not known.
        back_from: the deployment from which the bridge goes back by itself; None for what somebody
            has asked for or pushed.
        note_kind: what the note says; None if nothing depends on it.
        way_back: the end of the note that announces that the bridge goes back by itself, or decides
            on that later; "" if it does not.
        answer: of a verified one, what was asked and what came, e.g. "GET https://…: 200 OK".
    """

    id: str
    seq: int
    delivery: str
    app_id: str
    app: str
    action: Action
    origin: Origin
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
    person: str = ""
    accounts: tuple[str, ...] = ()
    head: str | None = None
    not_before: float | None = None
    holds: tuple[Hold, ...] = ()
    held_at: float | None = None
    look_at: float | None = None
    starts: int = 0
    lifts: tuple[Lift, ...] = ()
    live_at: float | None = None
    target: str | None = None
    way: str | None = None
    image: str | None = None
    fingerprint: str | None = None
    pinned: str | None = None
    verdict: Verdict | None = None
    evidence: Evidence | None = None
    back_to: str | None = None
    images: tuple[str, ...] | None = None
    back_from: str | None = None
    note_kind: NoteKind | None = None
    way_back: str = ""
    answer: str | None = None

    @property
    def final(self) -> bool:
        return self.state in FINAL

    @property
    def shown_image(self) -> str:
        """The image that it deploys, to be shown in place of a commit; "" if there is a commit."""
        return "" if self.deployed_commit or self.commit else self.image or ""

    @property
    def log_kept(self) -> str:
        """What is kept of its build's log; "" if nothing is."""
        return "" if self.state is State.UNHEALTHY else self.log_tail or ""

    @property
    def pushed(self) -> bool:
        """Whether a push or a tag has brought it, also one that was replayed."""
        return self.origin.cause is not Cause.ASKED

    @property
    def trigger(self) -> str:
        """What led to it, e.g. "push", "cli: ada"."""
        return str(self.origin)

    @property
    def asked_by(self) -> tuple[str, ...]:
        """The marks of who asked for it, their account first; () for a push."""
        return (self.person, *self.accounts) if self.person else ()

    @property
    def served(self) -> bool:
        return self.state in SERVED

    @property
    def under_way(self) -> bool:
        """Whether the backend is asked for it, or has it, and does not serve it yet."""
        asked = self.state is State.WAITING and self.intent_at is not None
        return asked or self.state in LOSABLE


@dataclass(frozen=True, slots=True)
class Brief:
    """What a list shows of a deployment; see `Deployment`."""

    id: str
    state: State
    started_at: float | None
    finished_at: float | None


@dataclass(frozen=True, slots=True)
class Change:
    """One line of a deployment's history; see `Deployment`."""

    at: float
    state: State
    note: str
    note_kind: NoteKind | None = None
    way_back: str = ""


def live_image(image: str) -> str:
    """Return the note of a deployment that has brought an image."""
    return f"image {image} is live"


def too_late(deployment: Deployment) -> str:
    """Return why a deployment that is being verified can't be cancelled."""
    return f"deployment #{deployment.seq} is live already and is only being verified"


def deployment_id(seq: int, app_id: str) -> str:
    """Return the deterministic id of the deployment that delivery `seq` causes for an app."""
    return f"{seq:016d}.{app_id}"


def app_of(id_: str) -> str:
    """Return the app's id from a deployment's id."""
    return id_.partition(".")[2]


def flow_of(deployment: Deployment) -> str:
    """Return the id of the flow that brings it to its end; each start has its own."""
    return flow_named(deployment.id, deployment.starts)


def flow_named(id_: str, starts: int) -> str:
    """Return the id of a deployment's flow by the number of its start."""
    return f"{id_}+{starts}" if starts else id_


def deployment_of(flow: str) -> str:
    """Return the deployment's id from the id of one of its flows."""
    id_, plus, number = flow.rpartition("+")
    return id_ if plus and number.isdecimal() else flow


# ── which of an app's deployments replaces which (docs/notes/0005) ───────────────────────────────


class Wanted(Protocol):
    """What one deployment would bring; see `Deployment`."""

    @property
    def action(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def person(self) -> str: ...
    @property
    def target(self) -> str | None: ...
    @property
    def pinned(self) -> str | None: ...
    @property
    def commit(self) -> str | None: ...
    @property
    def back_from(self) -> str | None: ...


BROUGHT_UP = frozenset({*SERVED, State.UNKNOWN})
"""States in which a deployment has brought something up, or may have."""

ASKED_FOR = LOSABLE | BROUGHT_UP
"""States of what the backend was asked for, or may have been, and has not failed at."""

AT_ONCE = frozenset(State) - {State.CANCELLED}
NEVER = frozenset[State]()


def promotes(one: Wanted) -> bool:
    """Return whether a deployment brings a named version, whatever the head is."""
    return one.action == Action.DEPLOY and one.target is not None


def carries(newer: Wanted, older: Wanted) -> bool:
    """Return whether what has superseded a push's deployment brings its commit, or a later one."""
    if newer.action != Action.DEPLOY:
        return False
    return not promotes(newer) or newer.pinned == older.commit


def makes_moot(newer: Wanted, older: Deployment) -> bool:
    """Return whether a newer deployment, as it is now, replaces an older waiting one of its app."""
    return newer.state in _replaces_in(newer, older)


def goes_first(newer: Wanted, older: Deployment) -> bool:
    """Return whether an older deployment waits for a newer one of its app.

    It does while the newer one waits for its turn and will replace it. What the bridge does by
    itself also waits while the backend works on what somebody else wants.
    """
    states = _replaces_in(newer, older)
    if older.back_from is not None and newer.back_from is None:
        return newer.state == State.WAITING or newer.state in LOSABLE
    return newer.state == State.WAITING and State.ASKED in states and State.WAITING not in states


def _replaces_in(newer: Wanted, older: Deployment) -> frozenset[State]:
    """Return the states of a newer deployment in which it replaces an older one that waits.

    A push replaces an earlier push at once: both build the branch's head, and the same gates hold
    both. Everything else replaces another one only when it is asked for, so what never runs has
    taken nothing away: gates that hold a push may let a person's request pass, or a push that
    somebody has let pass.

    A redeploy fetches nothing, so it never replaces a deploy. A rollback leads away from what
    waits, so what is pushed later waits behind its lock. Once something else is live, a person's
    rollback that was held would lead away from another version than was shown. A promotion builds
    no head, so it replaces a push only if it brings the same commit. A later push replaces it once
    that push is live: it would lead back.
    """
    if newer.back_from is not None and older.back_from is None:
        return NEVER  # what nobody asked for replaces nothing that somebody did
    if older.back_from is not None and newer.back_from is None:
        return frozenset(SERVED)  # an unknown outcome is looked at before that one is asked for
    if Action.ROLLBACK in (newer.action, older.action):
        return ASKED_FOR if newer.action == Action.ROLLBACK else frozenset(SERVED)
    if Action.REDEPLOY in (newer.action, older.action):
        return ASKED_FOR if older.action == Action.REDEPLOY else NEVER
    if promotes(newer) and not promotes(older):
        return ASKED_FOR if newer.pinned is not None and newer.pinned == older.commit else NEVER
    if promotes(older) and not promotes(newer):
        return BROUGHT_UP
    alike = not (newer.person or older.person or older.lifts or promotes(newer))
    return AT_ONCE if alike else ASKED_FOR
