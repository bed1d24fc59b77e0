"""The deploy backends. A new one is a folder with its record, and a line here.

The embedded backend has no record: it is a server that the bridge starts itself where no other is
set, and one more that speaks Dokploy's API (docs/notes/0035).
"""

from typing import TYPE_CHECKING, Any, TypeAlias

from bridge.backends.dokploy.provider import DOKPLOY
from bridge.ports.providers import BackendProvider

if TYPE_CHECKING:
    from bridge.backends.dokploy.client import Dokploy

    EmbeddedClient: TypeAlias = Dokploy

BACKENDS: dict[str, BackendProvider] = {one.key: one for one in (DOKPLOY,)}
"""Each backend's record by its key."""


def titles() -> str:
    """Return what people call them, e.g. "Dokploy"."""
    return " or ".join(one.title for one in BACKENDS.values())


# ── The embedded backend ────────────────────────────────────────────────────────────────────────

EMBEDDED = "embedded"
"""The name of the embedded backend in records, logs and JSON."""

EMBEDDED_SPEAKS = DOKPLOY
"""Whose API the embedded backend speaks: what can be set to one can be set to the other."""


def embedded_client(
    url: str, api_key: str, *, choices: bool = False, **others: Any
) -> "EmbeddedClient":
    """Return the client of an embedded backend, which is asked over HTTP as any other.

    Args:
        choices: offer what a source can be chosen from; it has no lists of repositories.
    """
    from bridge.backends.dokploy.client import Dokploy

    return Dokploy(url, api_key, name=EMBEDDED, direct=True, choices=choices, **others)
