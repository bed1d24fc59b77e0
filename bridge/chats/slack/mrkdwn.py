"""Make untrusted text safe for Slack: it mentions nobody, links nowhere, breaks nothing.

Slack reads `& < >` as control characters in every text, formats words between `* _ ~` and
backticks, and has no escape for these, so they become letters that look alike. Characters
that can't be seen (control, zero width, those that turn the direction of reading) are left
out. Lengths count as Slack's servers may count them at worst: UTF-16 units, after escaping.
Source: https://docs.slack.dev/messaging/formatting-message-text
"""

import re
import unicodedata
from collections.abc import Callable
from datetime import UTC, datetime

from bridge.core.log_text import harmless

ELLIPSIS = "…"
NOTHING = "-"
"""Replaces a text without visible characters, since Slack allows no empty text."""

_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_LOOK_ALIKES = {
    "*": "\N{ASTERISK OPERATOR}",
    "~": "\N{TILDE OPERATOR}",
    "`": "\N{MODIFIER LETTER GRAVE ACCENT}",
}
_ANGLES = {
    "<": "\N{SINGLE LEFT-POINTING ANGLE QUOTATION MARK}",
    ">": "\N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK}",
}

_EVERYBODY = re.compile(r"@(?=channel|here|everyone|group)", re.IGNORECASE)
_LOOSE_UNDERSCORE = re.compile(r"(?<![^\W_])_|_(?![^\W_])")
"""An underscore inside a word, as in snake_case, formats nothing."""
_NAME = re.compile(
    r"`(?P<quoted>[^`]+)`"
    r"|(?P<path>(?<![\w\"'/*.@+-])[\w.@+-]{0,100}[/*](?:[\w./*{}()!?@+\[\]:-]|,(?=\S))*(?<![.:]))"
)
_SHORTEST_CODE = 4
_SPACE = re.compile(r"\s+")
_LAST_SECOND = 253402300799
"""Of the year 9999, where calendars end."""

_FAR_ENOUGH = 50_000
"""The most characters of a text to process; no place shows more than 3000."""

_LONGEST_LINE = 800
_STACKED = 3
"""The most combining marks on one letter; more would reach into the lines above."""


def clean(text: str) -> str:
    """Return the visible characters of a text on one line."""
    return _SPACE.sub(" ", _visible(text[:_FAR_ENOUGH])).strip()


def clean_lines(text: str) -> str:
    """Return the same, line by line."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").replace("\t", "    ").split("\n")
    return "\n".join(_visible(line).rstrip() for line in lines)


def plain(text: str, limit: int) -> str:
    """Return untrusted text for a `plain_text` object, which has no markup."""
    return _cut(clean(text), limit, lambda char: _ANGLES.get(char, char))


def plain_middle(text: str, limit: int) -> str:
    """Return the same, cut in the middle: a label ends with the app's name."""
    cleaned = clean(text)
    if units(cleaned) <= limit:
        return plain(cleaned, limit)
    tail = plain(cleaned[::-1], limit * 2 // 3).removesuffix(ELLIPSIS)[::-1]
    return plain(cleaned, limit - units(tail)) + tail


def escape(text: str, limit: int) -> str:
    """Return untrusted text for mrkdwn and a message's `text`: one line, at most `limit` long."""
    return _calm(clean(text), limit)


def prose(text: str, limit: int) -> str:
    """Return our own sentence with untrusted names in it; format paths and patterns as code."""
    line, shown, end = clean(text), "", 0
    for found in _NAME.finditer(line):
        shown += _calm(line[end : found.start()], limit - units(shown))
        end, room = found.start(), limit - units(shown)
        if room < _SHORTEST_CODE:
            break
        end = found.end()
        shown += code(found["quoted"] or found["path"], room) or _calm(found[0], room)
    return shown + _calm(line[end:], limit - units(shown))


def code(text: str, limit: int) -> str:
    """Return untrusted text as inline code; "" if nothing of it is visible."""
    inside = _cut(clean(text).replace("`", _LOOK_ALIKES["`"]), limit - 2, _entity)
    return f"`{inside}`" if inside else ""


def code_block(text: str, limit: int) -> str:
    """Return the end of an untrusted text as a block of code."""
    return code_blocks(text, limit, 1)[0]


def code_blocks(text: str, limit: int, most: int) -> list[str]:
    """Return the same as at most `most` blocks of code, each within the limit."""
    lines = clean_lines(text).replace("`", _LOOK_ALIKES["`"]).strip("\n").split("\n")
    room = limit - units("```\n\n```")
    chunks: list[list[str]] = [[]]
    left = room - 2  # the first line says if something is left out
    while lines:
        escaped = _cut(lines.pop(), _LONGEST_LINE, _entity)
        left -= units(escaped) + 1
        if left < 0 and len(chunks) == most:
            chunks[-1].append(ELLIPSIS)
            break
        if left < 0:
            chunks.append([])
            left = room - 2 - units(escaped) - 1
        chunks[-1].append(escaped)
    return ["```\n" + "\n".join(reversed(chunk)) + "\n```" for chunk in reversed(chunks)]


def link(url: str | None, label: str) -> str:
    """Return a link to our own address around an escaped label; without an address, the label."""
    if url is None or not re.match(r"https?://", url):
        return label
    address = re.sub(r"[\s<>|\x00-\x1f]", lambda found: f"%{ord(found[0]):02X}", url)
    return f"<{address.replace('&', '&amp;')}|{label.replace('|', '¦')}>"


def mention(user_id: str) -> str:
    """Mention a Slack user by id; "" if it is no user's id."""
    return f"<@{user_id}>" if re.fullmatch(r"[UW][A-Z0-9]{2,30}", user_id) else ""


def moment(at: float, form: str = "{date_short_pretty} at {time}") -> str:
    """Return a time that Slack shows in the reader's zone and language, elsewhere in UTC."""
    whole = min(max(int(at), 0), _LAST_SECOND)
    fallback = datetime.fromtimestamp(whole, UTC).strftime("%Y-%m-%d %H:%M UTC")
    return f"<!date^{whole}^{form}|{fallback}>"


def _calm(text: str, limit: int) -> str:
    text = _EVERYBODY.sub("\N{FULLWIDTH COMMERCIAL AT}", text)
    text = _LOOSE_UNDERSCORE.sub("\N{MODIFIER LETTER LOW MACRON}", text)
    return _cut(text, limit, lambda char: _ENTITIES.get(char) or _LOOK_ALIKES.get(char, char))


def _entity(char: str) -> str:
    return _ENTITIES.get(char, char)


def _cut(text: str, limit: int, form: Callable[[str], str]) -> str:
    """Replace each character by its form, as many as fit; never split a form."""
    pieces: list[str] = []
    length, room = 0, 0
    for char in text:
        piece = form(char)
        length += units(piece)
        if length > limit:
            return "".join(pieces[:room]).rstrip() + ELLIPSIS if limit > 0 else ""
        pieces.append(piece)
        if length < limit:
            room = len(pieces)
    return "".join(pieces)


def units(text: str) -> int:
    """Return a text's length in UTF-16, the longest way of counting."""
    return len(text) + sum(char > "\uffff" for char in text)


def _visible(text: str) -> str:
    """Return the visible characters, without marks that would reach into the lines above."""
    if text.isascii() and text.isprintable():
        return text
    seen: list[str] = []
    marks = 0
    for char in harmless(text, unseen=""):
        marks = marks + 1 if unicodedata.category(char) in ("Mn", "Me") else 0
        if marks <= _STACKED:
            seen.append(char)
    return "".join(seen)
