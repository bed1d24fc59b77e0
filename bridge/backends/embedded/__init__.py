"""A small real deploy server that speaks Dokploy's HTTP API, and the same as a Backend."""

from bridge.backends.embedded.adapter import EmbeddedBackend
from bridge.backends.embedded.process import Limits
from bridge.backends.embedded.server import EmbeddedServer
from bridge.backends.embedded.sources import Hosts

__all__ = ["EmbeddedBackend", "EmbeddedServer", "Hosts", "Limits"]
