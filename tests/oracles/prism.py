"""Prism: a server that answers as an OpenAPI contract says, and refuses what it does not have.

https://github.com/stoplightio/prism
"""

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.chaos.recording_backend import free_port
from tests.oracles.node_tools import Unavailable, environment, missing, node_bin

CONTRACTS = Path(__file__).parents[1] / "fixtures" / "contracts"
READY = "Prism is listening"


@pytest.fixture(scope="session")
def github_mock() -> Iterator[str]:
    """The address of a mock of GitHub's API."""
    with mock("github", "https://api.github.com") as url:
        yield url


@pytest.fixture(scope="session")
def gitlab_mock() -> Iterator[str]:
    """The address of a mock of GitLab's API."""
    with mock("gitlab", "https://gitlab.com") as url:
        yield url


@contextmanager
def mock(host: str, origin: str) -> Iterator[str]:
    """A mock of a contract; `origin` stands in its answers, where links must lead to the mock."""
    with _serving(host, "mock", origin=origin) as url:
        yield url


@contextmanager
def proxy(host: str, upstream: str) -> Iterator[str]:
    """A server that passes on what keeps to a contract, and holds the answers to it as well."""
    with _serving(host, "proxy", upstream=upstream) as url:
        yield url


@contextmanager
def _serving(host: str, mode: str, *, origin: str = "", upstream: str = "") -> Iterator[str]:
    try:
        prism = node_bin("prism", "prism")
    except Unavailable as why:
        missing(f"no Prism to serve the contract of {host}: {why}")
    url = f"http://127.0.0.1:{(port := free_port())}"
    with tempfile.TemporaryDirectory(prefix="prism-") as folder:
        contract = Path(folder) / f"{host}.json"
        text = (CONTRACTS / f"{host}.json").read_text()
        contract.write_text(text.replace(origin, url) if origin else text)
        # --errors: what breaks the contract gets 422, instead of a guess at what was meant.
        command = [str(prism), mode, "-h", "127.0.0.1", "-p", str(port), "--errors"]
        log = Path(folder) / "log"
        with log.open("wb") as said:
            process = subprocess.Popen(
                [*command, str(contract), *filter(None, [upstream])],
                stdout=said,
                stderr=said,
                env=environment(),
            )
        try:
            _wait(process, log)
            yield url
        finally:
            process.terminate()
            process.wait()


def _wait(process: "subprocess.Popen[bytes]", log: Path) -> None:
    for _ in range(600):
        if READY in (said := log.read_text(errors="replace")):
            return
        try:
            process.wait(0.1)
        except subprocess.TimeoutExpired:
            continue
        break
    pytest.fail(f"Prism did not start: {said[-2000:]}")
