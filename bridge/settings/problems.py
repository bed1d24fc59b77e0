"""What is wrong with a setting, in words: where, why, and the nearest name that there is."""

import difflib
from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from bridge.settings.root import Settings


def problems(error: ValidationError) -> Iterator[str]:
    """Each problem in one line, without the value, which may be a secret."""
    for problem in error.errors(include_url=False, include_input=False, include_context=False):
        path = tuple(str(part) for part in problem["loc"])
        where = ".".join(path)
        if problem["type"] == "extra_forbidden":
            yield f"{where} is no setting{nearest(path[-1], _names_at(path[:-1]))}"
        else:
            words = _PLAINER.get(problem["type"], problem["msg"].removeprefix("Value error, "))
            yield f"{where}: {words}"


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
    "missing": "it is missing",
    "model_type": "it must hold settings by name",
    "string_type": "it must be a text (in quotes, if it looks like a number)",
    "tuple_type": "it must be a list",
}
"""What pydantic says in Python's words, in those of YAML."""
