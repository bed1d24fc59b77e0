"""Render Discord's messages: deployment cards, failures, changes of an app's configuration.

Each is one embed; nothing untrusted stands outside of it, where Discord would unfurl links.
Source: https://docs.discord.com/developers/resources/message#embed-object
"""

import hashlib
import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bridge.chats.discord.markdown import (
    code,
    code_block,
    commit_of,
    escape,
    joined,
    link,
    moment,
    phrase,
    place_of,
    plain,
    ref_of,
    sentence,
    text_of,
)
from bridge.chats.facts.card import Card, Failure, Newer, OtherCommit
from bridge.chats.facts.config_notes import called, did
from bridge.chats.facts.proposal import Proposed
from bridge.chats.facts.text import NOTHING, cut, units
from bridge.core.configuration.difference import Changed
from bridge.core.configuration.difference import text_of as value_of
from bridge.core.events import COMMAND_HOST
from bridge.core.health.fate import Now
from bridge.core.holds import Gate, Hold
from bridge.core.lifecycle import State
from bridge.core.people import Actor
from bridge.ports.outcomes import DONE, Audited
from bridge.views.states import NOTE

TITLE = 256
DESCRIPTION = 4096
FIELDS = 25
FIELD_NAME = 256
FIELD_VALUE = 1024
FOOTER = 2048
ALL = 6000
"""The most characters of all texts in a message's embeds."""

POST_NAME = 100
"""The most characters of a forum post's title."""

ICONS = {
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
}

HOLD_ICONS = {
    Gate.SCHEDULE: "⏰",
    Gate.LOCK: "🔒",
    Gate.FREEZE: "❄️",
    Gate.CHECKS: "🧪",
    Gate.APPROVAL: "👥",
    Gate.ORDER: "🔗",
}

HOLD = 300
"""The most characters of a reason that stands among others."""

_GREY, _BLUE, _GREEN, _RED, _YELLOW = 0x80848E, 0x5865F2, 0x248046, 0xDA373C, 0xF0B232

COLOURS = {
    State.WAITING: _GREY,
    State.HELD: _YELLOW,
    State.ASKED: _BLUE,
    State.QUEUED: _BLUE,
    State.RUNNING: _BLUE,
    State.VERIFYING: _BLUE,
    State.DONE: _GREEN,
    State.UNHEALTHY: _RED,
    State.FAILED: _RED,
    State.CANCELLED: _GREY,
    State.SUPERSEDED: _GREY,
    State.UNKNOWN: _YELLOW,
}

Field = tuple[str, str, bool]
"""Name, value, and whether others may stand beside it."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message: one embed within Discord's limits; `post`: its title as a post of a forum."""

    embed: Mapping[str, Any]
    post: str = ""

    def body(self) -> dict[str, Any]:
        """Return the body of the requests that post and edit it; it mentions nobody."""
        return {"content": "", "embeds": [self.embed], "allowed_mentions": {"parse": []}}

    @property
    def hash(self) -> str:
        """Identify an unchanged message."""
        return hashlib.sha256(json.dumps(self.embed).encode()).hexdigest()[:16]


def embed_of(
    title: str,
    colour: int,
    paragraphs: Iterable[str] = (),
    fields: Sequence[Field] = (),
    footer: str = "",
    at: float | None = None,
) -> dict[str, Any]:
    """Return an embed, cut to Discord's limits; its texts are escaped already."""
    made: dict[str, Any] = {"title": _within(title, TITLE), "color": colour}
    if description := _within("\n".join(filter(None, paragraphs)), DESCRIPTION):
        made["description"] = description
    if footer:
        made["footer"] = {"text": _within(footer, FOOTER)}
    if at is not None:
        made["timestamp"] = datetime.fromtimestamp(_in_calendars(at), UTC).isoformat()
    left = ALL - units(made["title"]) - units(description) - units(footer)
    shown = []
    for name, value, inline in [one for one in fields if one[1]][:FIELDS]:
        field = {"name": _within(name, FIELD_NAME), "value": _within(value, FIELD_VALUE)}
        left -= units(field["name"]) + units(field["value"])
        if left < 0:
            break
        shown.append(field | {"inline": inline})
    return made | ({"fields": shown} if shown else {})


def _within(text: str, limit: int) -> str:
    """Return a text within a limit; the pieces it is made of are short enough, so this is rare."""
    return text if units(text) <= limit else cut(text, limit - 1).rstrip("\\")


def _in_calendars(at: float) -> float:
    return min(max(at, 0.0), 253402300799.0)


# ── The card, and what a channel is told of in a message of its own ─────────────────────────────


def render_card(card: Card, *, remark: str = "") -> Message:
    """Return the card of a deployment as it stands; the same facts make the same card.

    Args:
        remark: a further sentence of ours about the card itself.
    """
    title = f"{_icon(card)} {text_of(card.app) or NOTHING} {card.verdict}"
    lasted = f"took {card.took}" if card.took else ""
    since = f"started {moment(card.building_since, 'R')}" if card.building_since else ""
    fields = (
        ("Environment", text_of(card.environment), True),
        ("Trigger", phrase(card.by), True),
        ("Time", lasted or since, True),
        ("Links", _links(card), False),
    )
    held = map(_quoted, _held(card.holds))
    proposed = () if card.proposal is None else _proposed(card.proposal)
    news = map(_quoted, (_standing(card), _note(card), remark))
    paragraphs = (_subject(card), *held, *proposed, *news)
    colour = _GREY if card.past else COLOURS[card.state]
    embed = embed_of(title, colour, paragraphs, fields, _why(card), card.created_at)
    return Message(embed, _post_name(card))


_PAST = {Now.ROLLED_BACK: "↩️", Now.UNKNOWN: "❓"}


def _icon(card: Card) -> str:
    """Return the icon of its state, or of what has become of a version that was live."""
    if card.fate is None or card.fate.live:
        return ICONS[card.state]
    return _PAST.get(card.fate.now, "☑️")


def _standing(card: Card) -> str:
    """Return from where to where a rollback led, and what has become of what was live."""
    fate, lock = card.fate, card.lock
    until = f"Until {moment(fate.until)}" if fate is not None and fate.until is not None else ""
    says = "" if fate is None else sentence(fate.says, NOTE)
    held = ""
    if lock is not None:
        ends = f" until {moment(lock.until)}" if lock.until is not None else ""
        held = f"🔒 Locked by {escape(lock.name, 60)}{ends}"
    return joined(sentence(card.way, NOTE), until, says, held)


def _subject(card: Card) -> str:
    version = commit_of(card.commit) or code(card.image.words, card.image.limit)
    what = " ".join(filter(None, (version, text_of(card.says))))
    return joined(ref_of(card.ref), what)


def _links(card: Card) -> str:
    """Return as many whole links as fit into a field."""
    shown = ""
    for place in card.places:
        if units(more := joined(shown, place_of(place))) <= FIELD_VALUE:
            shown = more
    return shown


def _post_name(card: Card) -> str:
    """Return app, branch or tag and commit in plain words: a post's title can't be edited."""
    ref = plain(card.ref.name.words, 30) if card.ref else ""
    which = ", ".join(filter(None, (ref, plain(card.commit.short.words, 7) if card.commit else "")))
    app = plain(card.app.words, 50) or NOTHING
    return plain(f"{app} ({which})" if which else app, POST_NAME)


def _note(card: Card) -> str:
    match card.note:
        case Newer(url=None):
            return ""
        case Newer(url=url):
            return f"Superseded by {link(url, 'a newer deployment')}"
        case OtherCommit(live=live, pushed=pushed, tense=tense):
            shown = code(pushed.short.words, pushed.short.limit)
            head = "the backend builds the branch's head"
            return f"⚠️ {commit_of(live)} {tense} live, not {shown}: {head}"
        case str(note):
            return sentence(note, NOTE)


MOST_HOLDS = 6


def _held(holds: Sequence[Hold]) -> list[str]:
    """Return a line for each reason: what holds, until when, and which right lifts it."""
    lines = [
        joined(
            f"{HOLD_ICONS[one.gate]} {sentence(one.says, HOLD)}",
            f"until {moment(one.until)}" if one.until is not None else "",
            f"lifted by {code(one.may_lift, 20)}",
        )
        for one in holds[:MOST_HOLDS]
    ]
    more = len(holds) - MOST_HOLDS
    return [*lines, f"and {more} more"] if more > 0 else lines


def _proposed(one: Proposed) -> tuple[str, ...]:
    """Return who wrote the commit that would be approved, and what it brings."""
    author = f"by {text_of(one.author)}" if text_of(one.author) else ""
    lines = [joined(f"📝 To approve: {code(one.commit.words, one.commit.limit)}", author)]
    if one.live is not None:
        files = ", ".join(filter(None, (code(file.words, file.limit) for file in one.shown)))
        more = f" and {one.unshown} more" if files and one.unshown else ""
        since = f"{link(one.compare, one.count)} since {code(one.live.words, one.live.limit)}"
        lines.append(f"{since}: {files}{more}" if files else since)
    return tuple(map(_quoted, lines))


def _quoted(words: str) -> str:
    return f"> {words}" if words else ""


def _why(card: Card) -> str:
    """Return the command that explains it: messages of webhooks have no buttons for the bridge."""
    return f"Why: dokploy-bridge why {shlex.quote(plain(card.app.words, 200))}"


def render_failure(card: Card, failure: Failure) -> Message:
    """Return the message about a deployment that failed, or whose outcome is unknown."""
    title = f"{ICONS[failure.state]} {text_of(card.app) or NOTHING} {failure.verdict}"
    note = _quoted("" if failure.repeated else sentence(failure.note, NOTE))
    paragraphs = [joined(_subject(card), phrase(card.by)), note]
    room = DESCRIPTION - sum(units(one) + 1 for one in paragraphs)
    paragraphs.append(code_block(failure.tail, room) if failure.tail else "")
    fields = (("Links", _links(card), False),)
    embed = embed_of(title, COLOURS[failure.state], paragraphs, fields, _why(card))
    return Message(embed, _post_name(card))


# ── A change of an app's configuration ──────────────────────────────────────────────────────────

MOST_CHANGES = 15


def render_change(note: Audited, undone: Audited | None = None) -> Message:
    """Return who has changed what of an app's configuration, and whether it was undone."""
    where = " on the command line" if note.by.door == COMMAND_HOST else ""
    app = escape(note.app, 120) or NOTHING
    title = f"⚙️ {_who(note.by)} {did(note)} of {app}{where}"
    lines = [_change_line(one) for one in note.difference[:MOST_CHANGES]]
    if (more := len(note.difference) - MOST_CHANGES) > 0:
        lines.append(f"and {more} more")
    if note.result != DONE:
        lines.append(f"⚠️ Not as asked: {escape(note.result.why, NOTE)}")
    if undone is not None:
        lines.append(f"Undone by {_who(undone.by)}.")
    return Message(embed_of(title, _GREY, lines, at=note.at), plain(note.app or NOTHING, POST_NAME))


def _who(by: Actor) -> str:
    return escape(by.name, 60) or NOTHING


def _change_line(one: Changed) -> str:
    before, after = (code(value_of(value), 100) or NOTHING for value in (one.before, one.after))
    return f"**{escape(called(one.field), 60)}** {before} → {after}"
