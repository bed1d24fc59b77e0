"""What people see: whole, harmless, and never wider than their terminal."""

import json
import re
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.cli import show, views
from bridge.cli.demo_world import farewell
from bridge.cli.show import as_json, clean
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


UNSEEN = [
    chr(code) for code in range(sys.maxunicode + 1) if unicodedata.category(chr(code)) == "Cf"
]
UNSEEN += [
    *"\u034f\u115f\u1160\u17b4\u17b5\u180b\u2800\u3164\uffa0\ufe00\ufe0f\U000e0100\U000e01ef"
]


def test_a_hidden_character_is_told_apart_and_stays_whole_in_json() -> None:
    for hidden in UNSEEN:
        assert clean(f"a{hidden}b") == f"a{ascii(hidden)[1:-1]}b"
        assert json.loads(written := as_json([hidden])) == [hidden]
        assert hidden not in written
