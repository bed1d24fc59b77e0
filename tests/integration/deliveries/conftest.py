"""A desk of its own for each test."""

from tests.worlds.deliveries import desk, empty

__all__ = ["desk", "empty"]
