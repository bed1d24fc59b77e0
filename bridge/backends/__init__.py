"""The deploy backends there are, by the name that a configuration gives them.

Each value builds one from plain keyword arguments. The imports wait inside, so that a
command which needs no backend starts quickly.
"""

from collections.abc import Callable
from typing import Any

from bridge.ports.backends import Backend


def _dokploy(**settings: Any) -> Backend:
    from bridge.backends.dokploy import Dokploy

    return Dokploy(**settings)


def _embedded(**settings: Any) -> Backend:
    from bridge.embedded.adapter.configuring import EmbeddedBackend

    return EmbeddedBackend(**settings)


BACKENDS: dict[str, Callable[..., Backend]] = {"dokploy": _dokploy, "embedded": _embedded}
