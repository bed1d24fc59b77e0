"""Shared by all procedures of the API: parts, inputs, refusals, searches.

A procedure is a function that takes the server's parts and a validated input. It returns the
answer, or raises a `Failure` in Dokploy's words.
"""

import types
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from bridge.embedded.building.logs import Growth
from bridge.embedded.domains import Domains
from bridge.embedded.history import History
from bridge.embedded.http.inputs import (
    APP_NAME_PATTERN,
    BRANCH_PATTERN,
    CONTAINER_PATTERN,
    Input,
)
from bridge.embedded.paths import Clock, Places
from bridge.embedded.queue import Engine
from bridge.embedded.records import Catalog, Record

T = TypeVar("T", bound=Input)


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of a running server.

    Attributes:
        self_hosted_cancel: refuse `cancelDeployment`, as a self-hosted Dokploy does.
        search_path: of programs, as in PATH; None means our own PATH.
        public_sites: the public address of the sites; None if it is unknown.
    """

    catalog: Catalog
    domains: Domains
    history: History
    engine: Engine
    places: Places
    growth: Growth
    clock: Clock
    new_id: Callable[[], str]
    self_hosted_cancel: bool = False
    search_path: str | None = None
    public_sites: str | None = None

    def public_site(self, application: Record) -> str | None:
        """Return the public address of an application; None unless it is a static site with one."""
        if self.public_sites is None or application["buildType"] != "static":
            return None
        return f"{self.public_sites}/apps/{application['appName']}"


class Empty:
    """An answer without any bytes, which Dokploy gives to a deploy (docs/dokploy.md)."""


EMPTY = Empty()


@dataclass(frozen=True, slots=True)
class Procedure:
    """A query (GET, input in the query string) or a mutation (POST, input as JSON)."""

    method: Literal["GET", "POST"]
    model: type[Input]
    run: Callable[[Parts, Any], Awaitable[Any]]


def query(model: type[T], run: Callable[[Parts, T], Awaitable[Any]]) -> Procedure:
    """Return a procedure that only reads."""
    return Procedure("GET", model, run)


def mutation(model: type[T], run: Callable[[Parts, T], Awaitable[Any]]) -> Procedure:
    """Return a procedure that changes something."""
    return Procedure("POST", model, run)


# ── Refusals ────────────────────────────────────────────────────────────────────────────────────


class Failure(Exception):
    """A refusal in Dokploy's words.

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
    """Return e.g. "Application not found", in Dokploy's words (docs/dokploy.md, "Errors")."""
    return Failure("NOT_FOUND", f"{what} not found")


def bad_request(message: str) -> Failure:
    """Return a refusal of a valid request that can't be done now."""
    return Failure("BAD_REQUEST", message)


# ── Searching records ───────────────────────────────────────────────────────────────────────────

_ANY = ("name", "appName", "description", "repository", "owner", "dockerImage")


def found(
    records: Iterable[Record], anywhere: str | None, wanted: Mapping[str, str | None]
) -> list[Record]:
    """Return records with `anywhere` in any field, and each text of `wanted` in its own."""
    fields = {key: value for key, value in wanted.items() if value}
    return [
        record
        for record in records
        if all(_has(record, key, value) for key, value in fields.items())
        and (not anywhere or any(_has(record, key, anywhere) for key in _ANY))
    ]


def page(records: list[Record], limit: float, offset: float) -> Record:
    """Return one page of the records, newest first, and their number."""
    newest_first = sorted(records, key=lambda one: str(one["createdAt"]), reverse=True)
    part = newest_first[int(offset) : int(offset) + int(limit)]
    return {"items": part, "total": len(records)}


def _has(record: Record, key: str, wanted: str) -> bool:
    return wanted.lower() in str(record.get(key) or "").lower()


# ── Reading inputs: pydantic's errors in the words of Dokploy, which uses zod 4 ─────────────────

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
    """The input is invalid; `issues` has one entry for each fault."""

    def __init__(self, issues: list[Issue]) -> None:
        super().__init__(f"{len(issues)} issues")
        self.issues = issues


def parse(model: type[T], data: object) -> T:
    """Validate an input.

    Raises:
        InvalidInput: a field is missing or wrong.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise InvalidInput([_issue(model, one) for one in error.errors()]) from error


def zod_error(issues: list[Issue]) -> dict[str, Any]:
    """Return the short form: the messages by the name of the outermost field."""
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
        # JavaScript's result for a text in a query that is not a number.
        received = "NaN" if "parsing" in error["type"] else _zod_name(error["input"])
        return _wrong_type(expected, received, path)
    return {"code": "custom", "path": path, "message": error["msg"]}


def _missing(model: type[Input], _error: ErrorDetails, path: list[Any]) -> Issue:
    if (name := str(path[-1])) and _is_plain_text(_field(model, name)):
        return _wrong_type("string", "undefined", path)
    # zod's words for a required field whose inner type is optional.
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
    if error["ctx"]["pattern"] == CONTAINER_PATTERN:
        message = f"Invalid {'container id' if path == ['containerId'] else 'app name'}."
    if error["ctx"]["pattern"] == BRANCH_PATTERN:
        # JavaScript does not escape a slash within a character class.
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
