"""Pydantic's errors in the words of the real server, which uses zod 4."""

import types
from collections.abc import Callable
from http import HTTPStatus
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from bridge.embedded.http.inputs import APP_NAME_PATTERN, BRANCH_PATTERN, Input

T = TypeVar("T", bound=Input)
Issue = dict[str, Any]

_ZOD_TYPES = {
    "string_type": "string",
    "bool_type": "boolean",
    "bool_parsing": "boolean",
    "int_type": "number",
    "int_parsing": "number",
    "int_from_float": "int",
    "float_type": "number",
    "float_parsing": "number",
    "finite_number": "number",
    "list_type": "array",
    "dict_type": "object",
    "model_type": "object",
    "model_attributes_type": "object",
}
_PYTHON_TYPES = {str: "string", bool: "boolean", int: "number", float: "number", list: "array"}


class InvalidInput(Exception):
    """What was sent does not fit; `issues` say where, one of them for each fault."""

    def __init__(self, issues: list[Issue]) -> None:
        super().__init__(f"{len(issues)} issues")
        self.issues = issues


def parse(model: type[T], data: object) -> T:
    """Read an input.

    Raises:
        InvalidInput: with an issue for each field that is missing or wrong.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise InvalidInput([_issue(model, one) for one in error.errors()]) from error


def zod_error(issues: list[Issue]) -> dict[str, Any]:
    """The short form: all messages by the name of the outermost field."""
    form = [issue["message"] for issue in issues if not issue["path"]]
    fields: dict[str, list[str]] = {}
    for issue in issues:
        if issue["path"]:
            fields.setdefault(str(issue["path"][0]), []).append(issue["message"])
    return {"formErrors": form, "fieldErrors": fields}


def _issue(model: type[Input], error: ErrorDetails) -> Issue:
    path = [part for part in error["loc"] if not (isinstance(part, str) and "[" in part)]
    write = _WRITERS.get(error["type"])
    if write is not None:
        return write(model, error, path)
    if (expected := _ZOD_TYPES.get(error["type"])) is not None:
        if expected == "number" and isinstance(error["input"], float):
            expected = "int"
        # A text that should have been a number in a query: what JavaScript makes of it.
        received = "NaN" if "parsing" in error["type"] else _zod_name(error["input"])
        return _wrong_type(expected, received, path)
    return {"code": "custom", "path": path, "message": error["msg"]}


def _missing(model: type[Input], _error: ErrorDetails, path: list[Any]) -> Issue:
    if (name := str(path[-1])) and _is_plain_text(_field(model, name)):
        return _wrong_type("string", "undefined", path)
    # What zod says of a required field whose inner type would allow it to be missing.
    message = "Invalid input: expected nonoptional, received undefined"
    return {"code": "invalid_type", "expected": "nonoptional", "path": path, "message": message}


def _wrong_type(expected: str, received: str, path: list[Any]) -> Issue:
    message = f"Invalid input: expected {expected}, received {received}"
    issue: Issue = {"expected": expected, "code": "invalid_type", "path": path, "message": message}
    return issue | ({"received": received} if received == "NaN" else {})


def _too_short(_model: type[Input], error: ErrorDetails, path: list[Any]) -> Issue:
    minimum = error["ctx"]["min_length"]
    message = f"Too small: expected string to have >={minimum} characters"
    return _bound("string", "too_small", "minimum", minimum, path, message)


def _too_long(_model: type[Input], error: ErrorDetails, path: list[Any]) -> Issue:
    maximum = error["ctx"]["max_length"]
    message = f"Too big: expected string to have <={maximum} characters"
    return _bound("string", "too_big", "maximum", maximum, path, message)


def _too_small(_model: type[Input], error: ErrorDetails, path: list[Any]) -> Issue:
    minimum = _number(error["ctx"]["ge"])
    message = f"Too small: expected number to be >={minimum}"
    return _bound("number", "too_small", "minimum", minimum, path, message)


def _too_big(_model: type[Input], error: ErrorDetails, path: list[Any]) -> Issue:
    maximum = _number(error["ctx"]["le"])
    message = f"Too big: expected number to be <={maximum}"
    return _bound("number", "too_big", "maximum", maximum, path, message)


def _bound(origin: str, code: str, key: str, value: float, path: list[Any], message: str) -> Issue:
    issue: Issue = {"origin": origin, "code": code, key: value, "inclusive": True}
    return issue | {"path": path, "message": message}


def _pattern(_model: type[Input], error: ErrorDetails, path: list[Any]) -> Issue:
    pattern = "/" + error["ctx"]["pattern"].replace("/", "\\/") + "/"
    message = f"Invalid string: must match pattern {pattern}"
    if error["ctx"]["pattern"] == APP_NAME_PATTERN:
        message = "App name can only contain letters, numbers, dots, underscores and hyphens"
    if error["ctx"]["pattern"] == BRANCH_PATTERN:
        # A slash needs no escape inside a character class, so JavaScript shows none.
        pattern = f"/{BRANCH_PATTERN}/"
        message = "Invalid branch name"
    issue: Issue = {"origin": "string", "code": "invalid_format", "format": "regex"}
    return issue | {"pattern": pattern, "path": path, "message": message}


def _option(model: type[Input], _error: ErrorDetails, path: list[Any]) -> Issue:
    values = _literals(_field(model, str(path[-1])))
    wanted = "|".join(f'"{value}"' for value in values)
    message = f"Invalid option: expected one of {wanted}"
    return {"code": "invalid_value", "values": values, "path": path, "message": message}


def _value(_model: type[Input], error: ErrorDetails, path: list[Any]) -> Issue:
    return {"code": "custom", "path": path, "message": str(error["ctx"]["error"])}


def _no_unicode(_model: type[Input], _error: ErrorDetails, path: list[Any]) -> Issue:
    message = "must not contain half of a surrogate pair"
    return {"code": "custom", "path": path, "message": message}


_WRITERS: dict[str, Callable[[type[Input], ErrorDetails, list[Any]], Issue]] = {
    "missing": _missing,
    "string_too_short": _too_short,
    "string_too_long": _too_long,
    "greater_than_equal": _too_small,
    "less_than_equal": _too_big,
    "string_pattern_mismatch": _pattern,
    "literal_error": _option,
    "value_error": _value,
    "string_unicode": _no_unicode,
}


def _number(value: float) -> float:
    return int(value) if value == int(value) else value


def _field(model: type[Input], alias: str) -> FieldInfo | None:
    return next((one for one in model.model_fields.values() if one.alias == alias), None)


def _is_plain_text(field: FieldInfo | None) -> bool:
    return field is not None and _bare(field.annotation) is str


def _literals(field: FieldInfo | None) -> list[Any]:
    kinds = _options(field.annotation) if field is not None else ()
    return [value for kind in kinds if get_origin(kind) is Literal for value in get_args(kind)]


def _options(annotation: Any) -> tuple[Any, ...]:
    is_union = get_origin(annotation) in (types.UnionType, Union)
    return get_args(annotation) if is_union else (annotation,)


def _bare(annotation: Any) -> Any:
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation


def _zod_name(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, dict):
        return "object"
    return _PYTHON_TYPES.get(type(value), "unknown")


# ── What a procedure answers when it says no; the API turns it into the server's error body ─────


class Failure(Exception):
    """A refusal in the real server's words.

    Attributes:
        code: e.g. "NOT_FOUND"; `HTTPStatus` has a member of the same name.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    @property
    def status(self) -> int:
        """The HTTP status, e.g. 404."""
        return int(HTTPStatus[self.code])


def not_found(what: str) -> Failure:
    """E.g. `not_found("Application")`: the words of the real server (facts.md, "Errors")."""
    return Failure("NOT_FOUND", f"{what} not found")


def bad_request(message: str) -> Failure:
    """The request is understood and can't be done now."""
    return Failure("BAD_REQUEST", message)
