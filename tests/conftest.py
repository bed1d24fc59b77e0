"""Fixtures of every tier, and how many examples the properties are tried with."""

from hypothesis import settings

from tests.worlds.postgres import _no_server_stays, empty_postgres, postgres
from tests.worlds.quota import quota

__all__ = ["_no_server_stays", "empty_postgres", "postgres", "quota"]

# For `make unit`; `make test` and so CI try each property with all of its examples.
settings.register_profile("quick", max_examples=25)
