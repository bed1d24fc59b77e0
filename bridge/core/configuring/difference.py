"""How an app is configured, field by field, and what a change makes different.

Fields of the source in use have plain names, such as `branch`. A field that the backend stores
for a source not in use is `stored.git.url`: a change may touch it too, so it is shown as well.

Values that may be secret are never in what comes out of here: of those it says whether they
are set, and that they change.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, fields
from typing import Any, TypeAlias

from pydantic import SecretStr

from bridge.core.configuring.configuration import Saved
from bridge.core.configuring.row import SourceRow, fields_of
from bridge.core.configuring.variables import assignments_in, lines_besides
from bridge.core.watch import Rules

Value: TypeAlias = str | int | bool | tuple[str, ...] | None

MASK = "***"
FOREIGN = frozenset({"gitea", "bitbucket", "drop", "raw"})
"""Kinds of source that only the backend itself can set."""

STORED = "stored."
"""Begins the name of a field that is stored for a source not in use."""

UNUSED = "not in use"
"""The value of a field that stays stored while another source comes into use."""

SECTIONS = ("env", "build_args", "build_secrets")
RULES = {one.name: "branches" if one.name == "branch" else one.name for one in fields(Rules)}
"""The fields of `Rules` by the names that people use: `branch` is what the backend builds."""

_CREDENTIALS = re.compile(r"(?<=://)[^/?#\s]*@")
_SECRET_QUERY = re.compile(r"[?#].*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Configured:
    """An app's whole configuration: what its backend has, and our own rules for it."""

    saved: Saved
    rules: Rules = field(default_factory=Rules)


@dataclass(frozen=True, slots=True)
class Changed:
    """One field that changes.

    Attributes:
        field: e.g. "branch", "env.API_KEY", "rules.tags" or "stored.git.url".
        before, after: its values; of a secret only "set", "changed" or "removed". `UNUSED` after
            a change says that the backend keeps the value.
    """

    field: str
    before: Value
    after: Value


def difference(before: Configured, after: Configured) -> tuple[Changed, ...]:
    """What differs, in the order in which a configuration is shown."""
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
    """All fields with their values, of a secret only "set"; a field that says nothing is None."""
    return {
        name: ("set" if isinstance(value, SecretStr) else masked(value))
        for name, value in _fields(configured)
    }


def masked(value: Any) -> Value:
    """A value without the credentials that an address may hold."""
    if not isinstance(value, str) or "://" not in value:
        found: Value = value
        return found
    return _SECRET_QUERY.sub(f"?{MASK}", _CREDENTIALS.sub(f"{MASK}@", value))


def lines_of(changed: Iterable[Changed]) -> list[str]:
    """Each field that changes, e.g. `branch: main → dev`."""
    return [f"{one.field}: {text_of(one.before)} → {text_of(one.after)}" for one in changed]


def text_of(value: Value) -> str:
    """A value for people."""
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
    if before == after:  # only what is masked differs
        after = f"{after} (its credentials changed)"
    return Changed(name, before, after)


def _fields(configured: Configured) -> Iterator[tuple[str, Any]]:
    """All fields in order; "" and an empty list say what None says, to every backend."""
    yield from ((name, _meant(value)) for name, value in _saved(configured))
    for name, spoken in RULES.items():
        value = getattr(configured.rules, name)
        yield f"rules.{spoken}", str(value) if isinstance(value, str) else value


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


# ── what is stored for sources not in use ────────────────────────────────────


def _stored(old: Saved, new: Saved, in_use: Iterable[Changed]) -> Iterator[Changed]:
    """The stored fields that change and that the fields in use do not show."""
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
    """The stored values of the source that comes into use which change, by their plain names."""
    kind = _in_use(new)
    if old.row is None or new.row is None or kind == _in_use(old):
        return
    for name, before, _ in _rewritten(old.row, new.row):
        if name.startswith(f"{kind}.") and before is not None:
            yield name.removeprefix(f"{kind}."), before


def _rewritten(old: SourceRow, new: SourceRow) -> Iterator[tuple[str, Any, Any]]:
    """The stored fields that change: name, value before, value after."""
    becomes = fields_of(new)
    for name, value in fields_of(old).items():
        before, after = _stored_meaning(name, value), _stored_meaning(name, becomes[name])
        if before != after:
            yield name, before, after


def _in_use(saved: Saved) -> str | None:
    return saved.provider.type.value if saved.provider is not None else _foreign(saved.row)


def _foreign(row: SourceRow | None) -> str | None:
    """A kind of source that only the backend can set; None where there is none of those."""
    return row.source if row is not None and row.source in FOREIGN else None


def _stays(name: str, before: Configured, after: Configured) -> bool:
    """Tell whether a field that is no longer in use stays stored."""
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
