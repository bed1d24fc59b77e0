"""A webhook's headers and payload for people, without secrets and e-mail addresses."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bridge.core.errors import Rejected
from bridge.core.masking import redact
from bridge.ports.inbox import Delivery

HIDDEN = "[hidden]"

MOST_SHOWN = 200_000
"""Bytes of a payload that are parsed and shown; a larger one is on the command line."""

MOST_CHARACTERS = 60_000
"""Characters of a payload on a page, which stays below 100 KB."""

_SECRET = re.compile(
    r"token|secret|signature|password|passwd|api[_-]?key|authorization|cookie|credential|private",
    re.IGNORECASE,
).search

_EMAIL = re.compile(r"[\w.+'-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+")


def shown_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the kept headers; those that authenticate are hidden."""
    return {
        name: HIDDEN if _SECRET(name) else without_addresses(value)
        for name, value in headers.items()
    }


@dataclass(frozen=True, slots=True)
class Payload:
    """A payload for people.

    Attributes:
        text: indented JSON; "" if it can't be shown.
        why_not: why it can't be, or not all of it; "" if all of it is shown.
    """

    text: str = ""
    why_not: str = ""


def shown_payload(delivery: Delivery) -> Payload:
    """Return a payload as indented JSON, or why it can't be shown."""
    if delivery.stored is None:
        return Payload(why_not="It is not kept any more (see `retention` in the settings).")
    if delivery.size > MOST_SHOWN:
        return Payload(why_not=f"It is not shown: it has more than {MOST_SHOWN} bytes.")
    try:
        found = _without_secrets(json.loads(delivery.body or b""))
        text = json.dumps(found, indent=2, ensure_ascii=False)
    except (ValueError, Rejected):
        return Payload(why_not="It is not shown: it is not JSON.")
    except RecursionError:
        return Payload(why_not="It is not shown: it is nested too deeply.")
    if len(text) <= MOST_CHARACTERS:
        return Payload(redact(text))
    why = f"Its first {MOST_CHARACTERS} characters are shown."
    return Payload(redact(text[:MOST_CHARACTERS]) + "\n…", why)


def without_addresses(text: str) -> str:
    """Return text with its e-mail addresses hidden."""
    return _EMAIL.sub(HIDDEN, text)


def _without_secrets(value: Any, *, secret: bool = False) -> Any:
    """Return JSON for people; everything below a secret's name is secret, too."""
    if isinstance(value, dict):
        return {
            without_addresses(name): _without_secrets(one, secret=secret or bool(_SECRET(name)))
            for name, one in value.items()
        }
    if isinstance(value, list):
        return [_without_secrets(one, secret=secret) for one in value]
    if isinstance(value, bool) or not value:
        return value
    if secret:
        return HIDDEN
    return without_addresses(value) if isinstance(value, str) else value
