"""The recorded answers of micromatch, and Dokploy's."""

import gzip
from pathlib import Path

import pytest

FIXTURES = Path(__file__).parents[2] / "fixtures"


@pytest.fixture(scope="session")
def vectors_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    packed = FIXTURES / "globs" / "micromatch-vectors.jsonl.gz"
    unpacked = tmp_path_factory.mktemp("globs") / packed.stem
    unpacked.write_bytes(gzip.decompress(packed.read_bytes()))
    return unpacked


@pytest.fixture
def oracle_file() -> Path:
    return FIXTURES / "dokploy" / "watchpaths-oracle.json"
