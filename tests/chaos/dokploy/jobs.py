"""A job of the small Dokploy, from the call to its end: what its lists show, and what is true.

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
"""The asker of what somebody deploys in the server's own dashboard."""


class Fate(StrEnum):
    """What has really become of a job."""

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
"""Nothing was built, nor shown in the history."""

BUILT = {Fate.DONE, Fate.DONE_UNSEEN}
"""The app runs what was built."""

MAY_BE_ASKED_AGAIN = {Fate.FORGOTTEN, Fate.VANISHED, Fate.INTERRUPTED}
"""The server has lost it, and nobody meant it to."""


@dataclass
class Job:
    """One deployment, asked for by the bridge or by a person.

    Attributes:
        created: when it was asked for; once it runs, when it began. Seconds since 1970.
        status: what the lists say: `waiting`, then a status of Dokploy's records.
        by: who asked; the bridge where it says nothing else.
        clones: whether it fetches the branch's head; a redeploy does not.
        commit: what it has cloned.
        reason: the line of the log that says why it failed.
        ended: when it really ended; `finished` is what the record says of that.
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
        """Whether it waits or runs, as far as the records say."""
        return self.status in ("waiting", "running")

    @property
    def in_queue(self) -> bool:
        return self.status in ("waiting", "running") and self.ended is None

    def ends(self, fate: Fate, at: float) -> None:
        self.fate, self.ended = fate, at


@dataclass
class Asked:
    """One deployment that the bridge has asked for, once it was carried out.

    Attributes:
        overlapped: another of the same app, asked for by the bridge, was still going on.
        delivery: the one that wished for it, as the description says.
        after: what had become by then of the last one that was asked for this deployment.
    """

    app: str
    token: str
    commit: str
    overlapped: bool
    job: Job
    at: float
    delivery: str = ""
    after: Fate | None = None
