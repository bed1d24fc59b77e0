"""A log is told line by line, each once."""

from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.backends.dokploy import answers
from bridge.chats.slack import mrkdwn
from bridge.cli import show
from bridge.core.log_text import cut, end_of, escaped, lines_of, marked, news, one_line, shorten
from bridge.githosts.base import answers as host_answers
from bridge.githosts.feedback import statuses
from tests.worlds.rows import each_row

LINES = st.lists(st.text("ab", min_size=1, max_size=2), max_size=12)


@each_row(
    ("text", "lines"),
    [
        ("", []),
        ("\n", []),
        ("a\r\nb\n", ["a", "b"]),
        ("1%\r50%\r100%\nend", ["100%", "end"]),
        (
            "\x1b[1;31merror\x1b[0m at \x1b]8;;https://e.example\x1b\\a.ts\x1b]8;;\x1b\\\n",
            ["error at a.ts"],
        ),
    ],
)
def test_lines_are_as_a_terminal_would_show_them(text: str, lines: list[str]) -> None:
    assert lines_of(text) == lines


@settings(max_examples=50)
@given(LINES, LINES)
def test_only_new_lines_are_told(old: list[str], new: list[str]) -> None:
    before = "".join(f"{line}\n" for line in old)

    assert news(before, before + "".join(f"{line}\n" for line in new)) == new
    assert news("one\nbuil", "one\nbuilding\nend\n") == ["ding", "end"]


def test_what_was_seen_is_found_also_when_the_tail_begins_elsewhere() -> None:
    log = [f"line {number}" for number in range(100)]

    assert news("\n".join(log[40:80]), "\n".join(log)) == log[80:]
    assert news("\n".join(log[:80]), "\n".join(log[20:])) == log[80:]
    assert news("\n".join(log[:10]), "\n".join(log[50:])) == log[50:]


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
@each_row("before", [0, 1, 6, 13])
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


MARKED = {
    "plain": "plain",
    "a\x1b[31m\x00\nb": "a\ufffd[31m\ufffdb",
    "\u202egnp.exe": "\ufffdgnp.exe",
    "web\u200b\u3164": "web\ufffd\ufffd",
    "half \ud800": "half \ufffd",
    "a\xa0b\u3000c": "a b c",
    "\ue000\U000e0041": "\ufffd\ufffd",
    "\u2764\ufe0f \U0001f469\u200d\U0001f4bb": "\u2764\ufe0f \U0001f469\u200d\U0001f4bb",
}
UNSAFE = "\x1b\x00\x85\u2028\u202e\u2066\u200b\u200d\ufeff\u3164\u2800\ud800\ue000\U000e0041"


def test_what_steers_or_is_not_seen_is_marked_wherever_it_is_shown() -> None:
    """In the evidence of decisions, comments, what others answered, Slack, and a terminal."""
    assert {text: marked(text) for text in MARKED} == MARKED
    assert {text: one_line(text) for text in MARKED} == MARKED
    shows = (one_line, host_answers.fit, answers.fit, mrkdwn.clean, show.clean)
    unsafe = "a" + "b".join(UNSAFE) + "z"
    for found in (*(shown(unsafe) for shown in shows), statuses.one_line(unsafe, 500)):
        assert found.startswith("a")
        assert not set(found) & set(UNSAFE)
