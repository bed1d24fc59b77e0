"""How an app is configured, field by field, and what a change makes different.

Values that may be secret are never in what comes out of here: of those it says whether they
are set, and that they change.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, fields
from typing import Any, TypeAlias

from pydantic import SecretStr

from bridge.core.configuring.configuration import Saved
from bridge.core.configuring.variables import assignments_in, lines_besides
from bridge.core.watch import Rules

Value: TypeAlias = str | int | bool | tuple[str, ...] | None

MASK = "***"
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
        field: e.g. "branch", "env.API_KEY" or "rules.tags".
        before, after: its values; of a secret only "set", "changed" or "removed".
    """

    field: str
    before: Value
    after: Value


def difference(before: Configured, after: Configured) -> tuple[Changed, ...]:
    """What differs, in the order in which a configuration is shown."""
    old, new = dict(_fields(before)), dict(_fields(after))
    return tuple(
        _changed(name, old.get(name), new.get(name))
        for name in (old | new)
        if old.get(name) != new.get(name)
    )


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


def _changed(name: str, old: Any, new: Any) -> Changed:
    if isinstance(old, SecretStr) or isinstance(new, SecretStr):
        how = "set" if old is None else "removed" if new is None else "changed"
        return Changed(name, None if old is None else "set", how)
    before, after = masked(old), masked(new)
    if before == after:  # only what is masked differs
        after = f"{after} (its credentials changed)"
    return Changed(name, before, after)


def _fields(configured: Configured) -> Iterator[tuple[str, Any]]:
    """All fields in order; "" and an empty list say what None says, to every backend."""
    yield from ((name, None if value in ("", ()) else value) for name, value in _saved(configured))
    for name, spoken in RULES.items():
        value = getattr(configured.rules, name)
        yield f"rules.{spoken}", str(value) if isinstance(value, str) else value


def _saved(configured: Configured) -> Iterator[tuple[str, Any]]:
    saved = configured.saved
    provider = {} if saved.provider is None else saved.provider.model_dump()
    yield "source", str(provider.pop("type")) if provider else None
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
