"""The deploy backends. To add one, write a folder with its record, and add a line here.

The embedded backend has no record: it speaks Dokploy's API, and the bridge starts it if no other is
configured (docs/notes/0035).
"""

from typing import TYPE_CHECKING, Any, TypeAlias

from bridge.backends.dokploy.provider import DOKPLOY
from bridge.ports.providers import BackendProvider

if TYPE_CHECKING:
    from bridge.backends.dokploy.client import Dokploy

    EmbeddedClient: TypeAlias = Dokploy

BACKENDS: dict[str, BackendProvider] = {backend.key: backend for backend in (DOKPLOY,)}
"""Each backend's record by its key."""


def titles() -> str:
    """Return what people call them, e.g. "Dokploy"."""
    return " or ".join(backend.title for backend in BACKENDS.values())


# ── The embedded backend ────────────────────────────────────────────────────────────────────────

EMBEDDED = "embedded"
"""The name of the embedded backend in records, logs and JSON."""

EMBEDDED_SPEAKS = DOKPLOY
"""The backend whose API the embedded one speaks; apps are configured alike at both."""


def embedded_client(
    url: str, api_key: str, *, choices: bool = False, **others: Any
) -> "EmbeddedClient":
    """Return the client of an embedded backend, which is reached over HTTP like any other.

    Args:
        choices: offer lists to choose a source from; the embedded backend has no repositories.
    """
    from bridge.backends.dokploy.client import Dokploy

    return Dokploy(url, api_key, name=EMBEDDED, direct=True, choices=choices, **others)
