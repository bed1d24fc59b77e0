"""The hosts' OpenAPI contracts as JSON Schema, to hold our fakes against."""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import jsonschema_rs

from tests.fakes.host import Asked, FakeHost

FOLDER = Path(__file__).parents[1] / "fixtures" / "contracts"


@cache
def contract(host: str) -> dict[str, Any]:
    """The contract of a host, its `nullable` written as JSON Schema has it."""
    found: dict[str, Any] = _plain(json.loads((FOLDER / f"{host}.json").read_text()))
    return found


def against_the_contract(fake: FakeHost) -> list[str]:
    """Every good answer of a fake that its host would not give."""
    return [
        f"{one.method} {one.path}: {fault}"
        for one in fake.asked
        if 200 <= one.status < 300
        for fault in _faults(fake.name, one)
    ]


def operations(host: str) -> set[tuple[str, str]]:
    """All that a contract has: method and path."""
    return {
        (method.upper(), path)
        for path, methods in contract(host)["paths"].items()
        for method in methods
        if method in ("get", "post", "put", "patch", "delete")
    }


def operation(host: str, method: str, path: str) -> tuple[str, str] | None:
    """The operation that a request is one of."""
    bare = path.partition("?")[0]
    found = [
        (kind, known)
        for kind, known in operations(host)
        if kind == method and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", known), bare)
    ]
    return max(found, key=lambda one: len(re.sub(r"\{\w+\}", "", one[1])), default=None)


def _faults(host: str, one: Asked) -> list[str]:
    if (found := operation(host, one.method, one.path)) is None:
        return ["the contract has no such operation"]
    method, path = found
    answers = contract(host)["paths"][path][method.lower()]["responses"]
    good = next(answer for status, answer in answers.items() if status.startswith("2"))
    if not good.get("content"):
        return []
    schema = next(iter(good["content"].values()))["schema"]
    return [
        error.message[:300]
        for error in _validator(host, json.dumps(schema)).iter_errors(json.loads(one.answer))
    ]


def asked_against_the_contract(fake: FakeHost) -> list[str]:
    """Every request to a fake that its host's description does not know, or not so."""
    return [
        f"{one.method} {one.path}: {fault}"
        for one in fake.asked
        if (found := operation(fake.name, one.method, one.path)) is not None
        for fault in _asked_wrongly(
            fake.name, contract(fake.name)["paths"][found[1]][found[0].lower()], one
        )
    ]


def _asked_wrongly(host: str, operation: Any, one: Asked) -> list[str]:
    known = {each["name"] for each in operation.get("parameters", []) if each["in"] == "query"}
    found = [
        f"query {name}" for name, _ in parse_qsl(urlsplit(one.path).query) if name not in known
    ]
    if one.body is not None:
        (content,) = operation["requestBody"]["content"].values()
        validator = _validator(host, json.dumps(content["schema"]))
        found += [error.message[:300] for error in validator.iter_errors(one.body)]
        fields = _fields(host, content["schema"])
        found += [f"field {name}" for name in one.body if fields and name not in fields]
    return found


def _fields(host: str, schema: Any) -> set[str]:
    """The fields of a body, where they are all told."""
    if "$ref" in schema:
        schema = contract(host)["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return set(schema.get("properties", {}))


@cache
def _validator(host: str, schema: str) -> Any:
    whole = {"allOf": [json.loads(schema)], "components": contract(host)["components"]}
    return jsonschema_rs.Draft7Validator(whole)


def _plain(node: Any) -> Any:
    if isinstance(node, list):
        return [_plain(one) for one in node]
    if not isinstance(node, dict):
        return node
    made = {key: _plain(value) for key, value in node.items()}
    if made.pop("nullable", False) is True:
        return {"anyOf": [{"type": "null"}, made]}
    return made
