"""A sample of micromatch's recorded answers; all of them are in tests/contract/globs."""

from pathlib import Path

from tests.worlds.vectors import difference, read, versions_of

SAMPLE = Path(__file__).parents[2] / "fixtures" / "globs" / "micromatch-vectors-sample.jsonl"


def test_the_sample_is_answered_as_micromatch_does():
    differences = [
        found
        for vector in read(SAMPLE)
        for version in versions_of(vector)
        if (found := difference(vector, version))
    ]

    assert differences == []
