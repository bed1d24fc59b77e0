"""Every field that a backend stores for an app's source, including those not in use.

A backend stores the fields of each kind of source side by side, and uses one kind. A change of the
source may touch fields of the others, so a difference compares the whole row, and an undo writes
the row back field by field (docs/dokploy.md, "Environments and applications").
"""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, SecretStr, create_model

from bridge.core.configuration.fields import COLUMNS, FIELDS, KINDS, SOURCE, Field


class _Fields(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


Model = TypeVar("Model", bound=BaseModel)


def stored_as(one: Field) -> Any:
    """Return the stored type of a field, which may be null."""
    return (SecretStr if one.secret else one.type) | None


def extended(model: type[Model], **fields: Any) -> type[Model]:
    """Extend a model by fields, each with its type and default."""
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
    """The stored source of an app; here null and "" differ, as in the backend.

    It also has the fields of each kind of source; see `fields_of`.

    Attributes:
        source: the kind in use, by the backend's own name.
        watch_paths, submodules, trigger: shared by all kinds.
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
    """Build a row from fields by name; raise pydantic.ValidationError if one is invalid."""
    nested: dict[str, Any] = {}
    for name, value in fields.items():
        kind, _, inner = name.rpartition(".")
        (nested.setdefault(kind, {}) if kind else nested)[inner] = value
    return SourceRow.model_validate(nested)


NOTHING_ASKED: Mapping[str, Any] = {}

OF_A_REGISTRY = ("username", "password")


def used_again(
    row: SourceRow, kind: str, asked: Mapping[str, Any] = NOTHING_ASKED
) -> dict[str, Any]:
    """Return the fields of a kind of source that can be reused without being named.

    Repository, branch and address must be named each time: a mixture of an old source and a new
    one is never wanted. The credentials of one registry are not sent to another.

    Args:
        asked: the fields that are named.
    """
    stored = getattr(row, kind)
    found = {name: getattr(stored, name) for name in type(stored).model_fields}
    registry = found.get("registry_url") or None
    if (asked.get("registry_url", registry) or None) != registry:
        found = {name: value for name, value in found.items() if name not in OF_A_REGISTRY}
    return {
        name: value
        for name, value in found.items()
        if says_something(value) and not FIELDS[name].required
    }


def says_something(value: Any) -> bool:
    """Return whether a stored value is set; an empty secret is not."""
    return bool(value.get_secret_value() if isinstance(value, SecretStr) else value)


def row_in(record: Mapping[str, Any]) -> SourceRow:
    """Return the stored source in a record; a compose stack lacks images and build paths."""
    return row_of({name: record.get(column) for name, column in COLUMNS.items()})


def columns_of(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return fields by our names as JSON for `application.update`; secrets in the clear."""
    return {COLUMNS[name]: plain(value) for name, value in fields.items()}


def plain(value: Any) -> Any:
    """Return a value for JSON; a secret in the clear."""
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return list(value) if isinstance(value, tuple) else value
