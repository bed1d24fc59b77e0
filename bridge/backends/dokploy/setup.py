"""How Dokploy is connected: an address and a key."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bridge.ports.setup import Setup, SetupField

if TYPE_CHECKING:
    from bridge.backends.dokploy.settings import DokploySettings

SHOWN = 12
"""Apps that are named; the others are counted."""


async def _tries(name: str, settings: "DokploySettings") -> Sequence[str]:
    from bridge.backends.dokploy.provider import DOKPLOY
    from bridge.ports.providers import BackendParts

    dokploy = DOKPLOY.open(name, settings, BackendParts())
    try:
        version = await dokploy.version()
        labels = sorted(app.label for app in await dokploy.apps())
    finally:
        await dokploy.close()
    more = f" and {len(labels) - SHOWN} more" if len(labels) > SHOWN else ""
    apps = f"apps: {', '.join(labels[:SHOWN])}{more}" if labels else "it has no apps yet"
    return (f"Dokploy {version or 'of an unknown version'} answers and accepts the key", apps)


SETUP = Setup(
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
            "in Dokploy: Settings, Profile, API/CLI Keys, Generate New Key, with rate limiting off",
            secret=True,
        ),
    ),
    tries=_tries,
)
