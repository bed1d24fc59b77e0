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
    escape,
    link,
    mention,
    plain,
    plain_middle,
    prose,
    units,
)
from tests.oracles.slack_rules import markup_faults
from tests.worlds.rows import each_row


def test_a_link_goes_only_where_we_say() -> None:
    assert link("https://a.example/x?a=1&b=2", "x") == "<https://a.example/x?a=1&amp;b=2|x>"
    assert (
        link("https://a.example/>|<!channel>", "x") == "<https://a.example/%3E%7C%3C!channel%3E|x>"
    )
    assert link("javascript:alert(1)", "x") == "x"
    assert link(None, "x") == "x"


@each_row(
    ("user", "called"),
    [("U0123ABCD", "<@U0123ABCD>"), ("!channel", ""), ("U1> <!here", ""), ("", ""), ("C0123", "")],
)
def test_only_a_user_is_mentioned(user: str, called: str) -> None:
    assert mention(user) == called


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
@settings(max_examples=30)
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
