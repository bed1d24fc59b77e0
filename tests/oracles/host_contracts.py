"""The hosts' OpenAPI contracts as JSON Schema, to hold our fakes against."""

import json
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema_rs

from tests.oracles.openapi import plain

if TYPE_CHECKING:
    from tests.fakes.host import Asked, FakeHost

FOLDER = Path(__file__).parents[1] / "fixtures" / "contracts"


@cache
def contract(host: str) -> dict[str, Any]:
    """The contract of a host, its `nullable` written as JSON Schema has it."""
    found: dict[str, Any] = plain(json.loads((FOLDER / f"{host}.json").read_text()))
    return found


def against_the_contract(fake: "FakeHost") -> list[str]:
    """Every good answer of a fake that its host would not give."""
    return [
        f"{one.method} {one.path}: {fault}"
        for one in fake.asked
        if 200 <= one.status < 300 and not fake.pages.match(one.path)
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


def _faults(host: str, one: "Asked") -> list[str]:
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


@cache
def _validator(host: str, schema: str) -> Any:
    whole = {"allOf": [json.loads(schema)], "components": contract(host)["components"]}
    return jsonschema_rs.Draft7Validator(whole)
