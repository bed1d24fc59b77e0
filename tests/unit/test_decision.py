"""One push, one app: deploy or not, and why, for every reason there is."""

from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.core.apps import App, AppKind, Rules, Source, SourceType, Trigger
from bridge.core.decision import (
    DEPLOYS,
    SKIP_DIRECTIVES,
    Decision,
    Reason,
    because,
    concerns,
    decide,
)
from bridge.core.events import Commit, Ref, RefKind, RefPushed, Repository
from bridge.core.log_text import marked
from bridge.core.refs import normalise_url
from bridge.core.rules import AppTags
from tests.fakes.journey import app, push, source
from tests.worlds.rows import each_row

GITLAB = Source(SourceType.GITLAB, "group/site", repository_id="42", branch="main")
ON_GITLAB = Repository("gitlab", "42", "group/site")
ON_GITHUB = Repository("github", "4711", "my-org/mono")
HOSTS = {"github": (app(), ON_GITHUB), "gitlab": (app(source=GITLAB), ON_GITLAB)}


def tag(name: str = "v1.2.0", **others: Any) -> RefPushed:
    return push(name, kind=RefKind.TAG, **({"paths": None} | others))


def saying(message: str, **others: Any) -> RefPushed:
    return push(commit=Commit("b" * 40, message), **others)


ELSEWHERE = replace(ON_GITHUB, id="1", name="my-org/other")
WATCHING: dict[str, Any] = {"watch_paths": ("web/**",)}
TAGGED = {"trigger": Trigger.TAG}

SKIPPED = Commit("b" * 40, "[skip deploy]")
MANY = ("a/**", "b/**", "c/**", "d/**")
NOTE = "GitLab lists no more than 20 commits"
TABLE: list[tuple[Reason, RefPushed, dict[str, Any], str]] = [
    (Reason.NO_WATCH_PATHS, push(), {}, "every push to main deploys it"),
    (Reason.NO_WATCH_PATHS, push(paths=None), {}, "every push to main deploys it"),
    (Reason.NO_WATCH_PATHS, push(paths=()), {"watch_paths": ()}, "every push to main deploys it"),
    (Reason.PATH_HIT, push(), WATCHING, "web/index.html matches web/**"),
    (Reason.NO_PATH_HIT, push(paths=("a.md",)), WATCHING, "1 file changed, none matches web/**"),
    (
        Reason.NO_PATH_HIT, push(paths=("x", "y")), {"watch_paths": MANY},
        "2 files changed, none matches a/**, b/**, c/**, …",
    ),
    (Reason.PATHS_UNKNOWN, push(paths=None, paths_note=NOTE), WATCHING, f"{NOTE}, so it deploys"),
    (Reason.PATHS_UNKNOWN, push(paths=None), WATCHING, "changed files unknown, so it deploys"),
    (Reason.TAG_PUSHED, tag(), TAGGED | WATCHING, "tag v1.2.0 was pushed"),
    (
        Reason.TAG_MISMATCH, tag(), TAGGED | {"rules": Rules(tags="release-*")},
        "tag v1.2.0 does not match release-*",
    ),
    (
        Reason.TAG_TOO_OLD, tag(), TAGGED | {"rules": Rules(only_newer=True)},
        "tag v1.2.0 is older than v1.3.0, which has been deployed",
    ),
    (Reason.TRIGGER_MISMATCH, tag("b"), {}, "a tag (b) arrived, it waits for a push to a branch"),
    (
        Reason.TRIGGER_MISMATCH, push(), TAGGED,
        "a push to a branch (main) arrived, it waits for a tag",
    ),
    (Reason.BRANCH_MISMATCH, push("b/main"), {}, "branch b/main was pushed, it deploys main"),
    (Reason.REF_DELETED, push(deleted=True, commit=None), {}, "branch main was deleted"),
    (Reason.REF_DELETED, tag(deleted=True), TAGGED, "tag v1.2.0 was deleted"),
    (Reason.SKIP_DIRECTIVE, push(options=("ci.skip",)), {}, "the push says -o ci.skip"),
    (Reason.SKIP_DIRECTIVE, tag(commit=SKIPPED), TAGGED, "the push says [skip deploy]"),
]  # fmt: skip

MADE_ELSEWHERE = {
    Reason.ASKED, Reason.CANCEL_ASKED, Reason.CANCEL_ONE_ASKED, Reason.CONFIGURE_ASKED,
    Reason.DUPLICATE_PUSH, Reason.MADE_LATER, Reason.OWN_BRANCH,
}  # fmt: skip
"""What no push alone decides: a person's wish, and another hook's, old and our own pushes."""


@each_row("host", HOSTS)
@each_row(("reason", "pushed", "asks_for", "evidence"), TABLE)
def test_on_either_host_the_first_rule_that_says_something_decides(
    host: str, reason: Reason, pushed: RefPushed, asks_for: dict[str, Any], evidence: str
) -> None:
    one, repository = HOSTS[host]
    one = replace(one, **asks_for)

    decision = decide(replace(pushed, repository=repository), one, tags=AppTags(["v1.3.0"]))

    assert decision == Decision(one.id, one.label, reason, evidence)
    assert decision.deploy is (reason in DEPLOYS)


@each_row(
    ("source", "pushed_to", "evidence"),
    [
        (None, ON_GITHUB, "shop/web has no source"),
        (app().source, ELSEWHERE, "shop/web deploys from my-org/mono, not my-org/other"),
        (Source(SourceType.DOCKER, image="nginx"), ON_GITHUB, "deploys from docker, not github"),
        (Source(SourceType.GIT, url="h/o/r"), ON_GITHUB, "deploys from h/o/r, not my-org/mono"),
    ],
)
def test_a_push_elsewhere_is_none_of_its_business(source, pushed_to, evidence) -> None:
    decision = decide(push(repository=pushed_to), app(source=source))

    assert decision.reason is Reason.REPOSITORY_MISMATCH
    assert evidence in decision.evidence


def test_a_path_that_no_pattern_can_decide_is_said_and_does_not_deploy() -> None:
    decision = decide(push(), app(watch_paths=("a" * 70_000,)))

    assert (decision.reason, decision.deploy) == (Reason.WATCH_PATHS_BROKEN, False)
    assert decision.evidence.startswith("watch path 'aaa")
    others = {Reason.REPOSITORY_MISMATCH, decision.reason, *MADE_ELSEWHERE}
    assert {row[0] for row in TABLE} | others == set(Reason)


def test_the_rules_speak_in_their_order() -> None:
    """Everything is wrong at first; each turn mends what was said and the next rule speaks."""
    pushed = push(
        "other", kind=RefKind.TAG, repository=ELSEWHERE, deleted=True,
        commit=Commit("b" * 40, "[skip ci]"), paths=("docs/a.md",),
    )  # fmt: skip
    said = []
    mends: list[dict[str, Any]] = [
        {}, {"repository": ON_GITHUB}, {"ref": Ref(RefKind.BRANCH, "other")},
        {"ref": Ref(RefKind.BRANCH, "main")}, {"deleted": False}, {"commit": None},
        {"paths": ("web/a",)},
    ]  # fmt: skip
    for mended in mends:
        pushed = replace(pushed, **mended)
        said.append(decide(pushed, app(**WATCHING)).reason)

    assert said == [
        Reason.REPOSITORY_MISMATCH, Reason.TRIGGER_MISMATCH, Reason.BRANCH_MISMATCH,
        Reason.REF_DELETED, Reason.SKIP_DIRECTIVE, Reason.NO_PATH_HIT, Reason.PATH_HIT,
    ]  # fmt: skip


def test_the_numeric_id_survives_a_rename_and_whoever_takes_the_name_deploys_nothing() -> None:
    renamed, squatter = replace(ON_GITLAB, name="group/renamed"), replace(ON_GITLAB, id="666")

    assert concerns(push(repository=renamed), app(source=GITLAB))
    decision = decide(push(repository=squatter), app(source=GITLAB))
    assert decision.evidence == "shop/web deploys from project 42, not 666"


@each_row(
    ("name", "same"),
    [
        ("My-Org/Mono", True), ("my-org/mono2", False), ("my-org/mon", False), ("org/mono", False),
        ("my-org/mono/x", False), ("", False),
    ],
)  # fmt: skip
def test_names_are_compared_whole_and_without_regard_to_case(name: str, same: bool) -> None:
    assert concerns(push(repository=replace(ON_GITHUB, name=name)), app()) is same
    assert concerns(push(), app(source=source(repository=name))) is same


@each_row("url", ["git@Git.Example.com:O/r.git", "ssh://git@git.example.com/o/r"])
def test_custom_git_is_found_by_its_address_however_that_is_written(url: str) -> None:
    source = Source(SourceType.GIT, url=normalise_url(url), branch="main")
    urls = frozenset({normalise_url("https://git.example.com/o/r.git"), "other/o/r"})
    pushed = push(repository=Repository("gitlab", "1", "whatever/name", urls))

    assert decide(pushed, app(source=source)).deploy
    assert not concerns(pushed, app(source=replace(source, url=None)))


@each_row(
    ("branch", "pushed", "deploys"),
    [
        ("feature/a/b", "feature/a/b", True), ("main", "feature/main", False), ("b", "a/b", False),
        ("a/b", "b", False), ("main", "maintenance", False), ("maintenance", "main", False),
        ("main", "Main", False), (None, "main", False), ("", "main", False),
    ],
)  # fmt: skip
def test_a_branch_is_compared_whole(branch: str | None, pushed: str, deploys: bool) -> None:
    assert decide(push(pushed), app(source=source(branch=branch))).deploy is deploys


PUSH_OPTIONS = ("ci.skip", "deploy.skip")


@each_row(
    ("pushed", "says"),
    [
        *((saying(f"feat: x\n\nmore {one} more"), one) for one in SKIP_DIRECTIVES),
        *((push(options=("a", one), commit=None), f"-o {one}") for one in PUSH_OPTIONS),
        *((saying(one), None) for one in ("[SKIP CI]", "[Skip ci]", "skip ci", "[skip]")),
        (push(options=("ci.variable=ci.skip", "CI.SKIP")), None),
    ],
)
def test_a_directive_in_the_head_commit_or_an_option_skips(pushed, says) -> None:
    """Hosts and the backend read them with regard to case, so we do not skip more than they."""
    decision = decide(pushed, app())

    assert decision.deploy is (says is None)
    assert says is None or decision.evidence == f"the push says {says}"


names = st.sampled_from(["main", "feature/a", "v1", "web/**", "!docs/**", ""]) | st.text(max_size=8)
sources = st.none() | st.builds(
    Source, st.sampled_from(SourceType), st.none() | names, st.none() | names,
    st.none() | names, st.none() | names,
)  # fmt: skip
apps = st.builds(
    App, names, names, names, source=sources, kind=st.sampled_from(AppKind),
    environment=st.none() | names, trigger=st.sampled_from(Trigger),
    watch_paths=st.none() | st.lists(names, max_size=3).map(tuple),
)  # fmt: skip
hosts = st.sampled_from(["github", "gitlab", "x"])
repositories = st.builds(Repository, hosts, names, names, st.frozensets(names))
pushes = st.builds(
    RefPushed, repositories, st.builds(Ref, st.sampled_from(RefKind), names), names, names,
    commit=st.none() | st.builds(Commit, names, st.text(max_size=20)), deleted=st.booleans(),
    paths=st.none() | st.lists(names, max_size=4).map(tuple), paths_note=names,
    options=st.lists(names, max_size=2).map(tuple),
)  # fmt: skip


@given(pushes, apps)
@settings(max_examples=80)
def test_every_push_and_app_gets_a_decision_with_one_line_of_evidence(pushed, one) -> None:
    decision = decide(pushed, one)

    assert decision == decide(pushed, one)
    assert concerns(pushed, one) is (decision.reason is not Reason.REPOSITORY_MISMATCH)
    assert decision.evidence.strip()
    assert decision.evidence == marked(decision.evidence)
    assert len(decision.evidence.splitlines()) == 1


def test_a_hostile_file_name_can_not_break_the_line_and_evidence_stays_short() -> None:
    for path in ("a\nb", "a\x1bb", "a\u202eb", "a\0b", "a\u2028b", "a\ud800b"):
        decision = decide(push(paths=(path,)), app(watch_paths=(path,)))
        assert decision.evidence == "a\ufffdb matches a\ufffdb"

    long = because(app(), Reason.ASKED, "x" * 5000).evidence
    assert len(long) <= 500
    assert long.endswith("…")
