"""Compare what is served, and what is said to be, with what the apps' pages show.

The backend and the pages know the truth (`pages.py`). The bridge may be wrong about it for a
minute, not longer.
"""

import asyncio
import time
from collections.abc import Iterator, Sequence

from bridge.core.lifecycle import Deployment, State
from bridge.core.lifecycle import Verdict as Judged
from tests.chaos.decided import is_of_person, was_built
from tests.chaos.dokploy.jobs import Served
from tests.chaos.pages import Pages
from tests.chaos.places import Claim, claims
from tests.chaos.pushes import Push
from tests.chaos.recording_backend import RECORDS
from tests.chaos.stage import Stage
from tests.chaos.verdicts import Record, Verdict

LOOKS_AGAIN = 1.0

PRECISION = 1e-6
"""Seconds by which a time that the backend tells may differ from the real one: it rounds."""


def judge_broken(verdict: Verdict, stage: Stage, record: Record) -> None:
    """Check that no app serves a broken version while a verified one is kept.

    What a person has deployed at the backend stays, and so does what comes again after the bridge
    has gone back from it: nobody undoes that by itself.
    """
    pages = stage.pages
    assert pages is not None
    for app in stage.apps:
        served = stage.backend.serves(app)
        if served is None or served.job.by or pages.works(served):
            continue
        if _left_before(record, served):
            continue
        if kept := _verified_and_kept(stage, pages, record, app):
            said = [one for one in record.deployments if one.backend_id == served.job.id]
            notes = "; ".join(f"{one.id} is {one.state}: {one.note}" for one in said)
            verdict.blame("broken_served", [f"{app}: {served.commit}, not {kept}: {notes}"])


def _left_before(record: Record, served: Served) -> bool:
    """Return whether the bridge has gone back from an earlier build of the same version."""
    left = {one.back_from for one in record.deployments if one.served}
    same = (one for one in record.deployments if one.deployed_commit == served.commit)
    mine = (one for one in same if one.app_id == served.app and one.backend_id != served.job.id)
    return any(one.id in left for one in mine)


def judge_unhealthy(verdict: Verdict, stage: Stage, record: Record) -> None:
    """Check that nothing that works is called unhealthy: the bridge would leave it for that."""
    pages = stage.pages
    assert pages is not None
    for one in record.deployments:
        built = one.deployed_commit if one.state is State.UNHEALTHY else None
        if built is not None and pages.work_at(one.app_id, built):
            verdict.blame("claimed_wrongly", [f"{one.id} is unhealthy ({one.note}): it works"])


def _verified_and_kept(stage: Stage, pages: Pages, record: Record, app: str) -> str | None:
    """Return the newest version that works, was found to, and can be gone back to."""
    listed = {job.id: job for job in stage.backend.jobs[app][-RECORDS:]}
    for one in sorted(record.deployments, key=lambda one: -one.seq):
        job = listed.get(one.backend_id or "")
        if one.app_id != app or job is None or one.verdict is not Judged.VERIFIED:
            continue
        if one.state is State.DONE and job.status == "done" and pages.works(Served(job, 0.0)):
            return job.commit
    return None


def judge_superseded(verdict: Verdict, stage: Stage, record: Record) -> None:
    """Check that a push gives way only to a newer push, or to what a person has asked for.

    The newest push for each app is asked for or built, unless its outcome says why not.
    """
    by_id = {one.id: one for one in record.deployments}
    for one in record.deployments:
        if one.state is State.SUPERSEDED and one.trigger == "push":
            by = by_id.get(one.superseded_by or "")
            if by is None or not _asked_for(by):
                said = f"{one.id} by {by and by.id} ({by and by.trigger}): {one.note}"
                verdict.blame("given_way_to_nobody", [said])
    asked = {(entry.app, entry.delivery) for entry in stage.backend.ledger}
    for app, newest in _newest(stage, record).items():
        mine = [one for one in record.deployments if _is_of(one, app, newest)]
        if was_built(stage, app, newest.after):
            continue
        if not any((app, one.delivery) in asked or _gave_way(one, by_id) for one in mine):
            ends = [f"{one.id} is {one.state}: {one.note}" for one in mine]
            verdict.blame("given_way_to_nobody", [f"{app}: {newest.after} never asked for: {ends}"])


def _asked_for(one: Deployment) -> bool:
    """Return whether a push or a person has asked for it, not the bridge by itself."""
    return one.trigger == "push" or is_of_person(one)


def _is_of(one: Deployment, app: str, push: Push) -> bool:
    return (one.app_id, one.commit) == (app, push.after)


def _newest(stage: Stage, record: Record) -> dict[str, Push]:
    """Return the last kept push for each app, as the bridge received them."""
    sent = {push.id: push for sender in stage.senders for push in sender.sent}
    found: dict[str, Push] = {}
    placed = set[tuple[str, str]]()
    for delivery in sorted(record.deliveries, key=lambda one: one.seq):
        push = sent.get(delivery.id)
        if push is None or not push.acknowledged:
            continue
        for app, service in stage.backend.services.items():
            if push.deploys(service.now) and (app, push.after) not in placed:
                placed.add((app, push.after))
                found[app] = push
    return found


def _gave_way(one: Deployment, by_id: dict[str, Deployment]) -> bool:
    """Return whether a person's request or another push took its place, or it says its own end."""
    if one.state is not State.SUPERSEDED:
        return one.state in (State.CANCELLED, State.FAILED)
    by = by_id.get(one.superseded_by or "")
    return by is not None and _asked_for(by)


async def judge_places(verdict: Verdict, stage: Stage, record: Record) -> None:
    """Check that no place says "is live" of what is not, a minute after the last event."""
    until = time.monotonic() + stage.pace.told
    while True:
        said = await claims(stage, record)
        wrong = list(untrue(stage, record, said))
        if not wrong or time.monotonic() > until:
            break
        await asyncio.sleep(LOOKS_AGAIN)
    verdict.counts.places += len(said)
    verdict.blame("said_to_be_live", wrong)


def untrue(stage: Stage, record: Record, said: Sequence[Claim]) -> Iterator[str]:
    """Yield each claim that is not so, as a sentence."""
    pages = stage.pages
    assert pages is not None
    for one in said:
        served = stage.backend.serves(one.app)
        if served is None:
            yield f"{one.place} says {one.commit} of {one.app}, which serves nothing"
        elif not one.commit or not served.commit.startswith(one.commit):
            yield f"{one.place} says {one.commit} of {one.app}, which serves {served.commit}"
        elif one.works and not (pages.works(served) and _may_be_ours(served, record)):
            ours = [it for it in record.deployments if _is_at(it, served)]
            told = "; ".join(f"{it.id} ({it.backend_id}) live at {it.live_at}" for it in ours)
            yield (
                f"{one.place} says that {one.commit} of {one.app} is verified, which it is not:"
                f" {served.job.by or 'the bridge'}'s {served.job.id} ended at {served.job.ended},"
                f" ours are {told}"
            )


def _may_be_ours(served: Served, record: Record) -> bool:
    """Return whether the bridge brought it, or could not tell it from its own when it looked.

    A person may have deployed the same commit just after the bridge, before it saw its own record.
    Then both have the same words, and the bridge takes the later end for its own.
    """
    ended = (served.job.ended or served.at) - PRECISION
    return not served.job.by or any(
        one.backend_id is None
        and one.verdict is Judged.VERIFIED
        and _is_at(one, served)
        and (one.live_at or 0.0) >= ended
        for one in record.deployments
    )


def _is_at(one: Deployment, served: Served) -> bool:
    return (one.app_id, one.deployed_commit) == (served.app, served.commit)
