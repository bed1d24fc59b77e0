"""What is wrong with a setting, in words: where, why, and the nearest name that there is."""

import difflib
from collections.abc import Iterator, Mapping
from pathlib import Path as FilePath
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from bridge.settings.root import Settings

LONGEST_VALUE = 60

Path = tuple[str, ...]


def problems(error: ValidationError, said_by: Mapping[Path, str]) -> Iterator[str]:
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
    """The rule in plain words."""
    kind: str = problem["type"]
    if kind in _PLAINER:
        return _PLAINER[kind]
    about = problem.get("ctx", {})
    if kind in _LIMITS:
        name, words = _LIMITS[kind]
        return f"{words} {about[name]}"
    if kind == "literal_error" or kind == "enum":
        return f"it must be {about['expected']}"
    return str(problem["msg"]).removeprefix("Value error, ")


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


def _may_be_secret(path: Path) -> bool:
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


_WHOLE = "it must be a whole number"
_NUMBER = "it must be a number"
_SWITCH = "it must be true or false"

_PLAINER = {
    "missing": "it is missing",
    "model_type": "it must hold settings by name",
    "string_type": "it must be a text (in quotes, if it looks like a number)",
    "path_type": "it must be a path (in quotes, if it looks like a number)",
    "tuple_type": "it must be a list",
    "list_type": "it must be a list",
    "dict_type": "it must hold settings by name",
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_from_float": _WHOLE,
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "finite_number": _NUMBER,
    "bool_type": _SWITCH,
    "bool_parsing": _SWITCH,
}
"""What pydantic says in Python's words, in those of YAML."""

_LIMITS = {
    "less_than_equal": ("le", "it must be at most"),
    "less_than": ("lt", "it must be less than"),
    "greater_than_equal": ("ge", "it must be at least"),
    "greater_than": ("gt", "it must be greater than"),
}
"""The same of what is out of bounds: where the bound is, and the words before it."""
