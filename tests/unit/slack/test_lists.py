"""Pickers, lists and the Home: the right apps, the best first, page by page."""

from dataclasses import replace
from typing import Any

import pytest

from bridge.chats.slack import home, names, pickers, views
from bridge.chats.slack.blocks import View
from bridge.core.chat.calls import Call
from bridge.core.lifecycle import State
from bridge.views.apps import listed
from tests.scenes.shop import API, DOCS, LINKS, WEB, deployment
from tests.scenes.slack import busy, many
from tests.worlds.rows import each_row


def labels(answer: dict[str, Any]) -> list[str]:
    return [one["text"]["text"] for one in answer["options"]]


def acting(view: View) -> list[dict[str, Any]]:
    """All buttons and selects of a view."""
    rows = [block["elements"] for block in view["blocks"] if block["type"] == "actions"]
    beside = [block["accessory"] for block in view["blocks"] if "accessory" in block]
    return [*(one for row in rows for one in row), *beside]


@each_row(
    ("typed", "found"),
    [
        ("", ["shop/staging/api", "shop/web", "site/docs"]),
        ("web", ["shop/web"]),
        ("SHOP", ["shop/staging/api", "shop/web"]),
        ("api shop", ["shop/staging/api"]),
        ("s", ["site/docs", "shop/staging/api", "shop/web"]),
        ("nothing", []),
        ("\u200b", ["shop/staging/api", "shop/web", "site/docs"]),
    ],
)
def test_a_picker_offers_what_has_all_typed_words(typed: str, found: list[str]) -> None:
    assert labels(pickers.offered([WEB, API, DOCS], typed)) == found


def test_names_that_begin_with_it_come_first() -> None:
    found = labels(pickers.offered([*many(12), WEB], "service-01"))

    assert found == ["team-01/service-010", "team-01/service-011"]


def test_many_apps_stand_under_their_projects_at_most_a_hundred() -> None:
    groups = pickers.offered(many(200))["option_groups"]

    assert [group["label"]["text"] for group in groups] == [f"team-{n:02d}" for n in range(10)]
    assert sum(len(group["options"]) for group in groups) == 100


def test_a_list_goes_on_from_page_to_page() -> None:
    crowd, seen, value = many(60), [], '[1, "apps service"]'
    for _ in range(3):
        page, typed = views.read_page(value)
        view = replace(listed(crowd, {}, {}, "", ()), call=Call("apps", {}, typed), page=page)
        turn = views.message_of(view, LINKS).blocks[-1]
        seen.append(turn["text"]["text"])
        value = turn["accessory"]["value"]

    assert seen == ["1 to 25 of 60", "26 to 50 of 60", "51 to 60 of 60"]
    assert views.read_page(value) == (1, "apps service")


@each_row("value", ["", "x", "[]", "{}", '["a", "b"]', "null", "[1]", "[1e999, 1]", "[" * 2000])
def test_a_page_that_can_not_be_read_is_the_first(value: str) -> None:
    assert views.read_page(value) == (1, "")


@pytest.mark.parametrize("text", ["", "x", "[]", '{"page": "x", "project": ""}', '{"page": 1e999}'])
def test_a_home_that_can_not_be_read_begins_at_its_beginning(text: str) -> None:
    assert home.read_shown(text) == home.Shown()


def test_a_home_remembers_its_page_and_its_project() -> None:
    crowd = many(200)
    view = home.render_home(crowd, busy(crowd), shown=home.Shown(99, "team-07"), links=LINKS)

    assert home.read_shown(view["private_metadata"]) == home.Shown(1, "team-07")


def test_a_project_may_be_named_as_anything() -> None:
    apps = [replace(WEB, id=name, project=name) for name in ("*", "", "<all>")]
    view = home.render_home(apps, [], links=LINKS)

    select = next(one for one in acting(view) if one["action_id"] == names.HOME_FILTER)
    assert len({one["value"] for one in select["options"]}) == 4
    assert home.read_shown(view["private_metadata"]) == home.Shown()


def test_a_home_offers_what_somebody_may_do() -> None:
    view = home.render_home([WEB, API], [], deployable={WEB.id}, configurable={API.id}, links=LINKS)

    offered = {(one["action_id"], one.get("value")) for one in acting(view)}
    assert (names.HOME_DEPLOY, WEB.id) in offered
    assert (names.HOME_DEPLOY, API.id) not in offered
    assert (names.HOME_CONFIGURE, API.id) in offered
    assert (names.HOME_CONFIGURE, WEB.id) not in offered


def test_a_home_shows_what_runs_what_failed_and_what_to_look_after() -> None:
    now = [deployment(State.RUNNING, WEB), deployment(State.FAILED, API)]
    view = home.render_home([WEB, API, DOCS], now, links=LINKS)

    heads = [block["text"]["text"] for block in view["blocks"] if block["type"] == "header"]
    assert heads == ["Under way", "Failed lately", "Needs attention", "Your apps"]


def test_a_home_shows_nothing_of_apps_that_are_not_given() -> None:
    view = home.render_home([WEB], [deployment(State.FAILED, API)], links=LINKS)

    assert "api" not in str(view)
