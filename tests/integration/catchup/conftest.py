"""A scene of its own for each test."""

from tests.worlds.catchup import scene

__all__ = ["scene"]
