"""A stage of its own for each test."""

from tests.worlds.deployer import stage, staged

__all__ = ["stage", "staged"]
