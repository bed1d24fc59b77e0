"""What a change leaves behind so that it can be undone: one part of an app's configuration.

Only the part that was changed is kept, before and after, so that undoing it touches nothing
else, and can tell when somebody has changed it since. What is written here holds secrets in
the clear: whoever keeps it seals it (docs/notes/0011).
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from enum import StrEnum
from functools import lru_cache
from typing import Any

from pydantic import BaseModel, SecretStr, TypeAdapter, ValidationError

from bridge.core.configuring.configuration import Environment, Saved
from bridge.core.configuring.difference import Configured
from bridge.core.configuring.row import SourceRow, fields_of, row_of
from bridge.core.configuring.writing import forgotten, with_provider
from bridge.core.errors import Rejected


class Part(StrEnum):
    """What is changed at a time; the source's part has our rules, too."""

    SOURCE = "source"
    BUILD = "build"
    ENVIRONMENT = "environment"


@dataclass(frozen=True, slots=True)
class Undoing:
    """What one change made of one part.

    Attributes:
        before, after: with nothing but that part.
        savable: False where an earlier release could not keep the source that was before.
    """

    part: Part
    before: Configured
    after: Configured
    savable: bool = True


@dataclass(frozen=True, slots=True)
class WantedBack:
    """A part shall be what it was before."""

    part: Part
    before: Configured


_NOTHING = Saved(None, None, Environment())
FORGOTTEN = WantedBack(Part.SOURCE, Configured(_NOTHING))
"""No source, and nothing said about when it deploys."""


def only(configured: Configured, part: Part) -> Configured:
    """One part of a configuration; of the others it says nothing."""
    saved = configured.saved
    match part:
        case Part.SOURCE:
            bare = replace(saved, build=None, environment=Environment())
            return Configured(bare, configured.rules)
        case Part.BUILD:
            return Configured(replace(_NOTHING, build=saved.build))
        case Part.ENVIRONMENT:
            return Configured(replace(_NOTHING, environment=saved.environment))


def put_back(now: Configured, wanted: WantedBack) -> Configured:
    """How the app will be configured once a part is what it was."""
    saved, before = now.saved, wanted.before.saved
    match wanted.part:
        case Part.SOURCE:
            row = before.row or _row_without_one(saved, before)
            back = replace(before, row=row, build=saved.build, environment=saved.environment)
            return Configured(back, wanted.before.rules)
        case Part.BUILD:
            return replace(now, saved=replace(saved, build=before.build))
        case Part.ENVIRONMENT:
            return replace(now, saved=replace(saved, environment=before.environment))


def _row_without_one(now: Saved, before: Saved) -> SourceRow | None:
    """The row of a source that says nothing about what is stored for the others."""
    if now.row is None:
        return None
    if before.provider is None:
        return forgotten(now.row, build_paths=now.build is not None)
    shared = {"watch_paths": before.watch_paths, "submodules": before.submodules}
    row = row_of(fields_of(now.row) | shared | {"trigger": before.trigger.value})
    return with_provider(row, now.provider, before.provider)


def written(undoing: Undoing) -> dict[str, Any]:
    """As JSON, secrets in the clear."""
    plain: dict[str, Any] = _plain(undoing)
    return plain


def read_undoing(form: Mapping[str, Any]) -> Undoing:
    """What `written` wrote; raises Rejected where another release wrote it otherwise."""
    try:
        return _undoing().validate_python(form)
    except ValidationError:  # not chained: it repeats what it was given
        raise Rejected("what was kept of this change can't be read by this release") from None


@lru_cache(1)
def _undoing() -> TypeAdapter[Undoing]:
    return TypeAdapter(Undoing)


def _plain(value: Any) -> Any:
    match value:
        case SecretStr():
            return value.get_secret_value()
        case BaseModel():
            return {name: _plain(getattr(value, name)) for name in type(value).model_fields}
        case tuple():
            return [_plain(one) for one in value]
        case StrEnum():
            return str(value)
    if is_dataclass(value):
        return {one.name: _plain(getattr(value, one.name)) for one in fields(value)}
    return value
