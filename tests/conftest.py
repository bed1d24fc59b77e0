"""Fixtures of every tier."""

from tests.postgres import _no_server_stays, postgres

__all__ = ["_no_server_stays", "postgres"]
