"""Read the file, overridden by the environment, and what set-up has stored; find names in it."""

import difflib
import os
import stat
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, SecretStr, ValidationError
from pydantic.fields import FieldInfo

from bridge.core.errors import Rejected
from bridge.core.masking import Mask
from bridge.core.validation_errors import came, kind_of, rule, shortened
from bridge.ports.settings import (
    TOKENS,
    GivenTwice,
    Names,
    line_of,
    read_yaml_with_lines,
    yaml_trouble,
)
from bridge.settings.root import KeyPath, Places, Process, Settings, token_begins


def problems(error: ValidationError, places: Places) -> Iterator[str]:
    """Yield each problem in one line: the setting and where it is set, the rule, and the value.

    The value is left out if it may be secret.
    """
    for problem in error.errors(include_url=False):
        path = tuple(str(part) for part in problem["loc"])
        if problem["type"] == "extra_forbidden":
            yield f"{places.in_file(path)} is no setting{_instead_of(path)}"
            continue
        words = _PLAINER.get(problem["type"]) or rule(problem)  # in YAML's terms
        yield f"{places.named(path)}: {words}{_instead(problem, path, words)}"


def must_be_setting(path: KeyPath) -> None:
    """Raise Rejected if a path leads to no setting; the message names the most similar one."""
    for end in range(1, len(path) + 1):
        if _type_at(path[:end]) is None:
            raise Rejected(f"{'.'.join(path[:end])} is no setting{_instead_of(path[:end])}")


def _instead_of(path: KeyPath) -> str:
    """Return a question that offers the most similar setting of the same section."""
    sections = filter(_is_section, _alternatives(_type_at(path[:-1])))
    known = [name for section in sections for name in _by_name(section)]
    return nearest(path[-1], known, path[:-1])


def _instead(problem: Mapping[str, Any], path: KeyPath, words: str) -> str:
    """Return the given value, unless it may be a secret or the message already shows it."""
    value = problem["input"]
    if problem["type"] == "missing":
        return ""
    if isinstance(value, str) and may_be_secret(path, value):
        return ""
    if value is None or value == "":
        return ", not empty" if problem["type"] != "value_error" else ""
    if not isinstance(value, str | int | float):
        return f", not {kind}" if (kind := came(problem)) else ""
    shown = shortened(value)
    if problem["type"] == "value_error":
        return "" if shown in words else f" (it is {shown})"
    return f", not {shown}"


def may_be_secret(path: KeyPath, value: str) -> bool:
    """Return whether a text must stay hidden: its setting is a secret, or it looks like one."""
    annotation = _type_at(path)
    kinds = str(annotation)
    # The text of a whole section or list may contain anything.
    is_whole = any(_is_section(one) or get_origin(one) for one in _alternatives(annotation))
    if annotation is None or "SecretStr" in kinds or (is_whole and "Literal" not in kinds):
        return True
    return "@" in value or value.startswith((*token_begins(), "whsec_", "-----BEGIN"))


def _type_at(path: KeyPath) -> Any:
    """Return the type of what a path leads to; None if it leads nowhere."""
    annotation: Any = Settings
    for name in path:
        annotation = _inside(annotation, name)
    return annotation


def _inside(annotation: Any, name: str) -> Any:
    """Return the type of a field or entry within a type; None if there is none."""
    for one in _alternatives(annotation):
        if _is_section(one) and name in (named := _by_name(one)):
            return named[name].annotation
        if get_origin(one) is dict:
            return get_args(one)[1]
        if get_origin(one) is tuple:
            return get_args(one)[0]
    return None


def _alternatives(annotation: Any) -> list[Any]:
    """Return the types of a union, without their metadata."""
    if get_origin(annotation) is Annotated:
        return _alternatives(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return [kind for one in get_args(annotation) for kind in _alternatives(one)]
    return [annotation]


def _is_section(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _by_name(section: type[BaseModel]) -> dict[str, FieldInfo]:
    """Return the fields of a section by their names in the file."""
    return {field.alias or name: field for name, field in section.model_fields.items()}


def nearest(name: str, known: Any, within: KeyPath = ()) -> str:
    """Return a question that offers the most similar known name, if there is one."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean {'.'.join((*within, near[0]))}?" if near else ""


_PLAINER = {
    "model_type": "it must hold settings by name",
    "dict_type": "it must hold settings by name",
    "string_type": "it must be a text (in quotes, if it looks like a number)",
    "path_type": "it must be a path (in quotes, if it looks like a number)",
}
"""Rules whose YAML terms differ from JSON's."""


# ── The variable of every setting, and what the environment gives ───────────────────────────────

PREFIX = "BRIDGE_"
FILE = "_FILE"

PLAIN_VARIABLES = {"PORT": ("port",), "DATABASE_URL": ("database_url",)}
"""Variables without our prefix, which platforms set."""

OTHER_VARIABLES = frozenset({"BRIDGE_CONFIG"})
"""Variables with our prefix that are not settings."""


def variables() -> dict[str, tuple[str, ...]]:
    """Return every setting's variable → its path, e.g. `BRIDGE_GITHUB_TOKEN` → (github, token)."""
    named = {f"{PREFIX}{'_'.join(path).upper()}": path for path, _ in fields(Settings)}
    return named | PLAIN_VARIABLES


def fields(model: type[BaseModel], above: tuple[str, ...] = ()) -> Iterator[tuple[Any, Any]]:
    """Yield every setting as (path, pydantic's FieldInfo), including those in sections."""
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from fields(inner, (*above, name))
        else:
            yield (*above, name), field


def is_secret(field: Any) -> bool:
    """Return whether a setting's value must not be shown."""
    return "SecretStr" in str(field.annotation)


def from_environment(environment: Mapping[str, str]) -> Iterator[tuple[tuple[str, ...], str, str]]:
    """Yield what the environment sets, as (path, value, variable).

    Raises:
        Rejected: a variable that is no setting, two for one setting, or a file that can't be read.
    """
    given_by: dict[tuple[str, ...], str] = {}
    for path, variable in set_there(environment):
        value = environment[variable]
        if (other := given_by.get(path)) and (
            from_file(variable) or from_file(other) or environment[other] != value
        ):
            raise Rejected(f"{other} and {variable} both give {'.'.join(path)}: unset one of them")
        given_by[path] = variable
        yield path, _in_file(variable, value) if from_file(variable) else value, variable


def set_there(environment: Mapping[str, str]) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield what the environment sets, as (path, variable), in the order of reading.

    An empty variable counts as unset, since Compose files pass optional variables on this way.

    Raises:
        Rejected: a variable that is no setting.
    """
    known = variables()
    for variable, value in sorted(environment.items()):
        if not value.strip():
            continue
        path = known.get(variable) or known.get(variable.removesuffix(FILE))
        if path is None and variable.startswith(PREFIX) and variable not in OTHER_VARIABLES:
            raise Rejected(f"{variable} is no setting{nearest(variable, known)}")
        if path is not None:
            yield path, variable


def from_file(variable: str) -> bool:
    """Return whether a variable names a file that holds the value."""
    return variable.endswith(FILE)


def _in_file(variable: str, path: str) -> str:
    try:
        value = _text_of(Path(path)).strip()
    except (OSError, ValueError) as error:
        raise Rejected(f"{variable}: {path} can't be read ({type(error).__name__})") from None
    except Rejected as error:
        raise Rejected(f"{variable}: {error}") from None
    if not value:
        raise Rejected(f"{variable}: {path} is empty; write the value into it, or unset {variable}")
    return value


def _text_of(file: Path) -> str:
    """Return the text of a file; raise Rejected if everybody may write to it.

    Anyone who can change a secret or an address decides who gets in. Groups are not checked: in a
    container with the machine's files mounted, their members are unknown.
    """
    with file.open() as opened:
        mode = os.fstat(opened.fileno()).st_mode
        if stat.S_ISREG(mode) and mode & stat.S_IWOTH:
            raise Rejected(
                f"{file} can be written to by everybody (its mode is {stat.S_IMODE(mode):04o}), who"
                f" could change the bridge's settings: `chmod o-w {file}`"
            )
        return opened.read()


# ── The file, overridden by the environment ───────────────────────────────────────────────────────


DEFAULT_FILE = Path("bridge.yaml")
"""The file that is read if none is named."""

Stored = Callable[[Process], Mapping[KeyPath, str]]
"""Returns the settings that were made by set-up, given where the data is."""

BY_SETUP = "made by setup"
"""The origin of a stored setting, in messages and lists."""


def read_settings(
    file: Path | None, environment: Mapping[str, str], stored: Stored = lambda _where: {}
) -> Settings:
    """Read the file, let the environment override it, and add what set-up has stored.

    Args:
        file: a YAML file; None reads `bridge.yaml` in the working directory, if it exists.

    Raises:
        Rejected: says what is wrong, where, and the remedy, without secrets.
    """
    values, lines = _read_file(file)
    said_by: dict[KeyPath, str] = {}
    places = Places(str(file or DEFAULT_FILE), lines, said_by)
    for path, value, variable in from_environment(environment):
        _section(values, path, variable, places)[path[-1]] = value
        said_by[path] = variable
    where = _process(values)
    for path, value in (stored(where) if where is not None else {}).items():
        section = _section(values, path, BY_SETUP, places)
        if path[-1] not in section:
            section[path[-1]] = value
            said_by[path] = BY_SETUP
    try:
        settings = Settings.model_validate(values, context={TOKENS: token_begins()})
    except ValidationError as error:
        raise Rejected("; ".join(problems(error, places))) from None
    return settings.set_at(places)


def origins_of(
    file: Path | None, environment: Mapping[str, str], stored: Collection[KeyPath] = ()
) -> dict[KeyPath, str]:
    """Return what each configured setting comes from: a variable, the file, or `BY_SETUP`."""
    said_by = dict.fromkeys(stored, BY_SETUP)
    said_by |= dict.fromkeys(_paths(_read_file(file)[0]), str(file or DEFAULT_FILE))
    return said_by | dict(set_there(environment))


def _paths(values: Mapping[Any, Any], above: KeyPath = ()) -> Iterator[KeyPath]:
    for name, value in values.items():
        path = (*above, name)
        yield path
        if isinstance(value, dict):
            yield from _paths(value, path)


def _section(values: dict[str, Any], path: KeyPath, said_by: str, places: Places) -> dict[str, Any]:
    inner = values
    for at, name in enumerate(path[:-1]):
        found = inner.setdefault(name, {})
        if not isinstance(found, dict):
            section = places.named(path[: at + 1])
            raise Rejected(f"{said_by} is set, but {section} is not a section")
        inner = found
    return inner


def _process(values: Mapping[str, Any]) -> Process | None:
    """Return the settings that say where the data is; None if they are wrong.

    What is wrong with them is reported with all the rest.
    """
    try:
        return Process.model_validate(
            {k: v for k, v in values.items() if k in Process.model_fields}
        )
    except ValidationError:
        return None


def _read_file(file: Path | None) -> tuple[dict[str, Any], Mapping[KeyPath, int]]:
    """Return what the file sets, and the line of each setting."""
    path = file or DEFAULT_FILE
    if file is None and not path.exists():
        return {}, {}
    try:
        values, lines = read_yaml_with_lines(_text_of(path))
    except OSError as error:
        raise Rejected(f"{path} can't be read: {error.strerror}") from error
    except GivenTwice as error:
        raise Rejected(f"{path}: {error}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise Rejected(f"{path} is not YAML{line_of(error)}: {yaml_trouble(error)}") from None
    if values is None:
        return {}, {}
    if not isinstance(values, dict):
        raise Rejected(f"{path} must hold settings by name, not {kind_of(values)}")
    return values, lines


# ── What the settings contain: the names of apps and repositories, and secrets ────────────────────

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
    """Yield every name and pattern, in the order of the settings.

    The types tell them (`ports.settings.Names`), also those of settings to come.
    """
    for path, kind, text in _marked(settings, type(settings), ()):
        yield Pattern(path, kind, text)


def _marked(value: Any, annotation: Any, path: KeyPath) -> Iterator[tuple[KeyPath, Names, str]]:
    """Yield the marked texts in a value, given its type."""
    if get_origin(annotation) is Annotated:
        plain, *marks = get_args(annotation)
        names = [mark for mark in marks if isinstance(mark, Names)]
        if isinstance(value, str):
            yield from ((path, one, value) for one in names)
        yield from _marked(value, plain, path)
        return
    for name, part, kind in _parts_of(value, annotation):
        yield from _marked(part, kind, (*path, *name))


def _parts_of(value: Any, annotation: Any) -> Iterator[tuple[KeyPath, Any, Any]]:
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
