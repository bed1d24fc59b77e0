"""Compare the records of senders, backend, Git host, Slack and the bridge.

The senders know what was acknowledged; the backend knows the requests and their outcomes; the host
and Slack know what they show. The journal must agree with all of them: `decided.py` checks the
pushes, `claims.py` the backend's work, `shown.py` what people see, `previewed.py` what is alive of
pull requests, `served.py` what apps serve once their versions may be broken.
"""

import asyncio
import time

from bridge.app.storage import Stores, open_stores
from bridge.core.lifecycle import State
from tests.chaos.claims import judge_asking, judge_claims, judge_tokens
from tests.chaos.copies import Forgotten
from tests.chaos.decided import judge_decisions, judge_deliveries, judge_live, judge_order
from tests.chaos.dokploy.jobs import MAY_BE_ASKED_AGAIN
from tests.chaos.held import judge_gates
from tests.chaos.previewed import goes_on, judge_previews, swept
from tests.chaos.served import judge_broken, judge_places, judge_superseded, judge_unhealthy
from tests.chaos.shown import judge_cards, judge_comments, judge_commits
from tests.chaos.stage import Stage
from tests.chaos.verdicts import Record, Verdict

MANY = 1_000_000


async def read(stores: Stores) -> Record:
    """All the bridge's records."""
    deliveries = await stores.inbox.newest(MANY)
    deployments = await stores.journal.deployments(limit=MANY)
    return Record(
        deliveries,
        await stores.journal.decisions([one.seq for one in deliveries]),
        deployments,
        {one.id: await stores.journal.changes(one.id) for one in deployments},
        await stores.journal.feedback(limit=MANY),
        await stores.journal.previews(ended=True, limit=None),
    )


async def all_quiet(stage: Stage, *, held: bool = False) -> Record:
    """Return the bridge's records once everything has ended; fail if it does not end.

    With `held`, what a gate holds may go on waiting. Reconciling may find a push at any time, so
    nothing may be requested while they are read.
    """
    deadline = time.monotonic() + stage.pace.quiet
    async with open_stores(stage.fleet.settings) as stores:
        while True:
            asked = len(stage.backend.ledger)
            record = await read(stores)
            restless = _restless(stage, record, held=held)
            if len(stage.backend.ledger) > asked:
                restless.append("a deployment was requested meanwhile")
            if not restless:
                return record
            some = "\n".join(restless[:20])
            assert time.monotonic() < deadline, f"{len(restless)} never end, as\n{some}"
            await asyncio.sleep(0.2)


def _restless(stage: Stage, record: Record, *, held: bool) -> list[str]:
    """Return what has not ended."""
    if not swept(stage):
        return ["the sweep"]
    going = filter(goes_on, record.previews)
    return [*record.restless(held=held), *(f"{p.label} is {p.state}: {p.note}" for p in going)]


def judge(stage: Stage, record: Record) -> Verdict:
    """Return the verdict on everything. Pure."""
    verdict = Verdict()
    pushes = [push for sender in stage.senders for push in sender.sent]
    count(verdict, stage, record)
    verdict.blame("unheard", (p.id for p in pushes if p.unharmed and not p.acknowledged))
    verdict.blame("odd_answers", (odd for sender in stage.senders for odd in sender.odd))
    judge_deliveries(verdict, pushes, record)
    judge_asking(verdict, stage, record)
    judge_gates(verdict, stage, record)
    judge_claims(verdict, stage, record)
    judge_previews(verdict, stage, record)
    pushed = record.of(stage.apps)  # no push deploys a preview
    judge_decisions(verdict, stage, pushes, pushed)
    judge_order(verdict, stage, pushes, pushed)
    judge_comments(verdict, stage, pushes, pushed)
    judge_commits(verdict, stage, pushed)
    judge_cards(verdict, stage, pushed)
    return verdict


async def judge_serving(stage: Stage, record: Record) -> Verdict:
    """Return the verdict on what is served and what is said of it, when versions may be broken."""
    verdict = Verdict()
    pushes = [push for sender in stage.senders for push in sender.sent]
    count(verdict, stage, record)
    verdict.blame("odd_answers", (odd for sender in stage.senders for odd in sender.odd))
    judge_deliveries(verdict, pushes, record)
    judge_decisions(verdict, stage, pushes, record)
    judge_asking(verdict, stage, record)
    judge_gates(verdict, stage, record)
    judge_claims(verdict, stage, record)
    judge_unhealthy(verdict, stage, record)
    judge_broken(verdict, stage, record)
    if all(one.final for one in record.deployments):
        judge_order(verdict, stage, pushes, record)
        judge_superseded(verdict, stage, record)
    await judge_places(verdict, stage, record)
    return verdict


def judge_put_back(stage: Stage, record: Record, gone: Forgotten) -> Verdict:
    """Return the verdict after an older copy of the data was put back. Pure.

    Deployments since the copy may be requested again, and messages may be shown twice. GitLab has
    no API here, so its forgotten pushes are not found again. What the copy has of a preview may be
    about an app that is gone by now; what is left in the end is judged.
    """
    verdict = Verdict()
    count(verdict, stage, record)
    pushes = [push for sender in stage.senders for push in sender.sent]
    there = [push for push in pushes if push.origin.host == "github" or not gone.holds(push.at)]
    verdict.blame("odd_answers", (odd for sender in stage.senders for odd in sender.odd))
    after = [push for push in pushes if push.at > gone.until]
    pushed = record.of(stage.apps)
    judge_deliveries(verdict, [p for p in after if p.acknowledged], pushed)
    judge_claims(verdict, stage, pushed, gone.holds)
    judge_tokens(verdict, stage)
    judge_live(verdict, stage, there)
    judge_previews(verdict, stage, record)
    return verdict


def count(verdict: Verdict, stage: Stage, record: Record) -> None:
    """Count what happened, good and bad alike."""
    counts, backend = verdict.counts, stage.backend
    pushes = [push for sender in stage.senders for push in sender.sent]
    states = [one.state for one in record.deployments]
    counts.sent = len(pushes)
    counts.acknowledged = sum(push.acknowledged for push in pushes)
    counts.refused = sum(sender.refused for sender in stage.senders)
    counts.kept = len(record.deliveries)
    counts.deployments = len(states)
    counts.failed = states.count(State.FAILED)
    counts.unhealthy = states.count(State.UNHEALTHY)
    counts.rollbacks = sum(one.back for one in backend.served)
    counts.cancelled = states.count(State.CANCELLED)
    counts.asked = len(backend.ledger)
    counts.lost_by_backend = sum(one.job.fate in MAY_BE_ASKED_AGAIN for one in backend.ledger)
    counts.by_people = sum(bool(job.by) for job in backend.every)
    counts.asked_again = sum(one.after is not None for one in backend.ledger)
