"""Compare the open pull requests with the previews that are alive in Dokploy."""

import re
import time

from bridge.core.previews.preview import Preview, PreviewState
from tests.chaos.decided import NOT_LIVE
from tests.chaos.dokploy.jobs import BUILT
from tests.chaos.pulls import FRONT, marker_of
from tests.chaos.stage import Stage
from tests.chaos.verdicts import Record, Verdict
from tests.fakes.pulls import FakePull

ROUNDS = 2
"""Rounds of the sweep that have to begin before the ledgers are compared: all that the first one
reads is reported once the second one begins."""

SOON = 60.0
"""Seconds; what is looked at later is at rest."""

GOING = (PreviewState.NEW, PreviewState.MAKING, PreviewState.ENDING)

_LISTS = re.compile(rf"/repos/{FRONT.repository}/pulls\?")


def swept(stage: Stage) -> bool:
    """Return whether the sweep has looked at everything since all faults are over."""
    if stage.authors is None:
        return True
    since = (one for one in stage.github.asked if one.at > stage.healed_at)
    rounds = [one for one in since if one.status in (200, 304) and _LISTS.search(one.path)]
    return len(rounds) >= ROUNDS


def goes_on(one: Preview) -> bool:
    """Return whether there is something to be done for a preview."""
    is_due = one.look_at is not None and one.look_at < time.time() + SOON
    return is_due or one.state in GOING


def judge_previews(verdict: Verdict, stage: Stage, record: Record) -> None:
    """Check that each open pull request has one app with its head, and a closed one nothing."""
    made = stage.backend.made
    pulls = stage.repositories[FRONT.repository].pulls.values()
    open_ = {marker_of(pull): pull for pull in pulls if pull.is_open}
    alive = {marker: ids for marker, ids in made.alive.items() if marker.startswith("bridge:")}
    verdict.counts.pulls, verdict.counts.previews = len(pulls), len(alive)
    verdict.blame("previews_left", sorted(alive.keys() - open_.keys()))
    verdict.blame("services_left", made.orphans)
    verdict.blame("made_twice", (f"{m}: {ids}" for m, ids in alive.items() if len(ids) > 1))
    verdict.blame("previews_missing", sorted(open_.keys() - alive.keys()))
    for marker, pull in open_.items():
        for app in alive.get(marker, ())[-1:]:
            verdict.blame("previews_old", _old(stage, record, app, pull))
    rows = [one.marker for one in record.previews if one.state is PreviewState.UP]
    verdict.blame("previews_told", sorted(set(rows) ^ open_.keys()))
    verdict.blame(
        "comments_wrong",
        (f"#{pull.number} has {len(pull.comments)} comments"
         for pull in pulls if len(pull.comments) > 1),
    )  # fmt: skip


def _old(stage: Stage, record: Record, app: str, pull: FakePull) -> list[str]:
    """Return what an app runs instead of its pull request's head, unless its outcome says so."""
    ends = [one for one in record.deployments if one.app_id == app]
    built = [job for job in stage.backend.every if job.app == app and job.fate in BUILT]
    if built and built[-1].commit == pull.head_sha:
        return []
    if ends and max(ends, key=lambda one: one.seq).state in NOT_LIVE:
        return []
    return [f"#{pull.number}: {built and built[-1].commit} is live, {pull.head_sha} was pushed"]
