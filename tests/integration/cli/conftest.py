"""A command line to call, alone or with data for it to show."""

from tests.worlds.cli import cli, filled, filled_once

__all__ = ["cli", "filled", "filled_once"]
