"""Build logs: why a build failed, in one line, and lines as people are shown them."""

import json
from collections.abc import Sequence
from pathlib import Path
from time import process_time

from hypothesis import given
from hypothesis import strategies as st

from bridge.backends.dokploy import answers
from bridge.chats.slack import mrkdwn
from bridge.cli import show
from bridge.core.failing_line import bare
from bridge.core.failure import (
    EXCERPT_LINES,
    LONGEST_LINE,
    LONGEST_REASON,
    failing_line,
    failure_in,
)
from bridge.core.log_text import cut, end_of, escaped, lines_of, marked, news, one_line, shorten
from bridge.core.masking import Mask
from bridge.githosts.base import answers as host_answers
from bridge.githosts.feedback import statuses
from tests.worlds.rows import each_row

LOGS = Path(__file__).parents[1] / "fixtures" / "build_logs"
REASONS: dict[str, str] = json.loads((LOGS / "reasons.json").read_text())
CLOSING = "Error occurred ❌, check the logs for details."


def log_of(name: str) -> str:
    return (LOGS / f"{name}.log").read_bytes().decode()


@each_row("name", REASONS)
def test_the_reason_is_the_line_that_says_it_and_stands_in_the_excerpt(name: str) -> None:
    failure = failure_in(log_of(name))
    lines = failure.excerpt.split("\n")

    assert failure.reason == REASONS[name]
    assert failure_in(failure.excerpt).excerpt == failure.excerpt
    assert len(lines) <= EXCERPT_LINES
    assert "❌ Docker" not in failure.excerpt
    assert CLOSING not in failure.excerpt
    assert "params" not in failure.excerpt  # of the backend's own SQL
    assert not any("\x1b" in line or "\r" in line for line in lines)
    if "the log gives no reason" not in failure.reason and "database" not in failure.reason:
        assert not failure.excerpt or _told(lines, failure.reason)[:60] in failure.reason
    logs = {str(path.relative_to(LOGS).with_suffix("")) for path in LOGS.glob("*/*.log")}
    assert logs == REASONS.keys()


def _told(lines: Sequence[str], reason: str) -> str:
    """The line of a log that is marked as its reason."""
    at = failing_line(lines, reason)
    assert at is not None
    return " ".join(bare(lines[at]).split())


def test_an_error_far_above_the_end_is_in_the_excerpt_as_well() -> None:
    advice = "".join(f"  advice {number}\n" for number in range(40))
    log = f"Error: no plan for this app.\n{advice}❌ Nixpacks build failed\n\n{CLOSING}\n"

    failure = failure_in(log)

    assert failure.reason == "Error: no plan for this app."
    assert failure.excerpt.startswith("Error: no plan for this app.\n  advice 0\n")
    assert failure.excerpt.endswith("…\n  advice 39")


def test_a_log_that_says_nothing_claims_no_reason_and_a_long_one_is_cut_in_its_middle() -> None:
    empty = "the build failed; its log is empty: it was cleared, or nothing was written"
    open_end = "the log gives no reason; it stops after: #2 [1] FROM scratch"
    verdict = "❌ Docker build failed"

    assert {failure_in(log).reason for log in ("", "\n", f"\n{CLOSING}\n")} == {empty}
    assert failure_in("Initializing deployment\n#2 [1] FROM scratch\n").reason == open_end
    assert failure_in(f"{verdict}\n\n{CLOSING}\n").reason == verdict
    reason = failure_in(f"ERROR: {'x' * 2000} exit code: 7\n\n{CLOSING}\n").reason

    assert len(reason) <= LONGEST_REASON
    assert reason.startswith("ERROR: x")
    assert reason.endswith("exit code: 7")


def test_the_records_own_error_is_the_reason() -> None:
    log = f"#1 well\nports are taken\n{CLOSING}\n"

    assert failure_in(log, "npm ci: lock file missing").reason == "npm ci: lock file missing"
    assert failure_in(log, "API_TOKEN=t0ps3cret is refused").reason == "API_TOKEN=*** is refused"
    assert failure_in(log, "ports are taken").reason == "ports are taken"


def test_an_error_that_only_points_to_the_log_is_no_reason() -> None:
    log = log_of("written/embedded_branch_missing")

    pointing = "git clone did not work; its own words are in the log"
    gone = "fatal: Remote branch gone not found in upstream origin"

    assert failure_in(log, pointing).reason == gone
    moved = f"{pointing}. If they name error 301, the repository has moved"
    assert failure_in(log.replace(pointing, moved), moved).reason == gone


BEGIN = "-----BEGIN PRIVATE KEY-----"
PIECE = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQDC7u3b4oXk0aZ9"
ACCESS_DENIED = "SQLSTATE[HY000] [1045] Access denied for user 'root'@'db' (using password: NO)"
GCC = "error: command '/usr/bin/gcc -pthread -I/usr/include/mysql -pipe -c x.c' failed"


@each_row(
    ("log", "reason"),
    [
        (ACCESS_DENIED, ACCESS_DENIED),
        (GCC, GCC),
        ("Error: STRIPE_SECRET_KEY: missing", "Error: STRIPE_SECRET_KEY: missing"),
        ("cannot reach the blue whale of 9\nall else is well", "*** of 9"),
        ("$ run the blue whale\nmissing: the blue whale\nthat is all", "missing: ***"),
        (f'ValueError: no start "{BEGIN}" found\nend', f'ValueError: no start "{BEGIN}" found'),
        (f"{BEGIN}\n{PIECE}\nfailedQ5A=", "***"),
        ("\x1b[31merror: A_\x1b[0mTOKEN=npm_0Q5A1 is no", "error: A_TOKEN=*** is no"),
        ("PASSWORD:\n  failed-by-7", "***"),
        ("RUN SECRET_KEY=build x.py\nerror: no script build", "error: no script build"),
        ("error: no\nCaused by:\n  0: no token\n  1: the blue whale is no", "error: no: *** is no"),
    ],
)
def test_the_reason_is_chosen_before_anything_is_hidden(log: str, reason: str) -> None:
    mask = Mask([("DB_PASSWORD", "cannot reach the blue whale"), ("A_SECRET", "the blue whale")])

    failure = failure_in(f"step 1\n{log}\n\n{CLOSING}\n", mask=mask)

    assert failure.reason == reason
    shown = failure.reason + failure.excerpt
    assert not [one for one in ("blue", PIECE, "Q5A", "by-7") if one in shown]
    assert "***\n***" not in failure.excerpt


LINES = st.lists(st.text(max_size=40) | st.sampled_from(["", "------", "Traceback", CLOSING]))


@given(LINES.map("\n".join), st.none() | st.text(max_size=50))
def test_any_log_has_a_reason_of_one_line_within_its_limits(log: str, error: str | None) -> None:
    failure = failure_in(log, error)

    assert failure.reason or error
    assert len(failure.reason) <= LONGEST_REASON
    assert len(failure.reason.splitlines()) <= 1
    lines = failure.excerpt.split("\n")
    assert len(lines) <= EXCERPT_LINES
    assert all(len(line) <= LONGEST_LINE for line in lines)


def test_no_log_takes_long() -> None:
    for line in (
        *("error " * 9000, 'process "' * 6000, "a." * 25_000, "x" * 50_000, "\x1b[" * 25_000),
        *("Dockerfile:1\n--------------------\n" * 1400, "❌ " + "a " * 25_000),
    ):
        began = process_time()
        failure_in(f"{line}\n{CLOSING}\n")
        assert process_time() - began < 1.0, line[:20]


# ── lines of a log ───────────────────────────────────────────────────────────


def test_lines_are_as_a_terminal_would_show_them() -> None:
    coloured = "\x1b[1;31merror\x1b[0m at \x1b]8;;https://e.example\x1b\\a.ts\x1b]8;;\x1b\\\n"

    assert lines_of("") == lines_of("\n") == []
    assert lines_of("a\r\nb\n") == ["a", "b"]
    assert lines_of("1%\r50%\r100%\nend") == ["100%", "end"]
    assert lines_of(coloured) == ["error at a.ts"]


def test_what_was_seen_is_found_also_when_the_tail_begins_elsewhere() -> None:
    log = [f"line {number}" for number in range(100)]

    assert news("one\nbuil", "one\nbuilding\nend\n") == ["ding", "end"]
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
