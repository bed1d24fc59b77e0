"""Previews: which pull requests have one, what is done next, and what they are called."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from bridge.core.apps import Rules, Trigger
from bridge.core.decision import Policy
from bridge.core.events import Repository
from bridge.core.policies import Forks, PreviewPolicy
from bridge.core.previews.preview import (
    Preview,
    PreviewState,
    app_name,
    build_args_text,
    environment_text,
    host_name,
    rules_mark,
    variables_text,
)
from bridge.core.previews.verdict import (
    Step,
    Verdict,
    Why,
    aim,
    by_files,
    why_pinned,
    without_files,
)
from bridge.core.pulls import PullRequest
from bridge.core.variables import variables_in
from bridge.settings.rules import Previews, as_previews
from tests.fakes.journey import app

MONO = Repository("github", "4711", "my-org/mono")
PULL = PullRequest(12, "feature", "a" * 40, open=True, base="main", labels=frozenset({"ui"}))
ON = PreviewPolicy()
NOW = 1_700_000_000.0


def verdict(pull: PullRequest, policy: PreviewPolicy | None = ON, **of_app: Any) -> Verdict | None:
    return without_files(pull, app(**of_app), MONO, policy, Policy())


@pytest.mark.parametrize(
    ("pull", "policy", "why"),
    [
        ({"open": False}, ON, Why.CLOSED),
        ({"open": False, "merge_sha": "b" * 40}, ON, Why.CLOSED),
        ({}, None, Why.NO_PREVIEWS),
        ({}, PreviewPolicy(on=False), Why.NO_PREVIEWS),
        ({"base": "develop"}, ON, Why.OTHER_BASE),
        ({"draft": True}, ON, Why.DRAFT),
        ({"draft": True}, PreviewPolicy(drafts=True), None),
        ({}, PreviewPolicy(label="preview"), Why.NO_LABEL),
        ({}, PreviewPolicy(label="ui"), None),
        ({"own": False}, PreviewPolicy(forks=Forks.NEVER), Why.FORK),
        ({"own": False}, ON, None),
        ({}, ON, None),
    ],
)
def test_what_is_decided_without_the_files(
    pull: dict[str, Any], policy: PreviewPolicy | None, why: Why | None
) -> None:
    found = verdict(replace(PULL, **pull), policy)

    assert (found and found.why) == why
    assert found is None or not found.wanted


def test_another_base_is_told_as_one_and_not_as_a_push() -> None:
    found = verdict(replace(PULL, base="release"))
    assert found is not None
    assert found.evidence == "it is to be merged into release, shop/web deploys main"


def test_where_dokploy_makes_previews_no_rule_says_so() -> None:
    for policy in (None, PreviewPolicy(on=False)):
        found = verdict(PULL, policy, native_previews="Dokploy")
        assert (found and found.why) == Why.NATIVE
    assert verdict(PULL, ON, native_previews="Dokploy") is None
    assert rules_mark(app(), Policy()) != rules_mark(app(native_previews="Dokploy"), Policy())


def test_an_app_that_waits_for_tags_may_have_previews() -> None:
    assert verdict(PULL, trigger=Trigger.TAG) is None
    assert verdict(PULL, rules=Rules(trigger=Trigger.TAG)) is None


def test_the_branch_of_our_own_rules_counts() -> None:
    rules = Rules(branch="release/*")
    assert verdict(replace(PULL, base="release/7"), rules=rules) is None
    found = verdict(PULL, rules=rules)
    assert found is not None
    assert "release/*" in found.evidence


@pytest.mark.parametrize(
    ("paths", "files", "why"),
    [
        (("web/**",), ("web/index.html",), Why.WANTED),
        (("web/**",), ("api/main.py",), Why.NO_PATH_HIT),
        (("web/**",), None, Why.WANTED),
        (None, (), Why.WANTED),
        (("a" * 70_000,), ("web/index.html",), Why.WATCH_PATHS_BROKEN),
    ],
)
def test_files_are_compared_as_those_of_a_push(
    paths: tuple[str, ...] | None, files: tuple[str, ...] | None, why: Why
) -> None:
    found = by_files(PULL, app(watch_paths=paths), MONO, files, "too many files", Policy())

    assert found.why is why
    if files is None:
        assert "too many files" in found.evidence


# ── what is done next ────────────────────────────────────────────────────────


def preview(**facts: Any) -> Preview:
    others: dict[str, Any] = {"pull": PULL, "active_at": NOW, "created_at": NOW} | facts
    return Preview("4711", MONO, "app-web", "shop/web", "dokploy", **others)


WANTED = Verdict(Why.WANTED, "web/** matches web/index.html")


def test_a_wanted_one_is_brought_up_and_then_rests() -> None:
    assert aim(preview(), WANTED, ON, NOW).step is Step.BRING_UP
    up = preview(state=PreviewState.UP, made="pr-12", asked="a" * 40)
    assert aim(up, WANTED, ON, NOW).step is Step.REST
    assert aim(replace(up, asked="b" * 40), WANTED, ON, NOW).step is Step.BRING_UP


def test_one_that_died_while_it_was_made_goes_on() -> None:
    half = preview(state=PreviewState.MAKING, made="pr-12")
    assert aim(half, WANTED, ON, NOW).step is Step.BRING_UP
    closed = Verdict(Why.CLOSED, "the pull request is closed")
    assert aim(half, closed, ON, NOW).step is Step.END
    assert aim(preview(state=PreviewState.MAKING), closed, ON, NOW).step is Step.END
    assert aim(preview(), closed, ON, NOW).step is Step.REST


def test_a_fork_waits_for_an_approval_of_exactly_its_commit() -> None:
    fork = preview(pull=replace(PULL, own=False))
    held = aim(fork, WANTED, ON, NOW)
    assert (held.step, held.verdict.why) == (Step.REST, Why.APPROVAL)

    approved = replace(fork, approved="a" * 40)
    assert aim(approved, WANTED, ON, NOW).step is Step.BRING_UP

    pushed = replace(approved, pull=replace(fork.pull, head_sha="b" * 40), made="pr-12")
    again = aim(replace(pushed, asked="a" * 40), WANTED, ON, NOW)
    assert (again.step, again.verdict.why) == (Step.REST, Why.APPROVAL)


def test_one_ends_by_hand_and_when_nobody_pushes() -> None:
    up = preview(state=PreviewState.UP, made="pr-12", asked="a" * 40)
    assert aim(replace(up, stopped=True), WANTED, ON, NOW).verdict.why is Why.STOPPED
    assert aim(up, WANTED, ON, NOW + ON.idle - 1).step is Step.REST
    idle = aim(up, WANTED, ON, NOW + ON.idle)
    assert (idle.step, idle.verdict.why) == (Step.END, Why.IDLE)
    assert idle.verdict.evidence == "nobody has pushed for 7 days; a push starts it again"
    soon = aim(up, WANTED, PreviewPolicy(idle=5_400), NOW + ON.idle)
    assert soon.verdict.evidence == "nobody has pushed for 90 minutes; a push starts it again"


@given(
    own=st.booleans(),
    approved=st.sampled_from([None, "a" * 40, "b" * 40]),
    stopped=st.booleans(),
    made=st.sampled_from([None, "pr-12"]),
    asked=st.sampled_from([None, "a" * 40, "b" * 40]),
    state=st.sampled_from(PreviewState),
    why=st.sampled_from([Why.WANTED, Why.CLOSED, Why.NO_LABEL, Why.NO_PATH_HIT]),
    age=st.sampled_from([0.0, ON.idle]),
)
def test_nothing_is_built_that_must_not_be_and_nothing_is_left_behind(
    own: bool,
    approved: str | None,
    stopped: bool,
    made: str | None,
    asked: str | None,
    state: PreviewState,
    why: Why,
    age: float,
) -> None:
    one = preview(
        pull=replace(PULL, own=own), approved=approved, stopped=stopped, made=made, asked=asked,
        state=state,
    )  # fmt: skip

    found = aim(one, Verdict(why, "why"), ON, NOW + age)

    over = why is not Why.WANTED or stopped or bool(age) or state is PreviewState.ENDING
    if found.step is Step.BRING_UP:
        assert not over
        assert own or approved == "a" * 40
    assert (found.step is Step.END) == (over and one.takes_a_place)


@pytest.mark.parametrize(
    ("head", "own", "pin", "why"),
    [
        ("feature/a_b.c-1#2", True, False, None),
        ("feature", True, True, "exactly its commit"),
        ("feature", False, False, "a fork's commit"),
        ("$(reboot)", True, False, "the branch '$(reboot)'"),
        ("a;b", True, False, "the branch 'a;b'"),
        ("a`b`", True, False, "the branch 'a`b`'"),
        ("-u", True, False, "the branch '-u'"),
        ("größe", True, False, "the branch 'größe'"),
        ("", True, False, "the branch ''"),
    ],
)
def test_what_is_built_from_a_branch_of_our_own(
    head: str, own: bool, pin: bool, why: str | None
) -> None:
    pull = replace(PULL, head=head, own=own)
    assert why_pinned(pull, PreviewPolicy(pin=pin)) == why


# ── names ────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("pattern", "name", "host"),
    [
        ("pr-{number}-{app}.preview.example.com", "web", "pr-12-web.preview.example.com"),
        ("{number}.{app}.{project}.Example.com", "Web_Shop", "12.web-shop.shop.example.com"),
        ("pr-{number}-{app}.example.com", "_", "pr-12-app.example.com"),
    ],
)
def test_host_names(pattern: str, name: str, host: str) -> None:
    assert host_name(pattern, app(name=name), 12) == host


def test_a_host_name_that_is_too_long_is_shortened_and_stays_unique() -> None:
    long = [host_name("pr-{number}-{app}.example.com", app(name="x" * 80), n) for n in (1, 2)]
    assert len(set(long)) == 2
    assert all(len(one.partition(".")[0]) <= 63 for one in long)


def test_an_app_and_its_marker_name_the_pull_request() -> None:
    assert app_name(app(), 12) == "web pr-12"
    assert preview().marker == "bridge:github:4711#12:app-web"


def test_an_environment_is_what_the_rule_names_and_the_pull_request() -> None:
    policy = PreviewPolicy(environment=(("LEVEL", "debug"), ("BRIDGE_PR", "1")))
    assert environment_text(preview(), policy, "http://pr-12.example.com").splitlines() == [
        "LEVEL=debug",
        "BRIDGE_PR=12",
        f"BRIDGE_SHA={'a' * 40}",
        "BRIDGE_URL=http://pr-12.example.com",
    ]


def test_a_fork_gets_what_the_rule_gives_only_if_it_says_so() -> None:
    secret = (("TOKEN", "s3cret"),)
    theirs = preview(pull=replace(PULL, own=False))
    for says, gets in ((False, False), (True, True)):
        policy = PreviewPolicy(environment=secret, build_args=secret, environment_for_forks=says)
        texts = environment_text(theirs, policy, None), build_args_text(theirs, policy)
        assert [("s3cret" in text) for text in texts] == [gets, gets]
        own = environment_text(preview(), policy, None), build_args_text(preview(), policy)
        assert all("s3cret" in text for text in own)


@pytest.mark.parametrize(
    "value", ['{"a": "b"}', r"C:\new", r"\d+", "it's", 'say "hi"', "a b", "a#b", " a ", "$HOME", ""]
)
def test_a_value_reaches_a_preview_as_the_rule_has_it(value: str) -> None:
    text = variables_text([("A", value), ("B", "2")])
    assert variables_in(text) == {"A": value, "B": "2"}


@given(value=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_a_value_that_is_accepted_is_read_back_and_adds_no_variable(value: str) -> None:
    try:
        Previews.model_validate({"environment": {"A": value}})
    except ValidationError:
        return
    assert variables_in(variables_text([("A", value), ("B", "2")])) == {"A": value, "B": "2"}


# ── settings ─────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("given_", "words"),
    [
        ({"host": "pr-{app}.example.com"}, "the same for every pull request"),
        ({"host": "pr-{number}-{branch}.example.com"}, "{branch} means nothing"),
        ({"host": "https://pr-{number}.example.com"}, "is no host name"),
        ({"place": "Production"}, "never made in the environment production"),
        ({"environment": {"A B": "1"}}, "is no name of a variable"),
        ({"environment": {"A": "it's\n\\"}}, "the value of A can't be quoted"),
        ({"build_args": {"A": "\0"}}, "the value of A contains a zero byte"),
        ({"memory": 1}, "greater than or equal to 6"),
        ({"forks": "always"}, "approval"),
    ],
)
def test_a_rule_that_can_not_be_meant_is_refused(given_: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError) as error:
        Previews(**given_)
    assert words in str(error.value)


def test_a_rule_in_short_and_its_secrets() -> None:
    assert Previews.model_validate(as_previews(True)).policy() == PreviewPolicy()
    assert not Previews.model_validate(as_previews(False)).policy().on
    short = Previews.model_validate(as_previews("pr-{number}.example.com"))
    assert short.policy().host == "pr-{number}.example.com"
    policy = Previews.model_validate({"environment": {"TOKEN": "s3cret", "DEBUG": True}}).policy()
    assert policy.environment == (("TOKEN", "s3cret"), ("DEBUG", "true"))
    assert "s3cret" not in repr(policy)


# ── by which rules one was looked at ─────────────────────────────────────────


@pytest.mark.parametrize(
    ("changed", "differs"),
    [
        ({}, False),
        ({"rules": Rules(previews=replace(ON, label="ui"))}, True),
        ({"rules": Rules(previews=replace(ON, environment=(("KEY", "hush"),)))}, False),
        ({"rules": Rules(previews=ON, watch_paths=("web/**",))}, True),
        ({"watch_paths": ("api/**",)}, True),
        ({"name": "front"}, False),
    ],
)
def test_the_mark_of_rules_differs_with_what_previews_depend_on(
    changed: dict[str, Any], differs: bool
) -> None:
    web = app(rules=Rules(previews=ON))

    found = rules_mark(replace(web, **changed), Policy())

    assert (found != rules_mark(web, Policy())) is differs
    assert found != rules_mark(None, Policy())
