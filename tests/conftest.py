"""Fixtures of every tier, and which examples the properties are tried with."""

import gc
import os
import random
import signal
import ssl
from functools import cache
from typing import Any

import httpx._transports.default as transports
import pytest
from hypothesis import HealthCheck, settings

from tests.worlds.chance import chance
from tests.worlds.postgres import _no_server_stays, empty_postgres, postgres
from tests.worlds.quota import quota

__all__ = ["_no_server_stays", "chance", "empty_postgres", "postgres", "quota"]

# A property is tried with the same examples in each run, and a busy machine fails none. `make unit`
# tries fewer of them, and `make fuzz` draws others.
settings.register_profile(
    "same",
    derandomize=True,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("quick", settings.get_profile("same"), max_examples=25)
settings.register_profile("fuzz", settings.get_profile("same"), derandomize=False)
settings.load_profile("same")


LOAD = transports.create_ssl_context  # type: ignore[attr-defined]  # it is private


@cache
def _loaded(trust_env: bool, *_certificates: str | None) -> ssl.SSLContext:
    return LOAD(trust_env=trust_env)


def _shared(verify: Any = True, cert: Any = None, trust_env: bool = True) -> ssl.SSLContext:
    """Load certificates once, not for each of some thousand clients."""
    if verify is not True or cert:
        return LOAD(verify, cert, trust_env)
    return _loaded(trust_env, os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))


transports.create_ssl_context = _shared  # type: ignore[attr-defined]


MORE = {"postgres", "empty_postgres", "github_mock", "gitlab_mock"}
"""Fixtures of what `make test` does without."""


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark what `make fuzz` repeats with another seed, and what only `make test-all` runs."""
    if "chance" in getattr(item, "fixturenames", ()):
        item.add_marker("drawn")
    if item.get_closest_marker("slow") or _needs_more(item):
        item.add_marker("extended")


def _needs_more(item: pytest.Item) -> bool:
    """Return whether it needs Postgres, or a tool of others that mocks a host's API."""
    if MORE.intersection(getattr(item, "fixturenames", ())):
        return True
    return "postgres" in (call.params.values() if (call := getattr(item, "callspec", None)) else ())


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests in another order for `ORDER=n`; none may need the one before it."""
    if order := os.environ.get("ORDER"):
        random.Random(order).shuffle(items)


def pytest_collection_finish() -> None:
    """What is imported and collected stays: no search for garbage goes through it again."""
    gc.freeze()


def _part_has_died(*_: object) -> None:
    raise RuntimeError("a part of a bridge that runs in this process has died; its log says why")


def pytest_runtest_setup() -> None:
    """Fail the test, where such a bridge would end its process: that is the tests' own here."""
    signal.signal(signal.SIGUSR1, _part_has_died)
