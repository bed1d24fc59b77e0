"""The counts of the chaos runs, printed at the end also when all is well."""

from collections.abc import Callable, Iterator

import pytest

CHAOS = "chaos"


@pytest.fixture
def chaos_lines(record_property: Callable[[str, object], None]) -> Iterator[list[str]]:
    """Lines that are printed when all tests have ended, in whichever process they run."""
    lines: list[str] = []
    yield lines
    record_property(CHAOS, lines)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print them."""
    ended = terminalreporter.getreports("")
    if found := [
        line
        for one in ended
        for what, those in one.user_properties
        if what == CHAOS
        for line in those
    ]:
        terminalreporter.section(CHAOS)
        for line in found:
            terminalreporter.write_line(line)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start with those that take minutes, so that none of them is left alone at the end."""
    items.sort(key=lambda one: one.get_closest_marker("slow") is None)
