"""Hide private keys but their first and last lines, also without one of these.

The lines of a key may have anything in front of them and behind, and the lines of another step
between them. Every pattern takes time in proportion to the text. Pure.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

HIDDEN = "***"

_OF_A_KEY = (
    r"-----(BEGIN|END)(?: |\+|%20)(?:[A-Z]{1,10}(?: |\+|%20)){0,3}"
    r"PRIVATE(?: |\+|%20)KEY(?:(?: |\+|%20)BLOCK)?-----"
)
_MARK = re.compile(_OF_A_KEY)
_SIGNS = "A-Za-z0-9+/="
_RUN = re.compile(rf"[{_SIGNS}]{{20,}}")
_SHORT = re.compile(rf"[{_SIGNS}]{{8,}}")
_PIECE = re.compile(rf"[{_SIGNS}]{{1,76}}")
_DIGITS = re.compile(r"\d+")
_AT_THE_END = re.compile(r"[\s\"',;+\\]*")

_MOST_AROUND = 100
"""Characters beside a key's line that are compared with those beside the next one."""

_NEAR = 8
"""Lines below the first one in which a key begins; a few of them are headers."""

_FARTHEST = 200
"""Lines in which the rest of a key is looked for that has no end."""

_FARTHEST_END = 1000


@dataclass(frozen=True, slots=True)
class _Mark:
    """The first or last line of a key, and where it is."""

    begins: bool
    number: int
    start: int
    end: int


def without_keys(text: str) -> str:
    """Return a text whose private keys are hidden; their first and last lines stay."""
    lines = [_in_one_line(line) if "PRIVATE" in line else line for line in text.split("\n")]
    marks = [
        _Mark(found[1] == "BEGIN", number, found.start(), found.end())
        for number, line in enumerate(lines)
        if "PRIVATE" in line
        for found in _MARK.finditer(line)
    ]
    before: _Mark | None = None
    for mark, after in zip(marks, [*marks[1:], None], strict=False):
        if mark.begins:
            has_end = (
                after is not None
                and not after.begins
                and after.number - mark.number <= _FARTHEST_END
            )
            last = len(lines) if after is None else after.number
            if last > mark.number:
                _hide(lines, mark, range(mark.number + 1, last), has_end=has_end)
        elif before is None or not before.begins:
            first = -1 if before is None else before.number
            _hide(lines, mark, range(mark.number - 1, first, -1), has_end=False)
        before = mark
    return "\n".join(lines)


def _in_one_line(line: str) -> str:
    """Hide what is between the ends of a key on the same line, or beside one of them."""
    kept, end, begun = [], 0, False
    for found in [*_MARK.finditer(line), None]:
        part = line[end : len(line) if found is None else found.start()]
        closes = found is not None and found[1] == "END"
        if begun and closes and _SHORT.search(part):
            part = HIDDEN
        elif (begun or closes) and (run := _run_in(part)) is not None:
            part = _without_runs(part) if not closes else part[: run.start()] + HIDDEN
        kept += [part, "" if found is None else found[0]]
        if found is not None:
            end, begun = found.end(), not closes
    return "".join(kept)


def _hide(lines: list[str], mark: _Mark, numbers: Iterable[int], *, has_end: bool) -> None:
    """Hide the lines of a key, from its first or last one on.

    Args:
        has_end: whether all these lines are between the first and the last one.
    """
    around = _around(lines[mark.number], mark.start, mark.end)
    short: list[tuple[int, str]] = []
    found_at, width, sure = None, 0, has_end or not mark.begins
    for count, number in enumerate(numbers):
        line = lines[number]
        if not has_end and count >= (_FARTHEST if found_at is not None else _NEAR):
            break
        if (run := _run_in(line)) is not None:
            lines[number], found_at = _without_runs(line), count
            around, width = _around(line, run.start(), run.end()), len(run[0])
        elif not has_end and not mark.begins and found_at is not None:
            continue  # the only short line of a key is its last one
        elif (piece := _piece_in(line, *around)) and (sure or _is_no_word(piece[0])):
            short.append((number, f"{line[: piece.start()]}{HIDDEN}{line[piece.end() :]}"))
            if width and mark.begins and not has_end:
                break  # the last line of a key is shorter
    if has_end or found_at is not None:
        for number, shown in short:
            lines[number] = shown


def _around(line: str, start: int, end: int) -> tuple[str, str]:
    """Return what is in front of a piece of a line, and what is behind it."""
    return line[max(0, start - _MOST_AROUND) : start], line[end : end + _MOST_AROUND]


def _piece_in(line: str, front: str, behind: str) -> re.Match[str] | None:
    """Return the piece of a key that is alone in a line, or has the same around it."""
    after_blanks = len(line) - len(line.lstrip(" \t"))
    for start in (_after(front, line, 0), after_blanks):
        if start is None or (piece := _PIECE.match(line, start)) is None:
            continue
        for end in (_after(behind, line, piece.end()), piece.end()):
            if end is not None and _AT_THE_END.fullmatch(line, end):
                return piece
    return None


def _after(text: str, line: str, at: int) -> int | None:
    """Return where a text ends that is at a place of a line, whatever its numbers; None if none."""
    first, *others = _DIGITS.split(text)
    if not line.startswith(first, at):
        return None
    at += len(first)
    for part in others:
        number = _DIGITS.match(line, at)
        if number is None or not line.startswith(part, number.end()):
            return None
        at = number.end() + len(part)
    return at


def _run_in(text: str) -> re.Match[str] | None:
    return next((run for run in _RUN.finditer(text) if _is_of_a_key(run[0])), None)


def _without_runs(text: str) -> str:
    return _RUN.sub(lambda run: HIDDEN if _is_of_a_key(run[0]) else run[0], text)


def _is_of_a_key(signs: str) -> bool:
    """Return whether signs look made by chance: in both cases, unlike a digest or a path."""
    return not (signs.islower() or signs.isupper() or signs.isdecimal())


def _is_no_word(signs: str) -> bool:
    return not signs.isalpha() or not (signs.islower() or signs.isupper() or signs.istitle())
