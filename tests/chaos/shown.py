"""Compare what the Git host and Slack show with the bridge's journal."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence

from bridge.core.events import Action
from bridge.core.lifecycle import Deployment, State
from tests.chaos.pushes import MONO, Push
from tests.chaos.stage import SITE, Stage
from tests.chaos.verdicts import Record, Verdict
from tests.fakes.host import FakeDeployment

STATUS = {
    State.DONE: "success",
    State.SUPERSEDED: "success",
    State.UNKNOWN: "error",
    State.FAILED: "failure",
    State.CANCELLED: "error",
}
COMMENT = {
    State.DONE: "✅ deployed",
    State.SUPERSEDED: "⏩ superseded by a newer deployment",
    State.UNKNOWN: "❔ accepted, outcome unknown",
    State.FAILED: "❌ failed",
    State.CANCELLED: "🚫 cancelled",
}
CARD = {
    State.DONE: "was live",
    State.SUPERSEDED: "gave way to a newer deployment",
    State.UNKNOWN: "has an unknown outcome",
    State.FAILED: "failed",
    State.CANCELLED: "was cancelled",
}
"""The text for each possible outcome, by place; of what is live still, the card says so."""

THEIRS = "Replaced by what was deployed in Dokploy"
"""The card's text where somebody has deployed over it at the backend."""

CLOCKS_DIFFER = 2.0
"""Seconds, as the bridge compares times of two clocks."""


def judge_comments(verdict: Verdict, stage: Stage, pushes: Sequence[Push], record: Record) -> None:
    """Check that each pull request with kept pushes has one comment with each app's state."""
    kept = {one.id for one in record.deliveries}
    for pull in stage.repository.pulls.values():
        of_it = {p.id for p in pushes if p.kind == "push" and p.after in pull.commits}
        pushed = of_it & kept
        apps = {one.app_id for one in record.deployments if one.delivery in pushed}
        wrong = []
        if len(pull.comments) != bool(apps) and not (pushed and len(pull.comments) == 1):
            wrong.append(f"#{pull.number} has {len(pull.comments)} comments")
        for comment in pull.comments:
            verdict.counts.comments += 1
            wrong += [
                f"#{pull.number} says {shown!r} of {one.app}, which is {one.state}"
                for one in _newest(record.deployments)
                if one.app_id in apps
                and _comment_on(one, record) not in (shown := _row(comment.body, one.app))
            ]
        verdict.blame("comments_wrong", wrong)


def _told(one: Deployment, record: Record) -> Deployment:
    """Return the deployment that tells what became of a push's: what superseded it, if so."""
    known, told = {each.id: each for each in record.deployments}, one
    while (newer := known.get(told.superseded_by or "")) is not None:
        told = newer
    return told if told.action is Action.DEPLOY and told.final else one


def _comment_on(one: Deployment, record: Record) -> str:
    told = _told(one, record)
    icon, _, words = COMMENT.get(told.state, "? ?").partition(" ")
    if told is one:
        return f"{icon} {words}"
    by = f"#{told.seq}"
    if told.state is State.DONE:
        return f"{icon} {words} by {by}"
    return f"{icon} superseded by {by}: {words}"


def _newest(deployments: Sequence[Deployment]) -> list[Deployment]:
    newest: dict[str, Deployment] = {}
    for one in sorted(deployments, key=lambda one: one.seq):
        newest[one.app_id] = one
    return list(newest.values())


def _live(deployments: Sequence[Deployment]) -> list[Deployment]:
    """Return what each app serves, unless an unknown outcome leaves that in doubt."""
    last: dict[str, Deployment] = {}
    for one in sorted(deployments, key=lambda one: (one.live_at or one.finished_at or 0, one.id)):
        if one.live_at is not None or one.state is State.UNKNOWN:
            last[one.app_id] = one
    return [one for one in last.values() if one.state is State.DONE]


def _same_version(one: Deployment, live: Deployment) -> bool:
    """Return whether a deployment has brought what another one has brought again since."""
    if one.id == live.id:
        return True
    same = one.app_id == live.app_id and one.deployed_commit == live.deployed_commit
    return same and one.state is State.DONE and one.deployed_commit is not None


def _replaced_by_people(stage: Stage, one: Deployment) -> bool:
    """Return whether somebody's build of the app at the backend ended once this one was live."""
    since = (one.live_at or 0.0) - CLOCKS_DIFFER
    built = [job for job in stage.backend.every if job.by and job.app == one.app_id]
    return any(job.ended is not None and job.ended >= since for job in built)


def _row(comment: str, app: str) -> str:
    found = re.search(rf"^\| `{re.escape(app)}` \|.*$", comment, re.MULTILINE)
    return found[0] if found else ""


def judge_commits(verdict: Verdict, stage: Stage, record: Record) -> None:
    """Check the statuses of commits, and the host's object for each requested deployment."""
    at_github = {MONO.repository, SITE.repository}
    hosts = [one for one in stage.repositories.values() if one.name in at_github]
    statuses = {(o["sha"], o["context"]): o["state"] for host in hosts for o in host.statuses}
    objects = defaultdict(list)
    for made in (one for host in hosts for one in host.deployments.values()):
        objects[made.description].append(made)
    for one in record.deployments:
        if not any(one.commit in host.commits for host in hosts):
            continue
        shown = statuses.get((one.commit, f"dokploy/{one.app}"))
        told = _told(one, record)
        if shown != STATUS.get((one if told.pushed else told).state, "?"):
            verdict.blame("statuses_wrong", [f"{one.id} is {one.state}, shown {shown}"])
        found = objects[f"{one.app} by dokploy-bridge, deployment {one.id}"]
        ends = [_told_of(made) for made in found]
        wanted = [STATUS.get(one.state, "?")]
        if ends != wanted and not (one.asked_at is None and not ends):
            verdict.blame("objects_wrong", [f"{one.id} is {one.state}, objects {ends}"])


def _told_of(made: FakeDeployment) -> str:
    """Return the last state that the bridge has told; GitHub ends it once a newer one succeeds."""
    told = [one["state"] for one in made.states if one["state"] != "inactive"]
    return told[-1] if told else ""


def judge_cards(verdict: Verdict, stage: Stage, record: Record) -> None:
    """Check that each deployment has one card with its outcome, and a thread without repeats.

    A pull request has one message, whatever became of its previews.
    """
    cards, lines = _messages(stage, "deployment")
    verdict.counts.cards = sum(map(len, cards.values()))
    live = _live(record.deployments)
    for one in record.deployments:
        texts = cards.get(one.id, [])
        is_live = any(_same_version(one, other) for other in live)
        wanted = ["is live" if is_live else CARD.get(one.state, "?")]
        wanted += [THEIRS] if is_live and _replaced_by_people(stage, one) else []
        if len(texts) != 1 or not any(words in texts[0] for words in wanted):
            verdict.blame("cards_wrong", [f"{one.id} is {one.state}, shown {texts}"])
        told = lines.get(one.id, [])
        if len(set(told)) != len(told) or max(told, default=1) != len(record.history[one.id]):
            said = f"{one.id} with {len(record.history[one.id])} changes, told {told}"
            verdict.blame("cards_wrong", [said])
    pulls, news = _messages(stage, "pull")
    for pull, texts in pulls.items():
        if len(texts) != 1 or len(set(news[pull])) != len(news[pull]):
            verdict.blame("cards_wrong", [f"{pull} is shown {texts}, told {news[pull]}"])


def _messages(stage: Stage, what: str) -> tuple[Mapping[str, list[str]], Mapping[str, list[int]]]:
    """Return the texts of cards, and the last change that each line of their threads reports.

    Args:
        what: the cards are about, "deployment" or "pull".
    """
    cards, lines = defaultdict(list), defaultdict(list)
    for channel in stage.slack.channels.values():
        for message in channel.messages:
            about = message["metadata"]["event_payload"]
            if what not in about:
                continue
            if "thread_ts" in message:
                lines[about[what]].append(about["lines"])
            else:
                cards[about[what]].append(message["text"])
    return cards, lines
