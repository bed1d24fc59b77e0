"""Recorded answers of micromatch, and where ours differ."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bridge.core.matching import GlobError, GlobThrows, Picomatch
from bridge.core.matching.watch_paths import WatchPaths

VERSIONS: tuple[Picomatch, ...] = ("2.3.1", "2.3.2")

# Vectors on which we are known to differ, by patterns, each with its reason. None so far.
EXCEPTIONS: dict[tuple[str, ...], str] = {}

Vector = dict[str, Any]


def read(path: Path) -> list[Vector]:
    # Not splitlines(): paths hold characters that it takes for ends of lines.
    vectors = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]
    for vector in vectors:
        # micromatch turns what is no text into text.
        vector["patterns"] = ["null" if each is None else each for each in vector["patterns"]]
    return vectors


def versions_of(vector: Vector) -> Iterator[Picomatch]:
    for version in VERSIONS:
        if vector.get("picomatch", version) == version:
            yield version


def answers(vector: Vector, version: Picomatch) -> Vector:
    """Give our answers in the form of the vector."""
    paths = vector["paths"]
    try:
        watch = WatchPaths.compile(vector["patterns"], "any", version)
    except GlobThrows as error:
        return {"some": None, "error": error.javascript, "matched": [], "throws": paths}
    try:
        hit = watch.first_match(paths)
        mine: Vector = {"some": hit is not None}
        if hit:
            mine["first"] = [hit.index, paths.index(hit.file)]
    except GlobThrows as error:
        mine = {"some": None, "error": error.javascript}
    mine |= {"matched": [], "throws": []}
    for path in paths:
        try:
            if watch.first_match([path]):
                mine["matched"].append(path)
        except GlobThrows:
            mine["throws"].append(path)
    return mine


def difference(vector: Vector, version: Picomatch) -> str:
    """Say how we differ; empty if we don't."""
    told = ("some", "matched", "error", "first")
    wanted: Vector = {"throws": vector.get("throws", [])}
    wanted |= {key: vector[key] for key in told if key in vector}
    try:
        mine = answers(vector, version)
    except GlobError as error:
        mine = {"refused": str(error)}
    if mine == wanted or tuple(vector["patterns"]) in EXCEPTIONS:
        return ""
    return f"{version} {vector['patterns']} {vector['paths']}: wanted {wanted}, got {mine}"
