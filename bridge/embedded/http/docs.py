"""The API's documentation: OpenAPI 3.1, from the procedures, and a page to try it, `/docs`."""

from pathlib import Path
from typing import Any, get_args, get_type_hints

from aiohttp import web
from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, models_json_schema

from bridge.embedded.http.api import PROCEDURES, VERSION
from bridge.embedded.http.procedure import Empty, Procedure

Schema = dict[str, Any]
_REF = "#/components/schemas/{model}"
_JSON = "application/json"

_ZOD: Schema = {
    "type": ["object", "null"],
    "properties": {"formErrors": {"type": "array"}, "fieldErrors": {"type": "object"}},
}
_FAILURE: Schema = {
    "type": "object",
    "required": ["message", "code", "data"],
    "properties": {
        "message": {"type": "string"},
        "code": {"type": "string"},
        "data": {
            "type": "object",
            "required": ["code", "httpStatus", "zodError"],
            "properties": {
                "code": {"type": "string"},
                "httpStatus": {"type": "integer"},
                "path": {"type": "string"},
                "zodError": _ZOD,
            },
        },
        "issues": {"type": "array", "items": {"type": "object"}},
    },
}
_UNAUTHORIZED: Schema = {
    "type": "object",
    "required": ["message"],
    "properties": {"message": {"const": "Unauthorized"}},
}
_FAILURES = {
    "404": "Nothing has that id",
    "409": "It conflicts with an existing object",
    "503": "The server can't use its own disk now",
}
_LIKE_THE_ORIGINAL = {
    "application.readLogs": "No container runs",
    "application.move": "One of both is unknown",
    "application.update": "No value to set was sent",
}
"""Procedures that refuse with a 500, as in Dokploy (tests/fixtures/dokploy/recorded-2.jsonl)."""

_OK: Schema = {"type": "object", "properties": {"ok": {"const": True}}}
_HEALTH: Schema = {
    "operationId": "health",
    "tags": ["server"],
    "summary": "Whether the server is there; needs no key.",
    "security": [],
    "responses": {"200": {"description": "It is", "content": {_JSON: {"schema": _OK}}}},
}
_MUTATION_FAILURES = {"413": "The body is too large", "415": "The body is not sent as JSON"}


def describe() -> Schema:
    """Return the OpenAPI description."""
    models = sorted({one.model for one in PROCEDURES.values()}, key=lambda one: one.__name__)
    _, schemas = models_json_schema(
        [(model, "validation") for model in models],
        ref_template=_REF,
        schema_generator=GenerateJsonSchema,
    )
    components = schemas.get("$defs", {}) | {"Failure": _FAILURE, "Unauthorized": _UNAUTHORIZED}
    paths: Schema = {f"/{name}": _path(name, one) for name, one in PROCEDURES.items()}
    paths["/health"] = {"get": _HEALTH}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Embedded backend", "version": VERSION.removeprefix("v")},
        "servers": [{"url": "/api"}],
        "security": [{"apiKey": []}, {"bearer": []}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "apiKey": {"type": "apiKey", "in": "header", "name": "x-api-key"},
                "bearer": {"type": "http", "scheme": "bearer"},
            },
        },
    }


def _path(name: str, procedure: Procedure) -> Schema:
    operation: Schema = {
        "operationId": name.replace(".", "-"),
        "tags": [name.partition(".")[0]],
        "summary": (procedure.run.__doc__ or "").strip().partition("\n")[0].replace("`", ""),
        "responses": _responses(name, procedure),
    }
    if procedure.method == "GET":
        schema = procedure.model.model_json_schema(ref_template=_REF)
        required = schema.get("required", [])
        operation["parameters"] = [
            {"name": name, "in": "query", "required": name in required, "schema": _query(one)}
            for name, one in schema.get("properties", {}).items()
        ]
        return {"get": operation}
    schema = {"$ref": _REF.format(model=procedure.model.__name__)}
    operation["requestBody"] = {"required": True, "content": {_JSON: {"schema": schema}}}
    return {"post": operation}


def _query(schema: Schema) -> Schema:
    """Return the schema without null, which a query string can't hold."""
    options = [one for one in schema.get("anyOf", []) if one != {"type": "null"}]
    return options[0] if options else {key: one for key, one in schema.items() if key != "title"}


def _responses(name: str, procedure: Procedure) -> Schema:
    failure = {_JSON: {"schema": {"$ref": _REF.format(model="Failure")}}}
    unauthorized = {_JSON: {"schema": {"$ref": _REF.format(model="Unauthorized")}}}
    invalid: Schema = dict(failure)
    others = dict(_FAILURES)
    if procedure.method == "POST":
        invalid["text/plain"] = {"schema": {"type": "string"}}
        others |= _MUTATION_FAILURES
    if (why := _LIKE_THE_ORIGINAL.get(name)) is not None:
        others["500"] = why
    responses: Schema = {
        "200": _answer(procedure),
        "400": {"description": "The input is invalid, or it can't be done now", "content": invalid},
        "401": {"description": "The key is missing or wrong", "content": unauthorized},
    }
    return responses | {
        status: {"description": why, "content": failure} for status, why in others.items()
    }


def _answer(procedure: Procedure) -> Schema:
    """Return the description of a 200, built from the procedure's annotation."""
    kind = get_type_hints(procedure.run)["return"]
    if kind is Empty:
        return {"description": "Done; the answer is empty"}
    if Empty in get_args(kind):
        return {"description": "Done; the answer is empty if there is none"}
    return {"description": "Done", "content": {_JSON: {"schema": TypeAdapter(kind).json_schema()}}}


# ── The page, which loads nothing from elsewhere ─────────────────────────────────────────────────

_PAGE = Path(__file__).with_name("docs.html").read_text()

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline';"
        " connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",  # the opener of this page can't navigate it
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def routes() -> list[web.RouteDef]:
    """Return the routes of the page and the description; they show no data and need no key."""
    return [web.get("/docs", _page), web.get("/api/openapi.json", _description)]


async def _page(_request: web.Request) -> web.Response:
    return web.Response(text=_PAGE, content_type="text/html", headers=_HEADERS)


async def _description(_request: web.Request) -> web.Response:
    return web.json_response(describe())
