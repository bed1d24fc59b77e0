"""Hide secrets in any text that people get to see: known values first, then what looks like one.

Known are the values of an app's variables, which only its backend keeps, and those of our own
settings. They are hidden in every form in which programs print them. Pure, except for what this
process always hides.
"""

import re
from base64 import b64encode
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain

from bridge.core.log_text import without_steering
from bridge.core.private_keys import HIDDEN
from bridge.core.secret_shapes import without_credentials, without_shapes
from bridge.core.secret_values import SHORTEST, SHORTEST_LINE, secret_parts
from bridge.core.spellings import Finder, readings
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


NOTHING = Mask()


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
