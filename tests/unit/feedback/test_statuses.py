"""Commit statuses and deployment objects: what they say, and what they never claim."""

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bridge.core.decision import Decision, Reason
from bridge.core.lifecycle import State
from bridge.githosts.comment import WHY_NOT, standings
from bridge.githosts.statuses import Said, deployment_status, status_of
from bridge.ports.feedback import Snapshot
from bridge.ports.githosts import CommitState
from bridge.ports.outcomes import Explained
from tests.fakes.journey import deployment
from tests.worlds.rows import each_row


def skipped(reason: Reason, evidence: str, seq: int = 1) -> Explained:
    return Explained(seq, 1.0, Decision("app-web", "shop/web", reason, evidence))


@each_row(
    ("state", "shown"),
    [
        (State.WAITING, CommitState.PENDING),
        (State.ASKED, CommitState.PENDING),
        (State.QUEUED, CommitState.PENDING),
        (State.RUNNING, CommitState.RUNNING),
        (State.DONE, CommitState.SUCCESS),
        (State.FAILED, CommitState.FAILURE),
        (State.CANCELLED, CommitState.CANCELLED),
        (State.SUPERSEDED, CommitState.SUCCESS),
        (State.UNKNOWN, CommitState.CANCELLED),
    ],
)
def test_each_state_is_shown_as_what_is_known_of_it(state: State, shown: CommitState) -> None:
    assert deployment_status(deployment(state=state)).state is shown


def test_every_state_has_words() -> None:
    said = {deployment_status(deployment(state=state)).description for state in State}

    assert len(said) == len(State)


def test_the_commit_that_is_live_is_named_and_told_from_the_pushed_one() -> None:
    live = "5" * 40

    def words(**others: Any) -> str:
        return deployment_status(deployment(state=State.DONE, **others)).description

    assert words(deployed_commit=live, commit=live) == "deployed 5555555"
    assert words(deployed_commit=live).startswith("deployed 5555555, the head of the branch when")
    assert words() == "deployed; the backend does not tell which commit"


def test_a_skipped_app_is_a_success_with_the_reason() -> None:
    evidence = "3 files changed, none matches web/**"
    (one,) = standings(Snapshot(explained=(skipped(Reason.NO_PATH_HIT, evidence),)))

    assert status_of(one) == Said(
        CommitState.SUCCESS, f"skipped: no watched path changed ({evidence})"
    )


def test_a_later_deployment_of_the_same_commit_counts_more_than_the_skip() -> None:
    running = deployment(2, state=State.RUNNING)
    (one,) = standings(
        Snapshot(explained=(skipped(Reason.NO_PATH_HIT, "-"),), deployments=(running,))
    )

    assert status_of(one) == Said(CommitState.RUNNING, "building")


def test_a_failure_says_why_without_secrets() -> None:
    failed = deployment(state=State.FAILED, note="npm ERR! token=hunter2")

    assert deployment_status(failed) == Said(CommitState.FAILURE, "failed: npm ERR! token=***")
    assert deployment_status(replace(failed, note="")).description == "failed"


def test_a_long_reason_keeps_its_beginning_and_its_end() -> None:
    note = f"error: {'x' * 300} (exit code: 7)"
    said = deployment_status(deployment(state=State.FAILED, note=note)).description

    assert len(said) <= 140
    assert said.startswith("failed: error: x")
    assert said.endswith("(exit code: 7)")


@given(st.text(max_size=300))
def test_a_description_is_one_short_line_of_characters_that_hosts_keep(words: str) -> None:
    (one,) = standings(Snapshot(explained=(skipped(Reason.NO_PATH_HIT, words),)))
    said = status_of(one)

    assert said is not None
    assert 0 < len(said.description) <= 140
    assert said.description.isprintable()
    assert max(map(ord, said.description)) < 0x10000


def test_every_reason_that_keeps_a_push_from_deploying_has_words() -> None:
    asked = {Reason.CANCEL_ASKED, Reason.CANCEL_ONE_ASKED, Reason.CONFIGURE_ASKED}
    silent = {Reason.REPOSITORY_MISMATCH, Reason.DUPLICATE_PUSH} | asked
    no = {one for one in Reason if not Decision("a", "a", one, "").deploy}

    assert set(WHY_NOT) == no - silent
