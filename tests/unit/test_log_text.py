"""A log is told line by line, each once."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.backends.dokploy import answers
from bridge.chats.slack import mrkdwn
from bridge.cli import show
from bridge.core.log_text import cut, end_of, escaped, lines_of, marked, news, one_line, shorten
from bridge.githosts.base import answers as host_answers
from bridge.githosts.feedback import statuses
from tests.worlds.rows import each_row

LINES = st.lists(st.text("ab", min_size=1, max_size=2), max_size=12)


@pytest.mark.parametrize(
    ("text", "lines"),
    [("", []), ("\n", []), ("a\r\nb\n", ["a", "b"]), ("1%\r50%\r100%\nend", ["100%", "end"])],
)
def test_lines_are_as_a_terminal_would_show_them(text: str, lines: list[str]) -> None:
    assert lines_of(text) == lines


@given(LINES, LINES)
def test_only_new_lines_are_told(old: list[str], new: list[str]) -> None:
    before = "".join(f"{line}\n" for line in old)

    assert news(before, before + "".join(f"{line}\n" for line in new)) == new


def test_a_line_that_was_cut_goes_on() -> None:
    assert news("one\nbuil", "one\nbuilding\nend\n") == ["ding", "end"]


def test_what_was_seen_is_found_also_when_the_tail_begins_elsewhere() -> None:
    log = [f"line {number}" for number in range(100)]

    assert news("\n".join(log[40:80]), "\n".join(log)) == log[80:]
    assert news("\n".join(log[:80]), "\n".join(log[20:])) == log[80:]
    assert news("\n".join(log[:10]), "\n".join(log[50:])) == log[50:]


def test_colours_and_links_are_no_part_of_a_line() -> None:
    text = "\x1b[1;31merror\x1b[0m at \x1b]8;;https://e.example\x1b\\a.ts\x1b]8;;\x1b\\\n"

    assert lines_of(text) == ["error at a.ts"]


def test_a_long_line_is_cut_in_its_middle() -> None:
    assert shorten("short", 10) == "short"

    cut = shorten(f"error: {'x' * 100} exit code: 2", 40)

    assert len(cut) <= 40
    assert cut.startswith("error: xx")
    assert cut.endswith("exit code: 2")


@given(st.text(), st.integers(1, 30))
def test_the_end_of_a_text_begins_at_a_blank_and_is_bounded(text: str, most: int) -> None:
    found = end_of(text, most)

    assert len(found) <= most
    assert text.endswith(found)
    if found != text and found:
        assert text[-len(found) - 1].isspace()


def test_no_secret_is_cut_so_that_it_is_not_known_any_more() -> None:
    token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.abcdefghijklmnop"

    assert end_of(f"Authorization: {token} is refused", len(token)) == "is refused"
    assert end_of(token, 20) == ""
    assert end_of("x" * 20_000, 10_000) == "x" * (10_000 - 4096)


@each_row("char", ["\x1b", "\u202e", "\udc80", "\U000e0001", "\n"])
@each_row("before", range(14))
def test_a_character_that_steers_is_written_out_and_never_cut(char: str, before: int) -> None:
    pieces = ["a"] * before + [escaped(char)] + ["z"] * 14
    text = escaped("a" * before + char + "z" * 14)
    fronts = {"".join(pieces[:count]) for count in range(len(pieces) + 1)}
    ends = {"".join(pieces[count:]) for count in range(len(pieces) + 1)}

    assert text == "".join(pieces)
    assert text.isprintable()
    for most in range(5, len(text)):
        assert cut(text, most).removesuffix("…") in fronts
        head, _, tail = shorten(text, most).partition(" … ")
        assert (head in fronts, tail in ends) == (True, True)
        assert max(len(cut(text, most)), len(shorten(text, most))) <= most


@each_row(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("a\x1b[31m\x00\nb", "a\ufffd[31m\ufffdb"),
        ("\u202egnp.exe", "\ufffdgnp.exe"),
        ("web\u200b\u3164", "web\ufffd\ufffd"),
        ("half \ud800", "half \ufffd"),
        ("a\xa0b\u3000c", "a b c"),
        ("\ue000\U000e0041", "\ufffd\ufffd"),
        ("\u2764\ufe0f \U0001f469\u200d\U0001f4bb", "\u2764\ufe0f \U0001f469\u200d\U0001f4bb"),
    ],
)
def test_what_steers_or_is_not_seen_is_marked(text: str, shown: str) -> None:
    assert marked(text) == shown
    assert one_line(text) == shown


UNSAFE = "\x1b\x00\x85\u2028\u202e\u2066\u200b\u200d\ufeff\u3164\u2800\ud800\ue000\U000e0041"


@each_row(
    "shown",
    [
        one_line,
        lambda text: statuses.one_line(text, 500),
        host_answers.fit,
        answers.fit,
        mrkdwn.clean,
        show.clean,
    ],
)
def test_what_steers_or_is_not_seen_is_shown_nowhere(shown: Callable[[str], str]) -> None:
    """In the evidence of decisions, comments, what others answered, Slack, and a terminal."""
    found = shown("a" + "b".join(UNSAFE) + "z")

    assert found.startswith("a")
    assert not set(found) & set(UNSAFE)
