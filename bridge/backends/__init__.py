"""The deploy backends, by the name of the API that each speaks.

Each value builds one from plain keyword arguments. The imports are lazy, so that a command that
needs no backend starts quickly. The embedded backend is one more server with Dokploy's API.
"""

from collections.abc import Callable
from typing import Any

from bridge.ports.backends import Backend


def _dokploy(**settings: Any) -> Backend:
    from bridge.backends.dokploy import Dokploy

    return Dokploy(**settings)


BACKENDS: dict[str, Callable[..., Backend]] = {"dokploy": _dokploy}
