"""Folders are removed however deep they are."""

import os
import shutil
from pathlib import Path

import pytest

from bridge.embedded.storage.paths import remove


def deep(folder: Path, levels: int) -> Path:
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


@pytest.mark.parametrize("levels", [3, 1100])
def test_a_folder_is_removed_however_deep_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, levels: int
) -> None:
    def too_deep(*_: object, **__: object) -> None:
        raise RecursionError

    if levels == 3:  # also where Python says that it can't
        monkeypatch.setattr(shutil, "rmtree", too_deep)
    folder = deep(tmp_path / "-deep", levels)

    remove(folder)

    assert not folder.exists()
