"""Shared by all procedures of the API: parts, inputs, refusals, searches.

A procedure is a function that takes the server's parts and a validated input. It returns the
answer, or raises a `Failure` in Dokploy's words.
"""

import types
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import (
    Annotated,
    Any,
    Literal,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from bridge.embedded.building.logs import Growth
from bridge.embedded.building.queue import Engine
from bridge.embedded.http.inputs import (
    APP_NAME_PATTERN,
    BRANCH_PATTERN,
    CONTAINER_PATTERN,
    HALF_A_PAIR,
    Input,
)
from bridge.embedded.storage.history import History
from bridge.embedded.storage.paths import Clock, Places
from bridge.embedded.storage.records import Catalog, Domains, Record

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


def query(run: Callable[[Parts, Any], Awaitable[Any]]) -> Procedure:
    """Return a procedure that only reads; its input is the one of its annotation."""
    return Procedure("GET", _input_of(run), run)


def mutation(
    run: Callable[[Parts, Any], Awaitable[Any]], model: type[Input] | None = None
) -> Procedure:
    """Return a procedure that changes something; `model` is an input with more fields."""
    return Procedure("POST", model or _input_of(run), run)


def _input_of(run: Callable[[Parts, Any], Awaitable[Any]]) -> type[Input]:
    _, model, *_ = get_type_hints(run).values()
    return cast("type[Input]", model)


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
        return int(HTTPStatus[self.code])


def not_found(what: str) -> Failure:
    """Return e.g. "Application not found", in Dokploy's words (docs/dokploy.md, "Errors")."""
    return Failure("NOT_FOUND", f"{what} not found")


R = TypeVar("R")


def existing(what: str, found: R | None) -> R:
    """Return what was found; raise Failure if that is nothing."""
    if found is None:
        raise not_found(what)
    return found


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
_PYTHON_TYPES = {
    str: "string",
    bool: "boolean",
    int: "number",
    float: "number",
    list: "array",
    dict: "object",
    type(None): "null",
}
_BOUNDS = {
    "string_too_short": ("min_length", "minimum"),
    "string_too_long": ("max_length", "maximum"),
    "greater_than_equal": ("ge", "minimum"),
    "less_than_equal": ("le", "maximum"),
}
"""Where pydantic says a bound, and whether it is the least or the greatest."""


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
    kind = error["type"]
    if kind in _BOUNDS:
        return _out_of_bounds(error, path)
    match kind:
        case "missing":
            return _missing(_field(model, str(path[-1])), path)
        case "string_pattern_mismatch":
            return _no_match(error["ctx"]["pattern"], path)
        case "literal_error":
            return _no_option(_field(model, str(path[-1])), path)
        case "string_unicode":
            return {"code": "custom", "path": path, "message": HALF_A_PAIR}
        case "value_error":
            return {"code": "custom", "path": path, "message": str(error["ctx"]["error"])}
    if (expected := _ZOD_TYPES.get(kind)) is not None:
        if expected == "number" and isinstance(error["input"], float):
            expected = "int"
        received = _PYTHON_TYPES.get(type(error["input"]), "unknown")
        # JavaScript's result for a text in a query that is not a number.
        return _wrong_type(expected, "NaN" if "parsing" in kind else received, path)
    return {"code": "custom", "path": path, "message": error["msg"]}


def _wrong_type(expected: str, received: str, path: list[Any]) -> Issue:
    message = f"Invalid input: expected {expected}, received {received}"
    issue: Issue = {"expected": expected, "code": "invalid_type", "path": path, "message": message}
    return issue | ({"received": received} if received == "NaN" else {})


def _missing(field: FieldInfo | None, path: list[Any]) -> Issue:
    annotation = field.annotation if field is not None else None
    bare = get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation
    if bare is str:
        return _wrong_type("string", "undefined", path)
    # zod's words for a required field whose inner type is optional.
    message = "Invalid input: expected nonoptional, received undefined"
    return {"code": "invalid_type", "expected": "nonoptional", "path": path, "message": message}


def _out_of_bounds(error: ErrorDetails, path: list[Any]) -> Issue:
    name, key = _BOUNDS[error["type"]]
    bound = error["ctx"][name]
    bound = int(bound) if bound == int(bound) else bound
    size, sign = ("small", ">=") if key == "minimum" else ("big", "<=")
    is_text = name.endswith("length")
    origin = "string" if is_text else "number"
    must = f"have {sign}{bound} characters" if is_text else f"be {sign}{bound}"
    message = f"Too {size}: expected {origin} to {must}"
    issue: Issue = {"origin": origin, "code": f"too_{size}", key: bound, "inclusive": True}
    return issue | {"path": path, "message": message}


def _no_match(pattern: str, path: list[Any]) -> Issue:
    shown = "/" + pattern.replace("/", "\\/") + "/"
    message = f"Invalid string: must match pattern {shown}"
    if pattern == APP_NAME_PATTERN:
        message = "App name can only contain letters, numbers, dots, underscores and hyphens"
    if pattern == CONTAINER_PATTERN:
        message = f"Invalid {'container id' if path == ['containerId'] else 'app name'}."
    if pattern == BRANCH_PATTERN:
        # JavaScript does not escape a slash within a character class.
        shown = f"/{BRANCH_PATTERN}/"
        message = "Invalid branch name"
    issue: Issue = {"origin": "string", "code": "invalid_format", "format": "regex"}
    return issue | {"pattern": shown, "path": path, "message": message}


def _no_option(field: FieldInfo | None, path: list[Any]) -> Issue:
    annotation = field.annotation if field is not None else None
    is_union = get_origin(annotation) in (types.UnionType, Union)
    kinds = get_args(annotation) if is_union else (annotation,)
    values = [value for kind in kinds if get_origin(kind) is Literal for value in get_args(kind)]
    wanted = "|".join(f'"{value}"' for value in values)
    message = f"Invalid option: expected one of {wanted}"
    return {"code": "invalid_value", "values": values, "path": path, "message": message}


def _field(model: type[Input], alias: str) -> FieldInfo | None:
    return next((one for one in model.model_fields.values() if one.alias == alias), None)
