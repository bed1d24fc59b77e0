"""A change of how an app is configured: field by field, and what became of it. Pure."""

from collections.abc import Sequence

from bridge.chats.slack.drawing import names
from bridge.chats.slack.drawing.blocks import (
    SECTION_TEXT,
    actions,
    button,
    confirm,
    context,
    modal,
    section,
)
from bridge.chats.slack.drawing.messages import Block, Message, View
from bridge.chats.slack.drawing.mrkdwn import NOTHING, code, escape
from bridge.core.configuring.difference import SECTIONS, STORED, Changed, Value, text_of
from bridge.core.watch import App
from bridge.ports.outcomes import DONE, UNKNOWN, WAITS, Audited

MOST_CHANGES = 40
MOST_OF_A_LIST = 10

MAYBE = frozenset({"Unanswered", UNKNOWN})
"""How the outcome of a change begins that may have been made; that of `NOT_KEPT` was made."""

NOT_KEPT = "NotKept"

_PARTS = {"provider": "the source", "build": "the build", "env": "the variables"}
"""By the first word of what was changed."""

MOST_TOLD = 5
"""Fields that the text for notifications names."""


def change_blocks(changed: Sequence[Changed]) -> list[Block]:
    """Each field before and after."""
    lines = [change_line(one) for one in changed[:MOST_CHANGES]]
    if len(changed) > MOST_CHANGES:
        lines.append(f"and {len(changed) - MOST_CHANGES} more")
    blocks: list[list[str]] = []
    for line in lines:
        if not blocks or sum(map(_size, blocks[-1])) + _size(line) > SECTION_TEXT:
            blocks.append([])
        blocks[-1].append(line)
    return [section("\n".join(those)) for those in blocks]


def change_line(one: Changed) -> str:
    """A field before and after, in one line."""
    name = escape(_called(one.field), 80) or NOTHING
    if isinstance(one.before, tuple) or isinstance(one.after, tuple):
        return f"*{name}*  {_listed(_several(one.before), _several(one.after))}"
    return f"*{name}*  {_shown(one.before)} → {_shown(one.after)}"


def _listed(before: Sequence[str], after: Sequence[str]) -> str:
    """What goes out of a list and what comes in; all of both where only the order changes."""
    gone = [one for one in before if one not in after]
    new = [one for one in after if one not in before]
    if not gone and not new:
        gone, new = list(before), list(after)
    words = [
        f"{sign} {_some(those)}" for sign, those in (("\N{MINUS SIGN}", gone), ("+", new)) if those
    ]
    return "  ".join(words)


def _some(those: Sequence[str]) -> str:
    shown = " ".join(filter(None, (code(one, 120) for one in those[:MOST_OF_A_LIST])))
    more = len(those) - MOST_OF_A_LIST
    return f"{shown} and {more} more" if more > 0 else shown or "nothing"


def _several(value: object) -> Sequence[str]:
    return value if isinstance(value, tuple) else ()


def _size(line: str) -> int:
    """A line's length and its end, where it is counted worst."""
    return len(line) + sum(char > "\uffff" for char in line) + 1


def _called(field: str) -> str:
    """A field as people call it; a variable by its own name, a stored field with its source."""
    if field.partition(".")[0] in SECTIONS:
        return field
    if field.startswith(STORED):
        return f"{field.removeprefix(STORED).replace('.', ' ').replace('_', ' ')} (not in use)"
    return field.removeprefix("rules.").replace("_", " ")


def _shown(value: Value) -> str:
    said = text_of(value)
    return code(said, 120) or "nothing" if value not in (None, ()) else "nothing"


# ── what became of it ────────────────────────────────────────────────────────


def saving_view(app: App, trouble: str = "") -> View:
    """That it is kept, and will be made."""
    text = f":hourglass_flowing_sand:  Kept. *{name_of(app)}* is being changed…"
    blocks: list[Block] = [section(text)]
    if trouble:
        blocks.append(context(f"It waits for the backend: {escape(trouble, 500)}"))
    blocks.append(context("You can close this: you are told what becomes of it."))
    return modal(names.PROVIDER_NEWS, "Configure an app", blocks, close="Close")


def outcome_view(note: Audited) -> View:
    """What became of a change, or that it waits."""
    message = told(note)
    return modal(names.PROVIDER_NEWS, "Configure an app", message.blocks, close="Close")


def told(note: Audited) -> Message:
    """The same for whoever asked, alone."""
    name = f"*{escape(note.app, 200) or NOTHING}*"
    if note.outcome == DONE:
        head, text = (
            f":white_check_mark:  {name} is changed.",
            f"{escape(note.app, 200)} is changed.",
        )
    elif note.outcome.startswith(WAITS):
        head = f":hourglass_flowing_sand:  The change of {name} {escape(note.outcome, 600)}."
        text = f"The change of {escape(note.app, 200)} waits for the backend."
    elif not note.over:
        head, text = f":hourglass_flowing_sand:  {name} is being changed…", "It is being changed."
    else:
        sign, said = _ended(name, note)
        why = escape(note.outcome.partition(": ")[2] or note.outcome, 1500)
        head = f"{sign}  {said}\n{why}"
        text = f"{_ended(escape(note.app, 200), note)[1].rstrip('.')}: {why}"
    return Message(text, (section(head), *change_blocks(note.difference)))


def _ended(name: str, note: Audited) -> tuple[str, str]:
    """A sign and a sentence for what is over and not done; no more than is known of it."""
    kind = note.outcome.partition(": ")[0]
    if kind in MAYBE:
        return ":grey_question:", f"Whether {name} was changed is not known."
    if kind == NOT_KEPT:
        return ":warning:", f"{name} was changed, but not as asked."
    return ":x:", f"{name} was not changed."


def change_note(note: Audited, undone: Audited | None = None) -> Message:
    """What was changed by whom, for the app's channel; with Undo while that makes sense."""
    who, where = _who(note.by), " on the command line" if note.by.startswith("cli: ") else ""
    did = f"{'undid a change of' if note.undoes is not None else _did(note.what)} {_part(note)}"
    head = f":gear:  *{who}* {did} of *{escape(note.app, 200) or NOTHING}*{where}"
    blocks: list[Block] = [section(head), *change_blocks(note.difference)]
    if note.outcome != DONE:
        why = escape(note.outcome.partition(": ")[2], 500)
        blocks.append(context(f":warning:  Not as asked: {why}"))
    if undone is not None:
        blocks.append(context(f"Undone by {_who(undone.by)}."))
    elif note.undoing and note.outcome == DONE:
        question = "What was before comes back, if nobody has changed it since."
        asked = confirm("Undo this change?", question, "Undo", "Leave it")
        blocks.append(actions(button("Undo", names.PROVIDER_UNDO, str(note.number), confirm=asked)))
    fields = ", ".join(escape(_called(one.field), 60) for one in note.difference[:MOST_TOLD])
    said = f"{who} {did} of {escape(note.app, 200)}{where}"
    return Message(f"{said}: {fields}" if fields else said, tuple(blocks))


def was_made(note: Audited) -> bool:
    """Whether an app is configured differently now, as far as is known; maybe not as asked."""
    return note.outcome == DONE or note.outcome.startswith(f"{NOT_KEPT}: ")


def _did(what: str) -> str:
    return "disconnected" if what.endswith(" disconnect") else "changed"


def _part(note: Audited) -> str:
    """Which part of an app's configuration it was, with its article."""
    return _PARTS.get(note.what.partition(" ")[0], "the configuration")


def _who(by: str) -> str:
    """Without the door and the id, escaped: "slack: Ada (U1)" is Ada."""
    name = by.removeprefix("slack: ").removeprefix("cli: ")
    return escape(name.rpartition(" (")[0] or name, 80) or NOTHING


def name_of(app: App) -> str:
    """An app's name, escaped."""
    return escape(app.label, 200) or NOTHING
