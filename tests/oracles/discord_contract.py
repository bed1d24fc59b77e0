"""Discord's OpenAPI contract, and the limits that it tells in prose, to hold requests against."""

import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs

FILE = Path(__file__).parents[1] / "fixtures" / "contracts" / "discord.json"

POST = "IncomingWebhookRequestPartial"
EDIT = "IncomingWebhookUpdateRequestPartial"

EMBED_CHARACTERS = 6000
"""Of all embeds of a message (docs.discord.com/developers/resources/message#embed-limits)."""


@cache
def contract() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(FILE.read_text())
    return found


@cache
def _validator(schema: str) -> Any:
    components = contract()["components"]
    whole = {"$ref": f"#/components/schemas/{schema}", "components": components}
    return jsonschema_rs.Draft202012Validator(whole)


def faults(schema: str, body: Mapping[str, Any]) -> list[str]:
    """What Discord would refuse in a body."""
    known = contract()["components"]["schemas"][schema].get("properties")
    found = [f"{name} is no field" for name in body if known and name not in known]
    found += [error.message[:300] for error in _validator(schema).iter_errors(dict(body))]
    if sum(map(units, texts_of(body))) > EMBED_CHARACTERS:
        found.append(f"its embeds have more than {EMBED_CHARACTERS} characters")
    return found + [f"{name} may not be empty" for name in _empty(body)]


def texts_of(body: Mapping[str, Any]) -> Iterator[str]:
    """The texts of a message's embeds that count."""
    for embed in body.get("embeds") or ():
        yield embed.get("title") or ""
        yield embed.get("description") or ""
        yield (embed.get("footer") or {}).get("text") or ""
        for field in embed.get("fields") or ():
            yield from (field["name"], field["value"])


def units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def _empty(body: Mapping[str, Any]) -> Iterator[str]:
    for embed in body.get("embeds") or ():
        for field in embed.get("fields") or ():
            yield from (part for part in ("name", "value") if not field[part].strip())
