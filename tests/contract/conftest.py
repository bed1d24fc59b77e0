"""Fixtures of the contract tests."""

from tests.hosts import host, pem
from tests.prism import github_mock, gitlab_mock

__all__ = ["github_mock", "gitlab_mock", "host", "pem"]
