"""Merge a requested change into an app's present configuration.

A save at the backend replaces or resets every field that it does not name (docs/dokploy.md,
"Inputs"), so a change of one field saves everything, with that field changed. Fields that the
backend still stores for a formerly used kind of source (its build path, its credentials) are reused
with it; what names a repository or an image is not.
Fields that the backend lacks go to the bridge's own rules.
"""

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeAlias

from pydantic import SecretStr, ValidationError

from bridge.core.apps import Prereleases, Rules, SourceType, Trigger
from bridge.core.configuration.configuration import (
    MODELS,
    BuildType,
    Environment,
    ProviderSettings,
    SourceRow,
    says_something,
    used_again,
    with_provider,
)
from bridge.core.configuration.difference import (
    FORGOTTEN,
    RULES,
    Configured,
    Part,
    WantedBack,
    masked,
    put_back,
)
from bridge.core.configuration.fields import FIELDS, SECTIONS, settable
from bridge.core.errors import Rejected, Unfit
from bridge.core.matching import Glob, GlobError
from bridge.core.policies import read_verify
from bridge.core.refs import RefKind, check_branch_name, unmatchable, unmatchable_prefix
from bridge.core.rules import Range
from bridge.core.validation_errors import kind_of, rule
from bridge.core.variables import edited

_OF_A_SHELL = re.compile(r"""^-|[`$;&|<>\\"'\x00-\x1f\x7f]""")
_REMOTE = re.compile(r"(?:https?|ssh|git)://[^/-]|[\w.-]+@[\w.-]+:(?!/?/)")
_IMAGE = re.compile(r"[A-Za-z0-9][\w.\-/:@+]*")


def problem(error: ValidationError, what: str, given: Mapping[str, Any]) -> Rejected:
    """Return the first problem, for people."""
    first = error.errors(include_url=False)[0]
    name = next((str(part) for part in first["loc"] if str(part) in given), str(first["loc"][-1]))
    one = FIELDS.get(name)
    remedy = (one.remedy if one else "") or rule(first)
    return Unfit(name, f"{name} of the {what} can't be {_shown(name, given.get(name))}: {remedy}")


def _shown(name: str, value: Any) -> str:
    if isinstance(value, SecretStr) or (name in FIELDS and FIELDS[name].secret):
        return "what was given"
    if value in ("", None):
        return "empty"
    if isinstance(value, str | int):
        return repr(masked(value))[:120]
    return kind_of(value)


def incomplete(kind: str, missing: Sequence[str], row: SourceRow | None) -> Rejected:
    """Describe the required fields that neither the app nor the request has.

    Args:
        row: the stored source, which may still have them from an earlier source of that kind.
    """
    says = f"a {kind} source needs {', '.join(missing)} too: "
    stored = {name: getattr(getattr(row, kind), name) for name in missing} if row else {}
    had = [f"{name} {masked(value)}" for name, value in stored.items() if says_something(value)]
    if had:
        says += f"name them; what it had when its source was {kind} ({', '.join(had)}) is used"
        return Unfit(missing[0], f"{says} only where it is named again")
    says += f"the app has none of {'that' if len(missing) == 1 else 'those'} yet"
    if "provider_id" in missing:
        says += "; provider_id is the id of a Git account in the backend"
    return Unfit(missing[0], says)


def checked_address(url: object) -> None:
    """Refuse a clone address that git would take for an option or a command."""
    if isinstance(url, str) and re.search(r"\s|[\x00-\x1f\x7f]|^-|^\w+::", url):
        raise Unfit(
            "url",
            "url can't be a clone address: it contains white space, begins with a dash, or names a"
            " transport that runs commands; write https://host/owner/repo.git or"
            " git@host:owner/repo.git",
        )


def checked_words(asked: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    """Refuse names, paths and addresses that a shell would read as commands.

    Backends insert them into command lines, and people who may configure one app must not run
    anything else. Unchanged values are left alone. Raises Rejected.
    """
    for name, value in asked.items():
        if not isinstance(value, str) or value == known.get(name):
            continue
        if FIELDS[name].in_commands and (found := _OF_A_SHELL.search(value)):
            raise Unfit(
                name,
                f"{name} can't be what was given: {found[0]!r} would be read as part of a"
                " command; in an address write it percent-encoded, in a path use another name",
            )


def checked_remote(url: object) -> None:
    """Refuse a clone address that leads to no Git server, e.g. a folder on the backend's machine.

    People who may only configure apps by chat must not make the backend read its own disk.
    Raises Rejected.
    """
    checked_address(url)
    if isinstance(url, str) and not re.match(_REMOTE, url):
        raise Unfit(
            "url",
            "url can't be a clone address here: it names no Git server; write"
            " https://host/owner/repo.git, ssh://git@host/owner/repo.git or"
            " git@host:owner/repo.git",
        )


def checked_image(image: object) -> None:
    """Refuse an image that docker would take for an option, or that is impossible."""
    if isinstance(image, str) and not re.fullmatch(_IMAGE, image):
        raise Unfit(
            "image",
            f"image can't be {image[:120]!r}: write it as registry/owner/name:tag, without white"
            " space and not beginning with a dash",
        )


def unknown(name: str, what: str, known: Sequence[str]) -> Rejected:
    """Return the error for an unknown field."""
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    remedy = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
    return Rejected(f"{name[:40]} is no field of a {what}; {remedy}")


def checked_rule(name: str, value: Any) -> Any:
    """Return a value in the form of `Rules`; None removes the field. Raises Rejected."""
    if value is None:
        return None
    try:
        return _RULES[name](value)
    except GlobError as error:
        raise Unfit(
            name,
            f"{name} can't be {str(value)[:120]!r}: {error.reason}; write a glob such as v* or"
            " release/*",
        ) from None
    except Rejected as error:
        raise Unfit(name, f"{name} can't be {str(value)[:120]!r}: {error}") from None
    except ValueError:
        words = " or ".join(FIELDS[name].choices or ("true", "false"))
        raise Unfit(name, f"{name} can't be {str(value)[:120]!r}: it is {words}") from None


def _names(kind: RefKind, value: str) -> str:
    Glob(value)
    if found := unmatchable(value, kind):
        raise Rejected(found.why, found.remedy)
    return value


def _prefix(value: str) -> str:
    if found := unmatchable_prefix(value):
        raise Rejected(found.why, found.remedy)
    return value


def _range(value: str) -> str:
    if not Range.parse(value).holds_any():
        raise Rejected("it contains no version; write e.g. >=1.2 <2")
    return value


def _flag(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise ValueError


_RULES: dict[str, Callable[[Any], Any]] = {
    "trigger": Trigger,
    "branches": partial(_names, "branch"),
    "tags": partial(_names, "tag"),
    "versions": _range,
    "tag_prefix": _prefix,
    "prereleases": Prereleases,
    "only_newer": _flag,
    "skip_directives": _flag,
    "verify": read_verify,
}


# ── The requested change, merged into the configuration ───────────────────────────────────────────

RULE_OF = {
    spoken: name for name, spoken in RULES.items() if spoken in FIELDS and FIELDS[spoken].ruled
}
"""Our rules by their names in requests; every backend has a field for watch paths."""


@dataclass(frozen=True, slots=True)
class WantedSource:
    """A requested source, and when it deploys.

    Attributes:
        type: None keeps the kind.
        fields: only the changes, by the names in `configuration` and in our rules; None removes
            an optional field.
    """

    type: SourceType | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NoSource:
    """A request to remove the source, and the rules for when it deploys."""


@dataclass(frozen=True, slots=True)
class WantedBuild:
    """A requested build; only the changes."""

    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WantedVariables:
    """Requested variables.

    Attributes:
        changes: the variables that change, by section ("env", "build_args", "build_secrets"), each
            as an assignment (see `variables.assignment`), or None to remove it.
        replaced: sections with their complete new texts.
    """

    changes: Mapping[str, Mapping[str, str | None]] = field(default_factory=dict)
    replaced: Mapping[str, str | None] = field(default_factory=dict)
    create_env_file: bool | None = None


@dataclass(frozen=True, slots=True)
class WantedPin:
    """A request to build one branch while the pushes of another deploy, or to end that.

    Attributes:
        builds: the branch that the backend builds.
        tracks: the branch whose pushes deploy; None for the same.
    """

    builds: str
    tracks: str | None
    pin: bool


Wanted: TypeAlias = WantedSource | NoSource | WantedPin | WantedBuild | WantedVariables | WantedBack


def part_of(wanted: Wanted) -> Part:
    """Return the part of a configuration that a request changes."""
    match wanted:
        case WantedSource() | NoSource() | WantedPin():
            return Part.SOURCE
        case WantedBuild():
            return Part.BUILD
        case WantedVariables():
            return Part.ENVIRONMENT
        case WantedBack():
            return wanted.part


def merge(now: Configured, wanted: Wanted) -> Configured:
    """Return the configuration with the request merged in; an empty request changes nothing.

    Raises:
        Rejected: names the field, the value and the remedy; never a secret.
    """
    match wanted:
        case WantedSource():
            return _with_source(now, wanted)
        case NoSource():
            return put_back(now, FORGOTTEN)
        case WantedPin():
            return _with_pin(now, wanted)
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
    if kind is None or kind not in MODELS:
        raise Rejected(
            "the app has no source yet: name its kind (github, gitlab, gitea, git, docker)"
        )
    if kind is SourceType.DOCKER and now.saved.build is None:
        raise Rejected("a compose stack can't come from an image; save a Git source")
    known = sorted(one.name for one in settable(kind))
    for name in asked:
        if name not in known:
            raise unknown(name, f"{kind} source", known)
    own = MODELS[kind].model_fields
    rules = _with_rules(now, {name: asked.pop(name) for name in list(asked) if name not in own})
    if "trigger" in asked and rules.trigger is not None:
        rules = replace(rules, trigger=None)  # the backend itself stores it now
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


def _with_pin(now: Configured, wanted: WantedPin) -> Configured:
    source = _with_source(now, WantedSource(fields={"branch": wanted.builds}))
    rules = replace(source.rules, branch=wanted.tracks, pin=wanted.pin or None)
    return replace(source, rules=rules)


def _type_of(now: Configured) -> SourceType | None:
    return now.saved.provider.type if now.saved.provider is not None else None


def _source(now: Configured, kind: SourceType, asked: dict[str, Any]) -> ProviderSettings:
    model = MODELS[kind]
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
        known |= used_again(now.saved.row, kind, asked)
    missing = [
        name
        for name in model.model_fields
        if name in FIELDS and FIELDS[name].required and name not in known | asked
    ]
    if missing:
        raise incomplete(str(kind), missing, now.saved.row)
    filled = {
        name: FIELDS[name].empty if value in (None, "") else value for name, value in asked.items()
    }
    checked_address(filled.get("url"))
    checked_image(filled.get("image"))
    checked_words(filled, known)
    try:
        source = model.model_validate(known | filled | {"type": kind})
    except ValidationError as error:  # not chained: it repeats its input
        raise problem(error, f"{kind} source", known | filled) from None
    if filled.get("branch", "") != known.get("branch", ""):
        _checked_branch(filled.get("branch"))
    return source


def _checked_branch(branch: object) -> None:
    """Raise Rejected if a new branch's name is invalid in Git."""
    try:
        if isinstance(branch, str):
            check_branch_name(branch)
    except Rejected as error:
        raise Unfit("branch", str(error)) from None


def _stored_trigger(now: Configured) -> Trigger:
    """Return the trigger that the backend stores, even for a kind of source without one."""
    row = now.saved.row
    return Trigger.TAG if row and row.trigger == Trigger.TAG else now.saved.trigger


def _with_rules(now: Configured, asked: Mapping[str, Any]) -> Rules:
    new = {RULE_OF[name]: checked_rule(name, value) for name, value in asked.items()}
    if new.get("trigger") is not None and new["trigger"] == now.saved.trigger:
        new["trigger"] = None  # the backend already has the same
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
