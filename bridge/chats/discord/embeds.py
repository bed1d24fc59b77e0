"""Render views as Discord's embeds; nothing untrusted stands outside, where links would unfurl.

Source: https://docs.discord.com/developers/resources/message#embed-object
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from bridge.chats.discord.markdown import MARKDOWN, code, code_block, plain
from bridge.views.actions import command
from bridge.views.text import cut, units
from bridge.views.values import Link, Phrase, Strong, Text
from bridge.views.view import Action, Lines, Tone, View, Weight

TITLE, DESCRIPTION, FIELDS, FIELD_NAME, FIELD_VALUE, FOOTER = 256, 4096, 25, 256, 1024, 2048
ALL = 6000
"""The most characters of all texts in a message's embeds."""

POST_NAME = 100
"""The most characters of a forum post's title."""

COLOURS = {
    Tone.CALM: 0x80848E,
    Tone.BUSY: 0x5865F2,
    Tone.GOOD: 0x248046,
    Tone.BAD: 0xDA373C,
    Tone.DOUBT: 0xF0B232,
}

COMMAND = 300


def embed_of(view: View) -> dict[str, Any]:
    """Return a view as an embed, cut to Discord's limits."""
    title = MARKDOWN.signed(view.sign, MARKDOWN.phrase(_without_bold(view.head)))
    made: dict[str, Any] = {"title": _within(title, TITLE), "color": COLOURS[view.tone]}
    if view.url:
        made["url"] = view.url
    if description := _description(view):
        made["description"] = description
    footer = ""
    if view.why and view.more is None:
        footer = _within(f"Why: {command('why', plain(view.why, 200))}", FOOTER)
        made["footer"] = {"text": footer}
    if view.at is not None:
        made["timestamp"] = datetime.fromtimestamp(_in_calendars(view.at), UTC).isoformat()
    fields = _fields(view, ALL - units(made["title"]) - units(description) - units(footer))
    return made | ({"fields": fields} if fields else {})


def _description(view: View) -> str:
    """Return as many whole lines as fit, how many there are besides, and the end of a log."""
    lines = [*_lines(view), *_commands(view.actions)]
    shown: list[str] = []
    room = DESCRIPTION
    for at, line in enumerate(lines):
        if (room := room - units(line) - 1) < len("and 99999 more"):
            shown.append(f"and {len(lines) - at} more")
            break
        shown.append(line)
    if view.log and room > COMMAND:
        shown.append(code_block(view.log, room))
    return "\n".join(shown)


def _lines(view: View) -> Iterable[str]:
    """Return what a view says, a line each; what belongs to a line is part of it."""
    yield from filter(None, map(MARKDOWN.phrase, view.says))
    yield from filter(None, map(MARKDOWN.phrase, view.notes))
    for part in view.parts:
        if isinstance(part, Lines):
            quote = "> " if part.weight is Weight.ASIDE else ""
            for one in part.items:
                note = MARKDOWN.joined(MARKDOWN.phrase(one.note), *_commands(one.actions))
                yield quote + MARKDOWN.item(one) + (f"\n> {note}" if note else "")
            if part.more:
                yield f"{quote}and {part.more} more"


def _commands(actions: Iterable[Action]) -> list[str]:
    """Return how to do it elsewhere: messages of webhooks have no buttons for the bridge."""
    return [f"{one.label}: {code(one.command, COMMAND)}" for one in actions if one.command]


def _fields(view: View, room: int) -> list[dict[str, Any]]:
    facts = [(name, MARKDOWN.phrase(one), True) for name, one in view.facts.items()]
    links = ""
    for link in _links(view):
        longer = MARKDOWN.joined(links, MARKDOWN.phrase((link,)))
        links = longer if units(longer) <= FIELD_VALUE else links
    shown = []
    for name, value, inline in [one for one in (*facts, ("Links", links, False)) if one[1]]:
        field = {"name": _within(name, FIELD_NAME), "value": _within(value, FIELD_VALUE)}
        room -= units(field["name"]) + units(field["value"])
        if room < 0:
            break
        shown.append(field | {"inline": inline})
    return shown[:FIELDS]


def _links(view: View) -> list[Link]:
    """Return where more is to be seen; the console's page once."""
    if view.more is None or any(link.url == view.more for link in view.links):
        return [*view.links]
    return [*view.links, Link(Text("Details", FIELD_NAME), view.more)]


def _without_bold(phrase: Phrase) -> Phrase:
    """Return a phrase for a title, in which all is bold."""
    return tuple(one.text if isinstance(one, Strong) else one for one in phrase)


def _within(text: str, limit: int) -> str:
    """Return a text within a limit; the pieces it is made of are short enough, so this is rare."""
    return text if units(text) <= limit else cut(text, limit - 1).rstrip("\\")


def _in_calendars(at: float) -> float:
    return min(max(at, 0.0), 253402300799.0)
