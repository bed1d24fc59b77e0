"""A small real deploy server that speaks Dokploy's HTTP API, and the same as a Backend."""

from bridge.backends.embedded.adapter.backend import EmbeddedBackend
from bridge.backends.embedded.building.process import Limits
from bridge.backends.embedded.building.sources import Hosts
from bridge.backends.embedded.server import EmbeddedServer

__all__ = ["EmbeddedBackend", "EmbeddedServer", "Hosts", "Limits"]
