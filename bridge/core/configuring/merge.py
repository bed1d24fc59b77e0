"""What was asked, laid over how an app is configured.

A save at the backend replaces or resets what it does not name (facts.md, "Inputs"), so a
change of one field is: everything that is saved, with that field changed. What the backend
stores for a kind of source that was in use before (its build path, its credentials) is used
again with it. What the backend has no field for goes to the bridge's own rules.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from pydantic import BaseModel, SecretStr, ValidationError

from bridge.core.configuring.configuration import (
    BuildType,
    DockerSource,
    Environment,
    GithubSource,
    GitlabSource,
    GitSource,
    ProviderSettings,
)
from bridge.core.configuring.difference import RULES, SECTIONS, Configured
from bridge.core.configuring.restoring import FORGOTTEN, Part, WantedBack, put_back
from bridge.core.configuring.row import stored_of
from bridge.core.configuring.unfit import (
    checked_address,
    checked_image,
    checked_rule,
    checked_words,
    incomplete,
    problem,
    unknown,
)
from bridge.core.configuring.variables import edited
from bridge.core.configuring.writing import with_provider
from bridge.core.errors import Rejected
from bridge.core.watch import Rules, SourceType, Trigger

_SOURCES: dict[SourceType, type[GithubSource | GitlabSource | GitSource | DockerSource]] = {
    SourceType.GITHUB: GithubSource,
    SourceType.GITLAB: GitlabSource,
    SourceType.GIT: GitSource,
    SourceType.DOCKER: DockerSource,
}
_RULE_OF = {spoken: name for name, spoken in RULES.items() if spoken != "watch_paths"}
"""Our rules by the names that people ask with; watch paths have a field at every backend."""

_SHARED = ("watch_paths", "submodules")


@dataclass(frozen=True, slots=True)
class WantedSource:
    """Where its code shall come from, and when it shall deploy.

    Attributes:
        type: None leaves it.
        fields: only what shall change, by the names in `configuration` and the fields of our
            rules; None takes an optional one away.
    """

    type: SourceType | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NoSource:
    """It shall forget its source, and what is said about when it deploys."""


@dataclass(frozen=True, slots=True)
class WantedBuild:
    """How it shall be built; only what shall change."""

    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WantedVariables:
    """What its variables shall be.

    Attributes:
        changes: by section ("env", "build_args", "build_secrets") the variables that change,
            each as an assignment (see `variables.assignment`), or None to take it out.
        replaced: sections with their whole new texts.
    """

    changes: Mapping[str, Mapping[str, str | None]] = field(default_factory=dict)
    replaced: Mapping[str, str | None] = field(default_factory=dict)
    create_env_file: bool | None = None


Wanted: TypeAlias = WantedSource | NoSource | WantedBuild | WantedVariables | WantedBack


def part_of(wanted: Wanted) -> Part:
    """The part of a configuration that is changed."""
    match wanted:
        case WantedSource() | NoSource():
            return Part.SOURCE
        case WantedBuild():
            return Part.BUILD
        case WantedVariables():
            return Part.ENVIRONMENT
        case WantedBack():
            return wanted.part


def merge(now: Configured, wanted: Wanted) -> Configured:
    """How the app will be configured once it has what is wanted; asking nothing changes nothing.

    Raises:
        Rejected: names the field, the value and what to do; never a secret.
    """
    match wanted:
        case WantedSource():
            return _with_source(now, wanted)
        case NoSource():
            return put_back(now, FORGOTTEN)
        case WantedBuild():
            return _with_build(now, wanted.fields)
        case WantedVariables():
            return _with_variables(now, wanted)
        case WantedBack():
            return put_back(now, wanted)


def _with_source(now: Configured, wanted: WantedSource) -> Configured:
    asked = dict(wanted.fields)
    if not asked and (wanted.type is None or _type_of(now) is wanted.type):
        return now
    kind = wanted.type or _type_of(now)
    if kind is None or kind not in _SOURCES:
        raise Rejected("the app has no source yet: say which kind (github, gitlab, git, docker)")
    if kind is SourceType.DOCKER and now.saved.build is None:
        raise Rejected("a compose stack can't come from an image; save a Git source")
    model = _SOURCES[kind]
    own = set(model.model_fields) - {"type"}
    ruled = set() if kind is SourceType.DOCKER else set(_RULE_OF)
    for name in asked:
        if name not in own | ruled:
            raise unknown(name, f"{kind} source", sorted(own | ruled))
    rules = _with_rules(now, {name: asked.pop(name) for name in list(asked) if name not in own})
    if "trigger" in asked and rules.trigger is not None:
        rules = replace(rules, trigger=None)  # the backend itself holds it now
    if not asked and _type_of(now) is kind:
        return replace(now, rules=rules)
    provider = _source(now, kind, asked)
    saved = replace(
        now.saved,
        provider=provider,
        watch_paths=getattr(provider, "watch_paths", now.saved.watch_paths),
        submodules=getattr(provider, "submodules", now.saved.submodules),
        trigger=getattr(provider, "trigger", Trigger.PUSH),
        row=now.saved.row and with_provider(now.saved.row, now.saved.provider, provider),
    )
    return Configured(saved, rules)


def _type_of(now: Configured) -> SourceType | None:
    return now.saved.provider.type if now.saved.provider is not None else None


def _source(now: Configured, kind: SourceType, asked: dict[str, Any]) -> ProviderSettings:
    model = _SOURCES[kind]
    known = {
        name: value
        for name, value in {
            "watch_paths": now.saved.watch_paths,
            "submodules": now.saved.submodules,
            "trigger": _stored_trigger(now),
        }.items()
        if name in model.model_fields
    }
    if now.saved.provider is not None and now.saved.provider.type is kind:
        known |= now.saved.provider.model_dump()
    elif now.saved.row is not None:
        known |= _optional(stored_of(now.saved.row, str(kind)), model)
    missing = [
        name
        for name, its in model.model_fields.items()
        if its.is_required() and name not in known | asked
    ]
    if missing:
        raise incomplete(str(kind), missing)
    empty = {"build_path": "/", "submodules": False}
    filled = {
        name: empty.get(name) if value in (None, "") else value for name, value in asked.items()
    }
    checked_address(filled.get("url"))
    checked_image(filled.get("image"))
    checked_words(filled, known)
    try:
        return model.model_validate(known | filled | {"type": kind})
    except ValidationError as error:  # not chained: it repeats what it was given
        raise problem(error, f"{kind} source", known | filled) from None


def _stored_trigger(now: Configured) -> Trigger:
    """The trigger that the backend keeps, also while its source is of a kind without one."""
    row = now.saved.row
    return Trigger.TAG if row and row.trigger == Trigger.TAG else now.saved.trigger


def _optional(stored: Mapping[str, Any], model: type[BaseModel]) -> dict[str, Any]:
    """Return what is stored for a kind of source, so that it can be used again without naming it.

    A repository, a branch and an address are named each time: half of an old source and half of
    a new one fit nobody.
    """
    fields = model.model_fields
    return {
        name: value
        for name, value in stored.items()
        if name in fields and not fields[name].is_required()
    }


def _with_rules(now: Configured, asked: Mapping[str, Any]) -> Rules:
    new = {_RULE_OF[name]: checked_rule(name, value) for name, value in asked.items()}
    if new.get("trigger") is not None and new["trigger"] == now.saved.trigger:
        new["trigger"] = None  # the backend says the same
    return replace(now.rules, **new)


def _with_build(now: Configured, asked: Mapping[str, Any]) -> Configured:
    if not asked:
        return now
    if now.saved.build is None:
        raise Rejected("a compose stack has no build settings: its compose file says them")
    for name in asked:
        if name not in BuildType.model_fields:
            raise unknown(name, "build", sorted(BuildType.model_fields))
    checked_words(asked, now.saved.build.model_dump())
    fields = now.saved.build.model_dump() | dict(asked)
    try:
        build = BuildType.model_validate(fields)
    except ValidationError as error:
        raise problem(error, "build", fields) from None
    return replace(now, saved=replace(now.saved, build=build))


def _with_variables(now: Configured, wanted: WantedVariables) -> Configured:
    environment = now.saved.environment
    new: dict[str, Any] = {}
    for section in (*wanted.changes, *wanted.replaced):
        if section not in SECTIONS:
            raise unknown(section, "environment", SECTIONS)
    for section in SECTIONS:
        sealed: SecretStr | None = getattr(environment, section)
        before = None if sealed is None else sealed.get_secret_value()
        after = wanted.replaced.get(section, before)
        after = edited(after, wanted.changes.get(section, {}))
        if after != before:
            new[section] = SecretStr(after) if after else None
    if wanted.create_env_file is not None:
        new["create_env_file"] = wanted.create_env_file
    if not new:
        return now
    if now.saved.build is None and (new.get("build_args") or new.get("build_secrets")):
        raise Rejected("a compose stack has no build arguments or secrets, only an environment")
    changed = Environment.model_validate(environment.model_dump() | new)
    return replace(now, saved=replace(now.saved, environment=changed))
