"""Compares what everybody has written down: senders, backend, Git host, Slack, and the bridge.

The senders know what was acknowledged; the backend what it was asked for, and what went on at
the same time; the host and Slack what they show. The journal must agree with all of them.
"""

import asyncio
import re
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from itertools import pairwise

from bridge.app.storage import Stores, open_stores
from bridge.core.decision import DEPLOYS, Decision, Reason
from bridge.core.lifecycle import Change, Deployment, State
from bridge.ports.feedback import Raised
from bridge.ports.inbox import Delivery, DeliveryState
from tests.chaos.sender import Push
from tests.chaos.stage import Stage

MANY = 1_000_000

STATUS = {State.DONE: "success", State.SUPERSEDED: "success", State.UNKNOWN: "error"}
COMMENT = {
    State.DONE: "✅ deployed",
    State.SUPERSEDED: "⏩ superseded by a newer push",
    State.UNKNOWN: "❔ accepted, outcome unknown",
}
CARD = {
    State.DONE: "is live",
    State.SUPERSEDED: "gave way to a newer deployment",
    State.UNKNOWN: "has an unknown outcome",
}
"""What each place shows of the ends that there may be here, in the words that people read."""

ASKED_AGAIN = "asked again"
"""What a deployment's history says where the backend was asked once more, on purpose."""


TAKEN = DEPLOYS | {Reason.DUPLICATE_PUSH}
"""Why a push deploys an app, or has done so already when another webhook brought it."""


@dataclass
class Counts:
    """What is counted; all but those of the first lines must be 0."""

    sent: int = 0
    acknowledged: int = 0
    refused: int = 0
    kept: int = 0
    deployments: int = 0
    asked: int = 0
    asked_again: int = 0
    comments: int = 0
    cards: int = 0

    unheard: int = 0
    lost: int = 0
    undecided: int = 0
    wrongly_decided: int = 0
    twice: int = 0
    overlapping: int = 0
    unknown_ends: int = 0
    old_last: int = 0
    out_of_order: int = 0
    comments_wrong: int = 0
    statuses_wrong: int = 0
    objects_wrong: int = 0
    cards_wrong: int = 0
    odd_answers: int = 0

    def __str__(self) -> str:
        named = (
            (field.name.replace("_", " "), getattr(self, field.name)) for field in fields(self)
        )
        return ", ".join(f"{name} {value}" for name, value in named)


@dataclass
class Verdict:
    """The counts, and what is wrong, in words."""

    counts: Counts = field(default_factory=Counts)
    wrong: list[str] = field(default_factory=list)

    def blame(self, what: str, cases: Iterable[str]) -> None:
        """Count cases of something that must not be."""
        found = list(cases)
        setattr(self.counts, what, getattr(self.counts, what) + len(found))
        self.wrong += [f"{what.replace('_', ' ')}: {case}" for case in found]


@dataclass
class Record:
    """What the bridge itself says in the end."""

    deliveries: list[Delivery]
    decisions: dict[int, list[Decision]]
    deployments: list[Deployment]
    history: dict[str, list[Change]]
    feedback: list[Raised]

    @property
    def restless(self) -> list[str]:
        """What has not come to its end."""
        return [
            *(f"delivery {d.id} is {d.state}: {d.error}"
              for d in self.deliveries if d.state is DeliveryState.KEPT),
            *(f"deployment {d.id} is {d.state}: {d.note}"
              for d in self.deployments if not d.final),
            *(f"{one.target.id} is not shown: {one.error}, {one.attempts} attempts"
              for one in self.feedback if one.due_at is not None),
        ]  # fmt: skip


async def read(stores: Stores) -> Record:
    """All that the bridge has written down."""
    deliveries = await stores.inbox.newest(MANY)
    deployments = await stores.journal.deployments(limit=MANY)
    return Record(
        deliveries,
        await stores.journal.decisions([one.seq for one in deliveries]),
        deployments,
        {one.id: await stores.journal.changes(one.id) for one in deployments},
        await stores.journal.feedback(limit=MANY),
    )


async def all_quiet(stage: Stage) -> Record:
    """What the bridge says once all has come to its end; fails where it does not."""
    deadline = time.monotonic() + stage.pace.quiet
    async with open_stores(stage.fleet.settings) as stores:

        async def busy() -> list[str]:
            return (await read(stores)).restless

        while restless := await busy():
            some = "\n".join(restless[:20])
            assert time.monotonic() < deadline, f"{len(restless)} never end, as\n{some}"
            await asyncio.sleep(0.2)
        return await read(stores)


def judge(stage: Stage, record: Record) -> Verdict:
    """Whether everything is as it should be. Pure."""
    verdict = Verdict()
    pushes = [push for sender in stage.senders for push in sender.sent]
    counts = verdict.counts
    counts.sent = len(pushes)
    counts.acknowledged = sum(push.acknowledged for push in pushes)
    counts.refused = sum(sender.refused for sender in stage.senders)
    counts.kept = len(record.deliveries)
    counts.deployments = len(record.deployments)
    counts.asked = len(stage.backend.ledger)
    counts.asked_again = sum(
        ASKED_AGAIN in change.note for history in record.history.values() for change in history
    )
    verdict.blame("unheard", (p.id for p in pushes if p.unharmed and not p.acknowledged))
    verdict.blame("odd_answers", (odd for sender in stage.senders for odd in sender.odd))
    _judge_deliveries(verdict, pushes, record)
    _judge_decisions(verdict, stage, pushes, record)
    _judge_backend(verdict, stage, record)
    _judge_order(verdict, stage, pushes, record)
    _judge_comments(verdict, stage, pushes, record)
    _judge_commits(verdict, stage, record)
    _judge_cards(verdict, stage, record)
    return verdict


# ── deliveries and deployments ───────────────────────────────────────────────


def _judge_deliveries(verdict: Verdict, pushes: Sequence[Push], record: Record) -> None:
    states = {one.id: one.state for one in record.deliveries}
    repeated = Counter(one.id for one in record.deliveries)
    acknowledged = [push.id for push in pushes if push.acknowledged]
    verdict.blame("lost", (id_ for id_ in acknowledged if id_ not in states))
    verdict.blame(
        "undecided", (f"{i} {s}" for i, s in states.items() if s is not DeliveryState.DECIDED)
    )
    verdict.blame("twice", (f"kept twice: {id_}" for id_, n in repeated.items() if n > 1))


def _judge_decisions(
    verdict: Verdict, stage: Stage, pushes: Sequence[Push], record: Record
) -> None:
    """Each kept push is decided for all apps, and deploys those whose files it has changed."""
    sent = {push.id: push for push in pushes}
    meant: set[tuple[str, str | None]] = set()
    for delivery in record.deliveries:
        push = sent[delivery.id]
        reasons = {one.app_id: one.reason for one in record.decisions[delivery.seq]}
        taken = {app for app, reason in reasons.items() if reason in TAKEN}
        if missing := sorted(set(stage.apps) - reasons.keys()):
            verdict.blame("undecided", [f"{push.id} says nothing of {missing}"])
        if taken != push.apps & reasons.keys():
            verdict.blame("wrongly_decided", [f"{push.id} for {sorted(push.apps)}: {reasons}"])
        meant |= {(app, push.after) for app in push.apps}
    wished = Counter((_app(one), one.commit) for one in record.deployments)
    verdict.blame("twice", (f"wished twice: {what}" for what, n in wished.items() if n > 1))
    verdict.blame("lost", (f"never wished: {what}" for what in meant - set(wished)))
    verdict.blame("wrongly_decided", (f"not pushed: {what}" for what in set(wished) - meant))


def _judge_backend(verdict: Verdict, stage: Stage, record: Record) -> None:
    """It was asked once for each deployment that is done: also where it was asked again.

    It never loses what it has accepted and soon shows it, so whoever asks again had better look.
    """
    ledger = stage.backend.ledger
    asked = Counter((entry.app, entry.commit) for entry in ledger)
    verdict.blame(
        "twice", (f"{app} asked {n} times for {commit}"
                  for (app, commit), n in asked.items() if n > 1),
    )  # fmt: skip
    verdict.blame("overlapping", (f"{e.app} {e.commit}" for e in ledger if e.overlapped))
    known = {(_app(one), one.commit) for one in record.deployments}
    verdict.blame("lost", (f"asked by nobody: {what}" for what in asked if what not in known))
    ends = (State.DONE, State.SUPERSEDED)
    verdict.blame(
        "unknown_ends",
        (f"{d.id} {d.state}: {d.note}" for d in record.deployments if d.state not in ends),
    )
    done = [one for one in record.deployments if one.state is State.DONE]
    verdict.blame(
        "lost", (f"done, but not asked: {d.id}" for d in done if (_app(d), d.commit) not in asked)
    )
    ended = {(_app(one), one.commit) for one in done}
    verdict.blame("lost", (f"asked, but not done: {what}" for what in asked if what not in ended))


def _judge_order(verdict: Verdict, stage: Stage, pushes: Sequence[Push], record: Record) -> None:
    """What was kept, acknowledged or not, is asked for in its order, and the newest push last."""
    sent = {push.id: push for push in pushes}
    newest: dict[str, str] = {}
    place: dict[str, int] = {}
    for delivery in sorted(record.deliveries, key=lambda one: one.seq):
        push = sent[delivery.id]
        if push.after not in place:  # another webhook may bring it once more, and late
            newest |= dict.fromkeys(push.apps, push.after)
            place[push.after] = delivery.seq
    last = {entry.app: entry.commit for entry in stage.backend.ledger}
    verdict.blame(
        "old_last",
        (f"{app}: {last.get(app)} after {commit}"
         for app, commit in newest.items() if last.get(app) != commit),
    )  # fmt: skip
    of_app: dict[str, list[str]] = defaultdict(list)
    for entry in stage.backend.ledger:
        of_app[entry.app].append(entry.commit)
    verdict.blame(
        "out_of_order",
        (f"{app}: {new} before {old}"
         for app, commits in of_app.items() for new, old in pairwise(commits)
         if place.get(new, 0) > place.get(old, 0)),
    )  # fmt: skip


def _app(one: Deployment) -> str:
    """The backend's own name for the app."""
    return one.app.rpartition("/")[2]


# ── what is shown ────────────────────────────────────────────────────────────


def _judge_comments(verdict: Verdict, stage: Stage, pushes: Sequence[Push], record: Record) -> None:
    """One comment for each pull request with kept pushes, and in it how each app stands."""
    kept = {one.id for one in record.deliveries}
    for pull in stage.repository.pulls.values():
        apps = {a for p in pushes if p.after in pull.commits and p.id in kept for a in p.apps}
        wrong = []
        if len(pull.comments) != bool(apps):
            wrong.append(f"#{pull.number} has {len(pull.comments)} comments")
        for comment in pull.comments:
            verdict.counts.comments += 1
            wrong += [
                f"#{pull.number} says {shown!r} of {one.app}, which is {one.state}"
                for one in _newest(record.deployments)
                if _app(one) in apps
                and COMMENT.get(one.state, "?") not in (shown := _row(comment.body, one.app))
            ]
        verdict.blame("comments_wrong", wrong)


def _newest(deployments: Sequence[Deployment]) -> list[Deployment]:
    newest: dict[str, Deployment] = {}
    for one in sorted(deployments, key=lambda one: one.seq):
        newest[one.app_id] = one
    return list(newest.values())


def _row(comment: str, app: str) -> str:
    found = re.search(rf"^\| `{re.escape(app)}` \|.*$", comment, re.MULTILINE)
    return found[0] if found else ""


def _judge_commits(verdict: Verdict, stage: Stage, record: Record) -> None:
    """Statuses under commits, and an object at the host for each deployment that was asked for."""
    statuses = {(one["sha"], one["context"]): one["state"] for one in stage.repository.statuses}
    objects = defaultdict(list)
    for made in stage.repository.deployments.values():
        objects[made.description].append(made)
    for one in record.deployments:
        shown = statuses.get((one.commit, f"dokploy/{one.app}"))
        if shown != STATUS.get(one.state, "?"):
            verdict.blame("statuses_wrong", [f"{one.id} is {one.state}, shown {shown}"])
        found = objects[f"{one.app} by dokploy-bridge, deployment {one.id}"]
        ends = [made.states[-1]["state"] if made.states else "" for made in found]
        wanted = [STATUS.get(one.state, "?")] if one.asked_at is not None else []
        if ends != wanted:
            verdict.blame("objects_wrong", [f"{one.id} is {one.state}, objects {ends}"])


def _judge_cards(verdict: Verdict, stage: Stage, record: Record) -> None:
    """One card for each deployment, showing how it ended; every line of its thread once."""
    cards, lines = _messages(stage)
    verdict.counts.cards = sum(map(len, cards.values()))
    for one in record.deployments:
        texts = cards.get(one.id, [])
        if len(texts) != 1 or CARD.get(one.state, "?") not in texts[0]:
            verdict.blame("cards_wrong", [f"{one.id} is {one.state}, shown {texts}"])
        told = lines.get(one.id, [])
        if len(set(told)) != len(told) or max(told, default=1) != len(record.history[one.id]):
            said = f"{one.id} with {len(record.history[one.id])} changes, told {told}"
            verdict.blame("cards_wrong", [said])


def _messages(stage: Stage) -> tuple[Mapping[str, list[str]], Mapping[str, list[int]]]:
    """The texts of cards, and up to which change each line of their threads tells."""
    cards, lines = defaultdict(list), defaultdict(list)
    for channel in stage.slack.channels.values():
        for message in channel.messages:
            about = message["metadata"]["event_payload"]
            if "thread_ts" in message:
                lines[about["deployment"]].append(about["lines"])
            else:
                cards[about["deployment"]].append(message["text"])
    return cards, lines
