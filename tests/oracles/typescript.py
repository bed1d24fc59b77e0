"""Descriptions of APIs that hosts publish as TypeScript types, made OpenAPI.

In a tool's folder, `requests.ts` has a type `Requests`: by path and method the parameters in path
and query, and the body. For Gitea and Forgejo it is read out of a client that was generated from
the whole description. npm's `typescript-json-schema` makes one JSON schema of it, once.
"""

import hashlib
import json
import re
import subprocess
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from tests.oracles.node_tools import TOOLS, Unavailable, alone, environment, node_bin, node_home

PATIENCE = 120
"""Seconds to read the types."""


def typed_description(tool: str) -> dict[str, Any]:
    """The description of a tool's `Requests`; raises Unavailable."""
    schema = json.loads(_schema(tool, _SOURCES.get(tool, _own)(tool)))
    named = schema["definitions"]
    paths = {
        path: {
            method: _operation(named, path, operation)
            for method, (operation, _) in _fields(named, methods)
        }
        for path, (methods, _) in _fields(named, schema)
    }
    return {"openapi": "3.0.3", "paths": paths, "definitions": named}


def _own(tool: str) -> str:
    return (TOOLS / tool / "requests.ts").read_text()


def _of_gitea(tool: str) -> str:
    """Each function of the client takes the parameters of the path, `query` and `body`."""
    types = (node_home(tool) / "node_modules/gitea-js/dist/index.d.mts").read_text()
    function = r"@request (\w+):(\S+)\n.*?\*/\s+\w+: \((.*?),? ?params\?: RequestParams\) =>"
    found = re.findall(function, types, re.DOTALL)
    types = re.sub(r"Record<string, (\w+)>", r"{ [key: string]: \1 }", types)  # else of no keys
    return types + _requests((path, method, f"{{ {taken} }}") for method, path, taken in found)


def _of_forgejo(tool: str) -> str:
    """Return the types of all requests; the path stands in the type of a function's argument."""
    home = node_home(tool) / "node_modules/@llamaduck/forgejo-ts/dist"
    types, code = ((home / f"index.{end}").read_text() for end in ("d.mts", "mjs"))
    functions = r"var (\w+) = \(options\) => \(options\??\.client \?\? client\)\.(\w+)\("
    methods = {f"{name}Data".casefold(): method for name, method in re.findall(functions, code)}
    taken = r"^type (\w+Data) = \{\n(?:    .*\n)*?    url: '(.*?)';$"
    found = re.findall(taken, types, re.MULTILINE)
    return types + _requests((path, methods[name.casefold()], name) for name, path in found)


_SOURCES = {"gitea": _of_gitea, "forgejo": _of_forgejo}


def _requests(operations: Iterable[tuple[str, str, str]]) -> str:
    paths: defaultdict[str, str] = defaultdict(str)
    for path, method, taken in operations:
        paths[f"/api/v1{path}"] += f"{method.lower()}: {taken}\n"
    lines = [f"{json.dumps(path)}: {{\n{methods}}}\n" for path, methods in paths.items()]
    return f"export interface Requests {{\n{''.join(lines)}}}\n"


def _schema(tool: str, source: str) -> str:
    """The JSON schema of the source, kept beside the types that it names."""
    home = node_home(tool)
    program = node_bin("json-schema", "typescript-json-schema")
    wanted = (TOOLS / tool / "package.json").read_text() + source
    made = home / f"requests-{hashlib.sha256(wanted.encode()).hexdigest()[:16]}.json"
    with alone(home / ".lock"):
        if not made.exists():
            (home / "requests.ts").write_text(source)
            command = [str(program), "requests.ts", "Requests", "--required", "--noExtraProps"]
            command += ["--strictNullChecks", "--ignoreErrors"]
            ended = subprocess.run(
                command,
                cwd=home,
                env=environment(),
                capture_output=True,
                text=True,
                timeout=PATIENCE,
                check=False,
            )
            if ended.returncode:
                raise Unavailable(f"the types of {tool} can't be read: {ended.stderr[:1000]}")
            ready = home / "requests.json"
            ready.write_text(ended.stdout)
            ready.replace(made)
    return made.read_text()


def _operation(named: Mapping[str, Any], path: str, node: Mapping[str, Any]) -> dict[str, Any]:
    parts = dict(_fields(named, node))
    parts |= dict(_fields(named, parts.pop("parameters", ABSENT)[0]))
    given = {
        where: dict(_fields(named, parts.get(where, ABSENT)[0])) for where in ("path", "query")
    }
    given["path"] |= {name: parts[name] for name in re.findall(r"{(\w+)}", path) if name in parts}
    parameters = [
        {"name": name, "in": where, "required": required, "schema": schema}
        for where, fields in given.items()
        for name, (schema, required) in fields.items()
    ]
    made: dict[str, Any] = {"parameters": parameters}
    body, required = parts.get("requestBody") or parts.get("body", ABSENT)
    if body != NOTHING:
        made["requestBody"] = {
            "required": required,
            "content": {"application/json": {"schema": body}},
        }
    return made


NOTHING: dict[str, Any] = {"not": {}}
"""The types `never` and `undefined`."""

ABSENT: tuple[Mapping[str, Any], bool] = (NOTHING, False)


def _fields(
    named: Mapping[str, Any], node: Mapping[str, Any]
) -> Iterator[tuple[str, tuple[Mapping[str, Any], bool]]]:
    """The fields of an object: their name, what they may be, and whether they must be there."""
    while "$ref" in node:
        node = named[unquote(node["$ref"].removeprefix("#/definitions/"))]
    required = node.get("required", ())
    for name, field in node.get("properties", {}).items():
        yield name, (field, name in required)
