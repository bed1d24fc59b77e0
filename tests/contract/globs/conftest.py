"""Where the recorded answers are: beside the repository, not in it."""

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[4] / "shared"


@pytest.fixture
def vectors_file():
    return present(SHARED / "globs" / "micromatch-vectors.jsonl")


@pytest.fixture
def oracle_file():
    return present(SHARED / "dokploy" / "watchpaths-oracle.json")


def present(path):
    if not path.exists():
        pytest.skip(f"the recorded answers are not there: ../shared/{path.relative_to(SHARED)}")
    return path
