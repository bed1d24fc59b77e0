"""Secrets never reach a log, in whatever pieces they come."""

from pathlib import Path

import pytest

from bridge.core.masking import Mask
from bridge.embedded.building.logs import Growth, Log, tail


async def test_a_secret_across_two_pieces_is_hidden(tmp_path: Path) -> None:
    log = Log(tmp_path / "log", Growth(), limit=1000)
    log.hide(Mask(secrets=["s3cret"]))
    await log.open()

    for piece in ("begin s3", "cr", "et end", "\nnext line: s3cret"):
        await log.feed(piece)
    await log.say("done with s3cret")

    assert await tail(tmp_path / "log", 10) == "begin *** end\nnext line: ***\ndone with ***\n"


@pytest.mark.parametrize("at", [65_530, 65_536 - 4096 + 5])
async def test_a_secret_is_hidden_anywhere_in_a_long_line(tmp_path: Path, at: int) -> None:
    log = Log(tmp_path / "log", Growth(), limit=200_000)
    log.hide(Mask(secrets=["s3cret-of-ours"]))
    await log.open()

    text = "y" * at + "s3cret-of-ours" + "z" * 70_000
    for begin in range(0, len(text), 65_537):
        await log.feed(text[begin : begin + 65_537])
    await log.flush()

    assert await tail(tmp_path / "log", 1) == "y" * at + "***" + "z" * 70_000 + "\n"


async def test_a_secret_in_colours_is_hidden_and_other_lines_keep_theirs(tmp_path: Path) -> None:
    log = Log(tmp_path / "log", Growth(), limit=1000)
    log.hide(Mask(secrets=["s3cret-of-ours"]))
    await log.open()

    await log.feed("\x1b[31mred\x1b[0m\n\x1b[1ms3cret\x1b[0m-of-ours\n\x1b[2Kdim\n")

    assert await tail(tmp_path / "log", 10) == "\x1b[31mred\x1b[0m\n***\n\x1b[2Kdim\n"


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
