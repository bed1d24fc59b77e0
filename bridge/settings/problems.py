"""What is wrong with a setting, in words: where, why, and the nearest name that there is."""

import difflib
from collections.abc import Iterator, Mapping
from pathlib import Path as FilePath
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from bridge.core.misfits import rule
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


_PLAINER = {
    "model_type": "it must hold settings by name",
    "dict_type": "it must hold settings by name",
    "string_type": "it must be a text (in quotes, if it looks like a number)",
    "path_type": "it must be a path (in quotes, if it looks like a number)",
}
"""Rules that read otherwise in YAML than in JSON."""
