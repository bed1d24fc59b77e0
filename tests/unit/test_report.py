"""The figures of `report`, reckoned by hand."""

from typing import Any

from bridge.core.events import Action
from bridge.core.lifecycle import State, deployment_id
from bridge.core.report import (
    DAY,
    EndedDeployment,
    Figures,
    HeldSpan,
    HeldTime,
    Spread,
    held_by_gate,
    report_of,
    stretches_of,
)

DEPLOY, REDEPLOY, ROLLBACK = Action.DEPLOY, Action.REDEPLOY, Action.ROLLBACK
DONE, UNHEALTHY, FAILED = State.DONE, State.UNHEALTHY, State.FAILED


def ended(
    seq: int, at: float, state: State = DONE, *, took: float = 10.0, **others: Any
) -> EndedDeployment:
    """A deployment that was pushed `took` seconds before it ended."""
    app_id = others.pop("app_id", "app-web")
    given: dict[str, Any] = {
        "app": app_id.replace("app-", "shop/"), "action": DEPLOY, "pushed": True,
        "created_at": at - took, "live_at": at if state in (DONE, UNHEALTHY) else None,
        "finished_at": at,
    } | others  # fmt: skip
    return EndedDeployment(deployment_id(seq, app_id), seq, app_id=app_id, state=state, **given)


def figures(*those: EndedDeployment, days: float = 10) -> Figures:
    return report_of(those, 0.0, days * DAY).all


def test_how_often_and_how_fast() -> None:
    """Ten pushes took 1 to 10 min: the median is 5.5, nine of ten took no longer than 9."""
    found = figures(
        *(ended(n, n * 1000.0, took=n * 60.0) for n in range(1, 11)),
        ended(20, 20_000.0, action=REDEPLOY, pushed=False),
    )

    assert (found.live, found.per_day) == (11, 1.1)
    assert found.lead == Spread(10, 5.5 * 60, 9 * 60)
    assert (found.failure_rate, found.restore, found.open) == (0.0, Spread(0), 0)


def test_a_push_counts_with_the_one_that_replaced_it() -> None:
    """Pushed at 0 and replaced by that of 50, which went live at 100: 100 s and 50 s."""
    second = ended(2, 100.0, took=50.0)
    first = ended(1, 50.0, State.SUPERSEDED, took=50.0, superseded_by=second.id)
    by_hand = ended(3, 200.0, took=5.0, pushed=False)
    replaced = ended(4, 150.0, State.SUPERSEDED, took=30.0, superseded_by=by_hand.id)
    lost = ended(5, 150.0, State.SUPERSEDED, superseded_by="0000000000000099.app-web")

    found = figures(first, second, by_hand, replaced, lost)

    assert found.lead == Spread(3, 80.0, 100.0)  # 50, 200 - 120, 100
    assert (found.live, found.ended) == (2, 2)


def test_what_failed_was_unhealthy_or_was_rolled_back_from() -> None:
    """Of 8 that ended, 2 failed, 1 was unhealthy, 1 was rolled back from: a half."""
    back: dict[str, Any] = {"action": ROLLBACK, "pushed": False}
    found = figures(
        *(ended(1, 100.0), ended(2, 200.0, FAILED), ended(3, 300.0, FAILED)),
        *(ended(4, 400.0, UNHEALTHY), ended(5, 500.0, target=deployment_id(1, "app-web"), **back)),
        *(ended(6, 600.0), ended(7, 700.0)),
        *(ended(8, 800.0, target=deployment_id(6, "app-web"), **back), ended(9, 900.0)),
        *(ended(10, 910.0, State.UNKNOWN), ended(11, 920.0, State.CANCELLED), ended(12, 930.0)),
    )

    assert (found.failed, found.unhealthy, found.rolled_back) == (2, 1, 1)
    assert (found.ended, found.failure_rate) == (8, 0.5)
    assert (found.live, found.rollbacks, found.unknown) == (6, 2, 1)
    assert found.restore == Spread(1)  # from 200, over 300 and 400, until 500


def test_a_rollback_leads_away_from_all_that_the_one_before_has_brought() -> None:
    one = ended(1, 1.0, deployed_commit="a")
    two, again = (ended(seq, float(seq), deployed_commit="b") for seq in (2, 3))
    back, further, forth = (
        ended(seq, float(seq), action=ROLLBACK, target=target.id)
        for seq, target in ((4, two), (5, one), (6, again))
    )

    assert figures(one, two, again, back).rolled_back == 1
    assert figures(one, two, again, back, further).rolled_back == 2
    assert figures(one, two, again, back, further, forth).rolled_back == 2
    assert figures(one, two, again, further).rolled_back == 2  # that commit was deployed twice


def test_how_long_it_takes_to_restore() -> None:
    """Restored after 60, 120 and 600 s by a deploy, a rollback and a redeploy; one is open."""
    found = figures(
        *(ended(1, 1000.0, FAILED), ended(2, 1060.0)),
        *(ended(3, 2000.0, UNHEALTHY, finished_at=2090.0), ended(4, 2100.0, FAILED)),
        ended(5, 2120.0, action=ROLLBACK, target=deployment_id(2, "app-web")),
        *(ended(6, 3000.0, FAILED), ended(7, 3600.0, action=REDEPLOY, finished_at=3700.0)),
        ended(8, 4000.0, UNHEALTHY),
    )

    assert found.restore == Spread(3, 120.0, 600.0)
    assert found.open == 1


def test_too_few_cases_and_part_of_a_day_give_no_figure() -> None:
    for cases, rate in ((0, None), (2, None), (3, 0.0)):
        found = figures(*(ended(n, n * 10.0) for n in range(cases)), days=0.9)

        assert (found.failure_rate, found.per_day) == (rate, None)
        assert (found.lead.median is None) is (rate is None)
        assert found.lead.cases == cases


def test_each_app_has_its_own_figures_also_two_of_one_name() -> None:
    twin = ended(2, 20.0, app_id="app-api", app="shop/web")
    those = [ended(1, 10.0), twin, ended(3, 30.0, FAILED)]

    found = report_of(those, 0.0, DAY)

    assert {name: (of.live, of.failed) for name, of in found.apps.items()} == {
        "shop/web (app-api)": (1, 0),
        "shop/web (app-web)": (1, 1),
    }
    assert (found.all.live, found.all.failed, found.all.open) == (2, 1, 1)
    assert list(report_of(those[::2], 0.0, DAY).apps) == ["shop/web"]


def test_the_parts_of_a_period_and_a_clock_that_was_wrong() -> None:
    """Of a fortnight and a day, the first day has nothing, the first week 3 of which 1 is bad."""
    old = 400 * DAY
    those = [
        *(ended(n, n * DAY, took=n * 60.0) for n in (2, 3)),
        ended(4, 8 * DAY, FAILED),
        ended(5, 9 * DAY),
        ended(6, 9.5 * DAY, took=old),
        ended(7, 10 * DAY, action=ROLLBACK, target=deployment_id(5, "app-web"), pushed=False),
    ]
    first, one, two = stretches_of(those, 0.0, 15 * DAY, 7 * DAY)

    assert [(each.since / DAY, each.until / DAY) for each in (first, one, two)] == [
        (0, 1), (1, 8), (8, 15)
    ]  # fmt: skip
    assert [(each.ended, each.bad) for each in (first, one, two)] == [(0, 0), (3, 1), (2, 1)]
    assert (one.failure_rate, two.failure_rate) == (1 / 3, None)
    assert [each.lead.cases for each in (first, one, two)] == [0, 2, 1]
    assert figures(*those).lead == Spread(3, 120.0, 180.0)


def test_how_long_each_gate_has_held() -> None:
    """A gate counts from the begin of the period on, beside others, and each deployment once."""
    spans = [
        HeldSpan("a", "app-web", "shop/web", ("checks", "approval"), 50.0, 160.0),
        HeldSpan("a", "app-web", "shop/web", ("approval",), 160.0, 200.0),
        HeldSpan("b", "app-web", "shop/web", (), 10.0, 110.0),
        HeldSpan("c", "app-web", "shop/web", ("lock",), 10.0, 90.0),
    ]

    assert held_by_gate(spans, 100.0) == [
        HeldTime("checks", 60.0, 1), HeldTime("approval", 100.0, 1), HeldTime("", 10.0, 1)
    ]  # fmt: skip
