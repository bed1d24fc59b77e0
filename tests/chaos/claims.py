"""Compare every outcome that the bridge claims with what the backend did.

A claim is a deployment's state, with its pinned record and its reported commit. For each job that
the bridge requested, the backend knows the real outcome (`Fate`).
"""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from bridge.core.events import PREVIEW_HOST, Action
from bridge.core.lifecycle import Deployment, State
from tests.chaos.dokploy.jobs import (
    BUILT,
    MAY_BE_ASKED_AGAIN,
    NEVER_BEGAN,
    Asked,
    Fate,
    Job,
    Served,
)
from tests.chaos.stage import Cancel, Stage
from tests.chaos.verdicts import Record, Verdict

HEARD = 1.0
"""Seconds after a cancel is kept in which a deployment may still be requested *again*."""

TAKEN_UP = 3.0
"""Seconds after a cancel is decided in which a deployment may still be requested."""

SEEN = 1.0
"""Seconds in the queue after which the bridge has surely seen a job."""

FAILED = {Fate.FAILED, Fate.FAILED_UNSEEN, Fate.STUCK}
CANCELLED = {Fate.INTERRUPTED, Fate.DROPPED, Fate.WITHDRAWN}


@dataclass(frozen=True)
class _Truth:
    """What the backend knows about one deployment, and everything relevant to it.

    Attributes:
        back: when a rollback has put into service what this one goes back to.
    """

    asks: Sequence[Asked]
    jobs: Mapping[str, Job]
    back: Sequence[Served]
    cancelled: bool
    ambiguous: bool
    forgotten: Callable[[float], bool]
    clocks_jumped: bool

    @property
    def fates(self) -> set[Fate]:
        return {one.job.fate for one in self.asks}

    @property
    def done(self) -> bool:
        """Whether it is done and shown as done, and the bridge still knows of its request."""
        return any(o.job.fate is Fate.DONE and not self.forgotten(o.at) for o in self.asks)

    def live(self, one: Deployment) -> bool:
        """Whether somebody has built the claimed live commit, whoever it was."""
        return any(
            job.app == one.app_id
            and job.fate in BUILT
            and one.deployed_commit in (None, job.commit)
            and (self.clocks_jumped or (job.ended or 0.0) >= one.created_at)
            for job in self.jobs.values()
        )

    @property
    def told(self) -> str:
        return ", ".join(sorted(self.fates)) or "never asked for"


def judge_claims(
    verdict: Verdict,
    stage: Stage,
    record: Record,
    forgotten: Callable[[float], bool] = lambda _at: False,
) -> None:
    """Check that each outcome is what the backend did, and pins its own record.

    Args:
        forgotten: whether the bridge's work at a given time was lost with its data.
    """
    asks = defaultdict(list)
    for entry in stage.backend.ledger:
        asks[entry.app, entry.delivery].append(entry)
    jobs = {job.id: job for job in stage.backend.every}
    for one in record.deployments:
        mine = asks[one.app_id, one.delivery]
        cancelled = _cancelled(stage, record, one)
        ambiguous = _ambiguous(stage, mine) if mine else _hidden(stage, one)
        back = _led_back(stage, record, one)
        truth = _Truth(mine, jobs, back, cancelled, ambiguous, forgotten, stage.clocks_jumped)
        for line, words in _wrong(one, truth):
            verdict.blame(line, [f"{one.id} is {one.state} ({one.note}): {words}"])
        verdict.blame("ended_before_asked", _too_early(stage, one, truth))
    pinned = Counter(one.backend_id for one in record.deployments if one.backend_id)
    verdict.blame("pinned_twice", (f"{id_} by {n}" for id_, n in pinned.items() if n > 1))


Wrong = Iterator[tuple[str, str]]
"""Counts, each with a description."""


def _wrong(one: Deployment, truth: _Truth) -> Wrong:
    """Return the faults of a claim; an unhealthy version is served, as a healthy one is."""
    if one.action is Action.ROLLBACK:
        yield from _wrongly_back(one, truth)
    elif one.state in (State.DONE, State.UNHEALTHY):
        yield from _wrongly_done(one, truth)
    elif truth.done and not _told_apart(one, truth):
        yield "denied", truth.told
    elif one.state in _OTHERWISE:
        yield from _OTHERWISE[one.state](one, truth)


def _wrongly_done(one: Deployment, truth: _Truth) -> Wrong:
    job = truth.jobs.get(one.backend_id or "")
    if one.backend_id is None:
        if not truth.live(one):
            yield "claimed_wrongly", f"nobody has built {one.deployed_commit}"
    elif job is None or all(entry.job is not job for entry in truth.asks):
        theirs = job and f"{job.by or 'the bridge'}'s {job.title!r} {job.description!r}"
        yield "claimed_wrongly", f"pins {one.backend_id}, {theirs}"
    elif job.fate not in BUILT:
        yield "claimed_wrongly", job.fate
    elif one.deployed_commit not in (None, job.commit):
        yield "claimed_wrongly", f"{job.commit} was built, {one.deployed_commit} is told"


def _wrongly_back(one: Deployment, truth: _Truth) -> Wrong:
    is_back = any(served.at >= (one.intent_at or math.inf) for served in truth.back)
    if one.state in (State.DONE, State.UNHEALTHY) and not is_back:
        yield "claimed_wrongly", "nothing was gone back to"
    elif one.state is State.FAILED and is_back:
        yield "denied", "it was gone back to"


def _wrongly_failed(one: Deployment, truth: _Truth) -> Wrong:
    if not truth.fates & FAILED:
        yield "claimed_wrongly", truth.told
    elif Fate.FAILED in truth.fates and not _reason_told(one, truth):
        yield "reasons_wrong", ", ".join(entry.job.reason for entry in truth.asks)


def _wrongly_cancelled(_one: Deployment, truth: _Truth) -> Wrong:
    if not (truth.fates & CANCELLED or truth.cancelled):
        yield "claimed_wrongly", truth.told


def _wrongly_superseded(one: Deployment, truth: _Truth) -> Wrong:
    # A push that is late gives way to a newer one that has arrived before it.
    if truth.fates & FAILED or one.superseded_by in (None, "", one.id):
        yield "claimed_wrongly", f"by {one.superseded_by}; {truth.told}"


def _wrongly_unknown(_one: Deployment, truth: _Truth) -> Wrong:
    if not truth.ambiguous and (not truth.asks or any(map(_shows, truth.asks))):
        yield "unknown_ends", truth.told


def _shows(entry: Asked) -> bool:
    """Return whether the record shows its origin and its outcome.

    A failed build's title is overwritten; if its commit is not the pushed one either, it may be
    a person's.
    """
    job = entry.job
    telling = entry.token in job.title + job.description or job.commit == entry.commit
    interrupted = job.fate is Fate.INTERRUPTED and job.has_log  # else it may have ended earlier
    return interrupted or (job.fate is Fate.FAILED and telling)


_OTHERWISE = {
    State.FAILED: _wrongly_failed,
    State.CANCELLED: _wrongly_cancelled,
    State.SUPERSEDED: _wrongly_superseded,
    State.UNKNOWN: _wrongly_unknown,
}


def _told_apart(one: Deployment, truth: _Truth) -> bool:
    """Return whether it is unknown because somebody else's record also fits."""
    return one.state is State.UNKNOWN and truth.ambiguous


def _reason_told(one: Deployment, truth: _Truth) -> bool:
    """Return whether the decisive log line is shown; without a log nobody can know it."""
    failed = [entry.job for entry in truth.asks if entry.job.fate is Fate.FAILED]
    return any(job.reason in one.note or not job.has_log for job in failed)


def _too_early(stage: Stage, one: Deployment, truth: _Truth) -> Iterator[str]:
    """Count claims of records that ended before the request."""
    job, asks = truth.jobs.get(one.backend_id or ""), truth.asks
    finished, asked = one.finished_at, one.asked_at
    if job and job.ended and asks and job.ended < asks[0].at:
        yield f"{one.id} pins {job.id}, over {asks[0].at - job.ended:.2f} s before"
    elif finished and asked and finished < asked and not stage.clocks_jumped:
        yield f"{one.id} is {one.state} {asked - finished:.2f} s too early"


def _led_back(stage: Stage, record: Record, one: Deployment) -> list[Served]:
    """Return each time that a rollback has put the target of this one into service.

    Where the bridge could not tell which record was the target's own, its commit names it.
    """
    to = next((other for other in record.deployments if other.id == one.target), None)
    if to is None:
        return []
    backs = [served for served in stage.backend.backs if served.app == one.app_id]
    if to.backend_id is None:
        return [served for served in backs if served.commit == to.deployed_commit]
    return [served for served in backs if served.job.id == to.backend_id]


def _ambiguous(stage: Stage, asks: Sequence[Asked]) -> bool:
    """Return whether people deployed the app meanwhile, so a record may be theirs."""
    return bool(asks) and any(
        job.by and job.app == asks[0].app and (job.ended or asks[0].at) >= asks[0].at
        for job in stage.backend.every
    )


def _hidden(stage: Stage, one: Deployment) -> bool:
    """Return whether a request that never arrived may have been what people's build is.

    It is told that nobody knows only if that build does not serve anything.
    """
    return any(
        job.by
        and job.app == one.app_id
        and job.fate not in BUILT | NEVER_BEGAN
        and (job.ended or math.inf) >= (one.intent_at or one.created_at)
        for job in stage.backend.every
    )


def _cancelled(stage: Stage, record: Record, one: Deployment) -> bool:
    return any(cancel.app == one.app_id for cancel in _cancels(stage, record, one.seq))


def _cancels(stage: Stage, record: Record, after: int) -> list[Cancel]:
    """Return the requests to cancel that came after a delivery: people's, and ends of previews."""
    seqs = {delivery.id: delivery.seq for delivery in record.deliveries}
    ends = (
        Cancel(one.id.partition("@")[0], one.id, one.received_at)
        for one in record.deliveries
        if (one.host, one.event) == (PREVIEW_HOST, Action.CANCEL)
    )
    return [one for one in (*stage.cancels, *ends) if seqs.get(one.id, 0) > after]


# ── asking ───────────────────────────────────────────────────────────────────


def judge_asking(verdict: Verdict, stage: Stage, record: Record) -> None:
    """Check that each deployment is requested once, and never after a cancel.

    A second request is only allowed for a lost job that no person dropped on purpose.
    """
    ledger = stage.backend.ledger
    wishes = {(one.app_id, one.delivery): one for one in record.deployments}
    verdict.blame("overlapping", (f"{e.app} {e.commit}" for e in ledger if e.overlapped))
    verdict.blame(
        "lost",
        (f"asked by nobody: {e.app} {e.commit}" for e in ledger
         if (e.app, e.delivery) not in wishes),
    )  # fmt: skip
    for entry in ledger:
        verdict.blame("twice", _again(entry))
        if (wish := wishes.get((entry.app, entry.delivery))) is not None:
            verdict.blame("asked_after_cancel", _after_cancel(stage, record, entry, wish))
    of_push = defaultdict(set)
    for entry in ledger:
        if entry.commit.strip("0"):
            of_push[entry.app, entry.commit].add(entry.delivery)
    verdict.blame(
        "twice",
        (f"{app} asked for {commit} by {len(by)} deliveries"
         for (app, commit), by in of_push.items() if len(by) > 1),
    )  # fmt: skip
    judge_tokens(verdict, stage)


def judge_tokens(verdict: Verdict, stage: Stage) -> None:
    """Check that no token is used for two deployments."""
    tokens = defaultdict(set)
    for entry in stage.backend.ledger:
        tokens[entry.token].add((entry.app, entry.delivery))
    verdict.blame("tokens_used_again", (f"{t}: {of}" for t, of in tokens.items() if len(of) > 1))


def _again(entry: Asked) -> Iterator[str]:
    """Count repeated requests for jobs that were not lost; cancels by people count separately."""
    if entry.after in (None, *MAY_BE_ASKED_AGAIN, Fate.DROPPED, Fate.WITHDRAWN):
        return
    yield f"{entry.app} asked again for {entry.commit}: {entry.after}"


def _seen_to_be_dropped(stage: Stage, entry: Asked) -> bool:
    """Return whether the bridge could see that somebody took it out of the queue.

    It must have been there for a while. A restart since then would also explain its absence, and so
    would an outage that the bridge missed because it was down.
    """
    ledger = stage.backend.ledger
    same = [o for o in ledger if (o.app, o.delivery) == (entry.app, entry.delivery)]
    before = same[same.index(entry) - 1].job
    starts = [at for process in stage.fleet.every for at in process.starts]
    restarted = any(before.created < at < entry.at for at in (*stage.backend.restarts, *starts))
    return (before.ended or 0.0) - before.created > SEEN and not restarted


def _after_cancel(stage: Stage, record: Record, entry: Asked, wish: Deployment) -> Iterator[str]:
    what = f"{entry.app} {entry.commit} of {wish.id}"
    if entry.after is Fate.WITHDRAWN:
        yield f"{what}: withdrawn before"
    elif entry.after is Fate.DROPPED and _seen_to_be_dropped(stage, entry):
        yield f"{what}: a person had emptied the queue"
    for cancel in _cancels(stage, record, wish.seq):
        if cancel.app != entry.app:
            continue
        if entry.after is not None and entry.at > cancel.kept + HEARD:
            yield f"{what}: asked again {entry.at - cancel.kept:.1f} s after a cancel"
        elif cancel.decided is not None and entry.at > cancel.decided + TAKEN_UP:
            yield f"{what}: asked {entry.at - cancel.decided:.1f} s after a cancel was taken up"
