"""The configuration of an app, field by field, and the difference that a change makes.

Fields of the source in use have plain names, such as `branch`. A field that the backend stores
for a source not in use has a name like `stored.git.url`: a change may touch it, so it is shown too.

The results contain no values that may be secret: of those they show only whether they are set or
changed.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from enum import StrEnum
from functools import lru_cache
from typing import Any, TypeAlias

from pydantic import BaseModel, SecretStr, TypeAdapter, ValidationError

from bridge.core.apps import ONLY_IN_FILE, Rules, SourceType
from bridge.core.configuration.configuration import (
    Environment,
    Saved,
    SourceRow,
    fields_of,
    forgotten,
    row_of,
    with_provider,
)
from bridge.core.configuration.fields import SECTIONS, SOURCES
from bridge.core.errors import Rejected
from bridge.core.policies import VerifyPolicy, verify_text
from bridge.core.variables import assignments_in, lines_besides

Value: TypeAlias = str | int | bool | tuple[str, ...] | None

MASK = "***"
FOREIGN = frozenset(SourceType) - set(SOURCES)
"""Kinds of source that can only be set in the backend."""

STORED = "stored."
"""The prefix of fields that are stored for a source not in use."""

UNUSED = "not in use"
"""The value of a field that stays stored while another source comes into use."""

RULES = {
    one.name: "branches" if one.name == "branch" else one.name
    for one in fields(Rules)
    if one.name not in ONLY_IN_FILE
}
"""The fields of `Rules` that can be set for one app, by their names for people: `branch` means the
branch that is built."""

_CREDENTIALS = re.compile(r"(?<=://)[^/?#\s]*@")
_SECRET_QUERY = re.compile(r"[?#].*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Configured:
    """An app's whole configuration: its backend's, and our own rules."""

    saved: Saved
    rules: Rules = field(default_factory=Rules)


@dataclass(frozen=True, slots=True)
class Changed:
    """One field that changes.

    Attributes:
        field: e.g. "branch", "env.API_KEY", "rules.tags" or "stored.git.url".
        before, after: its values; of a secret only "set", "changed" or "removed". `UNUSED` after a
            change means that the backend keeps the value.
    """

    field: str
    before: Value
    after: Value


def difference(before: Configured, after: Configured) -> tuple[Changed, ...]:
    """Return the differences, in the order in which a configuration is shown."""
    old, new = dict(_fields(before)), dict(_fields(after))
    for name, value in _replaced(before.saved, after.saved):
        if old.get(name) is None:
            old[name] = value
    in_use = [
        _changed(name, old.get(name), new.get(name), kept=_stays(name, before, after))
        for name in (old | new)
        if old.get(name) != new.get(name)
    ]
    return (*in_use, *_stored(before.saved, after.saved, in_use))


def shown(configured: Configured) -> dict[str, Value]:
    """Return all fields with their values, secrets as "set", unset ones as None."""
    return {
        name: ("set" if isinstance(value, SecretStr) else masked(value))
        for name, value in _fields(configured)
    }


def masked(value: Any) -> Value:
    """Return a value without the credentials in an address."""
    if not isinstance(value, str) or "://" not in value:
        found: Value = value
        return found
    return _SECRET_QUERY.sub(f"?{MASK}", _CREDENTIALS.sub(f"{MASK}@", value))


def lines_of(changed: Iterable[Changed]) -> list[str]:
    """Return each field that changes, e.g. `branch: main → dev`."""
    return [f"{one.field}: {text_of(one.before)} → {text_of(one.after)}" for one in changed]


def text_of(value: Value) -> str:
    """Format a value for people."""
    if value is None or value == ():
        return "(nothing)"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return " ".join(value) if isinstance(value, tuple) else str(value)


def _changed(name: str, old: Any, new: Any, *, kept: bool = False) -> Changed:
    if isinstance(old, SecretStr) or isinstance(new, SecretStr):
        gone = UNUSED if kept else "removed"
        how = "set" if old is None else gone if new is None else "changed"
        return Changed(name, None if old is None else "set", how)
    before, after = masked(old), UNUSED if new is None and kept else masked(new)
    if before == after:  # only the masked part differs
        after = f"{after} (its credentials changed)"
    return Changed(name, before, after)


def _fields(configured: Configured) -> Iterator[tuple[str, Any]]:
    """Yield all fields in order; to every backend "" and an empty list mean the same as None."""
    yield from ((name, _meant(value)) for name, value in _saved(configured))
    for name, spoken in RULES.items():
        yield f"rules.{spoken}", rule_value(getattr(configured.rules, name))


def rule_value(value: Any) -> Any:
    """Return the value of a rule as people write it."""
    if isinstance(value, VerifyPolicy):
        return verify_text(value)
    return str(value) if isinstance(value, str) else value


def _saved(configured: Configured) -> Iterator[tuple[str, Any]]:
    saved = configured.saved
    provider = {} if saved.provider is None else saved.provider.model_dump()
    yield "source", str(provider.pop("type")) if provider else _foreign(saved.row)
    shared = {
        "watch_paths": saved.watch_paths,
        "submodules": saved.submodules,
        "trigger": str(saved.trigger),
    }
    yield from (provider | shared).items()
    if saved.build is not None:
        yield from saved.build.model_dump().items()
    for section in SECTIONS:
        yield from _variables(section, getattr(saved.environment, section))
    yield "create_env_file", saved.environment.create_env_file


def _variables(section: str, text: SecretStr | None) -> Iterator[tuple[str, SecretStr]]:
    if text is None:
        return
    for key, raw in assignments_in(text.get_secret_value()).items():
        yield f"{section}.{key}", SecretStr(raw)
    if others := lines_besides(text.get_secret_value()):
        yield f"{section} (comments)", SecretStr(others)


# ── Fields stored for sources not in use ──────────────────────────────────────────────────────────


def _stored(old: Saved, new: Saved, in_use: Iterable[Changed]) -> Iterator[Changed]:
    """Yield the stored fields that change, except those shown as fields in use."""
    if old.row is None or new.row is None:
        return
    shown = {one.field: one.before for one in in_use}
    for name, before, after in _rewritten(old.row, new.row):
        kind, _, field = name.rpartition(".")
        changed = _changed(f"{STORED}{name}", before, after)
        same = kind == _in_use(new) and changed.before in (None, shown.get(field))
        if field not in shown or (kind and kind != _in_use(old) and not same):
            yield changed


def _replaced(old: Saved, new: Saved) -> Iterator[tuple[str, Any]]:
    """Yield the changed stored values of the source that comes into use, by plain names."""
    kind = _in_use(new)
    if old.row is None or new.row is None or kind == _in_use(old):
        return
    for name, before, _ in _rewritten(old.row, new.row):
        if name.startswith(f"{kind}.") and before is not None:
            yield name.removeprefix(f"{kind}."), before


def _rewritten(old: SourceRow, new: SourceRow) -> Iterator[tuple[str, Any, Any]]:
    """Yield the stored fields that change: name, value before, value after."""
    becomes = fields_of(new)
    for name, value in fields_of(old).items():
        before, after = _stored_meaning(name, value), _stored_meaning(name, becomes[name])
        if before != after:
            yield name, before, after


def _in_use(saved: Saved) -> str | None:
    return saved.provider.type.value if saved.provider is not None else _foreign(saved.row)


def _foreign(row: SourceRow | None) -> str | None:
    """Return a kind of source that only the backend can set; None if there is none of those."""
    return row.source if row is not None and row.source in FOREIGN else None


def _stays(name: str, before: Configured, after: Configured) -> bool:
    """Return whether a field that is no longer in use stays stored."""
    provider, row = before.saved.provider, after.saved.row
    if provider is None or row is None:
        return False
    return fields_of(row).get(f"{provider.type.value}.{name}") is not None


def _stored_meaning(name: str, value: Any) -> Any:
    """Return the meaning of a stored value: an empty build path is the repository's root."""
    if isinstance(value, SecretStr) and not value.get_secret_value():
        return None
    return None if name.endswith(".build_path") and value == "/" else _meant(value)


def _meant(value: Any) -> Any:
    return None if value in ("", ()) else value


# ── The record for undoing a change: one part of an app's configuration ───────────────────────────


class Part(StrEnum):
    """The parts that change one at a time; the source's part includes our rules."""

    SOURCE = "source"
    BUILD = "build"
    ENVIRONMENT = "environment"


@dataclass(frozen=True, slots=True)
class Undoing:
    """One change of one part.

    Attributes:
        before, after: configurations with only that part.
        savable: False if an earlier release could not record the previous source.
    """

    part: Part
    before: Configured
    after: Configured
    savable: bool = True


@dataclass(frozen=True, slots=True)
class WantedBack:
    """Request a part to be as it was before."""

    part: Part
    before: Configured


_NOTHING = Saved(None, None, Environment())
FORGOTTEN = WantedBack(Part.SOURCE, Configured(_NOTHING))
"""No source, and no rules for when it deploys."""


def only(configured: Configured, part: Part) -> Configured:
    """Return a configuration with only one part."""
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
    """Return the app's configuration with a part put back."""
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
    """Return the row of a source alone, with nothing stored for the others."""
    if now.row is None:
        return None
    if before.provider is None:
        return forgotten(now.row, build_paths=now.build is not None)
    shared = {"watch_paths": before.watch_paths, "submodules": before.submodules}
    row = row_of(fields_of(now.row) | shared | {"trigger": before.trigger.value})
    return with_provider(row, now.provider, before.provider)


def written(undoing: Undoing) -> dict[str, Any]:
    """Serialise as JSON, secrets in the clear."""
    plain: dict[str, Any] = _plain(undoing)
    return plain


def read_undoing(form: Mapping[str, Any]) -> Undoing:
    """Parse what `written` wrote; raise Rejected if another release wrote it differently."""
    try:
        return _undoing().validate_python(form)
    except ValidationError:  # not chained: it repeats its input
        raise Rejected("this release can't read the record of this change") from None


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
