"""Pinned apps and rehearsals: what an app would do once it is configured so."""

from dataclasses import replace

from bridge.core.apps import App, Rules, Source, SourceType, Trigger
from bridge.core.configuration.configuration import (
    DockerSource,
    Environment,
    GithubSource,
    GitlabSource,
    GitSource,
    ProviderSettings,
    Saved,
)
from bridge.core.configuration.difference import Configured, Part, Undoing, lines_of, only
from bridge.core.configuration.merge import WantedPin, WantedSource, merge
from bridge.core.configuration.plan import breaks_pin, change_of, going_on
from bridge.core.configuration.rehearsal import Rehearsal, as_configured, rehearse
from bridge.core.decision import Policy, Reason, decide, of_own_branch
from bridge.core.events import Action, RefKind
from bridge.core.pins import exact, owner_of, pin_for, pin_of, shown_branch, tracked, unpinnable
from bridge.core.refs import check_branch_name
from tests.fakes.journey import app, deployment, push, source
from tests.worlds.rows import each_row

PIN = "bridge/web/app-web"


def pinned(branch: str | None = "main", **others: object) -> App:
    rules = Rules(branch=branch, pin=True)
    return replace(app(rules=rules, source=source(branch=PIN)), **others)  # type: ignore[arg-type]


@each_row(
    ("name", "id_", "pin"),
    [
        ("web", "ZT6A95NobTiob085n0lpt", "bridge/web/ZT6A95NobTiob085n0lpt"),
        ("Web Shop (new)", "a_b-c", "bridge/web-shop-new/a_b-c"),
        ("数据", "x", "bridge/app/x"),
        ("..", "-", "bridge/app/-"),
        ("a.lock", "b.lock", "bridge/a-lock/b-lock"),
        ("n" * 90, "1", f"bridge/{'n' * 40}/1"),
    ],
)
def test_a_pin_is_a_branch_that_git_takes(name: str, id_: str, pin: str) -> None:
    assert pin_for(App(id=id_, name=name, project="shop")) == pin
    check_branch_name(pin)


@each_row(
    "branch",
    ["main", "bridge/web/app-api", "bridge/app-web", "bridge/web/x/app-web", "web/app-web", None],
)
def test_a_pin_stays_the_apps_own_and_other_branches_are_no_pins_of_it(branch: str | None) -> None:
    assert pin_of(app(source=source(branch=branch))) is None
    assert pin_of(pinned(name="renamed")) == PIN


def test_the_branch_that_a_pinned_app_tracks_is_its_rules_and_without_one_none_is_pinned() -> None:
    assert unpinnable(source()) is None
    assert unpinnable(None) == "it has no source"
    assert "docker" in (unpinnable(Source(SourceType.DOCKER, image="nginx")) or "")
    assert tracked(pinned()) == "main"
    assert tracked(app()) == "main"
    assert tracked(app(source=None)) is None
    assert tracked(app(rules=Rules(branch="release/*"))) == "main"  # what is built, as ever
    assert [tracked(pinned(branch)) for branch in (None, "release/*", "{a,b}")] == [None] * 3
    assert (shown_branch(pinned()), shown_branch(app())) == ("main, pinned", "main")


def test_what_is_bound_to_a_commit_builds_that_and_a_tag_its_own_once_the_app_is_pinned() -> None:
    tagged = replace(deployment(), ref="refs/tags/v1", commit="7" * 40)
    bound = replace(tagged, pinned="9" * 40)

    assert exact(bound, pinned()) == exact(bound, app()) == "9" * 40
    assert exact(replace(bound, action=Action.REDEPLOY), pinned()) is None
    assert (exact(tagged, pinned()), exact(tagged, app())) == ("7" * 40, None)
    assert exact(deployment(commit="7" * 40), pinned()) is None


def test_a_push_of_a_pin_is_the_bridges_own() -> None:
    apps = [app("app-api"), pinned()]

    owner = owner_of(push(PIN), apps)

    assert owner == apps[1]
    decision = of_own_branch(apps[1], push(PIN))
    assert (decision.reason, decision.deploy) == (Reason.OWN_BRANCH, False)
    assert "has moved to pin shop/web" in decision.evidence
    # nor a tag of its name; but an app owns its new pin before its record says so
    assert owner_of(push(PIN, kind=RefKind.TAG), [pinned()]) is None
    assert owner_of(push(PIN), [app()]) == app()


@each_row("name", ["main", "bridge/web", "bridge/web/other", "bridge/fix/app-web/2"])
def test_a_branch_of_peoples_own_below_bridge_is_theirs(name: str) -> None:
    assert owner_of(push(name), [pinned()]) is None
    theirs = app("app-docs", source=source(branch=name))
    assert decide(push(name), theirs).deploy


GITHUB = GithubSource(
    owner="my-org", repository="mono", branch="main", provider_id="p", trigger=Trigger.PUSH
)
MAIN = Configured(Saved(GITHUB, None, Environment()))


def test_pinning_changes_the_branch_and_the_rules_alone_and_unpinning_puts_all_of_it_back() -> None:
    wanted = WantedPin(PIN, "main", pin=True)
    after = merge(MAIN, wanted)
    change = Undoing(Part.SOURCE, only(MAIN, Part.SOURCE), only(after, Part.SOURCE))

    assert lines_of(going_on(app(), change, MAIN).difference) == [
        f"branch: main → {PIN}",
        "rules.branches: (nothing) → main",
        "rules.pin: (nothing) → yes",
    ]
    assert change_of(wanted) == "pin"
    assert merge(after, wanted) == after
    assert merge(after, WantedPin("main", None, pin=False)) == MAIN


def test_another_branch_of_a_pinned_app_is_warned_of() -> None:
    there = merge(MAIN, WantedPin(PIN, "main", pin=True))
    wanted, back = WantedSource(fields={"branch": "next"}), WantedPin("main", None, pin=False)

    (warning,) = breaks_pin(wanted, there, merge(there, wanted))
    assert "nothing deploys" in warning
    assert breaks_pin(wanted, MAIN, merge(MAIN, wanted)) == []
    assert breaks_pin(back, there, merge(there, back)) == []


# ── what recent pushes would do if an app were configured otherwise ────────────

TAG = push("v1.0.0", kind=RefKind.TAG)
PUSHES = [push(paths=("web/Index.html",)), push(paths=("docs/a.md",)), push("dev"), TAG]


def configured(
    provider: ProviderSettings | None = GITHUB, rules: Rules | None = None, *paths: str
) -> Configured:
    saved = Saved(provider, None, Environment(), paths or None)
    saved = replace(saved, trigger=getattr(provider, "trigger", Trigger.PUSH))
    return Configured(saved, rules or Rules())


def test_it_counts_what_would_deploy_and_why_the_others_would_not() -> None:
    pushes = [*PUSHES, push(paths=None)]

    found = rehearse(app(), configured(GITHUB, None, "docs/**"), pushes, Policy())

    assert (found.pushes, found.deploying, found.hint) == (5, 2, "")
    assert dict(found.others) == {
        Reason.NO_PATH_HIT: 1,
        Reason.BRANCH_MISMATCH: 1,
        Reason.TRIGGER_MISMATCH: 1,
    }
    assert found.unlisted == 1  # it deploys only because its files are not listed
    assert rehearse(app(), configured(GITHUB), pushes, Policy()).unlisted == 0


def test_where_nothing_deploys_it_says_what_came_nearest_and_the_file_wins() -> None:
    def tried(now: Configured, *book: tuple[str, Rules]) -> Rehearsal:
        return rehearse(app(), now, PUSHES, Policy(), book)

    near = tried(configured(GITHUB, None, "WEB/**"))
    tags = configured(GITHUB, Rules(trigger=Trigger.TAG, tags="v*"))
    other = configured(GITHUB.model_copy(update={"repository": "other"}))

    assert near.deploying == 0
    assert "differs from `WEB/**` only in upper and lower case" in near.hint
    assert tried(tags).deploying == 1
    assert tried(tags, ("shop/*", Rules(tags="release-*"))).deploying == 0
    assert (tried(other).pushes, tried(configured(None)).pushes) == (0, 0)


def test_an_app_is_what_its_configuration_says() -> None:
    gitlab = GitlabSource(
        owner="g", repository="a", branch="b", provider_id="p", project_id=7, path="g/s/a"
    )
    git = GitSource(url="https://me:secret@example.com/A/b.git", branch="b")
    sources: dict[ProviderSettings, Source] = {
        gitlab: Source(SourceType.GITLAB, repository="g/s/a", repository_id="7", branch="b"),
        DockerSource(image="a:1"): Source(SourceType.DOCKER, image="a:1"),
    }

    for provider, wanted in sources.items():
        assert as_configured(app(), configured(provider)).source == wanted
    found = as_configured(app(), configured(git)).source
    assert found is not None
    assert "secret" not in str(found.url)
    assert as_configured(app(), configured(None)).source is None
