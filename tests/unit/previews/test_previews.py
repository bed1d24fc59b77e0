"""Previews: which pull requests have one, what is done next, names, and the page about them."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

import bridge
from bridge.core.apps import Rules, Trigger
from bridge.core.decision import Policy
from bridge.core.events import Repository
from bridge.core.policies import Forks, PreviewPolicy
from bridge.core.previews.preview import (
    Preview,
    PreviewState,
    build_args_text,
    environment_text,
    host_name,
    rules_mark,
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
from bridge.settings.rules import Previews, as_previews
from bridge.views.preview_reasons import REMEDIES, remedy_of
from tests.fakes.journey import app
from tests.worlds.rows import each_row

MONO = Repository("github", "4711", "my-org/mono")
PULL = PullRequest(12, "feature", "a" * 40, open=True, base="main", labels=frozenset({"ui"}))
ON = PreviewPolicy()
NOW = 1_700_000_000.0


def verdict(pull: PullRequest, policy: PreviewPolicy | None = ON, **of_app: Any) -> Verdict | None:
    return without_files(pull, app(**of_app), MONO, policy, Policy())


@each_row(
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


def test_the_branch_of_our_own_rules_counts() -> None:
    rules = Rules(branch="release/*", trigger=Trigger.TAG)  # also of an app that waits for tags
    assert verdict(replace(PULL, base="release/7"), rules=rules) is None
    found = verdict(PULL, rules=rules)
    assert found is not None
    assert "release/*" in found.evidence


@each_row(
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


@each_row(
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


@each_row(
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


# ── settings ─────────────────────────────────────────────────────────────────


@each_row(
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


@each_row(
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


# ── docs/previews.md explains every reason and every field ─────────────────────


PAGE = (Path(bridge.__file__).parents[1] / "docs" / "previews.md").read_text()

A_PULL = PullRequest(12, "feature", "a" * 40, open=True)


def rows(title: str) -> set[str]:
    """The first cells of the tables of a section."""
    section = PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    return set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE))


def test_each_reason_is_explained() -> None:
    assert rows("Why there is none") == set(Why)


def test_each_field_of_the_rule_is_explained() -> None:
    assert rows("The rule") == set(Previews.model_fields)


def test_each_reason_has_a_remedy_or_needs_none() -> None:
    assert set(REMEDIES) == set(Why)
    for why in Why:
        one = Preview("1", Repository("github", "1", "o/r"), "a", "shop/web", "dokploy", A_PULL)
        says = remedy_of(replace(one, reason=why))
        assert "{" not in says
        assert bool(says) == (why is not Why.WANTED)
