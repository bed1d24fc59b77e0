"""Which version a rollback goes back to, and how."""

from dataclasses import replace
from typing import Any

import pytest

from bridge.core.apps import AppKind, Source, SourceType
from bridge.core.errors import NotFound, Rejected
from bridge.core.events import Action
from bridge.core.health.rollback import Rung, first_way_back, targets_of, way_back
from bridge.core.lifecycle import Deployment, State, Verdict
from bridge.pipeline.deploying.rollback_plan import version_asked
from bridge.ports.backends import BackendDeployment, Progress
from tests.fakes.journey import app, deployment, serving_of
from tests.worlds.rows import each_row


def made(seq: int, version: str, state: State = State.DONE, **others: Any) -> Deployment:
    commit = version * 40
    facts: dict[str, Any] = {"deployed_commit": commit, "backend_id": f"dep-{seq}", "live_at": 1.0}
    return replace(deployment(seq, state=state), **(facts | others))


def gone_back_to(history: list[Deployment], wanted: str | None = None) -> Deployment:
    """The version to go back to, where our journal knows what is served."""
    serving = serving_of(history)
    return targets_of(history, serving.version_served if serving else None, wanted)[0]


VERIFIED = Verdict.VERIFIED
ONE, TWO, THREE = made(1, "a"), made(2, "b"), made(3, "c")
BACK_TO_TWO = made(4, "b", action=Action.ROLLBACK, target=TWO.id)
AGAIN_TO_THREE = made(5, "c", action=Action.ROLLBACK, target=THREE.id)
FOUR_BAD = made(9, "d", State.UNHEALTHY)


@each_row(
    ("history", "expected"),
    [
        ([THREE, TWO, ONE], TWO),
        ([made(4, "c"), THREE, TWO, ONE], TWO),
        ([made(4, "d", State.FAILED), THREE, TWO], TWO),
        ([made(4, "d", State.UNHEALTHY), THREE, TWO], THREE),
        ([made(5, "d", State.UNHEALTHY), made(4, "c", State.UNHEALTHY), THREE, TWO], TWO),
        ([made(4, "b", action=Action.ROLLBACK, target=TWO.id), THREE, TWO, ONE], ONE),
        ([made(4, "d", State.RUNNING), THREE, TWO, ONE], TWO),
        ([made(4, "d", State.VERIFYING), THREE, TWO, ONE], THREE),
        ([made(4, "c", live_at=1.0), made(3, "b", live_at=9.0), ONE], made(4, "c", live_at=1.0)),
        ([FOUR_BAD, BACK_TO_TWO, THREE, TWO, ONE], TWO),  # a person has left the third
        ([BACK_TO_TWO, THREE, TWO, ONE], ONE),
        ([FOUR_BAD, made(6, "c"), BACK_TO_TWO, THREE, TWO, ONE], made(6, "c")),
        ([FOUR_BAD, AGAIN_TO_THREE, BACK_TO_TWO, THREE, TWO, ONE], THREE),  # and has come back
        (
            [FOUR_BAD, made(2, "a", verdict=VERIFIED), made(1, "a", State.UNHEALTHY)],
            made(2, "a", verdict=VERIFIED),
        ),
        (
            [made(3, "a", images=("i3",)), made(2, "a", images=("i2",)), made(1, "b")],
            made(2, "a", images=("i2",)),
        ),
        ([made(3, "a", images=("i2",)), made(2, "a", images=("i2",)), made(1, "b")], made(1, "b")),
    ],
)
def test_the_healthy_version_before_is_gone_back_to(
    history: list[Deployment], expected: Deployment
) -> None:
    assert gone_back_to(history) == expected


@each_row(
    ("wanted", "expected"),
    [
        ("a" * 7, ONE), ("A" * 12, ONE), ("a" * 40, ONE), (ONE.id, ONE),
        ("3", THREE), ("#3", THREE), ("v1.0", made(0, "e", ref="refs/tags/v1.0")),
        ("#4", TWO), (BACK_TO_TWO.id, TWO),  # a rollback means the version that it went back to
    ],
)  # fmt: skip
def test_a_version_can_be_named(wanted: str, expected: Deployment) -> None:
    tagged = made(0, "e", ref="refs/tags/v1.0")

    assert gone_back_to([made(5, "d"), BACK_TO_TWO, THREE, TWO, ONE, tagged], wanted) == expected


@each_row(
    ("history", "wanted", "both"),
    [
        (
            [THREE, made(4, "b", deployed_commit="a" * 39 + "b"), ONE],
            "aaaaaaa",
            "#4 (aaaaaaa) and #1",
        ),
        ([THREE, made(5, "b", ref="refs/tags/1"), ONE], "1", "#5 (bbbbbbb) and #1 (aaaaaaa)"),
        ([THREE, made(5, "b", ref="refs/tags/v1"), made(4, "a", ref="refs/tags/v1")], "v1", "#4"),
    ],
)
def test_of_several_versions_none_is_chosen(
    history: list[Deployment], wanted: str, both: str
) -> None:
    with pytest.raises(Rejected) as refused:
        gone_back_to(history, wanted)
    assert both in str(refused.value)
    assert "name one of them" in str(refused.value)


@each_row(
    ("wanted", "says"),
    [
        ("#2", "deployment #2 of bbbbbbb is unhealthy, and only one that was healthy"),
        ("bbbbbbb", "deployment #2 of bbbbbbb is unhealthy"),
        ("bbbbb", "'bbbbb'; of a commit, give at least seven digits: `dokploy-bridge deployments"),
        ("77", "has made '77': `dokploy-bridge deployments --app shop/web` lists"),
        ("main", "has made 'main'"),
        ("b" * 41, "has made 'bbbbb"),
        ("", "has made ''"),
    ],
)
def test_what_is_not_gone_back_to_is_named_with_the_reason(wanted: str, says: str) -> None:
    with pytest.raises(NotFound) as refused:
        gone_back_to([THREE, made(2, "b", State.UNHEALTHY), ONE], wanted)
    assert says in str(refused.value)


def test_another_build_of_the_served_name_is_named_by_its_number() -> None:
    newer, older = made(3, "a", images=("i3",)), made(2, "a", images=("i2",))

    assert gone_back_to([newer, older], "#2") == older
    with pytest.raises(Rejected, match=r"served already; name an earlier build of it .*: #2$"):
        gone_back_to([newer, older], "aaaaaaa")


def test_a_version_that_was_unhealthy_is_never_gone_back_to() -> None:
    unhealthy = made(2, "b", State.UNHEALTHY)
    with pytest.raises(NotFound):
        gone_back_to([THREE, unhealthy], "bbbbbbb")
    with pytest.raises(NotFound):
        gone_back_to([THREE, unhealthy])
    with pytest.raises(NotFound):
        gone_back_to([])


def kept(**points: str | None) -> list[BackendDeployment]:
    """What a backend has kept of its deployments, by their ids."""
    return [
        BackendDeployment(
            id_.replace("_", "-"), "", "", Progress.DONE, 0.0, commit="b" * 40, restores=point
        )
        for id_, point in points.items()
    ]


def test_what_the_backend_kept_comes_first_and_is_found_by_its_commit_where_need_be() -> None:
    way = way_back(app(), TWO, kept(dep_2="point-2", dep_3="point-3"))

    assert (way.rung, way.point, way.to) == (Rung.KEPT, "point-2", TWO)
    assert way.says == "bbbbbbb: serve again what was built then, without a build"

    inferred = replace(TWO, backend_id=None)  # its record was not told apart

    assert way_back(app(), inferred, kept(dep_7="point-7")).point == "point-7"
    with pytest.raises(Rejected):
        way_back(app(), inferred, kept(dep_7="point-7", dep_8="point-8"))


def test_the_first_version_with_a_way_is_gone_back_to() -> None:
    records = kept(dep_3=None, dep_2="point-2", dep_1="point-1")

    assert first_way_back(app(), [THREE, TWO, ONE], records, [], None).to == TWO
    with pytest.raises(Rejected, match="not kept what it built of ccccccc"):
        first_way_back(app(), [THREE, ONE], kept(dep_3=None, dep_1=None), [], None)


def test_the_commit_that_was_live_is_built_again_and_not_the_one_that_was_pushed() -> None:
    overtaken = replace(TWO, commit="e" * 40)

    assert version_asked(overtaken, Rung.PIN)["commit"] == "b" * 40


def test_the_same_name_of_an_image_is_no_way_back() -> None:
    of_image = app(source=Source(SourceType.DOCKER, image="shop/web:latest"))
    before = replace(made(1, "a"), deployed_commit=None, image="shop/web:latest")

    with pytest.raises(Rejected, match="give each version a tag of its own, or its digest"):
        way_back(of_image, before, [])


@each_row(
    ("kind", "records", "says"),
    [
        (AppKind.APPLICATION, kept(dep_2=None), "switch on rollbacks for the app in dokploy"),
        (AppKind.APPLICATION, [], "has no record of bbbbbbb any more"),
        (AppKind.COMPOSE, kept(dep_2=None), "is a compose stack"),
    ],
)
def test_without_a_way_it_says_what_to_switch_on(
    kind: AppKind, records: list[BackendDeployment], says: str
) -> None:
    with pytest.raises(Rejected, match=says):
        way_back(app(kind=kind), TWO, records)


def test_where_others_are_kept_it_names_those_and_nothing_to_switch_on() -> None:
    bad = made(4, "d", State.UNHEALTHY, live_at=2.0)
    records = kept(dep_4="p4", dep_3="p3", dep_2="p2", dep_1=None)

    with pytest.raises(Rejected) as refused:
        way_back(app(), ONE, records, [bad, THREE, TWO, ONE])

    assert "not that of aaaaaaa; name one that is kept: ccccccc, bbbbbbb. Or pin" in str(
        refused.value
    )
    assert "switch on" not in str(refused.value)
