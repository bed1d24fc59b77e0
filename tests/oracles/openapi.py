"""Requests held against a description of an API: its operations, their parameters and bodies."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, Protocol
from urllib.parse import parse_qsl, unquote

import jsonschema_rs

_HOLES = re.compile(r"\{[^}]+\}")
_METHODS = ("get", "post", "put", "patch", "delete")


class Request(Protocol):
    """A request that was recorded."""

    @property
    def method(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def body(self) -> Any: ...


@dataclass(frozen=True)
class Sent:
    """A request, and no more than a description asks about it."""

    method: str
    path: str
    body: Any = None


class Description:
    """What an OpenAPI 3 description says of requests; the rest of it, most of it, is let go."""

    def __init__(self, name: str, document: Mapping[str, Any]) -> None:
        self.name = name
        self._operations = [
            (_form(path), path, {method: _asked(item, method) for method in _METHODS & item.keys()})
            for path, item in document["paths"].items()
        ]
        asked = [operations for _, _, operations in self._operations]
        self._named = {ref: plain(one) for ref, one in _named(document, asked).items()}
        newer = document["openapi"].startswith("3.1")
        dialect = jsonschema_rs.Draft202012Validator if newer else jsonschema_rs.Draft7Validator
        self._validator = cache(lambda schema: dialect(self._whole(json.loads(schema))))
        self._faults = lru_cache(20_000)(lambda *asked: tuple(self._found(*asked)))

    def faults(self, one: Request) -> tuple[str, ...]:
        """What is wrong with a request."""
        found: tuple[str, ...] = self._faults(one.method, one.path, json.dumps(one.body))
        return found

    def has(self, method: str, path: str) -> bool:
        """Whether it has an operation, by its path as it is written there."""
        return any(path == known and method in ours for _, known, ours in self._operations)

    def _found(self, method: str, address: str, body: str) -> Iterator[str]:
        path, _, query = address.partition("?")
        fits = [
            (known, match, operations[method.lower()])
            for form, known, operations in self._operations
            if method.lower() in operations and (match := form.fullmatch(path))
        ]
        if not fits:
            yield f"{self.name} has no such operation"
            return
        known, match, operation = max(fits, key=lambda one: len(_HOLES.sub("", one[0])))
        names = [hole[1:-1] for hole in _HOLES.findall(known)]
        parts = {name: [unquote(text)] for name, text in zip(names, match.groups(), strict=True)}
        yield from self._parameters(operation, "path", parts)
        asked: dict[str, list[str]] = {}
        for name, text in parse_qsl(query, keep_blank_values=True):
            asked.setdefault(name, []).append(text)
        yield from self._parameters(operation, "query", asked)
        yield from self._body(operation["requestBody"], json.loads(body))

    def _parameters(
        self, operation: Mapping[str, Any], where: str, given: Mapping[str, list[str]]
    ) -> Iterator[str]:
        parameters = [self._resolved(one) for one in operation["parameters"]]
        known = {one["name"]: one for one in parameters if one["in"] == where}
        yield from (f"there is no {where} parameter {name}" for name in given.keys() - known.keys())
        needed = {name for name, one in known.items() if one.get("required")}
        yield from (f"the {where} parameter {name} is missing" for name in needed - given.keys())
        for name in given.keys() & known.keys():
            schema = self._resolved(known[name]["schema"])
            several = schema.get("type") == "array"
            for text in given[name]:
                value: Any = _typed(text, schema)
                what = f"{where} parameter {name}"
                yield from self._errors(what, schema, [value] if several else value)

    def _body(self, described: Mapping[str, Any] | None, body: Any) -> Iterator[str]:
        if described is None:
            if body not in (None, {}):
                yield "it takes no body"
            return
        described = self._resolved(described)
        if body is None:
            if described.get("required"):
                yield "the body is missing"
            return
        content = described["content"]
        kind = "application/json" if "application/json" in content else next(iter(content))
        asked = content[kind]["schema"]
        schema = self._resolved(asked)
        if isinstance(body, dict) and "properties" in schema:
            unknown = body.keys() - schema["properties"].keys()
            if not schema.get("additionalProperties"):
                yield from (f"the body has no field {name}" for name in sorted(unknown))
        yield from self._errors("the body", asked, body)

    def _errors(self, what: str, schema: Mapping[str, Any], value: Any) -> Iterator[str]:
        for error in self._validator(json.dumps(schema)).iter_errors(value):
            for nearest in _nearest(error):
                place = "".join(f"/{part}" for part in nearest.instance_path)
                yield f"{what}{place}: {nearest.message[:300]}"

    def _resolved(self, node: Mapping[str, Any]) -> Mapping[str, Any]:
        while "$ref" in node:
            node = self._named[node["$ref"]]
        return node

    def _whole(self, schema: Any) -> dict[str, Any]:
        """A schema with all that it names, and no more: to compile everything takes long."""
        whole: dict[str, Any] = {"allOf": [schema]}
        left = list(_refs(schema))
        while left:
            *folders, last = _steps(ref := left.pop())
            place = whole
            for folder in folders:
                place = place.setdefault(folder, {})
            if last not in place:
                place[last] = self._named[ref]
                left += _refs(place[last])
        return whole


def _form(path: str) -> re.Pattern[str]:
    return re.compile("([^/]+)".join(map(re.escape, _HOLES.split(path))))


def _asked(item: Mapping[str, Any], method: str) -> dict[str, Any]:
    operation = item[method]
    parameters = [*item.get("parameters", ()), *operation.get("parameters", ())]
    body = operation.get("requestBody")
    return {"parameters": plain(parameters), "requestBody": plain(body)}


def _named(document: Mapping[str, Any], roots: Any) -> dict[str, Any]:
    """Everything that these name, by its reference."""
    found: dict[str, Any] = {}
    left = list(_refs(roots))
    while left:
        if (ref := left.pop()) not in found:
            node: Any = document
            for part in _steps(ref):
                node = node[part]
            found[ref] = node
            left += _refs(node)
    return found


def _steps(ref: str) -> list[str]:
    return [unquote(part) for part in ref.removeprefix("#/").split("/")]


def _refs(node: Any) -> Iterator[str]:
    if isinstance(node, list):
        for one in node:
            yield from _refs(one)
    elif isinstance(node, dict):
        if isinstance(ref := node.get("$ref"), str):
            yield ref
        for one in node.values():
            yield from _refs(one)


def _typed(text: str, schema: Mapping[str, Any]) -> Any:
    """A parameter as JSON has it."""
    kinds = {one.get("type") for one in (schema, *schema.get("anyOf", ()))}
    if kinds & {"integer", "number"} and re.fullmatch(r"-?\d+", text):
        return int(text)
    if "boolean" in kinds and text in ("true", "false"):
        return text == "true"
    return text


def _nearest(error: Any) -> list[Any]:
    """Return the faults of the alternative that fits best: deepest, and the fewest."""
    if error.kind.name not in ("anyOf", "oneOf"):
        return [error]
    found = [[one for inner in branch for one in _nearest(inner)] for branch in error.kind.context]
    return min(found, key=lambda branch: (-min(map(_depth, branch)), len(branch)), default=[error])


def _depth(error: Any) -> int:
    return len(error.instance_path)


def plain(node: Any) -> Any:
    """A part of a description as JSON Schema has it, which has no `nullable`."""
    if isinstance(node, list):
        return [plain(one) for one in node]
    if not isinstance(node, dict):
        return node
    made = {key: plain(value) for key, value in node.items()}
    if made.pop("nullable", False) is True:
        return {"anyOf": [{"type": "null"}, made]}
    return made
