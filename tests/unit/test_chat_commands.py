"""The grammar of what people type: a table, and that nothing typed can break it."""

import contextlib
from typing import Any

from hypothesis import assume, given, settings
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

NOW = 1_700_000_000.0  # Tue 2023-11-14 22:13:20 UTC


def call(name: str, scope: str = "", *, rest: str = "", when: str = "", **more: Any) -> Call:
    """Return a call of an operation about a scope, or with other arguments."""
    operation, implied = words.named(name)
    key = {"f": "lasts", "u": "until"}.get(when[:1], "")
    key = "until_merge" if "merge" in when else key
    given = {**implied, "scope": scope, key: when, "reason": rest, **more}
    given = {name: value for name, value in given.items() if value}
    return Call(operation.name, given, words.written(operation.name, given))


def of_app(name: str, app: str = "web", **given: str) -> Call:
    """Return a call of an operation about an app."""
    whole = {"app": app, **given}
    return Call(name, whole, words.written(name, whole))


def of_preview(name: str, **given: Any) -> Call:
    """Return a call of an operation about previews."""
    return Call(name, given, words.written(name, given))


@each_row(
    ("typed", "meant"),
    [
        ("", Command()),
        ("help deploy", Command(rest="deploy")),
        ("deploy", Call("deploy", {}, "deploy")),
        ("DEPLOY: web", of_app("deploy", "web")),
        ("  deploy   shop/web  ", of_app("deploy", "shop/web")),
        ("deploy web@main", of_app("deploy", "web", branch="main")),
        ("deploy web@a@b", of_app("deploy", "web", branch="a@b")),
        ("deploy `web`", of_app("deploy", "web")),
        ("deploy “web”", of_app("deploy", "web")),
        ("deploy <mailto:web@main.io|web@main.io>", of_app("deploy", "web", branch="main.io")),
        ("deploy a&amp;b", of_app("deploy", "a&b")),
        ("deploy we\u202eb", Unclear("", ("deploy we",))),
        ("deploy web api", Unclear("", ("deploy web",))),
        ("redeploy web@main", of_app("redeploy", "web@main")),
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
        ("lock shop for 1h30min, a b", call("lock", "shop", rest="a b", when="for 1h30m")),
        ("lock shop for the release", call("lock", "shop", rest="for the release")),
        ('lock "my shop/web" a b', call("lock", "my shop/web", rest="a b")),
        ("lock “project:my shop” a b", call("lock", "project:my shop", rest="a b")),
        ('lock "my shop a b', call("lock", "my", rest="shop a b")),
        ("steal shop for 1d a b", call("steal", "shop", rest="a b", when="for 1d")),
        ("unlock shop please", Unclear("", ("unlock shop",))),
        ("locks shop", Unclear("", ("locks",))),
        (
            "freeze all until friday 18:00 europe/berlin it is late",
            call("freeze", "all", rest="it is late", when="until fri 18:00 Europe/Berlin"),
        ),
        (
            "freeze all until 2026-12-24T18:00 CET a b",
            call("freeze", "all", rest="a b", when="until 2026-12-24 18:00 CET"),
        ),
        ("freeze all until 6pm a b", Unclear("")),
        ("freeze all until 2026-02-30 18:00 a b", Unclear("")),
        ("freeze all until it is mended", call("freeze", "all", rest="until it is mended")),
        ("revert web v1.4.2", of_app("rollback", to="v1.4.2")),
        ("approve web ABC1234", of_app("approve", commit="ABC1234")),
        ("approve web abcd more", Unclear("", ("approve web abcd",))),
        ("override web", Unclear("")),
        ("override web for 2h it burns", of_app("override", reason="for 2h it burns")),
        ("previews web --all", of_preview("previews", app="web", every=True)),
        ("previews stop shop/web#12", of_preview("previews stop", preview="shop/web#12")),
        ("previews extend release 2 #12", of_preview("previews extend", preview="release 2 #12")),
        (
            "previews approve web #12 18F234F",
            of_preview("previews approve", preview="web #12", commit="18F234F"),
        ),
        ("previews stop web#12 now", Unclear("", ("previews stop web#12",))),
        ("deploy web at 22:00", of_app("deploy", "web", at="at 22:00")),
        (
            "deploy web@main at fri 22:00 Europe/Berlin",
            of_app("deploy", "web", branch="main", at="at fri 22:00 Europe/Berlin"),
        ),
        ("deploy web at 22:00 please", Unclear("", ("deploy web at 22:00",))),
        ("redeploy web at 22:00", Unclear("", ("redeploy web",))),
    ],
)
def test_what_is_typed_after_the_command(typed: str, meant: Command | Call | Unclear) -> None:
    found = parse(typed)

    if isinstance(meant, Unclear):
        assert isinstance(found, Unclear)
        assert found.why
        assert found.suggestions == meant.suggestions
    else:
        assert found == meant
        assert isinstance(found, Command) or parse(written(found)) == found


@each_row(
    ("name", "typed", "meant"),
    [
        ("deploy", "", Call("deploy", {}, "deploy")),
        ("deploy", "web@main", of_app("deploy", "web", branch="main")),
        ("deploy", "help", Command(rest="deploy")),
        ("cancel", "shop/web", of_app("cancel", "shop/web")),
    ],
)
def test_short_commands_have_the_same_grammar(name: str, typed: str, meant: Command | Call) -> None:
    assert parse(typed, name) == meant


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


@each_row(
    ("typed", "why"),
    [
        ("freeze all until 18:00 Europe/Berln a b", "e.g. Europe/Berlin or UTC"),
        ("freeze all until 18:00 PDT a b", "'PDT' is no time zone"),
        ("freeze all until 25:00 a b", "hours go to 24:00"),
        ("freeze all until friday a b", 'names no time of the day: write e.g. "fri 18:00"'),
        ("lock shop for 2 reasons", "'2' is no duration: write e.g. 90s, 10m, 2h or 1d"),
        ("lock shop", "Why; others will read it."),
        ("promote web", "From APP? The app whose version it gets. Write `promote APP from APP`."),
    ],
)
def test_what_can_not_be_read_is_named_with_the_rule_and_the_remedy(typed: str, why: str) -> None:
    found = parse(typed)

    assert isinstance(found, Unclear)
    assert why in found.why


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


@given(
    st.sampled_from(["lock", "freeze", "steal"]),
    st.from_regex(r"[a-z0-9]([a-z0-9./_-]| (?=[a-z])){0,20}", fullmatch=True),
    st.sampled_from(["", "for 90s", "until mon 08:00 America/New_York", "until merge of a/b#1"]),
)
def test_a_lock_written_down_is_read_back(verb: str, scope: str, when: str) -> None:
    assume(verb != "freeze" or "merge" not in when)  # only locks end with one
    typed = call(verb, scope, rest="don't: it's late", when=when)

    assert parse(written(typed)) == typed


@each_row(
    ("when", "at"),
    [
        ("for 2h", NOW + 7200),
        ("until 23:00", 1_700_002_800.0),
        ("until 23:00 Europe/Berlin", 1_700_085_600.0),
        ("at wed 08:00 Europe/Berlin", 1_700_031_600.0),
    ],
)
def test_a_time_is_the_next_that_fits(when: str, at: float) -> None:
    assert ends_at(when, NOW) == at
