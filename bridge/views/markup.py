"""Write views in a door's markup; by itself as plain text.

A door overrides how each value is written. What is untrusted is cut to its limit here.
"""

from collections.abc import Mapping
from datetime import UTC, datetime

from bridge.core.chat.grammar import capital
from bridge.core.holds import Gate
from bridge.core.lifecycle import State
from bridge.core.log_text import shorten
from bridge.views.links import NO_LINKS, Links
from bridge.views.text import NOTHING, clean, cut
from bridge.views.text import prose as written
from bridge.views.values import (
    DOT,
    GAP,
    SHORT_COMMIT,
    Called,
    Code,
    Commit,
    Compared,
    Icon,
    Link,
    Look,
    Mark,
    Moment,
    Phrase,
    Ref,
    Sentence,
    Sign,
    Strong,
    Text,
    Typed,
    Value,
)
from bridge.views.view import Item, Lines, View

ICONS: Mapping[Sign, str] = {
    State.WAITING: "⏳",
    State.HELD: "✋",
    State.ASKED: "📡",
    State.QUEUED: "📥",
    State.RUNNING: "🏗️",
    State.VERIFYING: "🩺",
    State.DONE: "✅",
    State.UNHEALTHY: "🤒",
    State.FAILED: "❌",
    State.CANCELLED: "🚫",
    State.SUPERSEDED: "⏩",
    State.UNKNOWN: "❓",
    Gate.SCHEDULE: "⏰",
    Gate.LOCK: "🔒",
    Gate.FREEZE: "❄️",
    Gate.CHECKS: "🧪",
    Gate.APPROVAL: "👥",
    Gate.ORDER: "🔗",
    Look.WAITS: "⏳",
    Look.BUILDS: "🏗️",
    Look.UP: "✅",
    Look.ENDS: "🧹",
    Look.GONE: "▫️",
    Icon.UNLOCK: "🔓",
    Icon.THAW: "☀️",
    Icon.WELL: "✅",
    Icon.PAST: "☑️",
    Icon.PULL: "🌱",
    Icon.MEMO: "📝",
    Icon.TAG: "🏷️",
    Icon.GEAR: "⚙️",
    Icon.NOTE: "💬",
    Icon.WARN: "⚠️",
    Icon.GO: "🚀",
    Icon.BACK: "⏪",
    Icon.UP: "⬆️",
    Icon.NOT: "🚫",
    Icon.SKIP: "⏩",
    Icon.NEVER: "▫️",
    Icon.UNDONE: "↩️",
    Icon.DOUBT: "❓",
}


REF_NAME = 100


class Markup:
    """Writes phrases as plain text."""

    icons: Mapping[Sign, str] = ICONS
    dot, gap = " · ", " "

    def __init__(self, links: Links = NO_LINKS) -> None:
        """Take the pages of commits."""
        self.links = links

    def text(self, words: str, limit: int) -> str:
        """Return untrusted words on one line, escaped; "" if nothing of them can be seen."""
        return self.calm(clean(words), limit)

    def calm(self, words: str, limit: int) -> str:
        """Escape words that are clean already, and keep their spaces."""
        return cut(words, limit)

    def strong(self, shown: str) -> str:
        """Return a name that is escaped already, so that it stands out."""
        return shown

    def code(self, words: str, limit: int) -> str:
        """Return untrusted words as code; "" if nothing of them can be seen."""
        return cut(clean(words), limit)

    def link(self, url: str | None, shown: str) -> str:
        """Return a link around a label that is escaped already; None: no link."""
        return f"{shown} ({url})" if url else shown

    def moment(self, one: Moment) -> str:
        """Return a time."""
        return f"{datetime.fromtimestamp(one.at, UTC):%Y-%m-%d %H:%M} UTC"

    def called(self, _id: str) -> str:
        """Call somebody; "" if nobody can be called."""
        return ""

    def typed(self, words: str) -> str:
        """Return a call as it is typed at this door."""
        return f"dokploy-bridge {words}"

    def sentence(self, words: str, limit: int) -> str:
        """Return our own sentence with untrusted names in it; paths and patterns are code.

        A long one is cut in its middle: errors end with their place or an exit code.
        """
        return written(shorten(words, limit), limit, calm=self.calm, code=self.code)

    def phrase(self, phrase: Phrase) -> str:
        """Return our own words, with values among them; a sentence of its own has a capital."""
        shown, begins = "", True
        for one in phrase:
            piece = self._words(one) if isinstance(one, str) else self._value(one)
            shown += capital(piece) if begins and isinstance(one, Sentence) else piece
            begins = isinstance(one, str) and one.endswith(DOT)
        return shown

    def _words(self, one: str) -> str:
        return one.replace(DOT, self.dot).replace(GAP, self.gap)

    def _value(self, one: Value) -> str:
        match one:
            case Text():
                return self.text(one.words, one.limit) or NOTHING
            case Strong(text=text):
                return self.strong(self.text(text.words, text.limit) or NOTHING)
            case Sentence():
                return self.sentence(one.words, one.limit)
            case Moment():
                return self.moment(one)
            case Called(id=id_):
                return self.called(id_)
            case Typed(call=call):
                return self.typed(call.typed)
            case Mark(sign=sign):
                return self.icons[sign]
            case State():
                return str(one)
            case Ref():
                name = self.code(one.short, REF_NAME)
                return f"{self.icons[Icon.TAG]} {name}" if one.is_tag else name
            case _:
                return self.link(*self._page(one))

    def _page(self, one: Code | Link | Commit | Compared) -> tuple[str | None, str]:
        """Return the address of a page, and what leads there."""
        match one:
            case Code(text=text, url=url):
                return url, self.code(text.words, text.limit)
            case Link(text=text, url=url):
                return url, self.calm(clean(text.words), text.limit) or NOTHING
            case Commit(sha=sha, app=app):
                return self.links.commit(app, sha), self.code(sha[:SHORT_COMMIT], 20)
            case Compared(app=app, old=old, new=new, words=words):
                return self.links.compare(app, old, new), self.text(words, 80)

    def signed(self, sign: Sign | None, shown: str) -> str:
        """Return a line with its sign."""
        return shown if sign is None else f"{self.icons[sign]} {shown}"

    def item(self, item: Item) -> str:
        """Return a line of a list, without its note."""
        return self.signed(item.sign, self.phrase(item.says))

    def joined(self, *pieces: str) -> str:
        """Join the pieces that are not empty with dots."""
        return self.dot.join(filter(None, pieces))

    def lines(self, view: View) -> list[str]:
        """Return all of a view, a line each, without tables and logs."""
        lines = [self.signed(view.sign, self.phrase(view.head))] if view.head else []
        lines += map(self.phrase, view.says)
        lines.append(self.joined(*map(self.phrase, view.facts.values())))
        lines += map(self.phrase, view.notes)
        for part in view.parts:
            if isinstance(part, Lines):
                lines += self._list(part)
        lines.append(self.joined(*(self.phrase((one,)) for one in view.links)))
        lines += [f"{one.label}: {one.command}" for one in view.actions if one.command]
        return [line for line in lines if line]

    def _list(self, part: Lines) -> list[str]:
        lines = [part.title]
        for one in part.items:
            lines += [self.item(one), self.phrase(one.note)]
            lines += [f"{act.label}: {act.command}" for act in one.actions if act.command]
        return [*lines, f"and {part.more} more"] if part.more else lines
