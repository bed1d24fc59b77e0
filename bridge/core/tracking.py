"""Find the backend's record of a deployment that we requested.

The backend returns no id from "deploy" (docs/dokploy.md), so we send a token in the title and the
description. It can be read while the job waits or runs. At its end, a Git deploy overwrites both
with the commit: such a record may be ours, or that of a person who deployed the same app.
Pure: records in, verdict out.
"""

import hashlib
import math
import re
from collections.abc import Container, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from bridge.core.events import Action
from bridge.core.failure import Failure
from bridge.core.lifecycle import Deployment, State

CLOCKS_DIFFER = 60.0
"""Seconds by which the clocks of the machines that run the bridge may differ."""

_TOKEN = re.compile(r"\[br-[0-9a-f]+\]")


@dataclass(frozen=True, slots=True)
class Seen:
    """The fields of a backend's record that are needed to find ours.

    Attributes:
        commit: the deployed commit, once a Git deploy has overwritten the description.
        created_at: when its build began; seconds since 1970, by the backend's clock.
    """

    id: str
    text: str
    running: bool
    commit: str | None
    created_at: float


@dataclass(frozen=True, slots=True)
class Match:
    """The backend's records of one deployment.

    Attributes:
        ours: its record, if certain: by its pinned id, by our token, or as the only one that has
            built our commit since.
        doubtful: records that ended since and no longer show who requested them, newest first;
            one of them may be ours. Empty if `ours` is known.
        untimely: none of these surely began when ours must have begun.
    """

    ours: Seen | None = None
    doubtful: tuple[Seen, ...] = ()
    untimely: bool = False


def token_for(salt: str, deployment_id: str) -> str:
    """Return the token of a deployment that is decided with this salt.

    The salt is random, and new for every decision: a bridge restored from an older copy assigns the
    same ids again, and must not mistake earlier records for its own. The token is stored with the
    deployment, so it is the same at every attempt.
    """
    digest = hashlib.blake2b(f"{salt}\0{deployment_id}".encode(), digest_size=8).hexdigest()
    return token_of(digest)


def token_of(digits: str) -> str:
    """Return the token with some hexadecimal digits, e.g. `[br-0123456789abcdef]`."""
    return f"[br-{digits}]"


def title_of(deployment: Deployment) -> str:
    """Return the title that the backend shows while it waits and runs."""
    what = {Action.REDEPLOY: "Rebuild", Action.ROLLBACK: "Roll back"}.get(
        deployment.action, "Deploy"
    )
    ref = (deployment.ref or "").removeprefix("refs/heads/").removeprefix("refs/tags/")
    at = f" {ref}" if ref else ""
    commit = f"@{deployment.commit[:7]}" if deployment.commit else ""
    return f"{what}{at[:120]}{commit} {deployment.token}"


def description_of(deployment: Deployment) -> str:
    """Return the description: the full commit, the trigger, and the token."""
    parts = [
        deployment.commit and f"commit {deployment.commit}",
        f"by {deployment.origin}",
        f"delivery {deployment.delivery}",
        deployment.token,
    ]
    return "; ".join(part for part in parts if part)


def marked(deployment: Deployment, record: Seen) -> bool:
    """Return whether a record is ours by its pinned id or our token, not by inference."""
    has_token = bool(deployment.token) and deployment.token in record.text
    return has_token or record.id == deployment.backend_id


def match(
    deployment: Deployment,
    records: Sequence[Seen],
    *,
    intended: float,
    window: tuple[float, float] = (-math.inf, math.inf),
    pinned: Container[str] = (),
    doubt: bool = False,
) -> Match:
    """Find a deployment among the app's newest records.

    Args:
        doubt: it may never have arrived, may have been lost since, or may not be listed yet, so
            even a record of our commit may be another's.
        intended: when it was to be requested, by the backend's clock. Another process with another
            clock may have recorded it, so a build that began before may be ours, but is not surely.
        window: the times between which the queue shows that it has begun, by the same clock.
        pinned: records that are known to belong to other deployments.
    """
    for record in records:
        if marked(deployment, record):
            return Match(record)
    if deployment.backend_id is not None or deployment.action is Action.REDEPLOY:
        return Match()  # a redeploy keeps our token, even after its end
    left = [
        record
        for record in records
        if _may_be_ours(deployment, record) and record.created_at >= intended - CLOCKS_DIFFER
    ]
    doubtful = sorted(
        (record for record in left if record.id not in pinned),
        key=lambda record: record.created_at,
        reverse=True,
    )
    timely = [record for record in doubtful if window[0] <= record.created_at <= window[1]]
    sure = window[0] > -math.inf or all(record.created_at >= intended for record in timely)
    if not doubt and sure and len(timely) == 1 and timely[0].commit == deployment.commit:
        return Match(timely[0])
    return Match(doubtful=tuple(doubtful), untimely=not (timely and sure))


def _may_be_ours(deployment: Deployment, record: Seen) -> bool:
    """Return whether a record without our title may still be ours.

    One that runs, or failed before its title was overwritten, would still have our token.
    """
    return (
        record.id not in deployment.known_before
        and not record.running
        and record.commit is not None
        and not _TOKEN.search(record.text)
    )


# ── Judge an accepted deployment by what the backend shows ──────────────────────────────────────


class Verdict(StrEnum):
    """The verdict on a deployment that does not progress."""

    WAIT = "wait"  # it progresses, or it is too early to say
    LOST = "lost"  # it never began, so requesting it again is safe
    DROPPED = "dropped"  # a person has emptied the backend's queue; there is no other explanation
    UNTOLD = "untold"  # it may have run, and the backend does not report it
    UNCLOSED = "unclosed"  # its record is open, but nothing works on it any more


@dataclass(frozen=True, slots=True)
class Timing:
    """How long the backend may show nothing new, in seconds.

    Attributes:
        lost: without a job and a record, if the backend may have lost them.
        untold: the same if nothing explains it, or if the backend does not list its queue.
        unclosed: with an open record, but without a job of its app.
    """

    lost: float = 10.0
    untold: float = 120.0
    unclosed: float = 30.0


@dataclass(frozen=True, slots=True)
class Shown:
    """What one poll has shown.

    Attributes:
        present: its job or its record exists.
        open: its record is in the running state.
        idle: whether the queue has no job of the app; None if the queue is not listed.
        blocked: the queue has an older job of the app, which builds first. So no restart has
            emptied the queue, and it was not this one's turn yet.
    """

    present: bool
    open: bool
    idle: bool | None
    blocked: bool = False
    at_work: bool = False


@dataclass(frozen=True, slots=True)
class Sight:
    """What the polls of one deployment have shown so far; times in seconds since 1970.

    Attributes:
        since: since when the polls have shown nothing, or the first poll.
        seen_at: when this process last saw its job or record.
        began: its job was seen active and no poll has failed since, so it has a record.
        idle_since: since when the polls have shown an open record and no job of the app.
    """

    since: float
    seen_at: float | None = None
    began: bool = False
    idle_since: float | None = None

    def after(self, shown: Shown, now: float) -> "Sight":
        unclosed = shown.open and shown.idle is True
        return replace(
            self,
            since=now if shown.present else self.since,
            seen_at=now if shown.present else self.seen_at,
            began=self.began or shown.at_work,
            idle_since=(self.idle_since or now) if unclosed else None,
        )

    def blinded(self, now: float) -> "Sight":
        """Return the sight after a failed poll, which proves no absence."""
        return replace(self, since=now, began=False, idle_since=None)


def within(moment: float, earliest: float, latest: float) -> float:
    """Limit a backend's time to what is possible: its clock may be wrong by any amount."""
    return max(min(moment, latest), earliest)


def verdict(
    deployment: Deployment,
    sight: Sight,
    *,
    now: float,
    watched_since: float,
    shown: Shown,
    timing: Timing,
) -> Verdict:
    """Judge a deployment by what the polls have shown.

    Args:
        now: when the newest poll began: its answers do not cover later events.
        watched_since: since when no poll of the backend has failed or been slow, so neither it can
            have restarted, nor can its database have been away.
        shown: by the newest poll.
    """
    absent = now - sight.since
    if sight.idle_since is not None:
        return Verdict.UNCLOSED if now - sight.idle_since > timing.unclosed else Verdict.WAIT
    if shown.idle is None:
        return Verdict.UNTOLD if absent > timing.untold else Verdict.WAIT
    if absent <= timing.lost:
        return Verdict.WAIT
    if deployment.backend_id is not None:
        return Verdict.UNTOLD
    there_at = sight.seen_at or deployment.asked_at or 0.0
    # A time in the future was written by a process with another clock, so it proves nothing.
    kept = shown.blocked or watched_since <= there_at <= now
    if kept and (sight.seen_at is not None or deployment.state is State.QUEUED):
        return Verdict.DROPPED
    if kept and absent <= timing.untold:
        return Verdict.WAIT
    return Verdict.LOST


# ── The end of a build according to its log ─────────────────────────────────────────────────────

CLOSING = "Error occurred ❌"
"""The last log line of every failed deployment, as Dokploy writes it."""


@dataclass(frozen=True, slots=True)
class EndInLog:
    """The end of a build according to its log, if its record stays open or a restart closed it.

    Attributes:
        ended: it has ended, or may have, so it is not requested again.
        built: the build went live, and only its record could not be written.
        failed: the build failed, so nothing went live.
    """

    ended: bool
    words: str
    excerpt: str | None = None
    built: bool = False
    failed: bool = False


def end_in(tail: str, failure: Failure) -> EndInLog:
    """Read the end of a log (docs/dokploy.md).

    Args:
        tail: "" if the backend does not return logs.
        failure: what `failure_in` finds in it.
    """
    excerpt = failure.excerpt or None
    if not tail:
        return EndInLog(False, "the backend does not provide its log")
    if not tail.strip():
        return EndInLog(True, "its log is empty, as after it was cleared during the build")
    if "Failed query: update" in tail and "params: done" in tail:
        words = "its log says that the build succeeded, and that this could not be recorded"
        return EndInLog(True, words, excerpt, built=True)
    if CLOSING in tail.strip().rpartition("\n")[2]:
        words = f"its log says that the build failed: {failure.reason}"
        return EndInLog(True, words, excerpt, failed=True)
    return EndInLog(False, "its log stops before the end", excerpt)
