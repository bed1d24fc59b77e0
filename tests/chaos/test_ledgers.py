"""What the ledgers say of made-up runs: nothing of a clean one, and of each harm its own lines."""

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import pytest

from bridge.core.decision import Decision, Reason
from bridge.core.events import Action
from bridge.core.lifecycle import Change, Deployment, State, deployment_id
from bridge.ports.inbox import Delivery, DeliveryState
from tests.chaos.ledgers import judge
from tests.chaos.recording_backend import Asked, Job, RecordingBackend
from tests.chaos.sender import Push, Sender
from tests.chaos.shown import CARD, COMMENT
from tests.chaos.stage import APPS, SHORT, Stage
from tests.chaos.verdicts import Record
from tests.fakes.host import FakeComment, FakeDeployment, FakePull, FakeRepository

FIRST, SECOND = "a" * 40, "b" * 40
PUSHES = {FIRST: {"app-0"}, SECOND: {"app-0", "app-2"}}


@dataclass
class Run:
    """Two pushes to one branch, three deployments, all done and shown."""

    stage: Stage
    record: Record

    @property
    def sender(self) -> Sender:
        return self.stage.senders[0]

    @property
    def ledger(self) -> list[Asked]:
        return self.stage.backend.ledger

    @property
    def repository(self) -> FakeRepository:
        return self.stage.repository

    @property
    def pull(self) -> FakePull:
        return self.repository.pulls[1]

    @property
    def messages(self) -> list[dict[str, Any]]:
        return self.stage.slack.channels["C0"].messages  # type: ignore[return-value]

    def red(self) -> set[str]:
        """The lines that are not clean."""
        verdict = judge(self.stage, self.record)
        found = {line.partition(": ")[0].replace(" ", "_") for line in verdict.wrong}
        assert found == {name for name in found if getattr(verdict.counts, name)}
        return found


@pytest.fixture
def run() -> Run:
    made = Run(stage_of_nothing(), Record([], {}, [], {}, []))
    made.repository.pulls[1] = FakePull(1, "main", SECOND, commits=set(PUSHES))
    for seq, (commit, apps) in enumerate(PUSHES.items(), 1):
        add_push(made, seq, commit, apps)
        for app in sorted(apps):
            add_deployment(made, deployed(seq, commit, app))
    rows = [f"| `shop/{app}` | {COMMENT[State.DONE]} |" for app in ("app-0", "app-2")]
    made.pull.comments.append(FakeComment(1, "us", "\n".join(rows)))
    return made


def stage_of_nothing() -> Stage:
    repository = FakeRepository("my-org/mono", 4711, iter(range(9)))
    slack: Any = SimpleNamespace(channels={"C0": SimpleNamespace(messages=[])})
    chance = random.Random(1)
    sender = Sender("main", [], list, repository, chance, (0, 0))
    backend = RecordingBackend(APPS, 0, 0)
    nothing: Any = None
    return Stage(nothing, backend, nothing, repository, slack, [sender], chance, SHORT)


def add_push(run: Run, seq: int, commit: str, apps: set[str]) -> None:
    push = Push(f"delivery {seq}", "main", commit, apps, unharmed=True, acknowledged=True)
    run.sender.sent.append(push)
    run.record.deliveries.append(
        Delivery(seq, "github", push.id, "push", {}, 0.0, DeliveryState.DECIDED)
    )
    run.record.decisions[seq] = [
        Decision(app, f"shop/{app}", Reason.PATH_HIT if app in apps else Reason.NO_PATH_HIT, "")
        for app in run.stage.apps
    ]


def deployed(seq: int, commit: str, app: str) -> Deployment:
    return Deployment(
        id=deployment_id(seq, app),
        seq=seq,
        delivery=f"delivery {seq}",
        app_id=app,
        app=f"shop/{app}",
        action=Action.DEPLOY,
        trigger="push",
        state=State.DONE,
        created_at=0.0,
        asked_at=1.0,
        commit=commit,
    )


def add_deployment(run: Run, one: Deployment) -> None:
    """With all that there is of it elsewhere."""
    assert one.commit is not None
    run.record.deployments.append(one)
    run.record.history[one.id] = [Change(0.0, State.WAITING, ""), Change(1.0, State.DONE, "")]
    run.ledger.append(asked(one.app_id, one.commit))
    run.repository.statuses.append(
        {"sha": one.commit, "context": f"dokploy/{one.app}", "state": "success"}
    )
    number = len(run.repository.deployments)
    words = f"{one.app} by dokploy-bridge, deployment {one.id}"
    run.repository.deployments[number] = FakeDeployment(
        number, one.commit, "main", "production", words, [{"state": "success"}]
    )
    run.messages.append(message(one, 0) | {"text": f"{one.app} {CARD[State.DONE]}"})
    run.messages.append(message(one, 2) | {"thread_ts": "1"})


def asked(app: str, commit: str, *, overlapped: bool = False) -> Asked:
    return Asked(app, "", commit, overlapped, Job("", app, "", "", 0.0), 0.0)


def message(one: Deployment, lines: int) -> dict[str, Any]:
    return {"metadata": {"event_payload": {"deployment": one.id, "lines": lines}}}


def change(run: Run, place: int, **facts: Any) -> None:
    run.record.deployments[place] = replace(run.record.deployments[place], **facts)


def deliver_again(run: Run) -> None:
    run.record.deliveries.append(replace(run.record.deliveries[0], seq=3))
    run.record.decisions[3] = run.record.decisions[1]


def decide(run: Run, app: int, reason: Reason) -> None:
    found = run.record.decisions[1]
    found[app] = replace(found[app], reason=reason)


HARMS: dict[str, tuple[Callable[[Run], object], str]] = {
    "not acknowledged": (
        lambda run: setattr(run.sender.sent[0], "acknowledged", False),
        "unheard",
    ),
    "acknowledged and gone": (
        lambda run: run.sender.sent.append(Push("x", "main", FIRST, {"app-0"}, False, True)),
        "lost",
    ),
    "an odd answer": (lambda run: run.sender.odd.append("500"), "odd_answers"),
    "failed": (
        lambda run: run.record.deliveries.append(
            replace(run.record.deliveries.pop(), state=DeliveryState.FAILED)
        ),
        "undecided",
    ),
    "nothing said of an app": (lambda run: run.record.decisions[1].pop(), "undecided"),
    "done without a decision": (lambda run: run.record.decisions[2].clear(), "undecided"),
    "another app": (lambda run: decide(run, 1, Reason.PATH_HIT), "wrongly_decided"),
    "not its app": (lambda run: decide(run, 0, Reason.NO_PATH_HIT), "wrongly_decided"),
    "kept twice": (deliver_again, "twice"),
    "wished twice": (
        lambda run: run.record.deployments.append(run.record.deployments[0]),
        "twice",
    ),
    "never wished": (
        lambda run: run.record.deployments.pop(),
        "lost",
    ),
    "wished by nobody": (
        lambda run: add_deployment(run, deployed(2, SECOND, "app-4")),
        "wrongly_decided",
    ),
    "asked twice": (lambda run: run.ledger.append(asked("app-2", SECOND)), "twice"),
    "asked while it goes on": (
        lambda run: run.ledger.append(replace(run.ledger.pop(), overlapped=True)),
        "overlapping",
    ),
    "asked by nobody": (
        lambda run: run.ledger.insert(0, asked("app-2", FIRST)),
        "lost",
    ),
    "done and not asked": (lambda run: run.ledger.pop(0), "lost"),
    "the newest not asked": (lambda run: run.ledger.pop(), "lost old_last"),
    "an older one after it": (lambda run: run.ledger.reverse(), "out_of_order old_last"),
    "an end that nobody knows": (
        lambda run: change(run, 0, state=State.UNKNOWN),
        "unknown_ends lost statuses_wrong objects_wrong cards_wrong",
    ),
    "no comment": (lambda run: run.pull.comments.clear(), "comments_wrong"),
    "two comments": (lambda run: run.pull.comments.extend(run.pull.comments), "comments_wrong"),
    "an old comment": (
        lambda run: setattr(run.pull.comments[0], "body", "| `shop/app-0` | ⏳ |"),
        "comments_wrong",
    ),
    "an old status": (
        lambda run: run.repository.statuses[0].update(state="pending"),
        "statuses_wrong",
    ),
    "no status": (lambda run: run.repository.statuses.pop(), "statuses_wrong"),
    "two objects": (
        lambda run: run.repository.deployments.update({9: run.repository.deployments[0]}),
        "objects_wrong",
    ),
    "an old object": (
        lambda run: run.repository.deployments[0].states.append({"state": "pending"}),
        "objects_wrong",
    ),
    "no object": (lambda run: run.repository.deployments.pop(0), "objects_wrong"),
    "two cards": (lambda run: run.messages.append(run.messages[0]), "cards_wrong"),
    "no card": (lambda run: run.messages.pop(0), "cards_wrong"),
    "an old card": (lambda run: run.messages[0].update(text="builds"), "cards_wrong"),
    "a line told twice": (lambda run: run.messages.append(run.messages[1]), "cards_wrong"),
    "a line not told": (lambda run: run.messages.pop(1), "cards_wrong"),
}


def test_a_clean_run_is_clean(run: Run) -> None:
    assert run.red() == set()


@pytest.mark.parametrize("harm", HARMS)
def test_each_harm_turns_its_own_lines_red(run: Run, harm: str) -> None:
    do, lines = HARMS[harm]

    do(run)

    assert run.red() == set(lines.split())
