"""Fixtures of every tier."""

from tests.worlds.postgres import _no_server_stays, empty_postgres, postgres

__all__ = ["_no_server_stays", "empty_postgres", "postgres"]
