"""Fixtures of the contract tests."""

from tests.oracles.prism import github_mock, gitlab_mock
from tests.worlds.hosts import host, pem

__all__ = ["github_mock", "gitlab_mock", "host", "pem"]
