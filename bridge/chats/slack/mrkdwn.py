"""Make untrusted text safe for Slack: it mentions nobody, links nowhere, breaks nothing.

Slack reads `& < >` as control characters in every text, formats words between `* _ ~` and
backticks, and has no escape for these, so they become letters that look alike. Characters
that can't be seen (control, zero width, those that turn the direction of reading) are left
out. Lengths count as Slack's servers may count them at worst: UTF-16 units, after escaping.
Source: https://docs.slack.dev/messaging/formatting-message-text
"""

import re
from datetime import UTC, datetime

from bridge.views.text import ELLIPSIS, NOTHING, clean, clean_lines, cut, units
from bridge.views.text import code_blocks as blocks_of_code
from bridge.views.text import prose as written

__all__ = [
    "NOTHING",
    "calm",
    "clean",
    "clean_lines",
    "code",
    "code_block",
    "code_blocks",
    "escape",
    "link",
    "mention",
    "moment",
    "plain",
    "plain_middle",
    "prose",
    "units",
]

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
_LAST_SECOND = 253402300799
"""Of the year 9999, where calendars end."""


def plain(text: str, limit: int) -> str:
    """Return untrusted text for a `plain_text` object, which has no markup."""
    return cut(clean(text), limit, lambda char: _ANGLES.get(char, char))


def plain_middle(text: str, limit: int) -> str:
    """Return the same, cut in the middle: a label ends with the app's name."""
    cleaned = clean(text)
    if units(cleaned) <= limit:
        return plain(cleaned, limit)
    tail = plain(cleaned[::-1], limit * 2 // 3).removesuffix(ELLIPSIS)[::-1]
    return plain(cleaned, limit - units(tail)) + tail


def escape(text: str, limit: int) -> str:
    """Return untrusted text for mrkdwn and a message's `text`: one line, at most `limit` long."""
    return calm(clean(text), limit)


def code(text: str, limit: int) -> str:
    """Return untrusted text as inline code; "" if nothing of it is visible."""
    inside = cut(clean(text).replace("`", _LOOK_ALIKES["`"]), limit - 2, _entity)
    return f"`{inside}`" if inside else ""


def code_block(text: str, limit: int) -> str:
    """Return the end of an untrusted text as a block of code."""
    return code_blocks(text, limit, 1)[0]


def code_blocks(text: str, limit: int, most: int) -> list[str]:
    """Return the same as at most `most` blocks of code, each within the limit."""
    return blocks_of_code(text, limit, most, _in_code)


def prose(text: str, limit: int) -> str:
    """Return our own sentence with untrusted names in it; format paths and patterns as code."""
    return written(text, limit, calm=calm, code=code)


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


def calm(text: str, limit: int) -> str:
    """Return text that is clean already, with its spaces, for mrkdwn."""
    text = _EVERYBODY.sub("\N{FULLWIDTH COMMERCIAL AT}", text)
    text = _LOOSE_UNDERSCORE.sub("\N{MODIFIER LETTER LOW MACRON}", text)
    return cut(text, limit, lambda char: _ENTITIES.get(char) or _LOOK_ALIKES.get(char, char))


def _entity(char: str) -> str:
    return _ENTITIES.get(char, char)


def _in_code(char: str) -> str:
    return _LOOK_ALIKES["`"] if char == "`" else _entity(char)
