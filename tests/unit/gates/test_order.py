"""Apps that wait for each other."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from bridge.app.doctor.settings import circles
from bridge.core.apps import Rules
from bridge.core.gates.order import differing, earlier_of
from tests.fakes.journey import app


@pytest.mark.parametrize(
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
    web = app("app-web", rules=Rules(after=("shop/web", "shop/api")))

    assert earlier_of(web, [web]) == {"shop/api": ""}


def test_a_new_name_concerns_what_waits_for_names() -> None:
    web, api = app("app-web"), app("app-api", rules=Rules(after=("shop/staging",)))
    renamed = replace(web, name="staging")

    assert differing({"app-web": web, "app-api": api}, {"app-web": web, "app-api": api}) == []
    assert differing({"app-web": web}, {}) == ["app-web"]
    assert differing({"app-web": web, "app-api": api}, {"app-web": renamed, "app-api": api}) == [
        "app-api",
        "app-web",
    ]


def test_other_watch_paths_of_an_earlier_app_concern_what_waits_for_it() -> None:
    staging, other = app("app-staging", watch_paths=("web/**",)), app("app-other")
    web = app("app-web", rules=Rules(after=("shop/staging",)))
    before = {one.id: one for one in (staging, other, web)}

    corrected = replace(staging, watch_paths=("api/**",))
    assert differing(before, before | {staging.id: corrected}) == ["app-staging", "app-web"]
    assert differing(before, before | {other.id: replace(other, watch_paths=("x",))}) == [other.id]
