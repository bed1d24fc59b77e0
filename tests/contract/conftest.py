"""Fixtures of the contract tests."""

from tests.hosts import host, pem

__all__ = ["host", "pem"]
