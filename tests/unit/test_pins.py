"""The branches of pinned apps: their names, whose they are, and what is built."""

from dataclasses import replace

import pytest

from bridge.core.apps import App, Rules, Source, SourceType, Trigger
from bridge.core.configuration.configuration import Environment, GithubSource, Saved
from bridge.core.configuration.difference import Configured, Part, Undoing, lines_of, only
from bridge.core.configuration.merge import WantedPin, WantedSource, merge
from bridge.core.configuration.plan import breaks_pin, change_of, going_on
from bridge.core.decision import Reason, decide, of_own_branch
from bridge.core.events import Action, RefKind
from bridge.core.pins import exact, owner_of, pin_for, pin_of, shown_branch, tracked, unpinnable
from bridge.core.refs import check_branch_name
from tests.fakes.journey import app, deployment, push, source

PIN = "bridge/web/app-web"


def pinned(branch: str | None = "main", **others: object) -> App:
    rules = Rules(branch=branch, pin=True)
    return replace(app(rules=rules, source=source(branch=PIN)), **others)  # type: ignore[arg-type]


@pytest.mark.parametrize(
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
    named = App(id=id_, name=name, project="shop")

    assert pin_for(named) == pin
    check_branch_name(pin)


def test_a_pin_stays_the_apps_own_when_the_app_is_renamed() -> None:
    assert pin_of(pinned(name="shop")) == PIN


@pytest.mark.parametrize(
    "branch",
    ["main", "bridge/web/app-api", "bridge/app-web", "bridge/web/x/app-web", "web/app-web", None],
)
def test_other_branches_are_no_pins_of_it(branch: str | None) -> None:
    assert pin_of(app(source=source(branch=branch))) is None


def test_the_branch_that_a_pinned_app_tracks_is_its_rules() -> None:
    assert tracked(pinned()) == "main"
    assert tracked(app()) == "main"
    assert tracked(app(source=None)) is None
    assert tracked(app(rules=Rules(branch="release/*"))) == "main"  # what is built, as ever


@pytest.mark.parametrize("branch", [None, "release/*", "{a,b}"])
def test_a_pinned_app_without_one_branch_tracks_none(branch: str | None) -> None:
    assert tracked(pinned(branch)) is None


def test_people_see_what_it_tracks() -> None:
    assert (shown_branch(pinned()), shown_branch(app())) == ("main, pinned", "main")


def test_sources_without_a_branch_cannot_be_pinned() -> None:
    assert unpinnable(None) == "it has no source"
    assert "docker" in (unpinnable(Source(SourceType.DOCKER, image="nginx")) or "")
    assert unpinnable(source()) is None


# ── which commit ────────────────────────────────────────────────────────────────────────────────

TAGGED = replace(deployment(), ref="refs/tags/v1", commit="7" * 40)


def test_a_deployment_that_is_bound_to_a_commit_builds_that() -> None:
    bound = replace(TAGGED, pinned="9" * 40)

    assert exact(bound, pinned()) == exact(bound, app()) == "9" * 40
    assert exact(replace(bound, action=Action.REDEPLOY), pinned()) is None


def test_a_tag_deploys_its_own_commit_once_the_app_is_pinned() -> None:
    assert exact(TAGGED, pinned()) == "7" * 40
    assert exact(TAGGED, app()) is None
    assert exact(deployment(commit="7" * 40), pinned()) is None


# ── pushes of pins ──────────────────────────────────────────────────────────────────────────────


def test_a_push_of_a_pin_is_the_bridges_own() -> None:
    apps = [app("app-api"), pinned()]

    owner = owner_of(push(PIN), apps)

    assert owner == apps[1]
    decision = of_own_branch(apps[1], push(PIN))
    assert (decision.reason, decision.deploy) == (Reason.OWN_BRANCH, False)
    assert "has moved to pin shop/web" in decision.evidence


@pytest.mark.parametrize("name", ["main", "bridge/web", "bridge/web/other", "bridge/fix/app-web/2"])
def test_a_branch_of_peoples_own_below_bridge_is_theirs(name: str) -> None:
    assert owner_of(push(name), [pinned()]) is None
    theirs = app("app-docs", source=source(branch=name))
    assert decide(push(name), theirs).deploy


def test_a_tag_of_the_same_name_is_no_pin() -> None:
    assert owner_of(push(PIN, kind=RefKind.TAG), [pinned()]) is None


def test_an_app_whose_pin_is_new_owns_it_already() -> None:
    """Its record may be older than the webhook of the new branch."""
    assert owner_of(push(PIN), [app()]) == app()


# ── the change of its configuration ─────────────────────────────────────────────────────────────

MAIN = Configured(
    Saved(
        GithubSource(
            owner="my-org", repository="mono", branch="main", provider_id="p", trigger=Trigger.PUSH
        ),
        None,
        Environment(),
    )
)


def test_pinning_changes_the_branch_and_the_rules_and_nothing_else() -> None:
    after = merge(MAIN, wanted := WantedPin(PIN, "main", pin=True))

    plan = going_on(app(), _undoing(after), MAIN)
    assert lines_of(plan.difference) == [
        f"branch: main → {PIN}",
        "rules.branches: (nothing) → main",
        "rules.pin: (nothing) → yes",
    ]
    assert change_of(wanted) == "pin"
    assert merge(after, wanted) == after


def test_unpinning_puts_all_of_it_back() -> None:
    there = merge(MAIN, WantedPin(PIN, "main", pin=True))

    assert merge(there, WantedPin("main", None, pin=False)) == MAIN


def test_another_branch_of_a_pinned_app_is_warned_of() -> None:
    there = merge(MAIN, WantedPin(PIN, "main", pin=True))
    wanted = WantedSource(fields={"branch": "next"})

    (warning,) = breaks_pin(wanted, there, merge(there, wanted))
    assert "nothing deploys" in warning
    assert breaks_pin(wanted, MAIN, merge(MAIN, wanted)) == []
    back = WantedPin("main", None, pin=False)
    assert breaks_pin(back, there, merge(there, back)) == []


def _undoing(after: Configured) -> Undoing:
    return Undoing(Part.SOURCE, only(MAIN, Part.SOURCE), only(after, Part.SOURCE))
