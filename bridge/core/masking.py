"""Hide secrets in any text that people get to see: known values first, then what looks like one.

Known are the values of an app's variables, which only its backend keeps, and those of our own
settings. They are hidden in every form in which programs print them. Pure, except for what this
process always hides.
"""

import html
import re
from base64 import b64encode
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property, lru_cache
from itertools import accumulate, chain, compress, count

from bridge.core.log_text import without_steering
from bridge.core.private_keys import HIDDEN
from bridge.core.secret_shapes import without_credentials, without_shapes
from bridge.core.secret_values import SHORTEST, SHORTEST_LINE, secret_parts
from bridge.core.variables import statements, value_of

__all__ = [
    "HIDDEN",
    "NOTHING",
    "Mask",
    "always_hidden",
    "mask_of",
    "redact",
    "within_colours",
    "without_known",
]


def redact(text: str, mask: "Mask | None" = None) -> str:
    """Return a text without colours and without secrets; its lines stay as many as they are.

    Args:
        mask: hides further values, besides those that this process always hides.
    """
    text = without_known(without_steering(text))
    return without_shapes(text if mask is None else mask.hide(text))


def within_colours(text: str, mask: "Mask") -> str:
    """Return a text without a mask's values and credentials; other lines keep their colours."""
    plain = without_steering(text)
    shown = without_credentials(mask.hide(plain))
    if shown == plain:
        return text
    lines = zip(text.split("\n"), plain.split("\n"), shown.split("\n"), strict=True)
    return "\n".join(line if was == now else now for line, was, now in lines)


def without_known(text: str) -> str:
    """Return a text without the values that this process always hides."""
    for one in _known:
        text = one.hide(text)
    return text


class Mask:
    """Hides values in texts; it never shows them itself."""

    __slots__ = ("_anywhere", "_as_words", "_finder")

    def __init__(
        self, variables: Iterable[tuple[str, str]] = (), secrets: Iterable[str] = ()
    ) -> None:
        """Take what to hide.

        Args:
            variables: names and values; a value that can't be secret stays visible.
            secrets: values that are secret whatever they are called.
        """
        values = {one for name, value in variables for one in secret_parts(name, value)}
        values |= {one for value in secrets for one in secret_parts("secret", value)}
        weak = {value for value in values if _is_weak(value)}
        strong = {one for value in values - weak for one in (*_readings(value), *_in_base64(value))}
        self._anywhere = frozenset(strong)
        self._as_words = frozenset(one for value in weak for one in _readings(value)) - strong
        self._finder = Finder(self._anywhere, self._as_words)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Mask) and self._texts == other._texts

    def __hash__(self) -> int:
        return hash(self._texts)

    def __repr__(self) -> str:
        return f"<Mask of {len(self._anywhere) + len(self._as_words)} texts>"

    @property
    def _texts(self) -> tuple[frozenset[str], frozenset[str]]:
        return self._anywhere, self._as_words

    def hide(self, text: str) -> str:
        """Return a text without the values; colours in it may split them."""
        kept, end = [], 0
        for begin, next_end in self._finder.places(text):
            lines = text.count("\n", begin, next_end) + 1
            kept += [text[end:begin], "\n".join([HIDDEN] * lines)]
            end = next_end
        return "".join([*kept, text[end:]])


def mask_of(
    texts: Iterable[str | None],
    secrets: Iterable[str | None] = (),
    resolved: Iterable[tuple[str, str]] = (),
) -> Mask:
    """Return what hides the values of variables.

    Args:
        texts: lines of NAME=value, as the backend keeps them.
        secrets: values that are secret whatever they are called; None and "" are left out.
        resolved: names and values after what they refer to was put in.
    """
    written = (one for text in texts for one in _written(text))
    return Mask(chain(written, resolved), filter(None, secrets))


def _written(text: str | None) -> Iterator[tuple[str, str]]:
    r"""Yield all variables with their values, also as written.

    Not all readers know comments, and some take \" within quotes for the quote alone.
    """
    for name, raw in statements(text):
        if name is not None:
            yield name, value_of(raw)
            yield name, raw.partition("=")[2].strip()
            yield name, re.sub(r'\\(["\\])', r"\1", value_of(raw))


_always: list[Mask] = []
_known: tuple[Mask, ...] = ()


@contextmanager
def always_hidden(mask: Mask) -> Iterator[None]:
    """Have this process hide values in every text while it is in this block."""
    global _known  # noqa: PLW0603 - one process has one output, and all its threads write it
    _always.append(mask)
    _known = tuple(dict.fromkeys(_always))
    try:
        yield
    finally:
        _always.remove(mask)
        _known = tuple(dict.fromkeys(_always))


# ── The forms in which programs print a value ───────────────────────────────────────────────────

_LONG_WORD = 12
_COLUMNS = (76, 64)
_SHORTEST_REST = 12


def _is_weak(value: str) -> bool:
    """Return whether a value may be a piece of ordinary words, so that only whole ones count."""
    if value.isalpha() or value.isdecimal():
        return len(value) < _LONG_WORD
    return len(value) < SHORTEST_LINE


def _readings(value: str) -> Iterator[str]:
    """Yield a value as it is, as a form has it, and as it reads where it is decoded itself."""
    for text in {value, value.replace(" ", "+")}:
        yield from (one for one in readings(text) if one == value or len(one) >= SHORTEST)


def _in_base64(value: str) -> Iterator[str]:
    """Yield a value in base64, at each of three places in a longer text, e.g. after a user.

    Also the lines of it: `base64` writes 76 characters on each, and others 64.
    """
    data = value.encode(errors="replace")
    yield (whole := b64encode(data).decode())
    known = whole[: len(data) * 8 // 6]  # what follows may change the last sign
    for columns in _COLUMNS:
        lines = (known[at : at + columns] for at in range(0, len(known), columns))
        yield from (line for line in lines if len(line) >= _SHORTEST_REST)
    for before in range(3):
        encoded = b64encode(bytes(before) + data).decode()
        first, last = -(-before * 8 // 6), (before + len(data)) * 8 // 6
        yield encoded[first:last]
        yield encoded[first:last].translate(str.maketrans("+/", "-_"))


# ── values in any spelling ───────────────────────────────────────────────────────────────────────

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


NOTHING = Mask()
