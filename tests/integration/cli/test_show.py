"""What people see: whole, harmless, and never wider than their terminal."""

import io
import json
import re
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from bridge.cli import show, views
from bridge.cli.demo_world import farewell
from bridge.cli.show import ago, as_json, clean, clean_line, clean_lines, table
from bridge.cli.views import Links
from bridge.core.decision import Decision, Reason
from bridge.core.events import Ref, RefPushed, Repository
from bridge.core.log_text import STEERING
from bridge.core.matching.near_miss import NearMiss
from bridge.operations.explained import Near, ToldOf, pushed
from bridge.pipeline.deciding.what_if import Told
from bridge.settings import Settings
from bridge.views.values import iso
from bridge.views.view import View


def told() -> View:
    """A push that one app skips, for a file that nearly matches, and another deploys."""
    miss = "`apps/[red]a.md` matches `apps/**`, but \x1b[1m excludes it."
    none = "3 files changed, none matches apps/worker/**, !**/*.md"
    worker = Decision("w", "platform-services/staging/worker", Reason.NO_PATH_HIT, none)
    near = Near([], NearMiss("excluded", "", "", miss))
    web = Decision("a", "shop/web", Reason.PATH_HIT, "a matches **")
    repository = Repository("github", "1", "my-org/mono")
    push = RefPushed(repository, Ref.parse("refs/heads/main"), "0" * 40, "a" * 40)
    those = [ToldOf(worker, near), ToldOf(web, Near())]
    return pushed(Told("github", "push", push), push, those, [])


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_decisions_fit_and_tell_what_came_nearest(
    width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    for module in (show, views):
        monkeypatch.setattr(module, "on_terminal", lambda: True)

    views.show(told(), Links(Settings()), json=False)

    shown, beside = capsys.readouterr()
    assert all(len(line) <= width for line in shown.splitlines())
    words = " ".join(shown.split())
    assert "none matches apps/worker/**, !**/*.md" in words
    assert "platform-services/staging/worker: `apps/[red]a.md` matches `apps/**`" in beside
    assert "\x1b" not in shown + beside
    assert words.index("platform-services/staging/worker no_path_hit") < words.index("shop/web")


@pytest.mark.parametrize("width", [80, 120])
def test_a_table_fits_and_takes_nothing_for_markup(width: int) -> None:
    rows = [["deploy", "shop/web", "path_hit", "[bold]x[/] matches " + "very/long/" * 30]]
    out = io.StringIO()

    Console(file=out, width=width, force_terminal=False).print(
        table(("", "app", "reason", "*evidence"), rows)
    )

    lines = out.getvalue().splitlines()
    assert all(len(line) <= width for line in lines)
    assert "[bold]x[/] matches" in " ".join(out.getvalue().split())
    assert "…" not in out.getvalue()


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a\r\nb", "a b"),
        ("\x1b[31mred", "[31mred"),
        ("left\u202eright", "left\\u202eright"),
        ("ümlaut ✓", "ümlaut ✓"),
    ],
)
def test_text_from_outside_is_cleaned(text: str, wanted: str) -> None:
    assert clean(text) == wanted


@pytest.mark.parametrize(
    ("seconds", "wanted"),
    [(0, "0 s ago"), (59.9, "59 s ago"), (61, "1 min ago"), (7300, "2 h ago"), (2e5, "2 d ago")],
)
def test_ages_have_one_unit(seconds: float, wanted: str) -> None:
    assert ago(1000.0, 1000.0 + seconds) == wanted


def test_a_clock_that_went_back_makes_no_negative_age() -> None:
    assert ago(1000.0, 990.0) == "0 s ago"


def test_times_for_scripts_are_utc() -> None:
    assert iso(1_767_225_600.25) == "2026-01-01T00:00:00.250Z"
    assert iso(None) is None


def test_the_farewell_fits_a_terminal() -> None:
    assert all(len(line) <= 80 for line in farewell(".venv/bin/python -m bridge"))


HOSTILE = "a\x1b[2Jb\x9b31mc\u202ed\u2066e\u200ff\u061cg\x7fh\ud800i\u2028j\ufeff"


@given(st.recursive(st.text() | st.just(HOSTILE), lambda inner: st.lists(inner) | st.tuples(inner)))
def test_json_is_itself_again_and_steers_nobody(value: object) -> None:
    shown = as_json({"value": value})

    assert json.loads(shown) == json.loads(json.dumps({"value": value}))
    unseen = {char for char in shown if unicodedata.category(char) in ("Cc", "Cf", "Cs")}
    assert not {char for char in unseen if not is_harmless(char)} - {"\n"}


def is_harmless(char: str) -> bool:
    """Whether a format character neither turns text around nor steers a terminal, as of emoji."""
    return unicodedata.category(char) == "Cf" and not re.search(f"[{STEERING}]", char)


def test_no_character_that_turns_text_around_is_harmless() -> None:
    turning = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}

    harmless = {char for char in map(chr, range(0x110000)) if is_harmless(char)}
    assert not [char for char in harmless if unicodedata.bidirectional(char) in turning]
    assert not {"\u200e", "\u200f", "\u061c"} & harmless


def test_text_from_outside_has_none_of_them_either() -> None:
    assert clean(HOSTILE) == "a [2Jb 31mc\\u202ed\\u2066e\\u200ff\\u061cg h i j\\ufeff"


UNSEEN = [
    chr(code) for code in range(sys.maxunicode + 1) if unicodedata.category(chr(code)) == "Cf"
]
UNSEEN += [
    *"\u034f\u115f\u1160\u17b4\u17b5\u180b\u2800\u3164\uffa0\ufe00\ufe0f\U000e0100\U000e01ef"
]
SEEN = st.characters(exclude_categories=("Cf", "Cs", "Cn")).filter(lambda one: one not in UNSEEN)


@given(st.lists(st.one_of(st.sampled_from(UNSEEN), st.text(SEEN)), max_size=20).map("".join))
def test_what_nobody_sees_is_written_out_wherever_text_is_cleaned(text: str) -> None:
    for cleaned in (clean(text), clean_line(text), clean_lines(text)):
        hidden = {one for one in cleaned if one in UNSEEN}
        assert hidden <= {"\u200d", "\ufe0f"}
        for at, one in enumerate(cleaned):
            before, after = cleaned[at - 1 : at], cleaned[at + 1 : at + 2]
            if one == "\ufe0f":
                assert not before.isalpha()
                assert before not in hidden
            if one == "\u200d":
                assert after not in hidden
                assert not before.isalpha()
                assert not after.isalpha()
        assert clean(cleaned) == clean(clean(cleaned))


def test_a_hidden_character_is_told_apart_and_stays_whole_in_json() -> None:
    for hidden in UNSEEN:
        assert clean(f"a{hidden}b") == f"a{ascii(hidden)[1:-1]}b"
        assert json.loads(written := as_json([hidden])) == [hidden]
        assert hidden not in written


@pytest.mark.parametrize("emoji", ["👩\u200d💻", "❤️", "🏳️\u200d🌈", "1️⃣", "👍🏽", "👩🏽\u200d🚀"])
def test_an_emoji_stays_as_it_was_written(emoji: str) -> None:
    assert clean(f"ship {emoji} it") == f"ship {emoji} it"
    assert "\u200d" not in clean(f"pay\u200dpal {emoji}").replace(emoji, "")
