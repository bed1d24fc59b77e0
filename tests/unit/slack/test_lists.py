"""Pickers, lists, the Home, and which cards there are to be."""

from dataclasses import replace
from typing import Any

from bridge.chats.slack import home, names, pickers, views
from bridge.chats.slack.blocks import View
from bridge.chats.slack.plans import NOTICE, plans_of
from bridge.core.chat.calls import Call
from bridge.core.decision import Reason, because
from bridge.core.events import Action, Asked
from bridge.core.lifecycle import State
from bridge.core.people import Actor
from bridge.messages.plans import Channels
from bridge.ports.feedback import Occasion
from bridge.ports.outcomes import Outcome
from bridge.views.apps import listed
from tests.fakes.journey import app, push
from tests.fakes.journey import deployment as one_of
from tests.scenes.shop import API, DOCS, LINKS, WEB, deployment
from tests.scenes.slack import many
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


@each_row("text", ["", "x", "[]", '{"page": "x", "project": ""}', '{"page": 1e999}'])
def test_a_home_that_can_not_be_read_begins_at_its_beginning(text: str) -> None:
    assert home.read_shown(text) == home.Shown()


def test_a_home_offers_what_somebody_may_do() -> None:
    view = home.render_home([WEB, API], [], deployable={WEB.id}, configurable={API.id}, links=LINKS)

    offered = {(one["action_id"], one.get("value")) for one in acting(view)}
    assert (names.HOME_DEPLOY, WEB.id) in offered
    assert (names.HOME_DEPLOY, API.id) not in offered
    assert (names.HOME_CONFIGURE, API.id) in offered
    assert (names.HOME_CONFIGURE, WEB.id) not in offered


def test_a_home_shows_nothing_of_apps_that_are_not_given() -> None:
    view = home.render_home([WEB], [deployment(State.FAILED, API)], links=LINKS)

    assert "api" not in str(view)


# ── which cards there are to be, and where ─────────────────────────────────────


BOOK = (("shop/*", ("C0SHOP", "#ops")), ("shop/quiet", ()), ("shop/api", ("C0API",)))


def test_an_app_without_channels_is_shown_where_it_was_asked_for() -> None:
    assert Channels(BOOK).of("blog/web", "C0HERE") == ("C0HERE",)
    assert Channels(BOOK).of("shop/quiet", "C0HERE") == ("C0HERE",)
    assert Channels(BOOK, "#all").of("blog/web", "C0HERE") == ("#all",)


def occasion(asked: Asked | None = None, *, decided: bool = True) -> Occasion:
    decisions = (because(app(), Reason.ASKED, "because"),) if decided else ()
    deployments = (one_of(7),) if decided else ()
    outcome = Outcome(7, "delivery-7", decisions, deployments)
    return Occasion(asked or push(), asked, outcome, {})


def test_only_people_of_slack_are_told_there_also_of_what_they_asked_for_elsewhere() -> None:
    for person, told in (("slack:U0ADA", ["U0ADA"]), ("github:ada", []), ("console:owner", [])):
        asked = Asked(Action.DEPLOY, "app-web", Actor("console", "Ada"), person)
        found = plans_of(Channels()).cards(occasion(asked))
        assert [one.place["channel"] for one in found] == told
        assert [one.place["asker"] for one in found] == told
        assert len(plans_of(Channels()).cards(occasion(asked, decided=False))) == len(told)


def test_what_is_asked_in_vain_is_told_to_who_asked_by_chat() -> None:
    asked = Asked(Action.CANCEL, "app-web", Actor("slack", "Ada"), "U0ADA", "C1", app="shop/web")
    (found,) = plans_of(Channels((), "#all")).cards(occasion(asked, decided=False))

    assert found.kind == NOTICE
    assert found.place["person"] == "U0ADA"
    assert "cancel of shop/web" in found.place["text"]
    assert (
        plans_of(Channels()).cards(
            occasion(Asked(Action.DEPLOY, "x", Actor("cli", "a")), decided=False)
        )
        == []
    )
