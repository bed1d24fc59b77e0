"""The ledgers on made-up runs: a clean one passes, and each harm turns its own lines red."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from bridge.core.decision import Reason
from bridge.core.events import Repository
from bridge.core.lifecycle import State
from bridge.core.previews.preview import Preview, PreviewState
from bridge.core.pulls import PullRequest
from bridge.ports.inbox import Delivery, DeliveryState
from tests.chaos.dokploy.jobs import PERSON, Fate, Job
from tests.chaos.made_up import (
    FIRST,
    PUSHES,
    SECOND,
    THIRD,
    Run,
    add_deployment,
    add_push,
    asked,
    deployed,
    stage_of_nothing,
)
from tests.chaos.pulls import FRONT, PREVIEWED, marker_of
from tests.chaos.pushes import Push
from tests.chaos.shown import CARD, COMMENT, STATUS
from tests.chaos.stage import Cancel, Closed
from tests.chaos.verdicts import Record
from tests.fakes.pulls import FakeComment, FakePull


@pytest.fixture
def run() -> Run:
    made = Run(stage_of_nothing(), Record([], {}, [], {}, [], []))
    made.repository.pulls[1] = FakePull(1, "main", SECOND, commits=set(PUSHES))
    preview(made, 2)
    for seq, (commit, apps) in enumerate(PUSHES.items(), 1):
        add_push(made, seq, commit, apps)
        for app in sorted(apps):
            add_deployment(made, deployed(seq, commit, app))
    rows = [f"| `shop/{app}` | {COMMENT[State.DONE]} |" for app in ("app-0", "app-2")]
    made.pull.comments.append(FakeComment(1, "us", "\n".join(rows)))
    return made


def preview(run: Run, number: int) -> None:
    """Open a pull request, whose preview is up."""
    pull = run.front.pulls[number] = FakePull(number, f"topic-{number}", FIRST)
    run.made.call("environment.create", {"name": "previews", "projectId": "p"})
    again(run, number)
    repository = Repository(FRONT.host, str(FRONT.id), FRONT.repository)
    reported = PullRequest(number, pull.head, FIRST, open=True, base="main")
    row = Preview("4714", repository, PREVIEWED, "shop/front", "dokploy", reported)
    run.record.previews.append(replace(row, state=PreviewState.UP, look_at=None))


def show_pull(run: Run, *lines: int) -> None:
    """Post the message of a pull request for each 0, and a line of its thread for the others."""
    for line in lines:
        about = {"pull": "github:4714#2", "lines": line}
        thread = {"thread_ts": "2"} if line else {}
        run.messages.append({"text": "#2", "metadata": {"event_payload": about}} | thread)


def again(run: Run, number: int) -> None:
    """Make an app of a pull request, and build its head."""
    body = {"name": f"front pr-{number}", "description": marker_of(run.front.pulls[number])}
    environment = run.made.environments[-1]["environmentId"]
    made = run.made.call("application.create", body | {"environmentId": environment})
    assert made is not None
    job = Job("a build", made[1]["applicationId"], "", "", 2.0, status="running", commit=FIRST)
    run.stage.backend.every.append(job)
    run.made.begins(job)
    built(run, job)


def built(run: Run, job: Job) -> None:
    """End a build."""
    job.status = "done"
    job.ends(Fate.DONE, 3.0)
    run.made.ends(job)


def remove(run: Run) -> None:
    """Remove the app of the preview."""
    ((app,),) = run.made.alive.values()
    run.made.call("application.delete", {"applicationId": app})


def close(run: Run) -> None:
    """Close the pull request of the preview, as the journal knows."""
    run.front.pulls[2].state = "closed"
    run.record.previews.clear()


def leave_a_service(run: Run) -> None:
    """Remove the app in the middle of a build, once its pull request is closed."""
    ((app,),) = run.made.alive.values()
    run.made.begins(job := Job("another", app, "", "", 3.0, status="running"))
    remove(run)
    close(run)
    built(run, job)


def change(run: Run, place: int, **facts: Any) -> None:
    run.record.deployments[place] = replace(run.record.deployments[place], **facts)


def deliver_again(run: Run) -> None:
    run.record.deliveries.append(replace(run.record.deliveries[0], seq=3))
    run.record.decisions[3] = run.record.decisions[1]


def decide(run: Run, app: int, reason: Reason) -> None:
    found = run.record.decisions[1]
    found[app] = replace(found[app], reason=reason)


def becomes(run: Run, fate: Fate, state: State | None = None, **facts: Any) -> None:
    """Give the first deployment another outcome at the backend, and perhaps in the journal."""
    run.ledger[0].job.fate, run.ledger[0].job.reason = fate, "no such file"
    if state is not None:
        change(run, 0, state=state, **facts)
        for shown in (*run.repository.statuses[:1], *run.repository.deployments[0].states):
            shown["state"] = STATUS[state]
        run.messages[0]["text"] = CARD[state]


def cancel(run: Run, at: float) -> None:
    """Cancel the first app's open deployments."""
    id_ = "cli-1"
    run.stage.cancels.append(Cancel("app-0", id_, at, at))
    run.record.deliveries.append(Delivery(9, "cli", id_, "", {}, at, DeliveryState.DECIDED))


def lock(run: Run, since: float, intent_at: float, clocks_off: float = 0.0) -> None:
    """Lock the first app until after its first deployment was requested."""
    run.stage.closed.append(Closed("a lock", frozenset({"app-0"}), since, 5.0))
    change(run, 0, intent_at=intent_at)
    run.stage.clocks_off = clocks_off


def emptied(run: Run) -> None:
    """Request a job again that somebody removed from the queue."""
    run.ledger[2].job.created = 1.0
    run.ledger.append(asked("app-2", SECOND, 2, after=Fate.DROPPED))


def configure(run: Run) -> None:
    """Let the first app deploy from another branch, for a long time."""
    service = run.stage.backend.services["app-1"]
    service.configs = [(0.0, service.now), (0.5, replace(service.now, watch_paths=("app-0/**",)))]


def deploy_by_hand(run: Run, ended: float, fate: Fate = Fate.DONE) -> str:
    """Deploy the first app as a person; return the record's id."""
    job = Job("theirs", "app-0", "", "", 1.0, "done", by=PERSON, commit=SECOND)
    job.ends(fate, ended)
    run.stage.backend.every.append(job)
    return job.id


def never_arrives(run: Run, ended: float = 0.0, fate: Fate | None = None) -> None:
    """Lose the request of the first deployment, perhaps beside a person's; it ends as unknown."""
    becomes(run, Fate.FORGOTTEN, State.UNKNOWN, backend_id=None, deployed_commit=None)
    change(run, 0, intent_at=1.5)
    run.stage.backend.every.remove(run.ledger.pop(0).job)
    if fate is not None:
        deploy_by_hand(run, ended, fate)


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
        "twice pinned_twice",
    ),
    "never wished": (
        lambda run: run.record.deployments.pop(),
        "lost",
    ),
    "wished by nobody": (
        lambda run: add_deployment(run, deployed(2, SECOND, "app-4")),
        "wrongly_decided comments_wrong",
    ),
    "asked twice": (
        lambda run: run.ledger.append(asked("app-2", SECOND, 2, after=Fate.RUNNING)),
        "twice",
    ),
    "asked again for what is stuck": (
        lambda run: run.ledger.append(asked("app-2", SECOND, 2, after=Fate.STUCK)),
        "twice",
    ),
    "asked by two pushes": (
        lambda run: setattr(run.ledger[0], "commit", SECOND),
        "twice",
    ),
    "one token for two": (
        lambda run: setattr(run.ledger[0], "token", run.ledger[1].token),
        "tokens_used_again",
    ),
    "asked for what somebody has emptied": (
        emptied,
        "asked_after_cancel",
    ),
    "asked for what was withdrawn": (
        lambda run: run.ledger.append(asked("app-2", SECOND, 2, after=Fate.WITHDRAWN)),
        "asked_after_cancel",
    ),
    "asked long after a cancel": (lambda run: cancel(run, -9.0), "asked_after_cancel"),
    "asked while somebody had locked it": (
        lambda run: lock(run, since=1.0, intent_at=1.5),
        "asked_while_held",
    ),
    "asked while it was locked, whichever clock is right": (
        lambda run: lock(run, since=1.0, intent_at=1.5, clocks_off=0.4),
        "asked_while_held",
    ),
    "asked before a commit had passed": (
        lambda run: run.stage.passed.update({"app-0": {FIRST: 1.0, SECOND: 2.5}}),
        "asked_while_held",
    ),
    "done, but it failed": (lambda run: becomes(run, Fate.FAILED), "claimed_wrongly"),
    "another commit": (lambda run: change(run, 0, deployed_commit=SECOND), "claimed_wrongly"),
    "a person's record": (
        lambda run: change(run, 0, backend_id=deploy_by_hand(run, 5.0)),
        "claimed_wrongly",
    ),
    "a record of before": (
        lambda run: change(run, 0, backend_id=deploy_by_hand(run, 1.0)),
        "claimed_wrongly ended_before_asked",
    ),
    "finished before it was asked for": (
        lambda run: change(run, 0, finished_at=1.9),
        "ended_before_asked",
    ),
    "one record for two": (
        lambda run: change(run, 0, backend_id=run.record.deployments[1].backend_id),
        "claimed_wrongly pinned_twice",
    ),
    "failed, but it is done": (lambda run: becomes(run, Fate.DONE, State.FAILED), "denied"),
    "unknown, but it is done": (lambda run: becomes(run, Fate.DONE, State.UNKNOWN), "denied"),
    "cancelled, but it is done": (lambda run: becomes(run, Fate.DONE, State.CANCELLED), "denied"),
    "superseded, but it is done": (
        lambda run: becomes(run, Fate.DONE, State.SUPERSEDED, superseded_by="9"),
        "denied",
    ),
    "superseded by an older one": (
        lambda run: becomes(run, Fate.FORGOTTEN, State.SUPERSEDED, superseded_by=""),
        "claimed_wrongly",
    ),
    "failed, and nothing did": (
        lambda run: becomes(run, Fate.INTERRUPTED, State.FAILED),
        "claimed_wrongly",
    ),
    "failed, and nobody says why": (
        lambda run: becomes(run, Fate.FAILED, State.FAILED, note="Error occurred"),
        "reasons_wrong",
    ),
    "cancelled by nobody": (
        lambda run: becomes(run, Fate.FORGOTTEN, State.CANCELLED),
        "claimed_wrongly",
    ),
    "unknown, but it failed": (
        lambda run: becomes(run, Fate.FAILED, State.UNKNOWN),
        "unknown_ends",
    ),
    "unknown, and never asked for": (never_arrives, "unknown_ends"),
    "unknown, and a person's was before": (
        lambda run: never_arrives(run, 1.0, Fate.FAILED),
        "unknown_ends",
    ),
    "unknown, and a person's is live": (
        lambda run: never_arrives(run, 2.5, Fate.DONE),
        "unknown_ends",
    ),
    "skipped as it was": (configure, "skipped_as_it_was lost old_last"),
    "asked while it goes on": (
        lambda run: run.ledger.append(replace(run.ledger.pop(), overlapped=True)),
        "overlapping",
    ),
    "asked by nobody": (
        lambda run: run.ledger.insert(0, asked("app-2", FIRST, 3)),
        "lost",
    ),
    "done and not asked": (lambda run: run.ledger.pop(0), "claimed_wrongly"),
    "the newest not live": (
        lambda run: setattr(run.stage.backend.every[2], "commit", FIRST),
        "claimed_wrongly old_last",
    ),
    "an older one after it": (lambda run: run.ledger.reverse(), "out_of_order"),
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
    "a pull request shown twice": (lambda run: show_pull(run, 0, 0, 1), "cards_wrong"),
    "news of one told twice": (lambda run: show_pull(run, 0, 1, 1), "cards_wrong"),
    "a preview that outlives its pull request": (close, "previews_left"),
    "a service that outlives its app": (leave_a_service, "services_left"),
    "two apps of a pull request": (lambda run: again(run, 2), "made_twice"),
    "no app of a pull request": (remove, "previews_missing"),
    "an app of a pull request that is not there": (
        lambda run: run.front.pulls.clear(),
        "previews_left previews_told",
    ),
    "a preview of an old commit": (
        lambda run: setattr(run.front.pulls[2], "head_sha", SECOND),
        "previews_old",
    ),
    "a preview that the journal does not know": (
        lambda run: run.record.previews.clear(),
        "previews_told",
    ),
    "two comments of a preview": (
        lambda run: run.front.pulls[2].comments.extend([FakeComment(1, "us", "")] * 2),
        "comments_wrong",
    ),
}


def test_a_clean_run_is_clean(run: Run) -> None:
    assert run.red() == set()


def test_a_push_deploys_in_the_place_of_either_of_its_webhooks(run: Run) -> None:
    """The second push may be decided first, by another process."""
    add_push(run, 3, FIRST, PUSHES[FIRST])
    run.ledger.reverse()

    assert run.red() == set()


def test_a_push_that_is_found_late_deploys_what_waits_for_it_by_then(run: Run) -> None:
    service = run.stage.backend.services["app-4"]
    service.configs = [(0.0, replace(service.now, branch="other")), (900.0, service.now)]
    run.sender.sent.append(Push("unheard", "main", THIRD, {"app-4"}, unharmed=False, at=1.0))
    run.record.deliveries.append(
        Delivery(3, "github", "found-1", "found", {}, 950.0, DeliveryState.DECIDED)
    )
    run.record.decisions[3] = []
    add_deployment(run, deployed(3, THIRD, "app-4"))

    assert run.red() == set()


def test_a_failed_build_of_a_person_may_hide_that_a_request_never_arrived(run: Run) -> None:
    never_arrives(run, 2.5, Fate.FAILED)

    assert run.red() == set()


def test_what_is_about_to_be_requested_is_not_stopped_by_a_lock(run: Run) -> None:
    lock(run, since=1.0, intent_at=0.9)

    assert run.red() == set()


def test_a_later_commit_that_has_passed_lets_an_earlier_push_pass(run: Run) -> None:
    """The backend builds the head of the branch."""
    run.stage.passed["app-0"] = {SECOND: 1.0}

    assert run.red() == set()


@pytest.mark.parametrize("harm", HARMS)
def test_each_harm_turns_its_own_lines_red(run: Run, harm: str) -> None:
    do, lines = HARMS[harm]

    do(run)

    assert run.red() == set(lines.split())
