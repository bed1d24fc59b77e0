"""The fields of an app's configuration, before and after."""

from collections.abc import Sequence

from bridge.core.configuration.difference import STORED, Changed, Value, text_of
from bridge.core.configuration.fields import SECTIONS
from bridge.views.text import clean
from bridge.views.values import GAP, Code, Phrase, Strong, Text
from bridge.views.view import Item, Lines

MOST_CHANGES = 40
MOST_OF_A_LIST = 10
VALUE = 120
"""The most characters of a value."""

NOTHING: Phrase = ("nothing",)


def called(field: str) -> str:
    """Return a field's name for people; a variable's own name, a stored field with its source."""
    if field.partition(".")[0] in SECTIONS:
        return field
    if field.startswith(STORED):
        return f"{field.removeprefix(STORED).replace('.', ' ').replace('_', ' ')} (not in use)"
    return field.removeprefix("rules.").replace("_", " ")


def changes_list(changed: Sequence[Changed]) -> Lines:
    """Return each field before and after, on one line."""
    items = [Item(change_line(one)) for one in changed[:MOST_CHANGES]]
    if (more := len(changed) - MOST_CHANGES) > 0:
        items.append(Item((f"and {more} more",)))
    return Lines("", items)


def change_line(one: Changed) -> Phrase:
    """Return a field before and after; of a list only what it loses and gains."""
    name = Strong(Text(called(one.field), 80))
    if isinstance(one.before, tuple) or isinstance(one.after, tuple):
        return (name, GAP, *_listed(_several(one.before), _several(one.after)))
    return (name, GAP, *_shown(one.before), " → ", *_shown(one.after))


def difference_form(changed: Sequence[Changed]) -> list[dict[str, Value]]:
    """Return each field before and after, for programs."""
    return [{"field": one.field, "before": one.before, "after": one.after} for one in changed]


def _listed(before: Sequence[str], after: Sequence[str]) -> Phrase:
    """Return what a list loses and gains; both whole lists if only the order changes."""
    gone = [one for one in before if one not in after]
    new = [one for one in after if one not in before]
    if not gone and not new:
        gone, new = list(before), list(after)
    signed = [(sign, names) for sign, names in (("\N{MINUS SIGN}", gone), ("+", new)) if names]
    return tuple(piece for sign, names in signed for piece in (GAP, f"{sign} ", *_some(names)))[1:]


def _some(names: Sequence[str]) -> Phrase:
    shown = [Code(Text(one, VALUE)) for one in names[:MOST_OF_A_LIST] if clean(one)]
    phrase = tuple(piece for one in shown for piece in (" ", one))[1:]
    more = len(names) - MOST_OF_A_LIST
    return (*phrase, f" and {more} more") if more > 0 else phrase or NOTHING


def _several(value: object) -> Sequence[str]:
    return value if isinstance(value, tuple) else ()


def _shown(value: Value) -> Phrase:
    said = text_of(value)
    return (Code(Text(said, VALUE)),) if value not in (None, ()) and clean(said) else NOTHING
