"""`settings.*`: what the server says of itself."""

from bridge.backends.embedded.http.inputs import Nothing
from bridge.backends.embedded.parts import Parts

VERSION = "v0.30.2"
"""The Dokploy whose API this one speaks; clients go by it."""


async def version(_parts: Parts, _input: Nothing) -> str:
    """`settings.getDokployVersion`."""
    return VERSION


async def release_tag(_parts: Parts, _input: Nothing) -> str:
    """`settings.getReleaseTag`."""
    return "latest"


async def health(_parts: Parts, _input: Nothing) -> dict[str, str]:
    """`settings.health`."""
    return {"status": "ok"}
