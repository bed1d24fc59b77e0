"""All recorded answers of micromatch, and Dokploy's under both of its rules."""

import json

import pytest

from bridge.core.matching import GlobError
from bridge.core.matching.watch_index import WatchIndex
from bridge.core.matching.watch_paths import WatchPaths
from tests.worlds.vectors import EXCEPTIONS, VERSIONS, difference, read, versions_of

WANTED = 0.9999


@pytest.mark.slow
@pytest.mark.parametrize("version", VERSIONS)
def test_all_vectors_are_answered_as_micromatch_does(vectors_file, version):
    vectors = [each for each in read(vectors_file) if version in versions_of(each)]
    differences = [found for each in vectors if (found := difference(each, version))]

    assert differences == []
    assert 1 - len(EXCEPTIONS) / len(vectors) >= WANTED


def test_the_oracle_is_followed_under_both_rules(oracle_file):
    differences = []
    for case in json.loads(oracle_file.read_text())["cases"]:
        for semantics, wanted in (("any", case["deploy"]), ("exclude", case["deployAsSet"])):
            if deploys(case["watchPaths"], semantics, case["files"] or []) != wanted:
                differences.append((semantics, case))

    assert differences == []


def deploys(patterns, semantics, files):
    try:
        watch = WatchPaths.compile(patterns, semantics)
        return watch.always or watch.first_match(files) is not None
    except GlobError:
        return "throws: Expected pattern to be a non-empty string"


@pytest.mark.slow
@pytest.mark.parametrize("semantics", ["any", "exclude"])
def test_many_lists_in_one_index_give_the_same_as_one_by_one(vectors_file, semantics):
    vectors = read(vectors_file)
    lists = sorted({tuple(one["patterns"]) for one in [*written(vectors), *random_ones(vectors)]})
    index = WatchIndex(semantics)
    for number, patterns in enumerate(lists):
        index.add(str(number), patterns)
    compiled = [compiled_or_error(patterns, semantics) for patterns in lists]

    differences = []
    for vector in vectors[:: len(vectors) // 3]:
        verdicts = index.decide(vector["paths"])
        for number, watch in enumerate(compiled):
            if shown(verdicts.get(str(number))) != alone(watch, vector["paths"]):
                differences.append((lists[number], vector["paths"]))

    assert differences == []


def written(vectors):
    """Those that somebody has thought of."""
    return [vector for vector in vectors if vector["group"] != "fuzz"]


def random_ones(vectors):
    """Enough of the random ones: to compile all of them takes most of the time."""
    return [vector for vector in vectors if vector["group"] == "fuzz"][::8]


def compiled_or_error(patterns, semantics):
    try:
        return WatchPaths.compile(patterns, semantics)
    except GlobError as error:
        return error


def alone(watch, files):
    if isinstance(watch, GlobError):
        return str(watch)
    try:
        return watch.first_match(files)
    except GlobError as error:
        return str(error)


def shown(verdict):
    return str(verdict) if isinstance(verdict, GlobError) else verdict
