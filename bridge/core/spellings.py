"""Find texts in another, however programs spell their signs: escaped, quoted, encoded, wrapped.

A copy of the text with each sign as it is meant is searched as well, and copies of copies, since
JSON may hold JSON. So a text to find needs no list of its forms. Pure.
"""

import html
import re
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import lru_cache
from urllib.parse import unquote

_DEEPEST = 3
"""The most layers of encoding to undo, e.g. JSON in JSON in a quoted argument."""

_SPELLED = re.compile(
    # A line break in Base64, with what BuildKit and Compose write in front of the next line
    r"(?:\n(?<=[A-Za-z0-9+/_-]{40}\n)|\r\n(?<=[A-Za-z0-9+/_-]{40}\r\n))"
    r"[ \t]*(?:#\d+ [\d.]+ |[\w.-]{1,40} +\| )?(?=[A-Za-z0-9+/_=-])"
    r"|'\\''|'\"'\"'"  # an apostrophe within a shell's apostrophes
    r"|\\u[dD][89abAB][\da-fA-F]{2}\\u[dD][c-fC-F][\da-fA-F]{2}|\\u[\da-fA-F]{4}|\\U[\da-fA-F]{8}"
    r"|\\x[\da-fA-F]{2}|\\[nrt]|\\(?:[^\w\s]| )"
    r"|%[0-7][\da-fA-F]|(?:%[89a-fA-F][\da-fA-F])+"
    r"|&(?:#\d{1,7}|#[xX][\da-fA-F]{1,6}|amp|lt|gt|quot|apos);"
)


@lru_cache(maxsize=4096)
def _meant(spelled: str) -> str:
    """Return the sign that is spelled like this."""
    match spelled[0]:
        case "'":
            return "'"
        case "%":
            return unquote(spelled, errors="replace")
        case "&":
            return html.unescape(spelled)
        case "\\" if spelled[1].isascii() and spelled[1].isalpha():
            signs = spelled.encode().decode("unicode_escape", "replace")
            return signs.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        case "\\":
            return spelled[1]
    return ""


def readings(text: str) -> Iterator[str]:
    """Yield a text as it is, and as it reads once what it spells is taken as meant."""
    for copy in _copies(text):
        yield copy.text


class _Copy:
    """A text in which signs are as they are meant, and where they are in what it was made of."""

    def __init__(self, text: str, origin: "_Copy | None" = None) -> None:
        self.text, self._origin = text, origin
        self._begins: list[int] = []
        self._spelled: list[tuple[int, int, int]] = []

    def meant(self) -> "_Copy | None":
        """Return a copy of this text; None if it spells nothing."""
        kept, end, length = [], 0, 0
        copy = _Copy("", self)
        for found in _SPELLED.finditer(self.text):
            sign = _meant(found[0])
            length += found.start() - end
            copy._begins.append(length)
            kept += [self.text[end : found.start()], sign]
            length, end = length + len(sign), found.end()
            copy._spelled.append((length, found.start(), end))
        copy.text = "".join([*kept, self.text[end:]])
        return copy if kept else None

    def place(self, begin: int, end: int) -> tuple[int, int]:
        """Return where a piece of this text is in the first one."""
        if self._origin is None:
            return begin, end
        return self._origin.place(
            self._place(begin, bisect_right(self._begins, begin) - 1, at_end=False),
            self._place(end, bisect_left(self._begins, end) - 1, at_end=True),
        )

    def _place(self, at: int, number: int, *, at_end: bool) -> int:
        """Return the place in the text it was made of; a spelled sign belongs to it as a whole."""
        if number < 0:
            return at
        last, begin, end = self._spelled[number]
        if at < last:
            return end if at_end else begin
        return end + at - last


def _copies(text: str) -> Iterator[_Copy]:
    copy: _Copy | None = _Copy(text)
    for _ in range(1 + _DEEPEST):
        if copy is not None:
            yield copy
            copy = copy.meant()


# ── Find many texts at once ─────────────────────────────────────────────────────────────────────

_LENGTHS = (32, 16, 8, 4, 1)


class Finder:
    """Finds many texts in another, in a time that hardly depends on how many they are.

    It asks at each place of a text whether one begins like this.
    """

    def __init__(self, anywhere: Iterable[str], as_words: Iterable[str]) -> None:
        """Take what to find, and what to find only as whole words."""
        self._words = frozenset(as_words)
        self._by_begin: dict[int, defaultdict[str, list[str]]] = {}
        for one in sorted({*anywhere, *self._words}, key=len, reverse=True):
            length = next(length for length in _LENGTHS if length <= len(one))
            known = self._by_begin.setdefault(length, defaultdict(list))
            known[one[:length]].append(one)

    def places(self, text: str) -> Iterator[tuple[int, int]]:
        """Yield where the texts begin and end, in order; none touches another."""
        if not self._by_begin:
            return
        found = sorted(copy.place(*at) for copy in _copies(text) for at in self._in(copy.text))
        begin, end = 0, -1
        for one in found:
            if one[0] >= end:
                if end > 0:
                    yield begin, end
                begin, end = one
            end = max(end, one[1])
        if end > 0:
            yield begin, end

    def _in(self, text: str) -> Iterator[tuple[int, int]]:
        for length, known in self._by_begin.items():
            for at in range(len(text) - length + 1):
                if (begin := text[at : at + length]) in known:
                    yield from self._at(text, at, known[begin])

    def _at(self, text: str, at: int, longest_first: list[str]) -> Iterator[tuple[int, int]]:
        for one in longest_first:
            end = at + len(one)
            if text.startswith(one, at) and (one not in self._words or _is_whole(text, at, end)):
                yield at, end
                return


def _is_whole(text: str, begin: int, end: int) -> bool:
    """Return whether no letter and no digit is beside a piece of a text."""
    return not (text[begin - 1 : begin].isalnum() or text[end : end + 1].isalnum())
