"""The bridge's own rules: whom they name, what they say of tags, and what is decided then."""

import json
from dataclasses import fields, replace
from pathlib import Path

import pytest

from bridge.core.apps import Approvers, Prereleases, Rules, Source, SourceType, Trigger
from bridge.core.checks import CheckPolicy
from bridge.core.decision import Policy, Reason, decide
from bridge.core.errors import Rejected
from bridge.core.events import Commit, RefKind, RefPushed, Repository
from bridge.core.policies import PreviewPolicy, VerifyPolicy
from bridge.core.rules import AppTags, name_matches, ruled, rules_for, tag_problem
from bridge.settings import book_of, policy_of, read_settings
from bridge.views.triggers import said, written
from tests.fakes.journey import app, push, source
from tests.worlds.rows import each_row

FIRST = Rules(Trigger.TAG, "main", ("a/**",), "v*", "1", "v", Prereleases.ONLY, True, False)
SECOND = Rules(Trigger.PUSH, "next", (), "w*", "2", "w", Prereleases.SKIP, False, True)


def test_later_rules_win_field_by_field_and_only_where_they_say_something() -> None:
    deep, broken = ("shop/*/web", Rules(tags="x*")), ("[", Rules(tags="never"))
    book = [("*", FIRST), ("shop/*", SECOND), deep, broken]

    assert rules_for("a", [("a", FIRST), ("a", Rules())]) == FIRST
    assert rules_for("a", [("a", SECOND), ("a", FIRST)]) == FIRST
    assert rules_for("a", [("a", FIRST), ("a", Rules(tags="w*"))]) == replace(FIRST, tags="w*")
    assert rules_for("shop/web", book) == SECOND.over(FIRST)
    assert rules_for("shop/staging/web", book) == replace(FIRST, tags="x*")
    assert rules_for("Shop/web", book) == FIRST
    staging = app(environment="staging")
    assert ruled(staging, book).rules == replace(FIRST, tags="x*")
    assert ruled(staging, [("web", FIRST)]) == staging


@each_row(
    ("pattern", "name", "fits"),
    [
        ("main", "main", True), ("main", "maintenance", False), ("main", "feature/main", False),
        ("release/*", "release/1.2", True), ("release/*", "release", False),
        ("release/*", "release/1/2", False), ("release/**", "release/1/2", True),
        ("release/**", "release", True), ("**", "a/b/c", True), ("*", "a/b", False),
        ("{main,next}", "next", True), ("release/v[0-9]*", "release/v2", True),
        ("!main", "next", True), ("!main", "main", False), ("Main", "main", False),
        ("[z-a]", "z", False), ("[z-a]", "[z-a]", True),  # broken globs name only themselves
        ("", "main", False), ("a" * 70_000, "a", False),
    ],
)  # fmt: skip
def test_a_name_or_glob_names_something_or_not(pattern: str, name: str, fits: bool) -> None:
    assert name_matches(pattern, name) is fits


RANGE = ">=1.2 <2"
NO_VERSION = "tag {} names no version; it waits for tags like {}"
RELEASE = "version 1.0.0 is a release, and only pre-releases deploy"
PRERELEASE = "version 1.3.0-rc.1 is a pre-release, and those are skipped"
TAGS: list[tuple[Rules, str, str | None]] = [
    (Rules(), "nightly", None),
    (Rules(), "v1.0.0", None),
    (Rules(tags="v*"), "v1", None),
    (Rules(tags="v*"), "a/v1", "tag a/v1 does not match v*"),
    (Rules(tags="*/v*"), "api/v1.0.0", None),
    (Rules(versions=RANGE), "v1.2.0", None),
    (Rules(versions=RANGE), "v2.0.0-rc.1", "version 2.0.0-rc.1 is not in >=1.2 <2"),
    (Rules(versions=RANGE), "v1.3.0-rc.1", PRERELEASE),
    (Rules(versions=RANGE, prereleases=Prereleases.DEPLOY), "v1.3.0-rc.1", None),
    (
        Rules(versions="latest"),
        "v1.2.0",
        (
            "the versions it waits for can't be read:"
            " 'latest' is no version; write e.g. 1.2.3, 1.2 or 1.x"
        ),
    ),
    (Rules(versions=""), "v1.3.0-rc.1", PRERELEASE),
    (Rules(versions=RANGE), "nightly", NO_VERSION.format("nightly", "1.2.3 or v1.2.3")),
    (Rules(tag_prefix="api-v"), "web-v1.2.0", NO_VERSION.format("web-v1.2.0", "api-v1.2.3")),
    (Rules(tag_prefix=""), "v1.2.0", NO_VERSION.format("v1.2.0", "1.2.3")),
    (Rules(prereleases=Prereleases.SKIP), "v1.3.0-rc.1", PRERELEASE),
    (Rules(prereleases=Prereleases.ONLY), "v1.0.0-rc.1", None),
    (Rules(prereleases=Prereleases.ONLY), "v1.0.0", RELEASE),
    (Rules(only_newer=False), "nightly", None),
    (Rules(only_newer=True), "nightly", NO_VERSION.format("nightly", "1.2.3 or v1.2.3")),
    (Rules(tags="w*", only_newer=True), "v1.0.0", "tag v1.0.0 does not match w*"),
]


@each_row(("rules", "tag", "problem"), TAGS)
def test_a_tag_deploys_or_it_is_said_why_not(rules: Rules, tag: str, problem: str | None) -> None:
    before = ("v1.0.0", "v2.0.0") if not rules.only_newer or problem else ()

    assert tag_problem(tag, rules, before) == (None if problem is None else (False, problem))


def test_only_newer_compares_with_all_that_was_deployed_under_its_prefix() -> None:
    def newer(tag: str, *before: str, prefix: str | None = None) -> str | None:
        problem = tag_problem(tag, Rules(only_newer=True, tag_prefix=prefix), before)
        return problem and problem[1].removeprefix(f"tag {tag} is older than ").split(",")[0]

    # the same again, another build of it, or no version at all
    assert newer("v1.2.0", "v1.2.0", "v1.2.0-rc.1", "1.2.0+build", "nightly", "v9") is None
    assert newer("v1.2.0-rc.2", "v1.2.0-rc.10") == "v1.2.0-rc.10"
    assert newer("v1.0.0", "v1.2.0", "v3.0.0", "x", "v2.0.0") == "v3.0.0"
    assert newer("api-v1.0.0", "v2.0.0", "web-v3.0.0", prefix="api-v") is None
    assert newer("api-v1.0.0", "api-v1.0.1", prefix="api-v") == "api-v1.0.1"


URL = "git.example.com/my-org/mono"
APPS = {
    "github": ("github", app()),
    "gitlab": ("gitlab", app(source=Source(SourceType.GITLAB, "a/b", "4711", branch="main"))),
    "git": ("gitlab", app(source=Source(SourceType.GIT, url=URL, branch="main"))),
}


def pushed(host: str, name: str, *, tag: bool) -> RefPushed:
    kind = RefKind.TAG if tag else RefKind.BRANCH
    repository = Repository(host, "4711", "my-org/mono", frozenset({URL}))
    return push(name, kind=kind, repository=repository, paths=("web/index.html",))


TAG = Trigger.TAG


@each_row("kind", APPS)
@each_row(
    ("rules", "tag", "name", "reason"),
    [
        (Rules(TAG), True, "v1", Reason.TAG_PUSHED),
        (Rules(TAG, versions=RANGE), True, "v2.0.0-rc.1", Reason.TAG_MISMATCH),
        (Rules(TAG, only_newer=True), True, "v1.2.0", Reason.TAG_TOO_OLD),
        (Rules(TAG, only_newer=True), True, "v1.3.0", Reason.TAG_PUSHED),
        (Rules(TAG), False, "main", Reason.TRIGGER_MISMATCH),
        (Rules(tags="v*"), True, "v1.2.0", Reason.TRIGGER_MISMATCH),
        (Rules(branch="release/*"), False, "release/1.2", Reason.NO_WATCH_PATHS),
        (Rules(branch="release/*"), False, "main", Reason.BRANCH_MISMATCH),
        (Rules(branch="[z-a]"), False, "main", Reason.BRANCH_MISMATCH),
    ],
)
def test_any_app_can_wait_for_tags_or_for_branches_by_name_and_glob(
    kind: str, rules: Rules, tag: bool, name: str, reason: Reason
) -> None:
    host, one = APPS[kind]
    one = replace(one, rules=rules)

    assert decide(pushed(host, name, tag=tag), one, tags=AppTags(["v1.3.0"])).reason is reason
    back = replace(one, trigger=Trigger.TAG, rules=Rules(trigger=Trigger.PUSH))
    assert decide(pushed(host, "main", tag=False), back).reason is Reason.NO_WATCH_PATHS


QUEUED = {
    "gh-readonly-queue/main/pr-7-5ca7e5d": "{main,gh-readonly-queue/main/*}",
    "mergify/merge-queue/3f2c1a": "mergify/merge-queue/*",
    "trunk-merge/pr-7/9c1f": "trunk-merge/**",
    "gtmq_main_7": "gtmq*",
}
"""Branches of merge queues, each with a glob that names it."""


@each_row(("name", "named"), QUEUED.items())
def test_a_merge_queues_branch_deploys_only_where_the_glob_names_it(name: str, named: str) -> None:
    for glob in ("**", "*/**", "!main", "{main,**}", "g*/**", "[a-z]**"):
        decision = decide(push(name), app(rules=Rules(branch=glob)))

        assert decision.reason is Reason.BRANCH_MISMATCH, glob
        assert decision.evidence.startswith(f"branch {name} was pushed, it deploys {glob}")
        assert glob != "**" or decision.evidence.endswith(") unless it names them")
    for glob in (name, named):
        assert decide(push(name), app(rules=Rules(branch=glob))).deploy
    for other in ("my/gh-readonly-queue/main", "gh-readonly-queue"):
        assert decide(push(other), app(rules=Rules(branch="**"))).deploy


@each_row("branch", ["!important", "a{main,b}", "+(main)", "@(a|main)"])
def test_the_backends_branch_is_a_name_whatever_signs_it_has(branch: str) -> None:
    one = app(source=source(branch=branch))

    assert decide(push(branch), one).deploy
    for other in ("main", "amain", "ab", "a"):
        assert decide(push(other), one).reason is Reason.BRANCH_MISMATCH


def test_a_rules_watch_paths_stand_in_for_the_backends() -> None:
    one = app(watch_paths=("docs/**",), rules=Rules(watch_paths=("web/**",)))

    assert decide(push(), one).evidence == "web/index.html matches web/**"
    assert decide(push(), replace(one, rules=Rules(watch_paths=()))).reason is Reason.NO_WATCH_PATHS


def test_skip_directives_can_be_switched_off_for_an_app() -> None:
    skipping = replace(push(), commit=Commit("b" * 40, "[skip ci]"), options=("deploy.skip",))

    for switch in (None, True, False):
        decision = decide(skipping, app(rules=Rules(skip_directives=switch)))
        assert decision.deploy is (switch is False)
        assert decision.deploy or decision.reason is Reason.SKIP_DIRECTIVE


def test_how_directives_and_patterns_are_read_is_a_policy() -> None:
    wip, skip = (push(commit=Commit("b" * 40, f"x {said}")) for said in ("[wip]", "[skip ci]"))
    policy = Policy(skip_directives=("[wip]",))
    assert decide(wip, app(), policy).evidence == "the push says [wip]"
    assert decide(skip, app(), policy).deploy

    one = app(watch_paths=("web/**", "!**/*.html"))
    assert decide(push(), one).reason is Reason.NO_PATH_HIT
    assert decide(push(), one, Policy(semantics="any")).evidence == "web/index.html matches web/**"

    pattern = app(watch_paths=("web/+(a|aa)",))
    assert decide(push(paths=("web/a",)), pattern, Policy(picomatch="2.3.1")).deploy
    assert not decide(push(paths=("web/a",)), pattern, Policy(picomatch="2.3.2")).deploy


def test_rules_and_policy_come_from_the_file_or_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "bridge.yaml"
    file.write_text(
        """
        watch: {semantics: any, picomatch: 2.3.2, skip_directives: ["[wip]"]}
        rules:
          - {apps: shop/*, only_newer: true, tags: v*}
          - {apps: shop/api, trigger: tag, branch: release/*, watch_paths: [web/**, "!**/*.md"]}
          - {apps: shop/api, tags: api-v*, versions: ">=1.2 <2", tag_prefix: api-v}
          - {apps: shop/api, prereleases: only, skip_directives: false}
        """
    )
    both = {"BRIDGE_RULES": "- {apps: a/b, tags: v*}", "BRIDGE_WATCH_SKIP_DIRECTIVES": "[a], [b c]"}

    settings, given = read_settings(file, {}), read_settings(None, both)
    bare = read_settings(None, {})

    assert policy_of(settings) == Policy("any", "2.3.2", ("[wip]",))
    assert rules_for("shop/api", book_of(settings)) == Rules(
        Trigger.TAG, "release/*", ("web/**", "!**/*.md"), "api-v*", ">=1.2 <2", "api-v",
        Prereleases.ONLY, only_newer=True, skip_directives=False,
    )  # fmt: skip
    assert book_of(given) == [("a/b", Rules(tags="v*"))]
    assert policy_of(given).skip_directives == ("[a]", "[b c]")
    assert (book_of(bare), policy_of(bare)) == ([], Policy())
    with pytest.raises(Rejected, match=r"rules.0.versions \(BRIDGE_RULES\): '1,<2' is no version"):
        read_settings(None, {"BRIDGE_RULES": "- {apps: a, versions: '>=1,<2'}"})


def test_every_rule_can_be_told_as_json() -> None:
    """`apps --json` tells them; a section of rules is an object."""
    checks, verify = CheckPolicy(names=("build",)), VerifyPolicy(status=((200, 200),))
    all_of_them = Rules(
        trigger=Trigger.TAG, branch="main", watch_paths=("web/**",), tags="v*", versions=">=1",
        tag_prefix="api-v", prereleases=Prereleases.SKIP, only_newer=True, skip_directives=False,
        checks=checks, approvals=1, approvals_by=Approvers.ANYONE, after=("shop/api",), soak=60.0,
        verify=verify, pin=True,
        previews=PreviewPolicy(environment=(("TOKEN", "a secret"),)),
    )  # fmt: skip

    told = json.loads(json.dumps(said(all_of_them)))

    assert told.keys() == {one.name for one in fields(Rules)}
    assert (told["checks"]["names"], told["verify"]["status"]) == (["build"], [[200, 200]])
    assert told["previews"]["environment"] == ["TOKEN"]
    assert "a secret" not in json.dumps([told, written(all_of_them)])
    assert said(Rules()) == {}
