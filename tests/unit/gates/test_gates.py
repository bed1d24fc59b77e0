"""All gates together: every open reason, who may lift it, until when; and apps that wait."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from bridge.app.doctor.settings import circles
from bridge.core.access import Right
from bridge.core.apps import App, Rules
from bridge.core.checks import Check, CheckPolicy, CheckState, Need
from bridge.core.errors import Rejected
from bridge.core.events import Action
from bridge.core.gates.approvals import Approval
from bridge.core.gates.ci import Ci
from bridge.core.gates.freezes import Allowed, Freeze
from bridge.core.gates.gates import Facts, lift_of, next_look, open_gates
from bridge.core.gates.locks import Lock, scope_named, scopes_of
from bridge.core.gates.order import Earlier, differing, earlier_of
from bridge.core.health.serving import Look, Serving
from bridge.core.holds import Gate, Proposal
from bridge.core.lifecycle import Deployment, State
from tests.fakes.journey import app as an_app
from tests.fakes.journey import deployment
from tests.worlds.rows import each_row

NOW = 1_700_000_000.0
COMMIT, OTHER = "abc1234" + "0" * 33, "def5678" + "0" * 33
APP = App(id="app-web", name="web", project="shop", environment="staging")


def wanted(**facts: Any) -> Deployment:
    return replace(deployment(7, commit=COMMIT, created_at=NOW), **facts)


def app(**rules: Any) -> App:
    return replace(APP, rules=Rules(**rules))


def holds(one: Deployment, of: App, facts: Facts) -> list[Gate]:
    return [hold.gate for hold in open_gates(one, of, facts, NOW)]


def locked(**facts: Any) -> Lock:
    return replace(Lock("all", "all apps", "slack:U1", "Ada", "a release", NOW - 60), **facts)


INCIDENT = Freeze("f1", (), "an incident", at=NOW - 60, by="Ada", scope="all", label="all apps")


def test_every_open_reason_is_shown() -> None:
    facts = Facts(
        locks=[locked()],
        freezes=[INCIDENT],
        ci=Ci(COMMIT, (Check("build", CheckState.FAILED),), NOW),
        earlier={"shop/staging/api": Earlier("app-api")},
    )
    strict = app(checks=CheckPolicy(Need.ALL), approvals=1, after=("shop/staging/api",))

    found = open_gates(wanted(not_before=NOW + 60), strict, facts, NOW)

    assert [one.gate for one in found] == list(Gate)
    assert {one.gate: one.may_lift for one in found} == {
        Gate.SCHEDULE: Right.DEPLOY,
        Gate.LOCK: Right.OVERRIDE,
        Gate.FREEZE: Right.OVERRIDE,
        Gate.CHECKS: Right.OVERRIDE,
        Gate.APPROVAL: Right.APPROVE,
        Gate.ORDER: Right.OVERRIDE,
    }
    assert [one.says for one in found] == [
        "asked for a later time by push",
        "all apps are locked by Ada: a release",
        "all apps are frozen by Ada: an incident",
        "checks failed: build of abc1234",
        "needs 1 approval of abc1234, has 0",
        "shop/staging/api has not deployed abc1234 yet",
    ]
    assert next_look(found, NOW) == NOW + 60


@each_row(
    ("lock", "by", "held"),
    [
        (locked(), "", True),
        (locked(), "slack:U2", True),
        (locked(), "slack:U1", False),
        (locked(until=NOW), "", False),
        (locked(until=NOW + 1), "", True),
    ],
)
def test_a_lock_holds_all_but_its_owner_until_it_expires(lock: Lock, by: str, held: bool) -> None:
    assert holds(wanted(person=by), APP, Facts(locks=[lock])) == ([Gate.LOCK] if held else [])


@each_row(
    ("facts", "held"),
    [
        ({}, True),
        ({"person": "slack:U2"}, False),
        ({"person": "slack:U2", "action": Action.REDEPLOY}, True),
        ({"person": "slack:U2", "action": Action.ROLLBACK}, True),
    ],
)
def test_a_freeze_lets_its_exceptions_pass(facts: dict[str, Any], held: bool) -> None:
    freeze = replace(INCIDENT, allow=frozenset({Allowed.MANUAL}))

    assert holds(wanted(**facts), APP, Facts(freezes=[freeze])) == ([Gate.FREEZE] if held else [])


def approved(**facts: Any) -> Approval:
    return replace(Approval(APP.id, COMMIT, "github:grace", "Grace", "", NOW), **facts)


PROPOSAL = Proposal(COMMIT, by=("github",))


def test_an_approval_that_does_not_count_is_told() -> None:
    own = "ada@example.com"
    given = [approved(email=own), approved(person="slack:U3", name="Eve")]
    facts = Facts(approvals=given, proposal=replace(PROPOSAL, authors=(own,)))

    (hold,) = open_gates(wanted(), app(approvals=1), facts, NOW)

    assert hold.says == (
        "needs 1 approval of abc1234, has 0; nobody approves their own: Grace; slack:U3 is not"
        " recognised, since no account on github of theirs is known: name both in `identities`,"
        " `NAME: [slack:U3, github:LOGIN]`"
    )
    unknown = replace(PROPOSAL, unknown="who wrote it is not known")
    (hold,) = open_gates(wanted(), app(approvals=1), replace(facts, proposal=unknown), NOW)
    assert hold.says == "needs 1 approval of abc1234, has 0; who wrote it is not known"


def test_what_would_be_built_counts_and_not_what_was_pushed() -> None:
    passed = Ci(COMMIT, (Check("build", CheckState.PASSED),), NOW)
    green = Facts(ci=passed, approvals=[approved()], proposal=PROPOSAL)
    strict = app(checks=CheckPolicy(Need.ALL), approvals=1)

    assert holds(wanted(), strict, green) == []
    moved = replace(green, proposal=replace(PROPOSAL, commit=OTHER))
    assert holds(wanted(head=OTHER), strict, moved) == [Gate.CHECKS, Gate.APPROVAL]


STAGING = "shop/staging/web"


def live(**facts: Any) -> Deployment:
    done: dict[str, Any] = {
        "state": State.DONE,
        "deployed_commit": COMMIT,
        "live_at": NOW - 70,
        "finished_at": NOW - 60,
    }
    return replace(deployment(3), **(done | facts))


def by_hand(commit: str | None, since: float = NOW - 60) -> Look:
    newest = live().id
    return Look(NOW, newest=newest, record="r9", commit=commit, since=since, place="Dokploy")


UNTOLD = replace(deployment(4), state=State.UNKNOWN, finished_at=NOW)


@each_row(
    ("serving", "why"),
    [
        (Serving(live()), ""),
        (None, "shop/staging/web has not deployed abc1234 yet"),
        (Serving(live(finished_at=NOW - 59)), "live with abc1234 for less than 60 s"),
        (Serving(live(deployed_commit=OTHER)), "shop/staging/web runs def5678, not abc1234"),
        (
            Serving(live(deployed_commit=None)),
            "unknown commit, not abc1234: deploy shop/staging/web again",
        ),
        (Serving(live(state=State.VERIFYING)), "runs abc1234, which is being verified"),
        (Serving(live(state=State.UNHEALTHY)), "runs abc1234, which is unhealthy"),
        (
            Serving(live(), doubt=UNTOLD),
            "what runs in shop/staging/web is not known since deployment #4",
        ),
        (Serving(live(), look=by_hand(OTHER)), "shop/staging/web runs def5678, not abc1234"),
        (Serving(live(deployed_commit=OTHER), look=by_hand(COMMIT)), ""),
        (Serving(live(), look=by_hand(COMMIT, NOW - 59)), "for less than 60 s"),
        (Serving(live(), look=replace(by_hand(COMMIT), stopped=True)), "web is stopped in Dokploy"),
        (
            Serving(live(action=Action.ROLLBACK, deployed_commit=OTHER)),
            "shop/staging/web runs def5678, not abc1234",
        ),
    ],
)
def test_an_earlier_app_must_serve_the_same_commit(serving: Serving | None, why: str) -> None:
    facts = Facts(earlier={STAGING: Earlier("app-web", serving)})

    found = open_gates(wanted(), app(after=(STAGING,), soak=60.0), facts, NOW)

    assert [one.gate for one in found] == ([Gate.ORDER] if why else [])
    assert all(why in one.says for one in found)


@each_row(
    ("newest", "says"),
    [
        ({"state": State.WAITING}, "; shop/staging/web is building it: #5"),
        ({"state": State.RUNNING}, "; shop/staging/web is building it: #5"),
        ({"state": State.HELD, "commit": OTHER, "head": COMMIT}, "; shop/staging/web holds it: #5"),
        ({"state": State.FAILED}, "; shop/staging/web failed to build it: #5"),
        ({"state": State.RUNNING, "commit": OTHER}, ""),
        ({"state": State.DONE}, ""),
    ],
)
def test_it_tells_what_becomes_of_the_commit_in_the_earlier_app(
    newest: dict[str, Any], says: str
) -> None:
    coming = replace(deployment(5, commit=COMMIT), **newest)
    before = Earlier("app-web", Serving(live(deployed_commit=OTHER)), coming)

    (hold,) = open_gates(wanted(), app(after=(STAGING,)), Facts(earlier={STAGING: before}), NOW)

    assert "not abc1234" in hold.says
    assert hold.says.partition(";")[2] == says.lstrip(";")


def test_a_redeploy_fetches_nothing_so_its_commit_is_not_judged() -> None:
    strict = app(checks=CheckPolicy(), approvals=1, after=("shop/api",))
    facts = Facts(locks=[locked()], earlier={"shop/api": Earlier("app-api")})

    assert holds(wanted(action=Action.REDEPLOY, commit=None), strict, facts) == [Gate.LOCK]


def test_lifting_lets_what_holds_now_pass_and_nothing_later() -> None:
    facts = Facts(locks=[locked()])
    one = wanted()
    lift = lift_of(open_gates(one, APP, facts, NOW), "Ada", "slack:U1", "urgent", NOW)
    lifted = replace(one, lifts=(lift,))

    assert holds(lifted, APP, facts) == []
    assert holds(lifted, APP, Facts(locks=[locked(at=NOW + 1)])) == [Gate.LOCK]
    assert holds(lifted, APP, Facts(locks=[locked()], freezes=[INCIDENT])) == [Gate.FREEZE]


# ── scopes ──────────────────────────────────────────────────────────────────────────────────────

APPS = [
    APP,
    App(id="app-web-p", name="web", project="shop"),
    App(id="app-api", name="api", project="shop"),
    App(id="app-shop", name="shop", project="blog"),
]


@each_row(
    ("text", "key", "covers"),
    [
        ("all", "all", {"app-web", "app-web-p", "app-api", "app-shop"}),
        ("shop", "project/shop", {"app-web", "app-web-p", "app-api"}),
        ("shop/staging", "environment/shop/staging", {"app-web"}),
        ("shop/production", "environment/shop/production", {"app-web-p", "app-api"}),
        ("shop/web", "app/app-web-p", {"app-web-p"}),
        ("shop/staging/web", "app/app-web", {"app-web"}),
        ("api", "app/app-api", {"app-api"}),
        ("app:blog/shop", "app/app-shop", {"app-shop"}),
    ],
)
def test_scopes_are_named_as_people_name_apps(text: str, key: str, covers: set[str]) -> None:
    scope = scope_named(text, APPS)

    assert scope.key == key
    assert {one.id for one in APPS if scope.key in scopes_of(one)} == covers


def test_a_name_that_fits_several_is_asked_about() -> None:
    both = [*APPS, App(id="app-x", name="staging", project="shop")]

    with pytest.raises(Rejected, match="app:shop/staging"):
        scope_named("shop/staging", both)
    assert scope_named("environment:shop/staging", both).key == "environment/shop/staging"


# ── apps that wait for each other ──────────────────────────────────────────────


@each_row(
    ("rules", "found"),
    [
        ([], set()),
        ([("a", ["b"]), ("b", ["c"])], set()),
        ([("a", ["b"]), ("b", ["a"])], {"a", "b"}),
        ([("a", ["b"]), ("b", ["c"]), ("c", ["a"])], {"a", "b", "c"}),
        ([("a", ["a"])], set()),
        ([("shop/*", ["shop/api"])], set()),
        ([("shop/*", ["blog/web"]), ("blog/web", ["shop/api"])], {"blog/web", "shop/*"}),
        ([("shop/*", ["shop/*"])], {"shop/*"}),
        ([("shop/web", ["shop/*"])], set()),
        ([("shop/web", ["shop/*"]), ("shop/api", ["shop/*"])], {"shop/web", "shop/api"}),
    ],
)
def test_circles(rules: Sequence[tuple[str, Sequence[str]]], found: set[str]) -> None:
    assert {name for one in circles(rules) for name in one} == found


def test_an_app_does_not_wait_for_itself() -> None:
    web = an_app("app-web", rules=Rules(after=("shop/web", "shop/api")))

    assert earlier_of(web, [web]) == {"shop/api": ""}


def test_a_new_name_concerns_what_waits_for_names() -> None:
    web, api = an_app("app-web"), an_app("app-api", rules=Rules(after=("shop/staging",)))
    renamed = replace(web, name="staging")

    assert differing({"app-web": web, "app-api": api}, {"app-web": web, "app-api": api}) == []
    assert differing({"app-web": web}, {}) == ["app-web"]
    assert differing({"app-web": web, "app-api": api}, {"app-web": renamed, "app-api": api}) == [
        "app-api",
        "app-web",
    ]


def test_other_watch_paths_of_an_earlier_app_concern_what_waits_for_it() -> None:
    staging, other = an_app("app-staging", watch_paths=("web/**",)), an_app("app-other")
    web = an_app("app-web", rules=Rules(after=("shop/staging",)))
    before = {one.id: one for one in (staging, other, web)}

    corrected = replace(staging, watch_paths=("api/**",))
    assert differing(before, before | {staging.id: corrected}) == ["app-staging", "app-web"]
    assert differing(before, before | {other.id: replace(other, watch_paths=("x",))}) == [other.id]
