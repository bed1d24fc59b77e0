"""Dokploy over HTTP; see `client.Dokploy`."""

from bridge.backends.dokploy.client import Dokploy

__all__ = ["Dokploy"]
