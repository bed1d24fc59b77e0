"""Who may do what: denied unless a grant says otherwise."""

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.core.access import Access, Grant, Person, Right, granting, missing
from bridge.core.previews.preview import as_preview
from tests.fakes.journey import app
from tests.worlds.rows import each_row

WEB = app("app-web")
ADA = Person("U0ADA", "Ada", "ada@example.com", frozenset({"S0DEV"}))


def access(*who: str, **others: object) -> Access:
    return Access([Grant(who, frozenset({Right.DEPLOY}), **others)])  # type: ignore[arg-type]


@each_row(
    ("who", "granted"),
    [
        *((who, True) for who in ("U0ADA", "S0DEV", "@example.com", "@EXAMPLE.com", "everyone")),
        *((who, False) for who in ("U0BOB", "S0OPS", "@example.org", "@ample.com", "u0ada", "Ada")),
    ],
)
def test_a_grant_names_people_in_four_ways_and_grants_nothing_else(who: str, granted: bool) -> None:
    rights = {Right.DEPLOY, Right.VIEW} if granted else set()

    assert access(who).rights(ADA, WEB.label, None) == rights
    assert Access().rights(ADA, WEB.label, "C1") == frozenset()
    for grant, email in (("@example.com", "eve@evil.example.com.attacker.net"), ("@", "")):
        assert not access(grant).may(Person("U0EVE", email=email), Right.DEPLOY, WEB, None)


@each_row("odd", [{"stranger": True}, {"unsure": "slack can't be reached"}])
@each_row("who", ["S0DEV", "@example.com", "everyone"])
def test_guests_and_strangers_count_only_by_their_id(odd: dict[str, object], who: str) -> None:
    guest = Person("U0ADA", "Ada", "ada@example.com", frozenset({"S0DEV"}), **odd)  # type: ignore[arg-type]

    assert not access(who).may(guest, Right.DEPLOY, WEB, None)
    assert access("U0ADA").may(guest, Right.DEPLOY, WEB, None)


def test_a_grant_counts_for_its_apps_in_its_channels_alone() -> None:
    ops = access("everyone", channels=("C0OPS",))
    shop = access("everyone", apps=("shop/*",))

    assert ops.may(ADA, Right.DEPLOY, WEB, "C0OPS")
    assert not ops.may(ADA, Right.DEPLOY, WEB, "C0ELSE")
    assert not ops.may(ADA, Right.DEPLOY, WEB, None)
    assert "one does in C0OPS" in missing(ops, ADA, Right.DEPLOY, WEB.label)
    assert shop.rights(ADA, "shop/web", None)
    assert not shop.rights(ADA, "shop/staging/web", None)


@settings(max_examples=25)
@given(st.text(), st.sampled_from(Right))
def test_the_lines_that_an_answer_shows_grant_just_that(name: str, right: Right) -> None:
    person = Person("U0BOB", name)
    read = yaml.safe_load(granting(person, right, "shop/web"))
    grants = [
        Grant(tuple(one["who"]), frozenset(map(Right, one["may"])), tuple(one["apps"]))
        for one in read["access"]
    ]

    assert Access(grants).rights(person, "shop/web", None) == {right, Right.VIEW}
    assert Access(grants).rights(person, "shop/api", None) == frozenset()
    assert Access(grants).rights(ADA, "shop/web", None) == frozenset()


def test_who_may_deploy_an_app_may_do_so_with_its_previews() -> None:
    preview = app("app-web-pr-12", environment="previews", marker="bridge:x#12:app-web")
    shown = as_preview(preview, WEB)
    grants = access("U0ADA", apps=(WEB.label,))

    assert grants.having(ADA, Right.DEPLOY, [WEB, shown, preview], None) == [WEB, shown]
    assert grants.rights_to(ADA, as_preview(preview, None), None) == frozenset()
    assert access("U0ADA", apps=(preview.label,)).may(ADA, Right.DEPLOY, shown, None)
