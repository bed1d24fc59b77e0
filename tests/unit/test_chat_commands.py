"""The grammar of what people type: a table, and that nothing typed can break it."""

import contextlib
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.core.chat.calls import Call
from bridge.core.chat.grammar import HELP, Command, Unclear, written
from bridge.core.chat.when import ends_at, zone_of
from bridge.core.errors import Rejected
from bridge.operations import typed as words
from bridge.operations.every import OPERATIONS
from bridge.operations.typed import lacks_all
from bridge.operations.words import parse
from tests.worlds.rows import each_row

MERGE = "until merge of a/b#1"
XMAS = "until 2026-12-24 18:00 CET"
NOW = 1_700_000_000.0  # Tue 2023-11-14 22:13:20 UTC


def call(name: str, scope: str = "", *, rest: str = "", when: str = "", **more: Any) -> Call:
    """Return a call of an operation; `rest` is its reason, and `when` how long it lasts."""
    operation, implied = words.named(name)
    key = {"f": "lasts", "u": "until"}.get(when[:1], "")
    key = "until_merge" if "merge" in when else key
    given = {**implied, "scope": scope, key: when, "reason": rest, **more}
    given = {name: value for name, value in given.items() if value}
    return Call(operation.name, given, words.written(operation.name, given))


@each_row(
    ("typed", "meant"),
    [
        ("", Command()),
        ("help deploy", Command(rest="deploy")),
        ("deploy", Call("deploy", {}, "deploy")),
        ("DEPLOY: web", call("deploy", app="web")),
        ("  deploy   shop/web  ", call("deploy", app="shop/web")),
        ("deploy web@main", call("deploy", app="web", branch="main")),
        ("deploy web@a@b", call("deploy", app="web", branch="a@b")),
        ("deploy `web`", call("deploy", app="web")),
        ("deploy “web”", call("deploy", app="web")),
        ("deploy <mailto:web@main.io|web@main.io>", call("deploy", app="web", branch="main.io")),
        ("deploy a&amp;b", call("deploy", app="a&b")),
        ("deploy we\u202eb", Unclear("", ("deploy we",))),
        ("deploy web api", Unclear("", ("deploy web",))),
        ("deploy @main", Unclear("")),
        ("deploy web@", Unclear("", ("deploy web",))),
        ("unlock", Call("unlock", {}, "unlock")),
        ("override", Call("override", {}, "override")),
        ("redeploy web@main", call("redeploy", app="web@main")),
        ("cancel", Call("cancel", {}, "cancel")),
        ("status", call("status")),
        ("history", call("deployments")),
        ("deployments web limit 5", call("deployments", app="web", limit="5")),
        ("why web ABC1234", call("why", app="web", commit="ABC1234")),
        ("logs web deployment 4711", call("logs", app="web", deployment="4711")),
        ("logs web --", Unclear("", ("logs web",))),
        ("ls --gone", call("apps", gone=True)),
        ("source web", call("provider", app="web")),
        ("delpoy web", Unclear("", ("deploy web", "redeploy web"))),
        ("frobnicate web", Unclear("")),
        ("lock", Call("lock", {}, "lock")),
        ("lock shop for 2h", Unclear("")),
        ("lock shop for 2h a release", call("lock", "shop", rest="a release", when="for 2h")),
        ("lock shop for 2 hours a b", call("lock", "shop", rest="a b", when="for 2h")),
        ("lock shop for 1h30min, a b", call("lock", "shop", rest="a b", when="for 1h30m")),
        ("lock shop for the release", call("lock", "shop", rest="for the release")),
        ('lock "my shop/web" a b', call("lock", "my shop/web", rest="a b")),
        ("lock “project:my shop” a b", call("lock", "project:my shop", rest="a b")),
        ('lock "my shop a b', call("lock", "my", rest="shop a b")),
        ("steal shop for 1d a b", call("steal", "shop", rest="a b", when="for 1d")),
        ("unlock shop please", Unclear("", ("unlock shop",))),
        ("lock shop until merge of a/b#1 x y", call("lock", "shop", rest="x y", when=MERGE)),
        ("lock shop until a/b#1 is merged x", call("lock", "shop", rest="x", when=MERGE)),
        ("lock shop until merge of a b", call("lock", "shop", rest="until merge of a b")),
        ("locks shop", Unclear("", ("locks",))),
        (
            "freeze all until friday 18:00 europe/berlin it is late",
            call("freeze", "all", rest="it is late", when="until fri 18:00 Europe/Berlin"),
        ),
        ("freeze all until 2026-12-24T18:00 CET a b", call("freeze", "all", rest="a b", when=XMAS)),
        ("freeze all until 6pm a b", Unclear("")),
        ("freeze all until 2026-02-30 18:00 a b", Unclear("")),
        ("freeze all until it is mended", call("freeze", "all", rest="until it is mended")),
        ("revert web v1.4.2", call("rollback", app="web", to="v1.4.2")),
        ("freeze all until 18:00 Europe/Berln a b", Unclear("e.g. Europe/Berlin or UTC")),
        ("freeze all until 18:00 PDT a b", Unclear("'PDT' is no time zone")),
        ("freeze all until 25:00 a b", Unclear("hours go to 24:00")),
        (
            "freeze all until friday a b",
            Unclear('no time of the day: write e.g. "fri 18:00"'),
        ),
        ("lock shop for 2 reasons", Unclear("'2' is no duration: write e.g. 90s, 10m, 2h or 1d")),
        ("lock shop", Unclear("Why; others will read it.")),
        (
            "promote web",
            Unclear("From APP? The app whose version it gets. Write `promote"),
        ),
        ("approve web ABC1234", call("approve", app="web", commit="ABC1234")),
        ("approve web abcd more", Unclear("", ("approve web abcd",))),
        ("override web", Unclear("")),
        ("override web for 2h it burns", call("override", app="web", rest="for 2h it burns")),
        ("previews web --all", call("previews", app="web", every=True)),
        ("previews stop shop/web#12", call("previews stop", preview="shop/web#12")),
        (
            "previews approve web #12 18F234F",
            call("previews approve", preview="web #12", commit="18F234F"),
        ),
        ("previews stop web#12 now", Unclear("", ("previews stop web#12",))),
        ("deploy web at 22:00", call("deploy", app="web", at="at 22:00")),
        ("redeploy web at 22:00", Unclear("", ("redeploy web",))),
    ],
)
def test_what_is_typed_after_the_command(typed: str, meant: Command | Call | Unclear) -> None:
    found = parse(typed)

    if isinstance(meant, Unclear):
        assert isinstance(found, Unclear)
        assert found.why
        assert meant.why in found.why
        assert found.suggestions == meant.suggestions
    else:
        assert found == meant
        assert isinstance(found, Command) or parse(written(found)) == found


def test_short_commands_have_the_same_grammar() -> None:
    assert parse("", "deploy") == Call("deploy", {}, "deploy")
    assert parse("web@main", "deploy") == call("deploy", app="web", branch="main")
    assert parse("help", "deploy") == Command(rest="deploy")
    assert parse("shop/web", "cancel") == call("cancel", app="shop/web")


def holds_together(found: Command | Call | Unclear) -> None:
    """Check that a call has what its operation needs, and that anything else is answered."""
    if isinstance(found, Unclear):
        assert found.why
        assert not any(isinstance(parse(one), Unclear) for one in found.suggestions)
    elif isinstance(found, Call):
        asked = OPERATIONS[found.name]
        required = [one.name for one in asked.arguments if one.required]
        assert lacks_all(asked, found.given) or all(found.given[name] for name in required)
        if until := found.given.get("until"):
            zone_of(until)
            with contextlib.suppress(Rejected):
                assert ends_at(until, NOW) > NOW


WHEN = st.sampled_from(
    [
        *("for 2h", "for", "until 18:00", "until fri", "until fri 18:00 Europe/Berlin"),
        *("at 22:00", "", "until merge of #12", "until merge of", "until #12 is merged"),
    ]
)


@settings(max_examples=100)
@given(
    st.sampled_from([HELP, *words.names()]),
    st.sampled_from(["shop", '"my shop"', '"', "“a", "all"]) | st.text(max_size=20),
    WHEN,
    st.text(max_size=40),
)
def test_nothing_typed_breaks_it(verb: str, scope: str, when: str, why: str) -> None:
    holds_together(parse(f"{verb} {scope} {when} {why}"))
    holds_together(parse(why, verb))
    holds_together(parse(why))


def test_a_time_is_the_next_that_fits() -> None:
    assert ends_at("for 2h", NOW) == NOW + 7200
    assert ends_at("until 23:00", NOW) == 1_700_002_800.0
    assert ends_at("until 23:00 Europe/Berlin", NOW) == 1_700_085_600.0
    assert ends_at("at wed 08:00 Europe/Berlin", NOW) == 1_700_031_600.0
