"""Hide secrets in any text that people get to see: known values first, then what looks like one.

Known are the values of an app's variables, which only its backend keeps, and those of our own
settings. They are hidden in every form in which programs print them. Pure, except for what this
process always hides.
"""

import json
import re
from base64 import b64encode
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from urllib.parse import quote, quote_plus, unquote, urlsplit

from bridge.core.configuration.variables import statements, value_of
from bridge.core.log_text import without_steering
from bridge.core.secret_shapes import (
    HIDDEN,
    tells_of_secret,
    without_credentials,
    without_shapes,
)

__all__ = [
    "HIDDEN",
    "NOTHING",
    "Mask",
    "always_hidden",
    "mask_of",
    "redact",
    "without_credentials",
    "without_known",
]


def redact(text: str, mask: "Mask | None" = None) -> str:
    """Return a text without colours and without secrets.

    Args:
        mask: hides further values, besides those that this process always hides.
    """
    text = without_known(without_steering(text))
    return without_shapes(text if mask is None else mask.hide(text))


def without_known(text: str) -> str:
    """Return a text without the values that this process always hides."""
    for one in _known:
        text = one.hide(text)
    return text


class Mask:
    """Hides values in texts; it never shows them itself."""

    __slots__ = ("_anywhere", "_as_words")

    def __init__(
        self, variables: Iterable[tuple[str, str]] = (), secrets: Iterable[str] = ()
    ) -> None:
        """Take what to hide.

        Args:
            variables: names and values; a value that can't be secret stays visible.
            secrets: values that are secret whatever they are called.
        """
        values = {one for name, value in variables for one in _secret_parts(name, value)}
        values |= {one for value in secrets for one in _secret_parts("secret", value)}
        weak = {value for value in values if _is_weak(value)}
        forms = {form for value in values - weak for form in (*_forms(value), *_in_base64(value))}
        words = {form for value in weak for form in _forms(value)}
        self._anywhere = tuple(sorted(forms, key=len, reverse=True))
        self._as_words = tuple(sorted(words, key=len, reverse=True))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Mask) and self._texts == other._texts

    def __hash__(self) -> int:
        return hash(self._texts)

    def __repr__(self) -> str:
        return f"<Mask of {len(self._anywhere) + len(self._as_words)} texts>"

    @property
    def _texts(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        return self._anywhere, self._as_words

    def hide(self, text: str) -> str:
        """Return a text without the values; colours in it may split them."""
        for form in self._anywhere:
            if form in text:
                text = text.replace(form, HIDDEN)
        for word in self._as_words:
            if word in text:
                text = re.sub(rf"(?<![^\W_]){re.escape(word)}(?![^\W_])", HIDDEN, text)
        return text


NOTHING = Mask()


def mask_of(texts: Iterable[str | None], secrets: Iterable[str | None] = ()) -> Mask:
    """Return what hides the values of variables.

    Args:
        texts: lines of NAME=value, as the backend keeps them.
        secrets: values that are secret whatever they are called; None and "" are left out.
    """
    return Mask(
        ((name, value) for text in texts for name, value in _written(text)), filter(None, secrets)
    )


def _written(text: str | None) -> Iterator[tuple[str, str]]:
    """Yield all variables with their values, also as written: not all readers know comments."""
    for name, raw in statements(text):
        if name is not None:
            yield name, value_of(raw)
            yield name, raw.partition("=")[2].strip()


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


# ── Which values are secret ─────────────────────────────────────────────────────────────────────

SHORTEST = 6
"""Characters of a value below which it would hide ordinary words, unless it is like none."""

_SHORTEST_ODD = 4
_SHORTEST_LINE = 8
_LONG_WORD = 12
_LONGEST_PLAIN_WORD = 7
_MOST_DIGITS = 8

_ORDINARY = """
true false yes no on off none null undefined enabled disabled default auto always never silent
production development staging testing test tests preview local localhost public private internal
external debug info warning warnings error errors verbose trace release main master develop latest
stable strict relaxed inherit disable require required prefer allow allowed admin root user users
username password secret changeme guest postgres postgresql mysql mariadb mongodb redis rabbitmq
sqlite memory database storage application frontend backend website service services container
docker kubernetes nextjs django rails laravel express fastapi flask node nodejs python
bridge dokploy
"""
_WORDS = frozenset(_ORDINARY.split())
"""Values that are no secret under any name, since logs are full of them."""

_NUMBER = re.compile(r"[\d.,:/%+-]{1,40}(?:ms|[smhdkKMGT]i?[bB]?)?")
_PLACE = re.compile(r"(?:[a-z][a-z0-9+.-]{1,20}://|~/)?[\w./:-]+")
_DOTTED = re.compile(r"\.[a-z]{2,18}(?::|/|$)")
_PIECES = re.compile(r"[^\W_]+")


def _secret_parts(name: str, value: str) -> Iterator[str]:
    """Yield what of a variable must not be shown: all of it, its lines, the password in it."""
    value = value.strip()
    if not _is_secret(name, value):
        return
    yield value
    if "\n" in value:
        lines = (line.strip() for line in value.splitlines())
        yield from (line for line in lines if _is_telling_line(line))
    if "://" in value and "@" in value and (password := _password_in(value)):
        yield from (one for one in {password, unquote(password)} if _is_secret("secret", one))


def _is_secret(name: str, value: str) -> bool:
    if value.lower() in _WORDS or len(value) < _SHORTEST_ODD:
        return False
    if len(value) < SHORTEST:
        return tells_of_secret(name) and not value.isalpha() and not _NUMBER.fullmatch(value)
    return tells_of_secret(name) or not _is_plain(value)


def _is_plain(value: str) -> bool:
    """Return whether a value says nothing that must be hidden: a word, a number, a place."""
    if _NUMBER.fullmatch(value):
        return len(max(re.findall(r"\d+", value), key=len, default="")) <= _MOST_DIGITS
    if value.isalpha():
        return value.islower() and len(value) <= _LONGEST_PLAIN_WORD
    is_place = "://" in value or value.startswith(("/", "./", "../", "~/")) or _DOTTED.search(value)
    return bool(is_place and _PLACE.fullmatch(value)) and all(
        map(_is_ordinary, _PIECES.findall(value))
    )


def _is_ordinary(piece: str) -> bool:
    """Return whether a piece of an address is a word, a number or a short name such as "eu1"."""
    if piece.isalpha():
        return piece == piece.lower() or piece.istitle() or piece.isupper()
    return len(piece) <= (5 if piece.isdecimal() else 4)


def _is_telling_line(line: str) -> bool:
    return len(line) >= _SHORTEST_LINE and not line.startswith("-----") and not _is_plain(line)


def _password_in(address: str) -> str:
    try:
        return urlsplit(address).password or ""
    except ValueError:
        return address.partition("://")[2].rpartition("@")[0].partition(":")[2]


def _is_weak(value: str) -> bool:
    """Return whether a value may be a piece of ordinary words, so that only whole ones count."""
    if value.isalpha() or value.isdecimal():
        return len(value) < _LONG_WORD
    return len(value) < _SHORTEST_LINE


# ── The forms in which programs print a value ───────────────────────────────────────────────────

_ENTITIES = {ord("&"): "&amp;", ord("<"): "&lt;", ord(">"): "&gt;", ord('"'): "&quot;"}


def _forms(value: str) -> Iterator[str]:
    """Yield a value as it is, and as JSON, addresses, pages and shells have it."""
    yield value
    for safe in ("", "/"):
        encoded = quote(value, safe=safe, errors="replace")
        yield encoded
        yield re.sub("%..", lambda found: found[0].lower(), encoded)
    yield quote_plus(value, errors="replace")
    yield json.dumps(value)[1:-1]
    yield json.dumps(value, ensure_ascii=False)[1:-1]
    yield repr(value)[1:-1]
    yield value.replace("'", "'\\''")
    for apostrophe in ("'", "&#39;", "&#x27;"):
        yield value.translate({**_ENTITIES, ord("'"): apostrophe})


def _in_base64(value: str) -> Iterator[str]:
    """Yield a value in base64, at each of three places in a longer text, e.g. after a user."""
    data = value.encode(errors="replace")
    yield b64encode(data).decode()
    for before in range(3):
        encoded = b64encode(bytes(before) + data).decode()
        first, last = -(-before * 8 // 6), (before + len(data)) * 8 // 6
        yield encoded[first:last]
        yield encoded[first:last].translate(str.maketrans("+/", "-_"))
