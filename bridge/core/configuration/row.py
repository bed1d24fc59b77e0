"""Every field that a backend keeps of an app's source, those of sources not in use included.

A backend keeps the fields of each kind of source beside each other, and one kind is in use. A
change of the source may touch fields of the others, so a difference is made of the whole row
and an undo writes the row back field by field (facts.md, "Environments and applications").
"""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, SecretStr, create_model

from bridge.core.configuration.fields import COLUMNS, FIELDS, KINDS, SOURCE, Field


class _Fields(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


Model = TypeVar("Model", bound=BaseModel)


def stored_as(one: Field) -> Any:
    """Return the type of a field as it is stored, where every one may be null."""
    return (SecretStr if one.secret else one.type) | None


def extended(model: type[Model], **fields: Any) -> type[Model]:
    """Return a model with more fields, each with its type and its default."""
    made: type[Model] = create_model(
        model.__name__, __base__=model, __doc__=model.__doc__, __module__=model.__module__, **fields
    )
    return made


def _with_kinds(model: type[Model]) -> type[Model]:
    """Add a model of the stored fields of each kind of source."""
    kinds = {
        kind: extended(
            _Fields,
            **{one.name: (stored_as(one), None) for one in SOURCE if kind in one.columns},
        )
        for kind in KINDS
    }
    return extended(model, **{kind: (made, made()) for kind, made in kinds.items()})


@_with_kinds
class SourceRow(_Fields):
    """The stored source of an app, as the backend has it: null and "" are two values here.

    Beside these it has the fields of each kind of source, see `fields_of`.

    Attributes:
        source: the kind in use, in the backend's own word.
        watch_paths, submodules, trigger: one of each, whatever the kind in use.
    """

    source: str | None = None
    watch_paths: tuple[str, ...] | None = None
    submodules: bool | None = None
    trigger: str | None = None


def fields_of(row: SourceRow) -> dict[str, Any]:
    """Return all fields by name, such as `git.url`; secrets stay sealed."""
    found = {}
    for name in COLUMNS:
        kind, _, inner = name.rpartition(".")
        found[name] = getattr(getattr(row, kind) if kind else row, inner)
    return found


def row_of(fields: Mapping[str, Any]) -> SourceRow:
    """Build a row from fields by name; raises pydantic.ValidationError where one does not fit."""
    nested: dict[str, Any] = {}
    for name, value in fields.items():
        kind, _, inner = name.rpartition(".")
        (nested.setdefault(kind, {}) if kind else nested)[inner] = value
    return SourceRow.model_validate(nested)


def used_again(row: SourceRow, kind: str) -> dict[str, Any]:
    """Return what is stored for a kind of source and need not be named to use it again.

    A repository, a branch and an address are named each time: half of an old source and half of
    a new one fit nobody.
    """
    stored = getattr(row, kind)
    found = {name: getattr(stored, name) for name in type(stored).model_fields}
    return {
        name: value
        for name, value in found.items()
        if says_something(value) and not FIELDS[name].required
    }


def says_something(value: Any) -> bool:
    """Tell whether a stored value differs from an empty one; an empty secret is empty too."""
    return bool(value.get_secret_value() if isinstance(value, SecretStr) else value)


def row_in(record: Mapping[str, Any]) -> SourceRow:
    """Return the stored source in a record; a compose stack lacks images and build paths."""
    return row_of({name: record.get(column) for name, column in COLUMNS.items()})


def columns_of(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Fields by our names as JSON for `application.update`; secrets in the clear."""
    return {COLUMNS[name]: plain(value) for name, value in fields.items()}


def plain(value: Any) -> Any:
    """Return a value as JSON has it; a secret in the clear."""
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return list(value) if isinstance(value, tuple) else value
