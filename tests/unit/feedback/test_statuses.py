"""Commit statuses and deployment objects: their names, what they say, what they never claim."""

from dataclasses import replace
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from bridge.core.access import Right
from bridge.core.decision import Decision, Reason
from bridge.core.holds import Gate, Hold
from bridge.core.lifecycle import State
from bridge.githosts.feedback.statuses import (
    Said,
    contexts,
    deployment_status,
    environments,
    standings,
    status_of,
)
from bridge.ports.feedback import Snapshot
from bridge.ports.githosts import CommitState
from bridge.ports.outcomes import Explained
from bridge.views.decisions import IN_WORDS
from tests.fakes.journey import app, deployment
from tests.worlds.rows import each_row


@each_row(
    ("state", "shown"),
    [
        (State.WAITING, CommitState.PENDING),
        (State.HELD, CommitState.PENDING),
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


def test_the_commit_that_is_live_is_named_and_told_from_the_pushed_one() -> None:
    live = "5" * 40

    def words(**others: Any) -> str:
        return deployment_status(deployment(state=State.DONE, **others)).description

    assert words(deployed_commit=live, commit=live) == "deployed 5555555"
    assert words(deployed_commit=live).startswith("deployed 5555555, the head of the branch when")
    assert words() == "deployed; the backend does not say which commit"
    assert words(image="shop/web:2") == "deployed shop/web:2"


def test_a_later_deployment_of_the_same_commit_counts_more_than_the_skip() -> None:
    running = deployment(2, state=State.RUNNING)
    skipped = Explained(1, 1.0, Decision("app-web", "shop/web", Reason.NO_PATH_HIT, "-"))
    (one,) = standings(Snapshot(explained=(skipped,), deployments=(running,)))

    assert status_of(one, Snapshot()) == Said(CommitState.RUNNING, "building")


def test_a_failure_says_why_without_secrets() -> None:
    failed = deployment(state=State.FAILED, note="npm ERR! token=hunter2")

    assert deployment_status(failed) == Said(CommitState.FAILURE, "failed: npm ERR! token=***")
    assert deployment_status(replace(failed, note="")).description == "failed"
    assert held("locked by Ada: token=hunter2").description == "held: locked by Ada: token=***"


def hold(says: str) -> Hold:
    return Hold(Gate.LOCK, f"lock:{says}", says, Right.OVERRIDE)


def held(*reasons: str) -> Said:
    return deployment_status(deployment(state=State.HELD, holds=tuple(map(hold, reasons))))


def test_of_many_reasons_as_many_stand_there_as_fit_whole() -> None:
    said = held("a" * 50, "b" * 50, "c" * 50, "d" * 50).description
    long = held(f"locked {'x' * 300} the end", "another").description

    assert said == f"held: {'a' * 50}; {'b' * 50}; 2 more"
    assert len(long) <= 140
    assert long.endswith("the end; 1 more")


@given(st.lists(st.text(max_size=400), min_size=1, max_size=9))
def test_whatever_holds_it_the_description_fits(reasons: list[str]) -> None:
    said = held(*reasons).description

    assert len(said) <= 140
    assert "\n" not in said
    assert all(ord(char) < 0x10000 for char in said)


def test_every_reason_has_words() -> None:
    assert set(IN_WORDS) == set(Reason)


# ── names ──────────────────────────────────────────────────────────────────────


TAKEN = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 -_/.")

any_names = st.text(max_size=300) | st.sampled_from(
    ["web", "Web", "wEB", "web ", "we/b", "w" * 260]
)
any_labels = st.dictionaries(st.text(min_size=1, max_size=8), any_names, max_size=6)


def apart(found: dict[str, str]) -> bool:
    return len({name.casefold() for name in found.values()}) == len(found)


@given(any_labels)
@example({"a": "web", "b": "web-ca978112", "c": "Web"})  # one is called like another with its hash
def test_no_two_apps_share_a_status(given_: dict[str, str]) -> None:
    found = contexts(given_)

    assert apart(found)
    for name in found.values():
        assert name.startswith("dokploy/")
        assert len(name) <= 255
        assert name.isprintable()
        assert max(map(ord, name)) < 0x10000


@given(any_labels, st.dictionaries(st.text(min_size=1, max_size=8), any_names, max_size=6))
def test_no_two_apps_share_an_environment(given_: dict[str, str], known: dict[str, str]) -> None:
    apps = {id_: app(environment=name, name=name, project=name) for id_, name in known.items()}
    found = environments(given_, apps)

    assert apart(found)
    for name in found.values():
        assert 0 < len(name) <= 255
        assert set(name) <= TAKEN
        assert name == name.strip("/ ")
