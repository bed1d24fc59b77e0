"""GitHub's whole description of its API, to hold every request against that we send.

The contract in `tests/fixtures/contracts` is a part of it that we have chosen; this is all of it,
so a path, a parameter or a field that GitHub does not have is found as well.
https://github.com/octokit/openapi
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any
from urllib.parse import parse_qsl, unquote

import jsonschema_rs

from tests.fakes.host import Asked
from tests.oracles.host_contracts import _plain
from tests.oracles.node_tools import Unavailable, node_home, required

DESCRIPTION = "node_modules/@octokit/openapi/generated/api.github.com.json"
_HOLES = re.compile(r"\{[^}]+\}")


@cache
def description() -> dict[str, Any]:
    """The whole description; raises Unavailable."""
    loaded: dict[str, Any] = json.loads((node_home("octokit") / DESCRIPTION).read_text())
    return loaded


def against_the_description(asked: Iterable[Asked]) -> list[str]:
    """Everything in requests that GitHub does not have; nothing where there is no description."""
    try:
        description()
    except Unavailable:
        if required():
            raise
        return []
    return [f"{one.method} {one.path}: {fault}" for one in asked for fault in faults(one)]


def faults(asked: Asked) -> Iterator[str]:
    """What is wrong with one request."""
    path, _, query = asked.path.partition("?")
    found = _operation(asked.method, path)
    if found is None:
        yield "GitHub has no such operation"
        return
    operation, given, shared = found
    parameters = [_resolved(one) for one in [*shared, *operation.get("parameters", [])]]
    yield from _parameters(parameters, "path", given)
    yield from _parameters(parameters, "query", dict(parse_qsl(query, keep_blank_values=True)))
    yield from _body(operation.get("requestBody"), asked.body)


def _operation(method: str, path: str) -> tuple[dict[str, Any], dict[str, str], list[Any]] | None:
    """An operation, the parts of the path by their names, and what its methods share."""
    fits = [(known, match) for known, form in _forms() if (match := form.fullmatch(path))]
    fits = [one for one in fits if method.lower() in description()["paths"][one[0]]]
    if not fits:
        return None
    known, match = max(fits, key=lambda one: len(_HOLES.sub("", one[0])))
    item = description()["paths"][known]
    given = {
        hole[1:-1]: unquote(text)
        for hole, text in zip(_HOLES.findall(known), match.groups(), strict=True)
    }
    return item[method.lower()], given, item.get("parameters", [])


@cache
def _forms() -> list[tuple[str, re.Pattern[str]]]:
    return [
        (path, re.compile("([^/]+)".join(map(re.escape, _HOLES.split(path)))))
        for path in description()["paths"]
    ]


def _parameters(
    parameters: Iterable[Mapping[str, Any]], where: str, given: Mapping[str, str]
) -> Iterator[str]:
    known = {one["name"]: one for one in parameters if one["in"] == where}
    yield from (f"there is no {where} parameter {name}" for name in given.keys() - known.keys())
    needed = {name for name, one in known.items() if one.get("required")}
    yield from (f"the {where} parameter {name} is missing" for name in needed - given.keys())
    for name, text in given.items():
        if name in known:
            schema = _resolved(known[name]["schema"])
            number = schema.get("type") == "integer" and re.fullmatch(r"-?\d+", text)
            yield from _errors(f"{where} parameter {name}", schema, int(text) if number else text)


def _body(described: Mapping[str, Any] | None, body: Any) -> Iterator[str]:
    if described is None:
        if body not in (None, {}):
            yield "it takes no body"
        return
    if body is None:
        if described.get("required"):
            yield "the body is missing"
        return
    schema = _resolved(described["content"]["application/json"]["schema"])
    if isinstance(body, dict) and "properties" in schema:
        unknown = body.keys() - schema["properties"].keys()
        if not schema.get("additionalProperties"):
            yield from (f"the body has no field {name}" for name in sorted(unknown))
    yield from _errors("body", schema, body)


def _errors(what: str, schema: Mapping[str, Any], value: Any) -> Iterator[str]:
    validator = _validator(json.dumps(schema, sort_keys=True))
    for error in validator.iter_errors(value):
        yield f"{what}: {error.message[:300]}"


@cache
def _validator(schema: str) -> Any:
    whole = {"allOf": [_plain(json.loads(schema))], "components": _components()}
    return jsonschema_rs.Draft7Validator(whole)


@cache
def _components() -> Any:
    return {"schemas": _plain(description()["components"]["schemas"])}


def _resolved(node: Mapping[str, Any]) -> Mapping[str, Any]:
    while "$ref" in node:
        found: Any = description()
        for part in node["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        node = found
    return node
