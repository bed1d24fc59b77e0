"""The file, then the environment over it."""

import difflib
from collections.abc import Iterator, Mapping
from pathlib import Path
from pathlib import Path as FilePath
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from bridge.core.errors import Rejected
from bridge.core.misfits import rule
from bridge.settings.root import Settings
from bridge.settings.values import GivenTwice, line_of, read_yaml, yaml_trouble

LONGEST_VALUE = 60

KeyPath = tuple[str, ...]


def problems(error: ValidationError, said_by: Mapping[KeyPath, str]) -> Iterator[str]:
    """Each problem in one line: the setting, the rule, and the value unless it may be a secret.

    Args:
        said_by: the variable that a setting was given by, by its path; else it was the file.
    """
    for problem in error.errors(include_url=False):
        path = tuple(str(part) for part in problem["loc"])
        where = ".".join(path)
        if problem["type"] == "extra_forbidden":
            yield f"{where} is no setting{nearest(path[-1], _names_at(path[:-1]))}"
            continue
        given = next(
            (said_by[path[:n]] for n in range(len(path), 0, -1) if path[:n] in said_by), ""
        )
        place = f"{where} ({given})" if given else where
        value = "" if _may_be_secret(path) else _shown(problem["input"])
        yield f"{place}: {_words(problem)}{value}"


def _words(problem: Mapping[str, Any]) -> str:
    """The rule in the words of YAML."""
    return _PLAINER.get(problem["type"]) or rule(problem)


def _shown(value: object) -> str:
    """What was given instead, where it is short and plain."""
    if value is None:
        return ", not empty"
    if isinstance(value, bool):
        return f", not {str(value).lower()}"
    if isinstance(value, str | int | float):
        text = repr(value) if isinstance(value, str) else str(value)
        return f", not {text}" if len(text) <= LONGEST_VALUE else ""
    return ""


def _may_be_secret(path: KeyPath) -> bool:
    """Whether a setting holds a secret, or what may hold one: text that is no plain setting."""
    model: type[BaseModel] = Settings
    for name in path:
        field = model.model_fields.get(name)
        if field is None:
            return True
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            model = inner
            continue
        return "SecretStr" in str(inner) or (inner not in _PLAIN and "Literal" not in str(inner))
    return True


_PLAIN = (int, float, bool, FilePath)
"""Kinds of settings whose values are no secrets; an address might hold one by mistake."""


def _names_at(path: tuple[str, ...]) -> list[str]:
    model: type[BaseModel] = Settings
    for name in path:
        if name.isdecimal():
            continue  # a place in a list of sections
        annotation = model.model_fields[name].annotation
        inner = next(iter(get_args(annotation)), annotation)
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            return []
        model = inner
    return list(model.model_fields)


def nearest(name: str, known: Any) -> str:
    """A question for the known name that is most like it, if any is."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean {near[0]}?" if near else ""


_PLAINER = {
    "model_type": "it must hold settings by name",
    "dict_type": "it must hold settings by name",
    "string_type": "it must be a text (in quotes, if it looks like a number)",
    "path_type": "it must be a path (in quotes, if it looks like a number)",
}
"""Rules that read otherwise in YAML than in JSON."""


# ── The variable of every setting, and what the environment gives ───────────────────────────────

PREFIX = "BRIDGE_"
FILE = "_FILE"

PLAIN_VARIABLES = {"PORT": ("port",), "DATABASE_URL": ("database_url",)}
"""Variables without our prefix, as platforms set them."""

OTHER_VARIABLES = frozenset({"BRIDGE_CONFIG"})
"""Variables with our prefix that are no setting."""


def variables() -> dict[str, tuple[str, ...]]:
    """Every setting's variable → its path, e.g. `BRIDGE_GITHUB_TOKEN` → (github, token)."""
    named = {f"{PREFIX}{'_'.join(path).upper()}": path for path, _ in fields(Settings)}
    return named | PLAIN_VARIABLES


def fields(model: type[BaseModel], above: tuple[str, ...] = ()) -> Iterator[tuple[Any, Any]]:
    """Every setting as (path, pydantic's FieldInfo), sections spread out."""
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from fields(inner, (*above, name))
        else:
            yield (*above, name), field


def is_secret(field: Any) -> bool:
    """Whether a setting's value must not be shown."""
    return "SecretStr" in str(field.annotation)


def from_environment(
    environment: Mapping[str, str],
) -> Iterator[tuple[tuple[str, ...], str, str]]:
    """What is set there, as (path, value, variable).

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
    """What the environment sets, as (path, variable), in the order in which it is read.

    An empty variable is not set: that is how Compose files pass on what may not be there.

    Raises:
        Rejected: a variable that is no setting.
    """
    known = variables()
    for variable, value in sorted(environment.items()):
        path = known.get(variable) or known.get(variable.removesuffix(FILE))
        if path is None and variable.startswith(PREFIX) and variable not in OTHER_VARIABLES:
            raise Rejected(f"{variable} is no setting{nearest(variable, known)}")
        if path is not None and value.strip():
            yield path, variable


def from_file(variable: str) -> bool:
    """Whether a variable names a file that holds the value."""
    return variable.endswith(FILE)


def _in_file(variable: str, path: str) -> str:
    try:
        value = Path(path).read_text().strip()
    except (OSError, ValueError) as error:
        raise Rejected(f"{variable}: {path} can't be read ({type(error).__name__})") from None
    if not value:
        raise Rejected(f"{variable}: {path} is empty; write the value into it, or unset {variable}")
    return value


# ── The file, then the environment over it ──────────────────────────────────────────────────────


def read_settings(file: Path | None, environment: Mapping[str, str]) -> Settings:
    """Read the file, then the environment over it.

    Args:
        file: a YAML file; None reads `bridge.yaml` in the working directory, if there is one.

    Raises:
        Rejected: what is wrong, where, and how to mend it; never with a secret.
    """
    values = _read_file(file)
    said_by: dict[tuple[str, ...], str] = {}
    for path, value, variable in from_environment(environment):
        inner = values
        for name in path[:-1]:
            found = inner.setdefault(name, {})
            if not isinstance(found, dict):
                raise Rejected(f"{variable} is set, but {name} in the file is no section")
            inner = found
        inner[path[-1]] = value
        said_by[path] = variable
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        raise Rejected("; ".join(problems(error, said_by))) from None


def _read_file(file: Path | None) -> dict[str, Any]:
    path = file or Path("bridge.yaml")
    if file is None and not path.exists():
        return {}
    try:
        values = read_yaml(path.read_text())
    except OSError as error:
        raise Rejected(f"{path} can't be read: {error.strerror}") from error
    except GivenTwice as error:
        raise Rejected(f"{path}: {error}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise Rejected(f"{path} is not YAML{line_of(error)}: {yaml_trouble(error)}") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise Rejected(f"{path} must hold settings by name, not a {type(values).__name__}")
    return values
