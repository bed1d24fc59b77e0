from dataclasses import replace

import pytest

from bridge.core.apps import App, find_app
from bridge.core.errors import Ambiguous, NotFound
from tests.worlds.rows import each_row

APPS = [
    App("id1", "web", "shop"),
    App("id2", "api", "shop"),
    App("id3", "api", "blog"),
    App("id4", "website", "blog"),
    App("id5", "web", "shop", environment="staging"),
    App("id6", "API", "Old"),
]


@each_row(
    ("name", "wanted"),
    [
        ("id3", "id3"),
        ("shop/web", "id1"),
        ("SHOP/WEB", "id1"),
        ("shop/staging/web", "id5"),
        ("website", "id4"),
        ("webs", "id4"),
        ("shop/a", "id2"),
        ("shop/st", "id5"),
        ("old/api", "id6"),
    ],
)
def test_an_app_is_found_by_id_label_name_and_beginning(name, wanted):
    assert find_app(APPS, name).id == wanted


def test_several_that_fit_are_named():
    with pytest.raises(Ambiguous, match="'api' fits several apps: shop/api, blog/api, Old/API"):
        find_app(APPS, "api")


def test_two_of_the_same_label_are_told_apart_by_id():
    twins = [App("id1", "web", "shop"), App("id2", "web", "shop")]
    with pytest.raises(NotFound, match=r"shop/web \(id1\), shop/web \(id2\)"):
        find_app(twins, "shop/web")


def test_near_misses_are_named():
    with pytest.raises(NotFound, match="did you mean blog/website"):
        find_app(APPS, "webiste")


def test_far_misses_name_what_there_is():
    with pytest.raises(NotFound, match=r"there are: shop/web, .* and 1 more"):
        find_app(APPS, "qqqq")
    with pytest.raises(NotFound, match="no app is known yet"):
        find_app([], "web")


@pytest.mark.parametrize("name", ["", " ", "/"])
def test_an_empty_name_is_no_app(name):
    with pytest.raises(NotFound):
        find_app(APPS, name)


def test_of_a_live_and_a_deleted_app_a_name_means_the_live_one() -> None:
    old = replace(APPS[0], id="app_old")

    assert find_app(APPS, APPS[0].label, [old]) == APPS[0]
    assert find_app(APPS[1:], APPS[0].label, [old]) == old
    assert find_app(APPS, "app_old", [old]) == old


def test_a_whole_name_of_a_deleted_app_is_stricter_than_the_beginning_of_a_live_one() -> None:
    live, gone = App("a1", "website", "shop"), App("a2", "web", "shop")

    assert find_app([live], "shop/web", [gone]) == gone
    assert find_app([live], "shop/webs", [gone]) == live


def test_the_app_of_a_preview_comes_last():
    preview = App("id7", "site pr-12", "shop", environment="previews", marker="bridge:x#12:id8")
    those = [preview, App("id8", "site-of-docs", "shop")]

    assert find_app(those, "site").id == "id8"
    assert find_app(those, "site pr-12").id == "id7"
    assert find_app(those, "shop/previews/").id == "id7"
    with pytest.raises(NotFound, match="did you mean shop/site-of-docs") as refused:
        find_app(those, "sitte-of-docs")
    assert "pr-12" not in str(refused.value)
