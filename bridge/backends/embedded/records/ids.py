"""Names and moments in the forms that the real server uses."""

import re
import secrets
import string
from datetime import UTC, datetime

_ALPHABET = string.ascii_letters + string.digits + "_-"
_SUFFIX = string.ascii_lowercase + string.digits


def new_id() -> str:
    """21 random characters, e.g. "ZT6A95NobTiob085n0lpt"."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(21))


def new_app_name(wanted: str) -> str:
    """A unique name for addresses and containers: the wanted one, cleaned, and six characters.

    "Web Shop" gives e.g. "web-shop-jwkg6q". It also is a host name's label, so no dots.
    """
    base = re.sub(r"[^a-z0-9]+", "-", wanted.lower()).strip("-")[:50].strip("-") or "app"
    return f"{base}-{''.join(secrets.choice(_SUFFIX) for _ in range(6))}"


def moment(seconds: float) -> str:
    """Seconds since 1970 as the server writes them, e.g. "2026-11-24T22:40:37.334Z"."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def seconds(text: str) -> float:
    """The other way round."""
    return datetime.fromisoformat(text).timestamp()
