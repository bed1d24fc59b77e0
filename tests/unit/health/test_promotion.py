"""What a promotion brings from one app to another, and when it can't."""

from dataclasses import replace
from typing import Any

import pytest

from bridge.core.apps import App, Rules, Source, SourceType
from bridge.core.errors import NotFound, Rejected
from bridge.core.events import Action
from bridge.core.gates.promotion import Promotion, promotion_of
from bridge.core.health.rollback import Rung
from bridge.core.health.serving import Look, Serving
from bridge.core.lifecycle import Deployment, State
from bridge.core.pins import pin_for
from tests.fakes.journey import app, deployment, serving_of, source
from tests.worlds.rows import each_row

STAGING = app("app-stage", name="web", environment="staging")
LIVE = app("app-live", name="web", environment="production")
PINNED = replace(LIVE, source=source(branch=pin_for(LIVE)), rules=Rules(branch="main", pin=True))


def made(seq: int, version: str, state: State = State.DONE, **others: Any) -> Deployment:
    return replace(deployment(seq, state=state), deployed_commit=version * 40, **others)


def promoted(from_: App, to: App, there: list[Deployment], here: list[Deployment]) -> Promotion:
    """The promotion where our journal knows what both apps serve."""
    return promotion_of(from_, to, serving_of(there), serving_of(here), there)


def image(seq: int, name: str) -> Deployment:
    return replace(deployment(seq, state=State.DONE), image=name)


def of_image(one: App, name: str) -> App:
    return replace(one, source=Source(SourceType.DOCKER, image=name))


@each_row("left", [State.UNHEALTHY, State.DONE])
def test_a_rollback_is_no_news_of_its_own_and_what_it_left_is_none(left: State) -> None:
    back = made(4, "b", action=Action.ROLLBACK, target=deployment(2).id)
    there = [back, made(3, "c", state=left), made(2, "b"), made(1, "a")]

    found = promoted(STAGING, PINNED, there, [made(9, "a")])

    assert found.news is not None
    assert [one.seq for one in found.news] == [2]


@each_row(
    ("name", "warns"),
    [
        ("shop/web:1.2", False), ("shop/web:latest", True), ("shop/web", True),
        ("shop/web@sha256:" + "a" * 64, False), ("registry:5000/shop/web", True),
    ],
)  # fmt: skip
def test_an_image_is_deployed_as_it_is(name: str, warns: bool) -> None:
    other = name.partition("@")[0].removesuffix(":1.2").removesuffix(":latest") + ":old"

    found = promoted(
        of_image(STAGING, name), of_image(LIVE, other), [image(1, name)], [image(9, other)]
    )

    assert (found.rung, found.version.image) == (Rung.IMAGE, name)
    assert any("may have moved" in one for one in found.warns) is warns


@each_row(
    ("from_", "to", "there", "says"),
    [
        (STAGING, STAGING, [made(1, "a")], "name two apps"),
        (STAGING, LIVE, [made(1, "a")], "run `dokploy-bridge pin shop/production/web` once"),
        (STAGING, PINNED, [made(1, "a", State.UNHEALTHY)], "aaaaaaa is unhealthy in"),
        (STAGING, replace(PINNED, source=source(branch="main", repository="a/b")), [made(1, "a")],
         "different repositories"),
        (STAGING, replace(PINNED, source=None), [made(1, "a")], "has no source"),
        (STAGING, of_image(LIVE, "shop/web:1"), [made(1, "a")], "sources of different kinds"),
        (of_image(STAGING, "a/b:1"), of_image(LIVE, "a/c:1"), [image(1, "a/b:1")],
         "runs images of a/c, not of a/b"),
        (STAGING, PINNED, [replace(deployment(1), state=State.DONE)], "is not known"),
    ],
)  # fmt: skip
def test_what_cannot_be_promoted_is_refused_with_the_reason(
    from_: App, to: App, there: list[Deployment], says: str
) -> None:
    with pytest.raises(Rejected, match=says):
        promoted(from_, to, there, [])


def test_what_may_not_be_what_runs_is_not_promoted() -> None:
    verifying = made(4, "b", State.VERIFYING)
    with pytest.raises(Rejected, match="bbbbbbb is being verified in shop/staging/web"):
        promoted(STAGING, PINNED, [verifying, made(3, "a")], [])
    unknown = made(4, "b", State.UNKNOWN)
    with pytest.raises(Rejected, match="what runs in shop/staging/web is not known"):
        promoted(STAGING, PINNED, [unknown, made(3, "a")], [])
    stopped = Serving(live := made(4, "b"), look=Look(0.0, live.id, place="Dokploy", stopped=True))
    with pytest.raises(Rejected, match="shop/staging/web is stopped in Dokploy"):
        promotion_of(STAGING, PINNED, stopped, None, [live])


def test_nothing_to_promote() -> None:
    with pytest.raises(NotFound, match="nothing of shop/staging/web is known to run"):
        promoted(STAGING, PINNED, [made(1, "a", State.FAILED)], [])
    with pytest.raises(Rejected, match="runs aaaaaaa already"):
        promoted(STAGING, PINNED, [made(2, "a")], [made(9, "a")])
