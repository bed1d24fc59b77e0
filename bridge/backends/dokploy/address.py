"""Checks of the address and the key of a Dokploy, as settings give them. Pure."""

from urllib.parse import urlsplit

import httpx
from pydantic import SecretStr

from bridge.core.errors import Rejected


def checked_url(service: str, url: str) -> str:
    """The server's address without a trailing `/` or `/api`; raises Rejected."""
    try:
        parts = urlsplit(url.strip())
        port = parts.port
        _ = httpx.URL(url.strip()).host  # a name that can't be written in a header
    except (ValueError, httpx.InvalidURL) as error:
        raise Rejected(f"{service}: the url has no valid host and port") from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise Rejected(f"{service}: the url must look like https://dokploy.example.com")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise Rejected(f"{service}: the url may hold no user, password, query or fragment")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    path = parts.path.rstrip("/").removesuffix("/api")
    return f"{parts.scheme}://{host}{f':{port}' if port else ''}{path}"


def checked_key(service: str, key: SecretStr) -> SecretStr:
    """The key without white space around it; raises Rejected where it can't be one."""
    value = key.get_secret_value().strip()
    if not value or not value.isascii() or not value.isprintable():
        raise Rejected(f"{service}: the API key is empty or has characters that no key has")
    return SecretStr(value)
