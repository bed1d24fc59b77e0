"""Made-up runs, which the ledgers are tried on."""

import random
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from bridge.core.decision import Decision, Reason
from bridge.core.events import Action
from bridge.core.lifecycle import Change, Deployment, State, deployment_id
from bridge.core.people import PUSH
from bridge.ports.inbox import Delivery, DeliveryState
from tests.chaos.dokploy.jobs import Asked, Fate, Job
from tests.chaos.dokploy.made import MadeApps
from tests.chaos.ledgers import judge
from tests.chaos.pulls import FRONT
from tests.chaos.pushes import Push
from tests.chaos.recording_backend import RecordingBackend
from tests.chaos.sender import Sender
from tests.chaos.shown import CARD
from tests.chaos.stage import APPS, SHORT, Stage
from tests.chaos.verdicts import Record
from tests.fakes.host import FakeDeployment, FakeRepository
from tests.fakes.pulls import FakeCommit, FakePull

FIRST, SECOND, THIRD = "a" * 40, "b" * 40, "c" * 40
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
    def front(self) -> FakeRepository:
        return self.stage.repositories[FRONT.repository]

    @property
    def made(self) -> MadeApps:
        return self.stage.backend.made

    @property
    def messages(self) -> list[dict[str, Any]]:
        return self.stage.slack.channels["C0"].messages

    def red(self) -> set[str]:
        """Return the lines that are not clean."""
        verdict = judge(self.stage, self.record)
        found = {line.partition(": ")[0].replace(" ", "_") for line in verdict.wrong}
        assert found == {name for name in found if getattr(verdict.counts, name)}
        return found


def stage_of_nothing() -> Stage:
    repository = FakeRepository("my-org/mono", 4711, iter(range(9)))
    repository.commits[FIRST] = FakeCommit(FIRST, (), {})
    repository.commits[SECOND] = FakeCommit(SECOND, (FIRST,), {})
    slack: Any = SimpleNamespace(channels={"C0": SimpleNamespace(messages=[])})
    chance = random.Random(1)
    sender = Sender("main", [], list, repository, chance, (0, 0))
    backend = RecordingBackend(0, apps=APPS)
    nothing: Any = None
    fleet: Any = SimpleNamespace(every=[])
    front = FakeRepository(FRONT.repository, FRONT.id, iter(range(9)))
    repositories = {repository.name: repository, front.name: front}
    return Stage(fleet, backend, nothing, repositories, slack, [sender], nothing, chance, SHORT)


def add_push(run: Run, seq: int, commit: str, apps: set[str]) -> None:
    push = Push(f"delivery-{seq}", "main", commit, apps, unharmed=True, acknowledged=True, at=1.0)
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
        delivery=f"delivery-{seq}",
        app_id=app,
        app=f"shop/{app}",
        action=Action.DEPLOY,
        origin=PUSH,
        state=State.DONE,
        created_at=0.0,
        asked_at=2.0,
        finished_at=4.0,
        commit=commit,
        deployed_commit=commit,
        backend_id=f"d-{seq}-{app}",
    )


def add_deployment(run: Run, one: Deployment) -> None:
    """Add the deployment's records elsewhere."""
    assert one.commit is not None
    run.record.deployments.append(one)
    run.record.history[one.id] = [Change(0.0, State.WAITING, ""), Change(1.0, State.DONE, "")]
    entry = asked(one.app_id, one.commit, one.seq)
    run.ledger.append(entry)
    run.stage.backend.every.append(entry.job)
    run.repository.statuses.append(
        {"sha": one.commit, "context": f"dokploy/{one.app}", "state": "success"}
    )
    number = len(run.repository.deployments)
    words = f"{one.app} by dokploy-bridge, deployment {one.id}"
    run.repository.deployments[number] = FakeDeployment(
        number, one.commit, "main", "production", words, states=[{"state": "success"}]
    )
    run.messages.append(message(one, 0) | {"text": f"{one.app} {CARD[State.DONE]}"})
    run.messages.append(message(one, 2) | {"thread_ts": "1"})


def asked(app: str, commit: str, seq: int, after: Fate | None = None) -> Asked:
    """Return the backend's requested and completed work."""
    job = Job(f"d-{seq}-{app}", app, "", "", 2.0, status="done", commit=commit)
    job.ends(Fate.DONE, 3.0)
    delivery = f"delivery-{seq}"
    return Asked(app, f"token of {seq} {app}", commit, False, job, 2.0, delivery, after)


def message(one: Deployment, lines: int) -> dict[str, Any]:
    return {"metadata": {"event_payload": {"deployment": one.id, "lines": lines}}}
