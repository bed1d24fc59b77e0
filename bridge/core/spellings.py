"""Find texts in another, however programs spell their signs: escaped, quoted, encoded, wrapped.

A copy of the text with each sign as it is meant is searched as well, and copies of copies, since
JSON may hold JSON. So a text to find needs no list of its forms. Pure.
"""

import html
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from functools import cached_property, lru_cache
from itertools import accumulate, compress, count

_DEEPEST = 3
"""The most layers of encoding to undo, e.g. JSON in JSON in a quoted argument."""

_HEX = r"[\da-fA-F]"
_SPELLED = re.compile(
    # A line break in Base64, with what BuildKit and Compose write in front of the next line
    r"((?:\n(?<=[A-Za-z0-9+/_-]{40}\n)|\r\n(?<=[A-Za-z0-9+/_-]{40}\r\n))"
    r"[ \t]*(?:#\d+ [\d.]+ |[\w.-]{1,40} +\| )?(?=[A-Za-z0-9+/_=-])"
    r"|'\\''|'\"'\"'"  # an apostrophe within a shell's apostrophes
    r"|''|\"\"|\$\$"  # SQL, YAML, CSV and Compose double them
    rf"|\\(?:u[dD][89abAB]{_HEX}{{2}}\\u[dD][c-fC-F]{_HEX}{{2}}|u{_HEX}{{4}}|U{_HEX}{{8}}"
    # A letter such as ö is two to four bytes, in hexadecimal or octal digits
    rf"|x[c-fC-F]{_HEX}(?:\\x[89abAB]{_HEX}){{1,3}}|x{_HEX}{{2}}"
    r"|3[0-7]{2}(?:\\2[0-7]{2}){1,3}|[0-3][0-7]{2}|[nrt]|[^\w\s]| )"
    rf"|%(?:[c-fC-F]{_HEX}(?:%[89abAB]{_HEX}){{1,3}}|{_HEX}{{2}})"
    rf"|&(?:#\d{{1,7}}|#[xX]{_HEX}{{1,6}}|amp|lt|gt|quot|apos);)"
)
_BYTE = re.compile(rf"[%x]({_HEX}{{2}})|\\([0-3][0-7]{{2}})")


@lru_cache(maxsize=4096)
def _meant(spelled: str) -> str:
    """Return the sign that is spelled like this."""
    if spelled[0] == "&":
        return html.unescape(spelled)
    if spelled[0] in "'\"$":
        return spelled[0]
    if in_bytes := _BYTE.findall(spelled):
        data = bytes(int(in_hex, 16) if in_hex else int(octal, 8) for in_hex, octal in in_bytes)
        try:
            return data.decode()
        except UnicodeDecodeError:
            return data.decode("latin-1")
    if spelled[0] != "\\":
        return ""
    if spelled[1].isascii() and spelled[1].isalpha():
        signs = spelled.encode().decode("unicode_escape", "replace")
        return signs.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return spelled[1]


def readings(text: str) -> Iterator[str]:
    """Yield a text as it is, and as it reads once what it spells is taken as meant."""
    for copy in _copies(text):
        yield copy.text


class _Copy:
    """A text in which signs are as they are meant, and where they are in what it was made of.

    Args:
        spelled: what the text was made of, in pieces; every second one spells a sign.
        meant: the same pieces as they are meant.
    """

    def __init__(
        self, meant: list[str], spelled: list[str] | None = None, origin: "_Copy | None" = None
    ) -> None:
        self.text = "".join(meant)
        self._meant, self._spelled, self._origin = meant, spelled or meant, origin

    def meant(self) -> "_Copy | None":
        """Return a copy of this text; None if it spells nothing."""
        spelled = _SPELLED.split(self.text)
        if len(spelled) == 1:
            return None
        meant = spelled.copy()
        meant[1::2] = map(_meant, spelled[1::2])
        return _Copy(meant, spelled, self)

    def parts_with_news(self, reach: int) -> Iterator[tuple[int, int]]:
        """Yield where the text differs from what it was made of, with what is beside that."""
        if self._origin is None:
            return iter([(0, len(self.text))])
        signs = zip(self._begins[1::2], self._begins[2::2], strict=False)
        return _joined((max(0, begin - reach), end + reach) for begin, end in signs)

    def place(self, begin: int, end: int) -> tuple[int, int]:
        """Return where a piece of this text is in the first one."""
        if self._origin is None:
            return begin, end
        return self._origin.place(self._place(begin)[0], self._place(end - 1)[1])

    def _place(self, at: int) -> tuple[int, int]:
        """Return where a sign of this text begins and ends in the one it was made of."""
        number = bisect_right(self._begins, at) - 1
        begin, past = self._begins_in_origin[number], at - self._begins[number]
        if number % 2:
            return begin, begin + len(self._spelled[number])
        return begin + past, begin + past + 1

    @cached_property
    def _begins(self) -> list[int]:
        return [0, *accumulate(map(len, self._meant))]

    @cached_property
    def _begins_in_origin(self) -> list[int]:
        return [0, *accumulate(map(len, self._spelled))]


def _copies(text: str) -> Iterator[_Copy]:
    copy: _Copy | None = _Copy([text])
    for _ in range(1 + _DEEPEST):
        if copy is not None:
            yield copy
            copy = copy.meant()


# ── Find many texts at once ─────────────────────────────────────────────────────────────────────

_LENGTHS = (32, 16, 8, 4)
_SHORTEST = 4


class Finder:
    """Finds many texts in another, in a time that hardly depends on how many they are.

    It asks at each place of a text whether one begins like this, and first whether four signs do.
    """

    def __init__(self, anywhere: Iterable[str], as_words: Iterable[str]) -> None:
        """Take what to find, and what to find only as whole words; none is of three signs."""
        self._words = frozenset(as_words)
        self._by_begin: dict[int, dict[str, list[str]]] = {}
        texts = [one for one in {*anywhere, *self._words} if len(one) >= _SHORTEST]
        for one in sorted(texts, key=len, reverse=True):
            length = next(length for length in _LENGTHS if length <= len(one))
            self._by_begin.setdefault(length, {}).setdefault(one[:length], []).append(one)
        begins = (begin for known in self._by_begin.values() for begin in known)
        self._longest = max(map(len, texts), default=0)
        self._fours = frozenset(tuple(begin[:_SHORTEST]) for begin in begins)

    def places(self, text: str) -> Iterator[tuple[int, int]]:
        """Yield where the texts begin and end, in order; none touches another."""
        if not self._fours:
            return
        found = (copy.place(*at) for copy in _copies(text) for at in _joined(self._in(copy)))
        yield from _joined(sorted(found))

    def _in(self, copy: _Copy) -> Iterator[tuple[int, int]]:
        for begin, part_end in copy.parts_with_news(self._longest):
            part = copy.text[begin:part_end]
            fours = zip(part, part[1:], part[2:], part[3:], strict=False)
            for at in compress(count(begin), map(self._fours.__contains__, fours)):
                if (end := self._end_at(copy.text, at)) is not None:
                    yield at, end

    def _end_at(self, text: str, at: int) -> int | None:
        """Return where the longest text ends that begins at a place."""
        for length, known in self._by_begin.items():
            for one in known.get(text[at : at + length], ()):
                end = at + len(one)
                if text.startswith(one, at) and (
                    one not in self._words or _is_whole(text, at, end)
                ):
                    return end
        return None


def _joined(places: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Yield places in their order, as one where they overlap."""
    begin, end = 0, -1
    for one in places:
        if one[0] >= end:
            if end > 0:
                yield begin, end
            begin, end = one
        end = max(end, one[1])
    if end > 0:
        yield begin, end


def _is_whole(text: str, begin: int, end: int) -> bool:
    """Return whether no letter and no digit is beside a piece of a text."""
    return not (text[begin - 1 : begin].isalnum() or text[end : end + 1].isalnum())
