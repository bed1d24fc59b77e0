"""A job of the small Dokploy, from the call to its end: its listed state, and its real one.

The two may differ for ever. A build that ends while the server's database is away stays
`running` in the lists, and so does one that fails after its log folder was removed.
"""

import re
from dataclasses import dataclass, field
from enum import StrEnum

TOKEN = re.compile(r"\[br-[0-9a-f]+\]")
COMMIT = re.compile(r"commit ([0-9a-f]{40})")
DELIVERY = re.compile(r"delivery ([^;\s]+)")

PERSON = "a person"
"""The requester of deployments in the server's own dashboard."""


class Fate(StrEnum):
    """The real outcome of a job."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    DONE_UNSEEN = "done, but the database was away"
    FAILED_UNSEEN = "failed, but the database was away"
    STUCK = "failed, but its log folder is gone"
    INTERRUPTED = "interrupted by a restart"
    FORGOTTEN = "waiting, and forgotten by a restart"
    VANISHED = "its turn came while the database was away"
    DROPPED = "dropped from the queue by a person"
    WITHDRAWN = "dropped from the queue by the bridge"


NEVER_BEGAN = {Fate.FORGOTTEN, Fate.VANISHED, Fate.DROPPED, Fate.WITHDRAWN}
"""Nothing was built or shown in the history."""

BUILT = {Fate.DONE, Fate.DONE_UNSEEN}
"""The app runs the build."""

MAY_BE_ASKED_AGAIN = {Fate.FORGOTTEN, Fate.VANISHED, Fate.INTERRUPTED}
"""The server lost it, and nobody wanted that."""


@dataclass
class Job:
    """One deployment, requested by the bridge or by a person.

    Attributes:
        created: when it was requested; once it runs, when it started. Seconds since 1970.
        status: the listed one: `waiting`, then a status of Dokploy's records.
        by: the requester; the bridge by default.
        clones: whether it fetches the branch's head; a redeploy does not.
        commit: the cloned one.
        reason: the log line with the cause of its failure.
        ended: when it really ended; `finished` is the recorded time.
    """

    id: str
    app: str
    title: str
    description: str
    created: float
    status: str = "waiting"
    finished: float | None = None
    by: str = ""
    clones: bool = True
    fate: Fate = Fate.WAITING
    commit: str | None = None
    reason: str = ""
    ended: float | None = None
    has_log: bool = True
    log: list[str] = field(default_factory=list)

    @property
    def going(self) -> bool:
        """Return whether it waits or runs by its record."""
        return self.status in ("waiting", "running")

    @property
    def in_queue(self) -> bool:
        return self.status in ("waiting", "running") and self.ended is None

    def ends(self, fate: Fate, at: float) -> None:
        self.fate, self.ended = fate, at


@dataclass
class Asked:
    """One deployment that the bridge requested, once it is carried out.

    Attributes:
        overlapped: another of the same app, requested by the bridge, was still open.
        delivery: the one that caused it, from the description.
        after: the outcome so far of this deployment's previous request.
    """

    app: str
    token: str
    commit: str
    overlapped: bool
    job: Job
    at: float
    delivery: str = ""
    after: Fate | None = None


@dataclass(frozen=True)
class Served:
    """What an app serves from a moment on.

    Attributes:
        job: the build of it.
        back: whether a rollback brought it.
    """

    job: Job
    at: float
    back: bool = False

    @property
    def app(self) -> str:
        return self.job.app

    @property
    def commit(self) -> str:
        return self.job.commit or ""
