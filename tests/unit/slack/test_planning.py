"""Which cards there are to be, and where."""

import pytest

from bridge.chats.slack.plans import NOTICE, lane_of, plans_of
from bridge.core.decision import Reason, because
from bridge.core.events import Action, Asked
from bridge.core.people import Actor
from bridge.messages.plans import Channels
from bridge.ports.feedback import Occasion
from bridge.ports.outcomes import Outcome
from tests.fakes.journey import app, deployment, push

BOOK = (("shop/*", ("C0SHOP", "#ops")), ("shop/quiet", ()), ("shop/api", ("C0API",)))


@pytest.mark.parametrize(
    ("label", "channels"),
    [
        ("shop/web", ("C0SHOP", "#ops")),
        ("shop/api", ("C0API",)),
        ("shop/quiet", ()),
        ("blog/web", ("#all",)),
    ],
)
def test_the_last_rule_that_names_an_app_says_its_channels(
    label: str, channels: tuple[str, ...]
) -> None:
    assert Channels(BOOK, "#all").of(label) == channels


def test_an_app_without_channels_is_shown_where_it_was_asked_for() -> None:
    assert Channels(BOOK).of("blog/web", "C0HERE") == ("C0HERE",)
    assert Channels(BOOK).of("shop/quiet", "C0HERE") == ("C0HERE",)
    assert Channels(BOOK, "#all").of("blog/web", "C0HERE") == ("#all",)


def occasion(asked: Asked | None = None, *, decided: bool = True) -> Occasion:
    decisions = (because(app(), Reason.ASKED, "because"),) if decided else ()
    deployments = (deployment(7),) if decided else ()
    outcome = Outcome(7, "delivery-7", decisions, deployments)
    return Occasion(asked or push(), asked, outcome, {})


def test_a_push_gets_a_card_in_each_channel_of_its_app() -> None:
    found = plans_of(Channels((("**", ("C1", "C2")),))).cards(occasion())

    assert [one.place["channel"] for one in found] == ["C1", "C2"]
    assert {one.kind for one in found} == {"slack.card"}
    assert len({one.id for one in found}) == 2
    assert found[0].follows == (f"deployment {deployment(7).id}",)
    assert found[0].lane == lane_of("C1")


def test_what_is_asked_from_nowhere_is_shown_to_who_asked() -> None:
    asked = Asked(Action.DEPLOY, "app-web", Actor("slack", "Ada"), "U0ADA")
    (found,) = plans_of(Channels()).cards(occasion(asked))

    assert found.place["channel"] == "U0ADA"


def test_the_command_line_makes_no_card_where_no_channel_is_set() -> None:
    assert (
        plans_of(Channels()).cards(occasion(Asked(Action.DEPLOY, "app-web", Actor("cli", "ada"))))
        == []
    )


def test_only_a_card_where_it_was_asked_for_may_go_to_the_person_instead() -> None:
    asked = Asked(Action.DEPLOY, "app-web", Actor("slack", "Ada"), "U0ADA", "C0HERE")

    (here,) = plans_of(Channels((), "C0HERE")).cards(occasion(asked))
    (elsewhere,) = plans_of(Channels((), "#all")).cards(occasion(asked))
    assert here.place["person"] == "U0ADA"
    assert "person" not in elsewhere.place


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
