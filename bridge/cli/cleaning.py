"""Text from outside, made fit to be shown: it must not steer a terminal, nor take much room."""

import re

_CONTROLS = (
    r"\x00-\x1f\x7f-\x9f"  # control characters
    r"\u2028\u2029"  # lines that are none
    r"\ud800-\udfff"  # halves of characters, which no output can write
)

_UNSEEN = (
    # Unicode's "Format" characters: joiners, blanks without width, and what turns text around
    r"\xad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u180e\u200b-\u200f\u202a-\u202e"
    r"\u2060-\u206f\ufeff\ufff0-\ufffb\U000110bd\U000110cd\U00013430-\U0001343f"
    r"\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
    r"\u115f\u1160\u2800\u3164\uffa0"  # letters and signs without ink
    r"\u034f\u17b4\u17b5\u180b-\u180d\u180f\ufe00-\ufe0f\U00016fe4"  # marks of other signs' forms
)

STEERING = _CONTROLS + _UNSEEN
"""Characters that may steer a terminal, or hide what is written, as a set of a pattern."""

_EMOJI = (
    r"[\xa9\xae\u203c\u2049\u2122\u2139\u2190-\u21ff\u2300-\u23ff\u24c2\u25a0-\u27bf"
    r"\u2900-\u297f\u2b00-\u2bff\u3030\u303d\u3297\u3299\U0001f000-\U0001faff]"
)
_FORM = r"[\ufe0e\ufe0f\U0001f3fb-\U0001f3ff]?"
_PICTURE = rf"{_EMOJI}{_FORM}(?:\u200d{_EMOJI}{_FORM})*|[0-9#*]\ufe0f\u20e3"

_UNSAFE = re.compile(f"(?P<picture>{_PICTURE})|(?P<controls>[{_CONTROLS}]+)|[{_UNSEEN}]")


def harmless(text: str) -> str:
    """Return text without control characters, and with what nobody sees written out.

    A run of control characters becomes a blank. A character without ink or width, or one that
    turns text around, becomes its escape, e.g. "\\u200b": two names that look alike must not be
    two names. Joiners and selectors within emoji stay, since they are part of the picture and
    people write them every day; all others go, also those that some scripts use between letters,
    because a terminal rarely shows what they do.
    """
    return text if text.isascii() and text.isprintable() else _UNSAFE.sub(_harmless, text)


def _harmless(found: re.Match[str]) -> str:
    if found["picture"]:
        return found[0]
    return " " if found["controls"] else ascii(found[0])[1:-1]


def clean(text: str) -> str:
    """Text on one line and without control characters."""
    return harmless(text).strip()


_ZEROS = re.compile(r"(?<![0-9a-zA-Z.])0{4,}(?=[0-9])")
_SHA = re.compile(r"(?<![0-9a-zA-Z])([0-9a-f]{7})[0-9a-f]{33}(?![0-9a-zA-Z])")
LONGEST_ID = 44


def shrunk(id_: str) -> str:
    """An id as people read it: without leading zeros, commits in seven characters."""
    text = _SHA.sub(r"\1", _ZEROS.sub("", clean(id_)))
    return text if len(text) <= LONGEST_ID else f"{text[: LONGEST_ID - 1]}…"


LONGEST_BRANCH = 48


def short_branch(name: str) -> str:
    """Return a branch's name for a list on a terminal: of a long one the beginning and the end.

    Teams begin names alike, and end them with what tells them apart.
    """
    text = clean(name)
    if len(text) <= LONGEST_BRANCH:
        return text
    end = LONGEST_BRANCH * 2 // 5
    return f"{text[: LONGEST_BRANCH - end - 1]}…{text[-end:]}"


def clean_lines(text: str) -> str:
    """Text with its line breaks and tabs, and without other control characters."""
    kept = re.split(r"([\n\t])", text)
    return "".join(one if one in ("\n", "\t") else harmless(one) for one in kept)


def clean_line(line: str) -> str:
    """A line of a log without control characters; its indentation stays, also by tabs."""
    return harmless(line.expandtabs()).rstrip()
