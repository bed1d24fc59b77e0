"""The settings of Dokploy, and how it is connected: an address and a key."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr

from bridge.core.errors import Rejected
from bridge.ports.backends import Backend
from bridge.ports.providers import BackendParts
from bridge.ports.settings import Address, Credential, PemFile, Section
from bridge.ports.setup import Setup, SetupField


class DokploySettings(Section):
    """The Dokploy that deploys; without a url, the embedded backend deploys."""

    url: Address | None = Field(None, description="e.g. https://dokploy.example.com")
    api_key: Credential | None = Field(None, description="an API key without a rate limit")
    auth: Literal["api-key", "bearer"] = Field("api-key", description="how the key is sent")
    connect_timeout: float = Field(5.0, gt=0, description="seconds to connect")
    read_timeout: float = Field(20.0, gt=0, description="seconds to wait for an answer")
    max_connections: int = Field(16, ge=1, description="connections at a time")
    read_retries: int = Field(2, ge=0, description="retries of requests that only read")
    ca: PemFile | None = Field(None, description="a PEM file with its certificate authority")
    allow_kill_build: bool = Field(
        False, description="cancel may interrupt all Docker builds on its host, even of other apps"
    )


def checked_url(service: str, url: str) -> str:
    """Return the server's address without a trailing `/` or `/api`; raise Rejected if invalid."""
    import httpx

    try:
        parts = urlsplit(url.strip())
        port = parts.port
        _ = httpx.URL(url.strip()).host  # raises for a name that can't be sent in a header
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
    """Return the key without surrounding white space; raise Rejected if it can't be one."""
    value = key.get_secret_value().strip()
    if not value or not value.isascii() or not value.isprintable():
        raise Rejected(f"{service}: the API key is empty or has characters that no key has")
    return SecretStr(value)


# ── How it is connected on the setup page ─────────────────────────────────────────────────────────

SHOWN = 12
"""Apps that are named; the others are counted."""


async def _tries(
    open_: Callable[[str, DokploySettings, BackendParts], Backend],
    name: str,
    settings: DokploySettings,
) -> Sequence[str]:
    backend = open_(name, settings, BackendParts())
    try:
        version = await backend.version()
        labels = sorted(app.label for app in await backend.apps())
    finally:
        await backend.close()
    more = f" and {len(labels) - SHOWN} more" if len(labels) > SHOWN else ""
    apps = f"apps: {', '.join(labels[:SHOWN])}{more}" if labels else "it has no apps yet"
    return (f"Dokploy {version or 'of an unknown version'} answers and accepts the key", apps)


def setup_with(open_: Callable[[str, DokploySettings, BackendParts], Backend]) -> Setup:
    """Return how it is set up, given what opens a client."""
    return Setup(
        gives="deploys your apps; without it the bridge deploys with its embedded backend",
        credentials=("api_key",),
        fields=(
            SetupField(
                "url",
                "Address of Dokploy",
                "as in your browser; inside the same Docker network http://dokploy:3000 works, too",
                example="https://dokploy.example.com",
            ),
            SetupField(
                "api_key",
                "API key",
                "in Dokploy: Settings, Profile, API/CLI Keys; switch rate limiting off",
                secret=True,
            ),
        ),
        tries=partial(_tries, open_),
    )
