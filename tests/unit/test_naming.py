"""Apps are found by what people call them, and requests name who asks."""

import json

import pytest

from bridge.core.apps import App, find_app
from bridge.core.errors import Ambiguous, NotFound
from bridge.core.events import Action, Asked, parse_command, write_command
from bridge.core.people import Actor
from tests.worlds.rows import each_row

# ── apps ──────────────────────────────────────────────────────────────────────────

APPS = [
    App("id1", "web", "shop"),
    App("id2", "api", "shop"),
    App("id3", "api", "blog"),
    App("id4", "website", "blog"),
    App("id5", "web", "shop", environment="staging"),
    App("id6", "API", "Old"),
]
GONE = [App("id7", "web", "shop"), App("id8", "webs", "blog"), App("id9", "docs", "shop")]
"""Apps that were deleted; a name means a live one first, and a whole name before a beginning."""


@each_row(
    ("name", "wanted"),
    [
        ("id3", "id3"), ("id7", "id7"), ("shop/web", "id1"), ("SHOP/WEB", "id1"),
        ("shop/staging/web", "id5"), ("website", "id4"), ("webs", "id8"), ("websi", "id4"),
        ("shop/a", "id2"), ("shop/st", "id5"), ("old/api", "id6"), ("shop/docs", "id9"),
    ],
)  # fmt: skip
def test_an_app_is_found_by_id_label_name_and_beginning(name: str, wanted: str) -> None:
    assert find_app(APPS, name, GONE).id == wanted


TWINS = [App("id1", "web", "shop"), App("id2", "web", "shop")]


@each_row(
    ("apps", "name", "words"),
    [
        (APPS, "api", "'api' fits several apps: shop/api, blog/api, Old/API"),
        (TWINS, "shop/web", r"shop/web \(id1\), shop/web \(id2\)"),
        (APPS, "webiste", "did you mean blog/website"),
        (APPS, "qqqq", r"there are: shop/web, .* and 1 more"),
        (APPS, "/", "there are: shop/web"),
        ([], "web", "no app is known yet"),
        *((APPS, empty, "no app") for empty in ("", " ")),
    ],
)
def test_what_is_not_one_app_is_told_with_what_there_is(apps, name, words) -> None:
    with pytest.raises((Ambiguous, NotFound), match=words):
        find_app(apps, name)


def test_the_app_of_a_preview_comes_last() -> None:
    preview = App("id7", "site pr-12", "shop", environment="previews", marker="bridge:x#12:id8")
    apps = [preview, App("id8", "site-of-docs", "shop")]

    assert find_app(apps, "site").id == "id8"
    assert find_app(apps, "site pr-12").id == "id7"
    assert find_app(apps, "shop/previews/").id == "id7"
    with pytest.raises(NotFound, match="did you mean shop/site-of-docs") as refused:
        find_app(apps, "sitte-of-docs")
    assert "pr-12" not in str(refused.value)


# ── who asks ──────────────────────────────────────────────────────────────────────


def test_a_request_names_its_actor_whatever_the_name_looks_like() -> None:
    asked = Asked(Action.DEPLOY, "app-web", Actor("slack", "a: b (U1)"), person="U0ADA")

    body = write_command(asked)

    assert parse_command("deploy", body) == asked
    assert json.loads(body)["actor"] == "slack: a: b (U1)"  # what an older release reads
    assert str(asked.by) == "slack: a: b (U1) (U0ADA)"


def test_a_request_that_an_older_release_has_kept_is_understood() -> None:
    for text, actor in {
        "slack: Ada Lovelace": Actor("slack", "Ada Lovelace"),
        "slack: Ada (U0ADA)": Actor("slack", "Ada", "U0ADA"),
        "the bridge": Actor(name="the bridge"),
    }.items():
        body = json.dumps({"target": "app-web", "actor": text}).encode()
        found = parse_command("deploy", body).actor
        assert (found, str(found)) == (actor, text)
