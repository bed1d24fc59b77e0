"""Untrusted text in Discord's markdown: it mentions nobody, links nowhere, breaks nothing.

Discord takes a backslash before any punctuation as an escape, outside of code. Addresses and
invites become links by themselves, so their slashes are escaped as well.
Source: https://docs.discord.com/developers/reference#message-formatting
"""

import re
from collections.abc import Sequence

from bridge.views.markup import Markup
from bridge.views.text import clean, code_blocks, cut
from bridge.views.values import Form, Moment

_MARKUP = frozenset("\\*_~|<>[]@")
_AT_THE_START = frozenset("-+#")
"""Begin lists, headings and small print."""

_BACKTICK = "\N{MODIFIER LETTER GRAVE ACCENT}"
_EVERYBODY = re.compile(r"@(?=everyone|here)", re.IGNORECASE)
_LAST_SECOND = 253402300799
"""Of the year 9999, where calendars end."""


def escape(text: str, limit: int) -> str:
    """Return untrusted text as one line, at most `limit` long."""
    pieces = _escaped(clean(text))
    if pieces and pieces[0] in _AT_THE_START:
        pieces[0] = f"\\{pieces[0]}"
    return _joined(pieces, limit)


def _calm(text: str, limit: int) -> str:
    return _joined(_escaped(text), limit)


def _escaped(text: str) -> list[str]:
    return [piece for word in text.split(" ") for piece in (*_pieces(word), " ")][:-1]


def _joined(pieces: Sequence[str], limit: int) -> str:
    remaining = iter(pieces)
    return cut("x" * len(pieces), limit, lambda _: next(remaining))


def _pieces(word: str) -> list[str]:
    """Return the characters of a word, escaped; slashes only where an address may be meant.

    Backticks become letters that look alike, since code of ours may follow them.
    """
    marked = _MARKUP | {"/"} if "." in word or "//" in word else _MARKUP
    return [f"\\{char}" if char in marked else _without_backticks(char) for char in word]


def plain(text: str, limit: int) -> str:
    """Return untrusted text for a place without markup, such as a footer or a post's title."""
    return cut(_EVERYBODY.sub("\N{FULLWIDTH COMMERCIAL AT}", clean(text)), limit)


def code(text: str, limit: int) -> str:
    """Return untrusted text as inline code; "" if nothing of it can be seen."""
    inside = cut(clean(text), limit - 2, _without_backticks)
    return f"`{inside}`" if inside else ""


def code_block(text: str, limit: int) -> str:
    """Return the end of an untrusted text as a block of code."""
    return code_blocks(text, limit, 1, _without_backticks)[0]


def _without_backticks(char: str) -> str:
    return _BACKTICK if char == "`" else char


def link(url: str | None, label: str) -> str:
    """Return a link around a label that is escaped already; None: no link."""
    if url is None or not re.match(r"https?://", url):
        return label
    address = re.sub(r"[\s<>()\[\]\\\x00-\x1f]", lambda found: f"%{ord(found[0]):02X}", url)
    return f"[{label}]({address})"


def moment(at: float, style: str = "f") -> str:
    """Return a time that Discord shows in the reader's own zone; "R" as how long ago it was."""
    return f"<t:{min(max(int(at), 0), _LAST_SECOND)}:{style}>"


class Markdown(Markup):
    """Writes phrases as Discord's markdown."""

    def text(self, words: str, limit: int) -> str:
        return escape(words, limit)

    def calm(self, words: str, limit: int) -> str:
        return _calm(words, limit)

    def strong(self, shown: str) -> str:
        return f"**{shown}**"

    def code(self, words: str, limit: int) -> str:
        return code(words, limit)

    def link(self, url: str | None, shown: str) -> str:
        return link(url, shown)

    def moment(self, one: Moment) -> str:
        return moment(one.at, "R" if one.form is Form.AGE else "f")


MARKDOWN = Markdown()
