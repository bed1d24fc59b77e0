"""Whatever a text says: it mentions nobody, links nowhere, breaks nothing, and is not too long."""

import re
import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.chats.slack.mrkdwn import (
    code,
    code_block,
    code_blocks,
    escape,
    link,
    mention,
    moment,
    plain,
    plain_middle,
    prose,
    units,
)
from tests.oracles.slack_rules import markup_faults
from tests.worlds.rows import each_row


@each_row(
    ("text", "shown"),
    [
        ("fix: a & b", "fix: a &amp; b"),
        ("<!channel> look", "&lt;!channel&gt; look"),
        ("<@U0123> <https://a.b|c>", "&lt;@U0123&gt; &lt;https://a.b|c&gt;"),
        ("&lt;!here&gt;", "&amp;lt;!here&amp;gt;"),
        ("ask @channel, @Here", "ask \uff20channel, \uff20Here"),
        ("@hereby too, as it may be cut", "\uff20hereby too, as it may be cut"),
        ("mail ada@here.example", "mail ada\uff20here.example"),
        ("thanks @grace", "thanks @grace"),
        ("keep snake_case_names", "keep snake_case_names"),
        ("_it_ __init__", "\u02cdit\u02cd \u02cd\u02cdinit\u02cd\u02cd"),
        ("*bold* ~gone~ `code`", "\u2217bold\u2217 \u223cgone\u223c \u02cbcode\u02cb"),
        ("two\nlines\tand\u2028more", "two lines and more"),
        ("\x1b[31mred\x07", "[31mred"),
        ("\u202egnp.exe\u2066", "gnp.exe"),
        ("zero\u200bwidth\ufeff\u00ad", "zerowidth"),
        ("a\ud800half", "a half"),
        (":rocket: café é ü 日本", ":rocket: café é ü 日本"),
        ("  around  ", "around"),
        ("", ""),
    ],
)
def test_untrusted_text_stays_text(text: str, shown: str) -> None:
    assert escape(text, 1000) == shown


def test_marks_do_not_climb_over_the_lines_above() -> None:
    assert escape("z" + "\u0336" * 40, 100) == "z" + "\u0336" * 3


@each_row(
    ("limit", "cut"),
    [(12, "a &amp; &lt;"), (11, "a &amp;…"), (8, "a &amp;…"), (7, "a…"), (1, "…"), (0, "")],
)
def test_a_cut_splits_no_entity(limit: int, cut: str) -> None:
    assert escape("a & <", limit) == cut


def test_plain_text_keeps_its_form_without_angles() -> None:
    assert plain("a & <b>", 100) == "a & \u2039b\u203a"


def test_a_long_name_keeps_its_end() -> None:
    assert plain_middle("project/environment/app", 16) == "projec…nment/app"
    assert plain_middle("shop/web", 16) == "shop/web"


def test_code_holds_what_would_end_it() -> None:
    assert code("a`b <c>", 100) == "`a\u02cbb &lt;c&gt;`"
    assert code("\u200b", 100) == ""


@each_row(
    ("text", "shown"),
    [
        ("apps/web/a.ts matches apps/web/**", "`apps/web/a.ts` matches `apps/web/**`"),
        ("none matches *.md, docs/{a,b}/**.", "none matches `*.md`, `docs/{a,b}/**`."),
        ("`a b.ts` differs from `A*`", "`a b.ts` differs from `A*`"),
        ('process "/bin/sh -c x" failed', 'process "/bin/sh -c x" failed'),
        ("@channel <!here> snake_case _x_", "\uff20channel &lt;!here&gt; snake_case \u02cdx\u02cd"),
        ("a ` loose one", "a \u02cb loose one"),
        ("waits for its turn", "waits for its turn"),
        ("replaced by #2 (shop/web:2).", "replaced by #2 (`shop/web:2`)."),
        ("(see app/(shop)/*.@(ts|js))", "(see `app/(shop)/*.@(ts|js)`)"),
    ],
)
def test_names_in_a_sentence_stay_what_they_are(text: str, shown: str) -> None:
    assert prose(text, 200) == shown


def test_a_block_of_code_shows_the_end_of_a_log() -> None:
    log = "\n".join(f"line {n}" for n in range(1000))

    shown = code_block(log, 100)

    assert shown.startswith("```\n…\nline ")
    assert shown.endswith("line 999\n```")
    assert len(shown) <= 100


def test_a_fence_in_a_log_ends_no_block() -> None:
    assert (
        code_block("a\n```\n<!channel>", 100) == "```\na\n\u02cb\u02cb\u02cb\n&lt;!channel&gt;\n```"
    )


def test_several_blocks_of_code_go_on_where_the_last_ended() -> None:
    log = "\n".join(f"line {n}" for n in range(60))

    first, second = code_blocks(log, 150, 2)

    assert first.startswith("```\n…\n")
    shown = [line for block in (first, second) for line in block.split("\n") if "line" in line]
    assert shown == [f"line {n}" for n in range(60 - len(shown), 60)]


def test_a_link_goes_only_where_we_say() -> None:
    assert link("https://a.example/x?a=1&b=2", "x") == "<https://a.example/x?a=1&amp;b=2|x>"
    assert (
        link("https://a.example/>|<!channel>", "x") == "<https://a.example/%3E%7C%3C!channel%3E|x>"
    )
    assert link("javascript:alert(1)", "x") == "x"
    assert link(None, "x") == "x"


@pytest.mark.parametrize(
    ("user", "called"),
    [("U0123ABCD", "<@U0123ABCD>"), ("!channel", ""), ("U1> <!here", ""), ("", ""), ("C0123", "")],
)
def test_only_a_user_is_mentioned(user: str, called: str) -> None:
    assert mention(user) == called


def test_a_moment_has_a_fallback_for_where_slack_shows_none() -> None:
    assert moment(0, "{time}") == "<!date^0^{time}|1970-01-01 00:00 UTC>"
    assert moment(-1e300).startswith("<!date^0^")
    assert moment(1e300).endswith("|9999-12-31 23:59 UTC>")


PIECES = (
    "<!channel> <@U0123ABC> <https://a.b|c> & < > &amp; | ` ``` * _ ~ @here \u202e \u200b \ufeff"
    " \x00 \ud83d \U0001f600 e\u0301"
)
NASTY = st.lists(
    st.sampled_from([*PIECES.split(" "), "\n", "\r\n", " "]) | st.text(max_size=8)
).map("".join)
WAYS = [escape, prose, code, plain, plain_middle, code_block]


def hidden(char: str) -> bool:
    """Whether a character shows nothing; one that this Python does not know may be a new emoji."""
    new = unicodedata.category(char) == "Cn" and "\u2b00" <= char <= "\U0001faff"
    return unicodedata.category(char)[0] == "C" and not new


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
@given(text=NASTY, limit=st.integers(24, 90))
@settings(max_examples=60)
def test_no_text_gets_through(way: Callable[[str, int], str], text: str, limit: int) -> None:
    shown = way(text, limit)

    assert units(shown) <= limit
    assert not [char for char in shown if hidden(char) and char != "\n"]
    if way is escape:
        assert not set(shown) & set("*~`\n")
        assert not re.search(r"@here\b", shown)
    if way in (escape, prose, code, code_block):
        assert list(markup_faults(shown)) == []
        assert shown.count("`") in (0, 2, 6) or (way is prose and shown.count("`") % 2 == 0)
    else:
        assert not set(shown) & set("<>")
