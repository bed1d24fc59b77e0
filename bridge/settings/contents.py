"""What the settings contain: the names of apps and repositories, and secrets.

Names are found by the settings' types (`ports.settings.Names`), so a new setting that names apps is
among them by its type alone.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr

from bridge.core.masking import Mask
from bridge.ports.settings import Names
from bridge.settings.root import KeyPath, Settings

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
        names = [mark for mark in marks if isinstance(mark, Names)]
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


# ── Secrets ───────────────────────────────────────────────────────────────────────────────────────

_OF_VARIABLES = ("environment", "build_args")
"""Fields with variables of apps, of which only some are secret."""


def secrets_of(settings: Settings) -> Mask:
    """Return what hides all secrets in the settings."""
    found = list(_secrets_in("", settings))
    return Mask(
        [(name, value) for name, value in found if name],
        [value for name, value in found if not name],
    )


def _secrets_in(name: str, value: Any) -> Iterator[tuple[str, str]]:
    """Yield secrets, each with the name of its variable; "" if it is a setting itself."""
    match value:
        case SecretStr():
            yield name, value.get_secret_value()
        case BaseModel():
            for field, one in value:
                named = field in _OF_VARIABLES and isinstance(one, Mapping)
                for key, inner in one.items() if named else [("", one)]:
                    yield from _secrets_in(key, inner)
        case Mapping():
            for one in value.values():
                yield from _secrets_in(name, one)
        case tuple() | list():
            for one in value:
                yield from _secrets_in(name, one)
