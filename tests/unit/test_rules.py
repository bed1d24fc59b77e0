"""The bridge's own rules: whom they name, what they say of tags, and what is decided then."""

import json
from dataclasses import fields, replace
from pathlib import Path

import pytest

from bridge.core.apps import Approvers, Prereleases, Rules, Source, SourceType, Trigger
from bridge.core.checks import CheckPolicy
from bridge.core.decision import SKIP_DIRECTIVES, Decision, Policy, Reason, decide
from bridge.core.errors import Rejected
from bridge.core.events import Commit, RefKind, RefPushed, Repository
from bridge.core.policies import PreviewPolicy, VerifyPolicy
from bridge.core.rules import AppTags, name_matches, ruled, rules_for, tag_problem
from bridge.settings import book_of, policy_of, read_settings
from bridge.views.triggers import said, written
from tests.fakes.journey import app, push, source
from tests.worlds.rows import each_row

# ── whom a rule names ────────────────────────────────────────────────────────

BOOK = [
    ("**", Rules(only_newer=True)),
    ("shop/*", Rules(trigger=Trigger.TAG, tags="v*")),
    ("shop/api", Rules(tags="api-v*", tag_prefix="api-v", only_newer=False)),
    ("shop/*/web", Rules(branch="release/*")),
    ("[", Rules(tags="never")),
]


@pytest.mark.parametrize(
    ("label", "rules"),
    [
        ("blog/site", Rules(only_newer=True)),
        ("shop/web", Rules(Trigger.TAG, tags="v*", only_newer=True)),
        ("shop/api", Rules(Trigger.TAG, tags="api-v*", tag_prefix="api-v", only_newer=False)),
        ("shop/staging/web", Rules(branch="release/*", only_newer=True)),
        ("Shop/api", Rules(only_newer=True)),
    ],
)
def test_every_rule_that_names_an_app_adds_what_it_says(label: str, rules: Rules) -> None:
    assert rules_for(label, BOOK) == rules


def test_later_rules_win_field_by_field_and_only_where_they_say_something() -> None:
    first = Rules(Trigger.TAG, "main", ("a/**",), "v*", "1", "v", Prereleases.ONLY, True, False)
    second = Rules(Trigger.PUSH, "next", (), "w*", "2", "w", Prereleases.SKIP, False, True)

    assert rules_for("a", [("a", first), ("a", Rules())]) == first
    assert rules_for("a", [("a", first), ("a", second)]) == second
    assert rules_for("a", [("a", second), ("a", first)]) == first
    assert rules_for("shop/web", [("*", first), ("shop/*", second)]) == second.over(first)
    assert rules_for("a", [("a", first), ("a", Rules(tags="w*"))]) == replace(first, tags="w*")


def test_an_app_is_named_by_its_label() -> None:
    one = app(environment="staging")

    assert ruled(one, [("shop/staging/*", Rules(branch="next"))]).rules.branch == "next"
    assert ruled(one, [("web", Rules(branch="next"))]).rules == Rules()
    assert ruled(one, []) == one


@each_row(
    ("pattern", "name", "fits"),
    [
        ("main", "main", True),
        ("main", "maintenance", False),
        ("main", "feature/main", False),
        ("release/*", "release/1.2", True),
        ("release/*", "release", False),
        ("release/*", "release/1/2", False),
        ("release/**", "release/1/2", True),
        ("release/**", "release", True),
        ("**", "a/b/c", True),
        ("*", "main", True),
        ("*", "a/b", False),
        ("**/fix", "a/b/fix", True),
        ("{main,next}", "next", True),
        ("release/v[0-9]*", "release/v2", True),
        ("!main", "next", True),
        ("!main", "main", False),
        ("v*", "v1.2.3-rc.1", True),
        ("Main", "main", False),
        # broken globs name only themselves
        ("[z-a]", "z", False),
        ("[z-a]", "[z-a]", True),
        ("", "main", False),
        ("a" * 70_000, "a", False),
    ],
)
def test_a_name_or_glob_names_something_or_not(pattern: str, name: str, fits: bool) -> None:
    assert name_matches(pattern, name) is fits


# ── what they say of tags ────────────────────────────────────────────────────

RANGE = ">=1.2 <2"
TAGS: list[tuple[Rules, str, tuple[str, ...], str | None]] = [
    (Rules(), "nightly", (), None),
    (Rules(), "v1.0.0", ("v2.0.0",), None),
    (Rules(tags="v*"), "v1", (), None),
    (Rules(tags="v*"), "api-v1.0.0", (), "tag api-v1.0.0 does not match v*"),
    (Rules(tags="v*"), "a/v1", (), "tag a/v1 does not match v*"),
    (Rules(tags="*/v*"), "api/v1.0.0", (), None),
    (Rules(versions=RANGE), "v1.2.0", (), None),
    (Rules(versions=RANGE), "1.9.9", (), None),
    (Rules(versions=RANGE), "v2.0.0", (), "version 2.0.0 is not in >=1.2 <2"),
    (Rules(versions=RANGE), "v2.0.0-rc.1", (), "version 2.0.0-rc.1 is not in >=1.2 <2"),
    (
        Rules(versions=RANGE),
        "v1.3.0-rc.1",
        (),
        "version 1.3.0-rc.1 is a pre-release, and those are skipped",
    ),
    (Rules(versions=RANGE, prereleases=Prereleases.DEPLOY), "v1.3.0-rc.1", (), None),
    (
        Rules(versions="latest"),
        "v1.2.0",
        (),
        (
            "the versions it waits for can't be read:"
            " 'latest' is no version; write e.g. 1.2.3, 1.2 or 1.x"
        ),
    ),
    (Rules(versions=""), "v1.0.0", (), None),
    (
        Rules(versions=""),
        "v1.0.0-rc.1",
        (),
        "version 1.0.0-rc.1 is a pre-release, and those are skipped",
    ),
    (
        Rules(versions=RANGE),
        "nightly",
        (),
        "tag nightly names no version; it waits for tags like 1.2.3 or v1.2.3",
    ),
    (
        Rules(versions=RANGE, tag_prefix="api-v"),
        "v1.2.0",
        (),
        "tag v1.2.0 names no version; it waits for tags like api-v1.2.3",
    ),
    (Rules(versions=RANGE, tag_prefix="api-v"), "api-v1.2.0", (), None),
    (Rules(tag_prefix="api-v"), "api-v1.2.0", (), None),
    (
        Rules(tag_prefix="api-v"),
        "web-v1.2.0",
        (),
        "tag web-v1.2.0 names no version; it waits for tags like api-v1.2.3",
    ),
    (
        Rules(tag_prefix=""),
        "v1.2.0",
        (),
        "tag v1.2.0 names no version; it waits for tags like 1.2.3",
    ),
    (
        Rules(prereleases=Prereleases.SKIP),
        "v1.0.0-rc.1",
        (),
        "version 1.0.0-rc.1 is a pre-release, and those are skipped",
    ),
    (Rules(prereleases=Prereleases.SKIP), "v1.0.0+build", (), None),
    (Rules(prereleases=Prereleases.ONLY), "v1.0.0-rc.1", (), None),
    (
        Rules(prereleases=Prereleases.ONLY),
        "v1.0.0",
        (),
        "version 1.0.0 is a release, and only pre-releases deploy",
    ),
    (Rules(prereleases=Prereleases.DEPLOY), "v1.0.0-rc.1", (), None),
    (Rules(only_newer=False), "nightly", ("v2.0.0",), None),
    (Rules(only_newer=True), "v1.0.0", (), None),
    (
        Rules(only_newer=True),
        "nightly",
        (),
        "tag nightly names no version; it waits for tags like 1.2.3 or v1.2.3",
    ),
]


@each_row(("rules", "tag", "before", "problem"), TAGS)
def test_a_tag_deploys_or_it_is_said_why_not(
    rules: Rules, tag: str, before: tuple[str, ...], problem: str | None
) -> None:
    assert tag_problem(tag, rules, before) == (None if problem is None else (False, problem))


@each_row(
    ("tag", "before", "newer"),
    [
        ("v1.2.0", ["v1.1.0", "v1.2.0-rc.1"], None),
        ("v1.2.0", ["v1.2.0"], None),  # the same again, or moved
        ("v1.2.0", ["1.2.0+build"], None),  # build metadata does not order
        ("v1.2.0", ["nightly", "release-9", "v9"], None),  # name no versions
        ("v1.2.0", ["v1.3.0-0"], "v1.3.0-0"),
        ("v1.2.0-rc.2", ["v1.2.0-rc.10"], "v1.2.0-rc.10"),
        ("v1.2.0-rc.10", ["v1.2.0-rc.2"], None),
        ("v1.2.0-rc.1", ["v1.2.0"], "v1.2.0"),
        ("v1.9.0", ["v1.10.0"], "v1.10.0"),
        ("v1.0.0", ["v1.2.0", "v3.0.0", "x", "v2.0.0"], "v3.0.0"),
    ],
)
def test_only_newer_compares_with_all_that_was_deployed(
    tag: str, before: list[str], newer: str | None
) -> None:
    problem = tag_problem(tag, Rules(only_newer=True), before)

    why = f"tag {tag} is older than {newer}, which has been deployed"
    assert problem == (None if newer is None else (True, why))


def test_tags_of_another_prefix_are_not_compared() -> None:
    rules = Rules(only_newer=True, tag_prefix="api-v")

    assert tag_problem("api-v1.0.0", rules, ["v2.0.0", "web-v3.0.0"]) is None
    assert tag_problem("api-v1.0.0", rules, ["api-v1.0.1"]) is not None


def test_what_does_not_fit_at_all_is_not_called_too_old() -> None:
    rules = Rules(tags="v1*", only_newer=True)

    assert tag_problem("v0.9.0", rules, ["v1.0.0"]) == (False, "tag v0.9.0 does not match v1*")


# ── decisions with rules, on each kind of app ────────────────────────────────

APPS = {
    "github": app(),
    "gitlab": app(source=Source(SourceType.GITLAB, "my-org/mono", "4711", branch="main")),
    "git": app(source=Source(SourceType.GIT, url="git.example.com/my-org/mono", branch="main")),
}
HOSTS = {"github": "github", "gitlab": "gitlab", "git": "gitlab"}


def pushed(kind: str, name: str = "main", *, tag: bool = False, message: str = "") -> RefPushed:
    url = frozenset({"git.example.com/my-org/mono"})
    return push(
        name,
        kind=RefKind.TAG if tag else RefKind.BRANCH,
        repository=Repository(HOSTS[kind], "4711", "my-org/mono", url),
        commit=Commit("b" * 40, message),
        paths=None if tag else ("web/index.html",),
    )


@each_row("kind", APPS)
@each_row(
    ("rules", "name", "reason"),
    [
        (Rules(trigger=Trigger.TAG), "v1", Reason.TAG_PUSHED),
        (Rules(trigger=Trigger.TAG, versions=RANGE), "v1.2.0", Reason.TAG_PUSHED),
        (Rules(trigger=Trigger.TAG, versions=RANGE), "v2.0.0-rc.1", Reason.TAG_MISMATCH),
        (Rules(trigger=Trigger.TAG, tags="api-*"), "v1.2.0", Reason.TAG_MISMATCH),
        (Rules(trigger=Trigger.TAG, only_newer=True), "v1.2.0", Reason.TAG_TOO_OLD),
        (Rules(trigger=Trigger.TAG, only_newer=True), "v1.3.0", Reason.TAG_PUSHED),
        (Rules(tags="v*"), "v1.2.0", Reason.TRIGGER_MISMATCH),
    ],
)
def test_any_app_can_wait_for_tags(kind: str, rules: Rules, name: str, reason: Reason) -> None:
    decision = decide(
        pushed(kind, name, tag=True), replace(APPS[kind], rules=rules), tags=AppTags(["v1.3.0"])
    )

    assert decision.reason is reason


def test_a_rule_turns_an_app_back_to_pushes() -> None:
    one = app(trigger=Trigger.TAG, rules=Rules(trigger=Trigger.PUSH))

    assert decide(push(), one).reason is Reason.NO_WATCH_PATHS
    assert decide(push("v1", kind=RefKind.TAG), one).evidence == (
        "a tag (v1) arrived, it waits for a push to a branch"
    )


@each_row("kind", APPS)
@each_row(
    ("branch", "name", "reason"),
    [
        ("release/*", "release/1.2", Reason.NO_WATCH_PATHS),
        ("release/*", "release/1/2", Reason.BRANCH_MISMATCH),
        ("release/*", "main", Reason.BRANCH_MISMATCH),
        ("release/**", "release/1/2", Reason.NO_WATCH_PATHS),
        ("**", "any/thing/at/all", Reason.NO_WATCH_PATHS),
        ("{main,next}", "next", Reason.NO_WATCH_PATHS),
        ("!main", "main", Reason.BRANCH_MISMATCH),
        ("next", "main", Reason.BRANCH_MISMATCH),
        ("[z-a]", "main", Reason.BRANCH_MISMATCH),
    ],
)
def test_a_rules_branch_is_a_name_or_glob(
    kind: str, branch: str, name: str, reason: Reason
) -> None:
    one = replace(APPS[kind], rules=Rules(branch=branch))

    assert decide(pushed(kind, name), one).reason is reason


QUEUED = (
    "gh-readonly-queue/main/pr-7-5ca7e5d", "mergify/merge-queue/3f2c1a", "trunk-merge/pr-7/9c1f",
    "gtmq_main_7",
)  # fmt: skip


@each_row("name", QUEUED)
@each_row("glob", ["**", "*/**", "!main", "{main,**}", "g*/**", "[a-z]**"])
def test_a_glob_takes_no_merge_queues_branch_that_it_does_not_name(glob: str, name: str) -> None:
    decision = decide(push(name), app(rules=Rules(branch=glob)))

    if decision.reason is not Reason.BRANCH_MISMATCH:
        pytest.fail(f"{glob} took {name}")
    assert decision.evidence.startswith(f"branch {name} was pushed, it deploys {glob}")


@each_row(
    ("glob", "name"),
    [
        ("gh-readonly-queue/**", QUEUED[0]),
        ("{main,gh-readonly-queue/main/*}", QUEUED[0]),
        ("mergify/merge-queue/*", QUEUED[1]),
        ("trunk-merge/**", QUEUED[2]),
        ("gtmq_*", QUEUED[3]),
        ("gtmq*", QUEUED[3]),
        *((name, name) for name in QUEUED),
        ("**", "my/gh-readonly-queue/main"),
        ("**", "gh-readonly-queue"),
    ],
)
def test_a_merge_queues_branch_deploys_where_the_glob_names_it(glob: str, name: str) -> None:
    assert decide(push(name), app(rules=Rules(branch=glob))).deploy


def test_a_branch_left_out_for_being_a_merge_queues_says_so() -> None:
    assert decide(push(QUEUED[0]), app(rules=Rules(branch="**"))).evidence == (
        f"branch {QUEUED[0]} was pushed, it deploys **, which takes no branches of merge queues"
        " (gh-readonly-queue/) unless it names them"
    )


@pytest.mark.parametrize("branch", ["!important", "a{main,b}", "+(main)", "@(a|main)"])
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

    for switch, reason in (
        (None, Reason.SKIP_DIRECTIVE),
        (True, Reason.SKIP_DIRECTIVE),
        (False, Reason.NO_WATCH_PATHS),
    ):
        assert decide(skipping, app(rules=Rules(skip_directives=switch))).reason is reason


def test_the_list_of_skip_directives_is_a_policy() -> None:
    policy = Policy(skip_directives=("[wip]",))

    assert decide(pushed("github", message="x [wip]"), app(), policy).evidence == (
        "the push says [wip]"
    )
    assert decide(pushed("github", message="x [skip ci]"), app(), policy).deploy
    none = Policy(skip_directives=())
    assert all(decide(pushed("github", message=m), app(), none).deploy for m in SKIP_DIRECTIVES)


def test_what_an_exclamation_mark_means_is_a_policy() -> None:
    one = app(watch_paths=("web/**", "!**/*.html"))

    assert decide(push(), one).reason is Reason.NO_PATH_HIT
    assert decide(push(), one, Policy(semantics="any")).evidence == "web/index.html matches web/**"
    elsewhere = push(paths=("api/a.py",))
    assert decide(elsewhere, one, Policy(semantics="any")).evidence == "api/a.py matches !**/*.html"


def test_the_version_of_picomatch_is_a_policy() -> None:
    def verdict(pattern: str, path: str) -> list[Reason]:
        one = app(watch_paths=(pattern,))
        policies = (Policy(picomatch="2.3.1"), Policy(picomatch="2.3.2"))
        return [decide(push(paths=(path,)), one, policy).reason for policy in policies]

    assert verdict("web/+(a|aa)", "web/a") == [Reason.PATH_HIT, Reason.NO_PATH_HIT]
    assert verdict("web/**", "web/a") == [Reason.PATH_HIT, Reason.PATH_HIT]


# ── from the settings ────────────────────────────────────────────────────────


def test_rules_and_policy_come_from_the_file(tmp_path: Path) -> None:
    file = tmp_path / "bridge.yaml"
    file.write_text(
        """
        watch: {semantics: any, picomatch: 2.3.2, skip_directives: ["[wip]"]}
        rules:
          - {apps: shop/*, only_newer: true}
          - apps: shop/api
            trigger: tag
            branch: release/*
            watch_paths: [web/**, "!**/*.md"]
            tags: api-v*
            versions: ">=1.2 <2"
            tag_prefix: api-v
            prereleases: only
            skip_directives: false
        """
    )

    settings = read_settings(file, {})

    assert policy_of(settings) == Policy("any", "2.3.2", ("[wip]",))
    assert rules_for("shop/api", book_of(settings)) == Rules(
        trigger=Trigger.TAG,
        branch="release/*",
        watch_paths=("web/**", "!**/*.md"),
        tags="api-v*",
        versions=">=1.2 <2",
        tag_prefix="api-v",
        prereleases=Prereleases.ONLY,
        only_newer=True,
        skip_directives=False,
    )


def test_rules_and_policy_come_from_the_environment() -> None:
    settings = read_settings(
        None,
        {
            "BRIDGE_RULES": "- {apps: a/b, tags: v*}",
            "BRIDGE_WATCH_SKIP_DIRECTIVES": "[wip], [no deploy]",
        },
    )

    assert book_of(settings) == [("a/b", Rules(tags="v*"))]
    assert policy_of(settings).skip_directives == ("[wip]", "[no deploy]")


def test_without_settings_there_are_no_rules() -> None:
    settings = read_settings(None, {})

    assert book_of(settings) == []
    assert policy_of(settings) == Policy()


@each_row(
    ("rules", "words"),
    [
        (
            "- {apps: a, versions: '>=1,<2'}",
            (
                "rules.0.versions (BRIDGE_RULES): '1,<2' is no version; write e.g. 1.2.3, 1.2 or"
                " 1.x (it is '>=1,<2')"
            ),
        ),
        ("- {apps: a, brnch: x}", "rules.0.brnch is no setting; did you mean branch?"),
        (
            "[{apps: a}, {apps: a, prerelease: skip}]",
            "rules.1.prerelease is no setting; did you mean prereleases?",
        ),
        (
            "- {apps: a, watch_path: [x]}",
            "rules.0.watch_path is no setting; did you mean watch_paths?",
        ),
        ("- {branch: x}", "rules.0.apps (BRIDGE_RULES): it is missing"),
        (
            "- {apps: a, trigger: tags}",
            "rules.0.trigger (BRIDGE_RULES): it must be 'push' or 'tag', not 'tags'",
        ),
        (
            "- {apps: a, prereleases: never}",
            (
                "rules.0.prereleases (BRIDGE_RULES): it must be 'deploy', 'skip' or 'only',"
                " not 'never'"
            ),
        ),
        (
            "- {apps: a, versions: 1.20}",
            (
                "rules.0.versions (BRIDGE_RULES): it must be a text (in quotes, if it looks like a"
                " number), not 1.2"
            ),
        ),
        (
            "- {apps: a, watch_paths: web/**}",
            "rules.0.watch_paths (BRIDGE_RULES): it must be a list",
        ),
        ("apps: a", "rules (BRIDGE_RULES): it must be a list, not an object"),
        ("- shop", "rules.0 (BRIDGE_RULES): it must hold settings by name"),
        (
            "[",
            (
                "rules (BRIDGE_RULES): it is not YAML, line 1: a bracket stays open, or a value is"
                " missing"
            ),
        ),
    ],
)
def test_a_rule_that_can_not_be_read_says_where_and_how_to_mend_it(rules: str, words: str) -> None:
    with pytest.raises(Rejected) as told:
        read_settings(None, {"BRIDGE_RULES": rules})

    assert str(told.value) == words


def test_the_example_of_the_page_can_be_read() -> None:
    page = (Path(__file__).parents[2] / "docs" / "deciding.md").read_text()
    (example,) = [part for part in page.split("```yaml\n") if "tag_prefix:" in part]

    rules = read_settings(None, {"BRIDGE_RULES": example.partition("```")[0].partition("\n")[2]})

    book = book_of(rules)
    assert [apps for apps, _ in book] == ["shop/*", "shop/api", "shop/web"]
    assert decide_tag(rules_for("shop/api", book), "api-v1.3.0").deploy


def decide_tag(rules: Rules, tag: str) -> Decision:
    return decide(push(tag, kind=RefKind.TAG), app(rules=rules))


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
