"""Find the backend's record of a deployment that we asked for.

The backend gives no id in answer to "deploy" (facts.md), so a token goes out in title and
description. It can be read while the job waits or runs. A Git deploy overwrites both at its
end with the commit: such a record may be ours, or that of a person who deployed the same app.
Pure: the records come in, the verdict goes out.
"""

import hashlib
import re
from collections.abc import Container, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from bridge.core.events import Action
from bridge.core.failure import Failure
from bridge.core.lifecycle import Deployment, State

_TOKEN = re.compile(r"\[br-[0-9a-f]+\]")


@dataclass(frozen=True, slots=True)
class Seen:
    """A record of the backend's history, as far as finding ours needs it.

    Attributes:
        text: title and description.
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
    """What the backend's records say of one deployment.

    Attributes:
        ours: its record, where that is sure: by its pinned id, by our token, or as the only
            one that has built our commit since.
        doubtful: records that ended since and no longer tell who asked for them, newest
            first; one of them may be ours. Empty where `ours` is known.
    """

    ours: Seen | None = None
    doubtful: tuple[Seen, ...] = ()


def token_for(salt: str, deployment_id: str) -> str:
    """Return the token of a deployment that is decided with this salt.

    The salt is random, and new at every decision: a bridge whose data was restored from an older
    copy gives the same ids again, and must not take records from before for its own. The token
    is written down with the deployment, so it is the same at every try.
    """
    digest = hashlib.blake2b(f"{salt}\0{deployment_id}".encode(), digest_size=8).hexdigest()
    return token_of(digest)


def token_of(digits: str) -> str:
    """Return the token that some hexadecimal digits make, e.g. `[br-0123456789abcdef]`."""
    return f"[br-{digits}]"


def title_of(deployment: Deployment) -> str:
    """Return the title that the backend shows while it waits and runs."""
    what = {Action.REDEPLOY: "Rebuild"}.get(deployment.action, "Deploy")
    ref = (deployment.ref or "").removeprefix("refs/heads/").removeprefix("refs/tags/")
    at = f" {ref}" if ref else ""
    commit = f"@{deployment.commit[:7]}" if deployment.commit else ""
    return f"{what}{at[:120]}{commit} {deployment.token}"


def description_of(deployment: Deployment) -> str:
    """Return the description: the whole commit, where the wish came from, and the token."""
    parts = [
        deployment.commit and f"commit {deployment.commit}",
        f"by {deployment.trigger}",
        f"delivery {deployment.delivery}",
        deployment.token,
    ]
    return "; ".join(part for part in parts if part)


def marked(deployment: Deployment, record: Seen) -> bool:
    """Tell whether a record is ours by its pinned id or our token, not by inference."""
    has_token = bool(deployment.token) and deployment.token in record.text
    return has_token or record.id == deployment.backend_id


def match(
    deployment: Deployment,
    records: Sequence[Seen],
    *,
    since: float,
    pinned: Container[str] = (),
    doubt: bool = False,
) -> Match:
    """Find a deployment among the app's newest records.

    Args:
        doubt: it may never have arrived, or may have been lost since, so that even a record of
            our commit may be another's.
        since: our build can't have begun before; by the backend's clock.
        pinned: records that are known to be of other deployments.
    """
    for record in records:
        if marked(deployment, record):
            return Match(record)
    if deployment.backend_id is not None or deployment.action is Action.REDEPLOY:
        return Match()  # a redeploy keeps our token to its end and after
    left = [
        record
        for record in records
        if _may_be_ours(deployment, record) and record.created_at >= since
    ]
    doubtful = sorted(
        (record for record in left if record.id not in pinned),
        key=lambda record: record.created_at,
        reverse=True,
    )
    if not doubt and len(doubtful) == 1 and doubtful[0].commit == deployment.commit:
        return Match(doubtful[0])
    return Match(doubtful=tuple(doubtful))


def _may_be_ours(deployment: Deployment, record: Seen) -> bool:
    """Tell a record that has lost its title from one that never was ours.

    What runs, or failed before its title was overwritten, would still bear our token.
    """
    return (
        record.id not in deployment.known_before
        and not record.running
        and record.commit is not None
        and not _TOKEN.search(record.text)
    )


# ── Decide what a look at the backend says of a deployment that it has accepted ─────────────────


class Verdict(StrEnum):
    """What is known of a deployment that does not move on."""

    WAIT = "wait"  # it moves on, or it is too early to say
    LOST = "lost"  # it never began, so asking again is safe
    DROPPED = "dropped"  # a person has emptied the backend's queue: nothing else can have
    UNTOLD = "untold"  # it may have run, and the backend does not tell
    UNCLOSED = "unclosed"  # its record is open, but nothing works on it any more


@dataclass(frozen=True, slots=True)
class Timing:
    """How long the backend may show nothing new; seconds.

    Attributes:
        lost: for which it may show neither a job nor a record of what it can have lost.
        untold: the same where nothing explains that, or where it does not tell its queue.
        unclosed: for which it may show an open record and no job of its app.
    """

    lost: float = 10.0
    untold: float = 120.0
    unclosed: float = 30.0


@dataclass(frozen=True, slots=True)
class Shown:
    """What one look has shown.

    Attributes:
        present: its job or its record is there.
        open: its record says that it runs.
        idle: the queue is told, and has no job of the app. None: the queue is not told.
        blocked: the queue has an older job of the app, which builds first: so neither has a restart
            emptied it, nor has the turn of this one come.
        at_work: its job is being worked on.
    """

    present: bool
    open: bool
    idle: bool | None
    blocked: bool = False
    at_work: bool = False


@dataclass(frozen=True, slots=True)
class Sight:
    """What the looks at one deployment have shown so far; times in seconds since 1970.

    Attributes:
        since: from then on the looks have shown nothing, or the first look.
        seen_at: when this process last saw its job or record.
        began: its job was seen at work and no look has failed since, so it has a record.
        idle_since: from then on the looks have shown an open record and no job of the app.
    """

    since: float
    seen_at: float | None = None
    began: bool = False
    idle_since: float | None = None

    def after(self, shown: Shown, now: float) -> "Sight":
        """Take in one more look."""
        unclosed = shown.open and shown.idle is True
        return replace(
            self,
            since=now if shown.present else self.since,
            seen_at=now if shown.present else self.seen_at,
            began=self.began or shown.at_work,
            idle_since=(self.idle_since or now) if unclosed else None,
        )

    def blinded(self, now: float) -> "Sight":
        """Take in a look that failed: nobody can say what was not there meanwhile."""
        return replace(self, since=now, began=False, idle_since=None)


def within(moment: float, earliest: float, latest: float) -> float:
    """Return a time that a backend tells as it can be: its clock may be wrong by any amount."""
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
    """Judge a deployment by what the looks have shown.

    Args:
        now: when the newest look began: its answers tell nothing of what came after.
        watched_since: from then on no look at the backend has failed or taken long, so it can't
            have been restarted, nor can its database have been away.
        shown: by the newest look.
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
    # A time to come was written by a process with another clock, so it tells nothing.
    kept = shown.blocked or watched_since <= there_at <= now
    if kept and (sight.seen_at is not None or deployment.state is State.QUEUED):
        return Verdict.DROPPED
    if kept and absent <= timing.untold:
        return Verdict.WAIT
    return Verdict.LOST


# ── The end of a build that only its log tells ──────────────────────────────────────────────────

CLOSING = "Error occurred ❌"
"""The last line of the log of each failed deployment, as Dokploy writes it."""


@dataclass(frozen=True, slots=True)
class EndInLog:
    """The end of a build by its log, where its record stays open or a restart closed it.

    Attributes:
        ended: it has ended, or may have, so it is not requested again.
        words: what the log says.
        excerpt: its lines that are worth showing.
    """

    ended: bool
    words: str
    excerpt: str | None = None


def end_in(tail: str, failure: Failure) -> EndInLog:
    """Read the end of a log (facts.md).

    Args:
        tail: "" where the backend does not tell logs.
        failure: what `failure_in` finds in it.
    """
    excerpt = failure.excerpt or None
    if not tail:
        return EndInLog(False, "the backend does not tell its log")
    if not tail.strip():
        return EndInLog(True, "its log is empty, as after it was cleared during the build")
    if "Failed query: update" in tail and "params: done" in tail:
        words = "its log says that the build succeeded, and that this could not be recorded"
        return EndInLog(True, words, excerpt)
    if CLOSING in tail.strip().rpartition("\n")[2]:
        return EndInLog(True, f"its log says that the build failed: {failure.reason}", excerpt)
    return EndInLog(False, "its log stops before the end", excerpt)
