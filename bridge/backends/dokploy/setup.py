"""How Dokploy is connected: an address and a key."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from bridge.ports.setup import Setup, SetupField

if TYPE_CHECKING:
    from bridge.backends.dokploy.client import Dokploy
    from bridge.backends.dokploy.settings import DokploySettings
    from bridge.ports.providers import BackendParts

SHOWN = 12
"""Apps that are named; the others are counted."""


async def _tries(
    open_: "Callable[[str, DokploySettings, BackendParts], Dokploy]",
    name: str,
    settings: "DokploySettings",
) -> Sequence[str]:
    from bridge.ports.providers import BackendParts

    dokploy = open_(name, settings, BackendParts())
    try:
        version = await dokploy.version()
        labels = sorted(app.label for app in await dokploy.apps())
    finally:
        await dokploy.close()
    more = f" and {len(labels) - SHOWN} more" if len(labels) > SHOWN else ""
    apps = f"apps: {', '.join(labels[:SHOWN])}{more}" if labels else "it has no apps yet"
    return (f"Dokploy {version or 'of an unknown version'} answers and accepts the key", apps)


def setup_with(open_: "Callable[[str, DokploySettings, BackendParts], Dokploy]") -> Setup:
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
