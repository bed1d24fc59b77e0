"""What is pure starts no database, server or process: such a test belongs to another tier."""

import sys
from collections.abc import Iterator

import pytest

IMPURE = {"sqlite3.connect", "socket.bind", "subprocess.Popen", "os.posix_spawn", "os.fork"}

running: list[str] = []
touched: list[str] = []


IMPORT_OF_URLLIB3 = ("::1", 0)
"""The address that urllib3 binds when it is imported, to learn whether there is IPv6."""


def _watch(event: str, given: tuple[object, ...]) -> None:
    if event in IMPURE and running and given[-1] != IMPORT_OF_URLLIB3:
        touched.append(event)


sys.addaudithook(_watch)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Fail a test that touches what it may not; what it made of the refusal would tell less."""
    running.append(item.nodeid)
    touched.clear()
    try:
        yield
    finally:
        running.pop()
    assert not touched, f"{touched[0]} in tests/unit: move the test to tests/integration"
