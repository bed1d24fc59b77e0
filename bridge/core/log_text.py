"""Logs as growing text: their lines, the new ones, and what must not steer a terminal."""

import re

_ENOUGH = 50
_LONGEST_SECRET = 4096
_BLANK = re.compile(r"\s")

_STEERING = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b\n]*(?:\x07|\x1b\\)?|[#%(-/]?[0-Z\\-_c])"
)
"""Escape sequences: colours, cursor moves, links and titles of a terminal (ECMA-48)."""


def without_steering(text: str) -> str:
    """Return a text without colours and other escape sequences."""
    return _STEERING.sub("", text) if "\x1b" in text else text


def lines_of(text: str) -> list[str]:
    """Return lines without colours; of an overwritten line, such as a progress bar, the last."""
    if not text.strip():
        return []  # without a log, the server answers with a line break
    lines = without_steering(text.replace("\r\n", "\n")).split("\n")
    if not lines[-1]:
        lines.pop()
    return [line.rstrip("\r").rpartition("\r")[2] for line in lines]


def shorten(text: str, most: int) -> str:
    """Return a line of at most `most` characters; shorten longer ones in the middle.

    Errors begin with the problem and end with its place or an exit code.
    """
    if len(text) <= most:
        return text
    tail = most * 2 // 5
    head, end = edge(text, most - tail - 3), edge(text, -tail, onwards=True)
    return f"{text[:head].rstrip()} … {text[end:].lstrip()}"


def end_of(text: str, most: int) -> str:
    """Return the end of a text, at most `most` characters.

    Drop a partial word: the rest of a secret would not be recognised as one.
    """
    if len(text) <= most:
        return text
    begin = len(text) - most
    longest = min(begin + _LONGEST_SECRET, len(text))
    blank = _BLANK.search(text, begin, longest)
    return text[longest if blank is None else blank.end() :]


def news(before: str, now: str) -> list[str]:
    """Return the lines of a tail that an earlier one did not have.

    Once a log is longer than a tail, the tail's beginning moves. Then search for the end of the
    earlier one; if that has scrolled away, all lines are new.
    """
    if now.startswith(before):
        return lines_of(now[len(before) :])
    old, new = lines_of(before), lines_of(now)
    seen = old[-_ENOUGH:]
    if not seen:
        return new
    for end in range(len(new), len(seen) - 1, -1):
        if new[end - len(seen) : end] == seen:
            return new[end:]
    return new


# ── Escape control and invisible characters, and never split an escape ──────────────────────────

CONTROLS = (
    r"\x00-\x1f\x7f-\x9f"  # control characters
    r"\u2028\u2029"  # line and paragraph separators
    r"\ud800-\udfff"  # surrogates, which can't be encoded
)

UNSEEN = (
    # Unicode's "Format" characters: joiners, zero-width spaces, and direction marks
    r"\xad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u180e\u200b-\u200f\u202a-\u202e"
    r"\u2060-\u206f\ufeff\ufff0-\ufffb\U000110bd\U000110cd\U00013430-\U0001343f"
    r"\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
    r"\u115f\u1160\u2800\u3164\uffa0"  # blank letters and symbols
    r"\u034f\u17b4\u17b5\u180b-\u180d\u180f\ufe00-\ufe0f\U00016fe4"  # variation selectors
)

STEERING = CONTROLS + UNSEEN
"""Characters that may control a terminal or hide text, as a character class."""

_EMOJI = (
    r"[\xa9\xae\u203c\u2049\u2122\u2139\u2190-\u21ff\u2300-\u23ff\u24c2\u25a0-\u27bf"
    r"\u2900-\u297f\u2b00-\u2bff\u3030\u303d\u3297\u3299\U0001f000-\U0001faff]"
)
_FORM = r"[\ufe0e\ufe0f\U0001f3fb-\U0001f3ff]?"
_PICTURE = rf"{_EMOJI}{_FORM}(?:\u200d{_EMOJI}{_FORM})*|[0-9#*]\ufe0f\u20e3"
_UNSAFE = re.compile(
    rf"(?P<picture>{_PICTURE})|(?P<controls>[{CONTROLS}]+)|(?P<blank>(?! )\s)|[{UNSEEN}]|[^\w\s]"
)

MARK = "\N{REPLACEMENT CHARACTER}"

_STEERS = re.compile(f"[{STEERING}]")
_ESCAPE = re.compile(r"\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[nrt])")
_LONGEST_ESCAPE = len(r"\U0001f600")


def harmless(text: str, *, controls: str = " ", unseen: str | None = None) -> str:
    r"""Return text without control characters, with plain blanks, and without what nobody sees.

    Joiners and selectors within emoji stay, since they are part of the picture and people write
    them every day; all others go, also those that some scripts use between letters, because a
    terminal rarely shows what they do. Unknown characters among the emoji stay: they may be newer
    than this Python.

    Args:
        controls: the replacement for a run of control characters.
        unseen: what stands for a character without ink or width, one that turns text around, or
            one that Unicode does not know; None: its escape, e.g. "\u200b", since two names that
            look alike must not be two names.
    """
    if text.isascii() and text.isprintable():
        return text

    def instead(found: re.Match[str]) -> str:
        char = found[0]
        if found["picture"] or (char.isprintable() and not _STEERS.match(char)):
            return char
        if found["controls"] or found["blank"]:
            return controls if found["controls"] else " "
        return ascii(char)[1:-1] if unseen is None else unseen

    return _UNSAFE.sub(instead, text)


def marked(text: str) -> str:
    """Return text with the replacement character for what can't be shown."""
    return harmless(text, controls=MARK, unseen=MARK)


def escaped(text: str) -> str:
    r"""Return text on one line, with control and invisible characters as Python escapes."""
    return _STEERS.sub(lambda found: ascii(found[0])[1:-1], text)


def cut(text: str, most: int) -> str:
    """Return at most `most` characters from the start of a text, without splitting an escape."""
    return text if len(text) <= most else f"{text[: edge(text, most - 1)]}…"


def edge(text: str, at: int, *, onwards: bool = False) -> int:
    """Return the position nearest to `at` that is not inside an escape, before or `onwards`.

    Half an escape would read as different characters.
    """
    at = at if at >= 0 else max(0, len(text) + at)
    start = text.rfind("\\", max(0, at - _LONGEST_ESCAPE + 1), at)
    found = _ESCAPE.match(text, start) if start >= 0 else None
    if found is None or found.end() <= at:
        return at
    return found.end() if onwards else start


LONGEST_LINE = 500
"""Characters of a text that is shown as one line."""


def one_line(text: str) -> str:
    """Return an untrusted text as a short line without control or formatting characters."""
    text = marked(text)
    return text if len(text) <= LONGEST_LINE else f"{text[: LONGEST_LINE - 1]}…"


LONGEST_BRANCH = 48


def short_branch(name: str) -> str:
    """Return a branch's name for a list, a long one shortened in the middle.

    A team's names often start alike and differ at the end.
    """
    text = harmless(name).strip()
    if len(text) <= LONGEST_BRANCH:
        return text
    end = LONGEST_BRANCH * 2 // 5
    return (
        f"{text[: edge(text, LONGEST_BRANCH - end - 1)]}…{text[edge(text, -end, onwards=True) :]}"
    )
