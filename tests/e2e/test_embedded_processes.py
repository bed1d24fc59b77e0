"""The programs of a build: none goes on behind the back of whoever cancelled it."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from bridge.embedded.building.logs import Growth, Log
from bridge.embedded.building.process import Command, Limits, Runner
from bridge.embedded.storage.paths import BuildFailed
from tests.worlds.embedded import until

STUBBORN = """
import os, pathlib, signal
signal.signal(signal.SIGTERM, lambda *_: pathlib.Path("heard").write_text("heard"))
pathlib.Path("pid").write_text(str(os.getpid()))
while True:
    signal.pause()
"""
"""No shell: dash loses a signal that comes while it starts a program."""


async def test_a_program_that_does_not_care_is_killed_also_when_cancelled_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.embedded.building.process._GRACE_SECONDS", 600.0)
    runner = Runner(Log(tmp_path / "log", Growth(), limit=1000), Limits())
    command = Command([sys.executable, "-c", STUBBORN], cwd=tmp_path, quiet=True)
    task = asyncio.create_task(runner.attempt(command))

    async def is_there(name: str) -> bool:
        file = tmp_path / name
        return file.exists() and bool(file.read_text())

    await until(lambda: is_there("pid"), bool)
    task.cancel()  # e.g. it took too long
    await until(lambda: is_there("heard"), bool)
    task.cancel()  # e.g. somebody asked for its end
    with pytest.raises(asyncio.CancelledError):
        await task

    async def is_gone() -> bool:
        try:
            os.kill(int((tmp_path / "pid").read_text()), 0)
        except ProcessLookupError:
            return True
        return False

    await until(is_gone, bool)


async def test_a_program_that_says_too_much_is_ended_also_with_a_full_pipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.embedded.building.process._READ", 1024)
    runner = Runner(Log(tmp_path / "log", Growth(), limit=1000), Limits())

    def enough(_chunk: bytes) -> None:
        raise BuildFailed("enough")

    task = asyncio.create_task(runner.attempt(Command(["yes"], cwd=tmp_path, hear=enough)))
    done, _ = await asyncio.wait({task}, timeout=10)
    task.cancel()

    assert done
    with pytest.raises(BuildFailed, match="enough"):
        await task
