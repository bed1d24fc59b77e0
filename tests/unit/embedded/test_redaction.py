"""Secrets never reach a log, in whatever pieces they come."""

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.embedded.building.logs import (
    Growth,
    Log,
    redact,
    secret_values,
    strip_credentials,
    tail,
)
from tests.worlds.rows import each_row


@each_row(
    ("text", "shown"),
    [
        ("clone https://ada:t0ken@host/r.git", "clone https://***@host/r.git"),
        ("https://t0ken@host", "https://***@host"),
        ("http://a:b@h/x https://c@i", "http://***@h/x https://***@i"),
        ("git@host:o/r.git", "git@host:o/r.git"),
        ("mail ada@example.com", "mail ada@example.com"),
        ("https://host/a@b", "https://host/a@b"),
    ],
)
def test_addresses_lose_their_credentials(text: str, shown: str) -> None:
    assert strip_credentials(text) == shown


@pytest.mark.parametrize("piece", ["a", "a+", "a://", "a://b"])
def test_a_long_line_that_a_build_prints_holds_nothing_up(piece: str) -> None:
    text = piece * (200_000 // len(piece))
    began = time.process_time()
    strip_credentials(text)
    assert time.process_time() - began < 2


def test_plain_values_stay_readable() -> None:
    env = {"NODE_ENV": "production", "PORT": "3000", "DEBUG": "true", "A": "abc", "V": "18.20.1"}

    assert secret_values(env, []) == ()


def test_what_may_be_a_secret_is_one() -> None:
    env = {"API_TOKEN": "abc", "PASSWORD": "123", "SOMETHING": "something long"}

    assert set(secret_values(env, ["xyz"])) == {
        "abc",
        "123",
        "something long",
        "something%20long",
        "xyz",
    }


def test_what_is_too_short_to_be_secret_does_not_hide_the_log() -> None:
    assert secret_values({"TOKEN": "1"}, ["2", "ab"]) == ()


def test_the_longest_secret_goes_first() -> None:
    secrets = secret_values({}, ["abc", "abcdef"])

    assert redact("abcdef abc", secrets) == "*** ***"


def test_a_secret_is_found_in_the_form_of_an_address_and_line_by_line() -> None:
    secrets = secret_values({}, ["a/b c", "first line\nsecond line"])

    assert redact("a%2Fb%20c second line", secrets) == "*** ***"


@given(
    st.text("abcXYZ/+ %", min_size=3, max_size=20).map(str.strip).filter(lambda one: len(one) > 2),
    st.text("13467890 .", max_size=20),  # no 25, which a % in an address ends with
)
def test_no_secret_survives(secret: str, around: str) -> None:
    shown = redact(f"{around}{secret}{around}{secret}", secret_values({}, [secret]))

    assert shown == f"{around}***{around}***"


async def test_a_secret_across_two_pieces_is_hidden(tmp_path: Path) -> None:
    log = Log(tmp_path / "log", Growth(), limit=1000)
    log.hide(["s3cret"])
    await log.open()

    for piece in ("begin s3", "cr", "et end", "\nnext line: s3cret"):
        await log.feed(piece)
    await log.say("done with s3cret")

    assert await tail(tmp_path / "log", 10) == "begin *** end\nnext line: ***\ndone with ***\n"


async def test_a_log_has_its_limit(tmp_path: Path) -> None:
    log = Log(tmp_path / "log", Growth(), limit=100)
    await log.open()

    for _ in range(100):
        await log.say("a line of some length")

    text = await tail(tmp_path / "log", 100)
    assert len(text) < 250
    assert "longer than 100 characters" in text


@pytest.mark.parametrize(
    ("text", "lines", "last"),
    [
        ("a\nb\nc\n", 2, "b\nc\n"),
        ("a\nb\nc", 1, "c\n"),
        ("a\n", 10, "a\n"),
        ("", 5, "\n"),
        ("x" * 200_000 + "\nend\n", 1, "end\n"),
        ("line\n" * 50_000, 3, "line\n" * 3),
    ],
)
async def test_the_tail_is_the_last_lines(tmp_path: Path, text: str, lines: int, last: str) -> None:
    file = tmp_path / "log"
    file.write_text(text)

    assert await tail(file, lines) == last


async def test_a_missing_log_has_one_empty_line(tmp_path: Path) -> None:
    assert await tail(tmp_path / "none", 5) == "\n"


async def test_followers_get_whole_characters(tmp_path: Path) -> None:
    file = tmp_path / "log"
    text = "ä€😀" * 30_000  # longer than what is read at once, at every possible cut
    file.write_text(text)
    following = Growth().follow(file)
    heard = ""

    while len(heard) < len(text):
        heard += await anext(following)
    await following.aclose()

    assert heard == text
