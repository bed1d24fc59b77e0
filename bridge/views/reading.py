"""What is said about people and their rights."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bridge.core.access import Person, Right
from bridge.views.values import Icon, Phrase, Strong, Text
from bridge.views.view import Item, Lines, View

NAME, LABEL = 200, 60
"""Characters of a person's name, and of an app's in a list."""

MOST_NAMED = 8


@dataclass(frozen=True, slots=True)
class Identity:
    """Who somebody is here, and the labels of the apps to which they have each right."""

    id: str
    name: str
    rights: Mapping[str, Sequence[str]]


def identity(person: Person, rights: Mapping[Right, Sequence[str]]) -> View:
    """Say who somebody is, and to which apps they have each right."""
    every = len(rights[Right.VIEW])
    items = [
        Item(
            (Strong(Text(right, LABEL)), "  ·  ", *_named(labels, every)),
            Icon.WELL if labels else Icon.NOT,
        )
        for right, labels in rights.items()
    ]
    head = ("You are ", Text(f"{person.called} ({person.id})", NAME), ".")
    data = Identity(person.id, person.called, {str(one): rights[one] for one in rights})
    return View(head, parts=[Lines("", items)], data=data)


def _named(labels: Sequence[str], every: int) -> Phrase:
    if not labels:
        return ("nothing",)
    if len(labels) == every > 1:
        return (f"all {every} apps",)
    shown: list[str | Text] = []
    for label in labels[:MOST_NAMED]:
        shown += [", ", Text(label, LABEL)]
    more = f" and {len(labels) - MOST_NAMED} more" if len(labels) > MOST_NAMED else ""
    return (*shown[1:], more)
