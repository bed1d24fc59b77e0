"""The counts of the chaos runs, printed at the end also when all is well."""

import pytest

LINES = pytest.StashKey[list[str]]()


@pytest.fixture
def chaos_lines(pytestconfig: pytest.Config) -> list[str]:
    """Lines that are printed when the tests have ended."""
    return pytestconfig.stash.setdefault(LINES, [])


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print them."""
    if lines := config.stash.get(LINES, []):
        terminalreporter.section("chaos")
        for line in lines:
            terminalreporter.write_line(line)
