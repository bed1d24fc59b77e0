"""The texts of the settings that name what should be there: apps and repositories.

They are found by the settings' types (`ports.settings.Names`), so a new setting that names apps is
among them by its type alone.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel

from bridge.ports.settings import Names
from bridge.settings.places import KeyPath
from bridge.settings.root import Settings

MARKED: Any = Annotated
"""Puts a type and its marks together again, which pydantic keeps apart."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """A name or pattern in the settings.

    Attributes:
        path: e.g. ("rules", "0", "apps") or ("github", "repository_secrets", "my-org/site").
        names: what it names.
    """

    path: KeyPath
    names: Names
    text: str


def patterns_in(settings: Settings) -> Iterator[Pattern]:
    """Yield every name and pattern, in the order of the settings."""
    for path, kind, text in _inside(settings, type(settings), ()):
        yield Pattern(path, kind, text)


def _inside(value: Any, annotation: Any, path: KeyPath) -> Iterator[tuple[KeyPath, Names, str]]:
    """Yield the marked texts in a value, given its type."""
    if get_origin(annotation) is Annotated:
        plain, *marks = get_args(annotation)
        names = [one for one in marks if isinstance(one, Names)]
        if isinstance(value, str):
            yield from ((path, one, value) for one in names)
        yield from _inside(value, plain, path)
        return
    for name, part, kind in _parts(value, annotation):
        yield from _inside(part, kind, (*path, *name))


def _parts(value: Any, annotation: Any) -> Iterator[tuple[KeyPath, Any, Any]]:
    """Yield the parts of a value as (the rest of the path, part, its type)."""
    kind, args = get_origin(annotation), get_args(annotation)
    if kind in (Union, UnionType):
        yield from (((), value, one) for one in args)
    elif kind is tuple and isinstance(value, tuple):
        yield from (((str(at),), one, args[0]) for at, one in enumerate(value))
    elif kind is dict and isinstance(value, Mapping):
        for name, one in value.items():
            yield (name,), name, args[0]
            yield (name,), one, args[1]
    elif isinstance(value, BaseModel) and isinstance(annotation, type):
        for name, field in type(value).model_fields.items():
            marked = MARKED[(field.annotation, None, *field.metadata)]
            yield (field.alias or name,), getattr(value, name), marked
