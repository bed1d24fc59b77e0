"""Fixtures of every tier, and which examples the properties are tried with."""

import gc
import os
import signal
import ssl
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from typing import Any

import httpx._transports.default as transports
import pytest
from hypothesis import HealthCheck, settings

from tests.oracles.descriptions import makers
from tests.oracles.node_tools import Unavailable
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


def pytest_sessionstart(session: pytest.Session) -> None:
    """Have the hosts' descriptions made before several workers want them while a client waits."""
    if not session.config.getoption("numprocesses", None):
        return  # one of the workers, or a run of few tests
    if all("tests/unit" in one for one in session.config.args):
        return
    with ThreadPoolExecutor(2) as pool:
        for made in [pool.submit(make) for make in makers()]:
            with suppress(Unavailable):  # the tests that need it say so
                made.result()


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark what `make fuzz` repeats with another seed, besides the properties."""
    if "chance" in getattr(item, "fixturenames", ()):
        item.add_marker("drawn")


def pytest_collection_finish() -> None:
    """What is imported and collected stays: no search for garbage goes through it again."""
    gc.freeze()


def _part_has_died(*_: object) -> None:
    raise RuntimeError("a part of a bridge that runs in this process has died; its log says why")


def pytest_runtest_setup() -> None:
    """Fail the test, where such a bridge would end its process: that is the tests' own here."""
    signal.signal(signal.SIGUSR1, _part_has_died)
