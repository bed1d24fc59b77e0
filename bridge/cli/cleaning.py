"""Text from outside, made fit to be shown: it must not steer a terminal, nor take much room."""

import re

STEERING = (
    r"\x00-\x1f\x7f-\x9f"  # control characters
    r"\u061c\u200e\u200f\u202a-\u202e\u2066-\u206f"  # what turns the direction of text around
    r"\u2028\u2029\ufeff"  # lines that are none, and a mark that nobody sees
    r"\ud800-\udfff"  # halves of characters, which no output can write
)
"""Characters that may steer a terminal, or hide what is written, as a set of a pattern."""

_UNSAFE = re.compile(f"[{STEERING}]+")


def clean(text: str) -> str:
    """Text on one line and without control characters."""
    return _UNSAFE.sub(" ", text).strip()


_ZEROS = re.compile(r"(?<![0-9a-zA-Z.])0{4,}(?=[0-9])")
_SHA = re.compile(r"(?<![0-9a-zA-Z])([0-9a-f]{7})[0-9a-f]{33}(?![0-9a-zA-Z])")
LONGEST_ID = 44


def shrunk(id_: str) -> str:
    """An id as people read it: without leading zeros, commits in seven characters."""
    text = _SHA.sub(r"\1", _ZEROS.sub("", clean(id_)))
    return text if len(text) <= LONGEST_ID else f"{text[: LONGEST_ID - 1]}…"


def clean_lines(text: str) -> str:
    """Text with its line breaks and tabs, and without other control characters."""
    kept = re.split(r"([\n\t])", text)
    return "".join(one if one in ("\n", "\t") else _UNSAFE.sub(" ", one) for one in kept)


def clean_line(line: str) -> str:
    """A line of a log without control characters; its indentation stays."""
    return _UNSAFE.sub(" ", line).rstrip()
