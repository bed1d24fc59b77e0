"""Folders are removed however deep they are."""

import os
import shutil
from pathlib import Path

import pytest

from bridge.embedded.storage.paths import remove


def deep(folder: Path, levels: int = 1100) -> Path:
    """A folder with so many others in each other, deeper than Python 3.11 calls."""
    folder.mkdir()
    handle = os.open(folder, os.O_RDONLY)
    for _ in range(levels):
        os.mkdir("a", dir_fd=handle)
        inner = os.open("a", os.O_RDONLY, dir_fd=handle)
        os.close(handle)
        handle = inner
    os.close(handle)
    return folder


def test_a_very_deep_folder_is_removed(tmp_path: Path) -> None:
    folder = deep(tmp_path / "deep")

    remove(folder)

    assert not folder.exists()


def test_it_is_removed_also_where_python_can_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_deep(*_: object, **__: object) -> None:
        raise RecursionError

    monkeypatch.setattr(shutil, "rmtree", too_deep)
    folder = deep(tmp_path / "-deep", 3)

    remove(folder)

    assert not folder.exists()
