"""What dies on Postgres is taken over by its peers: real processes, really killed."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from bridge.core.errors import Unreachable
from bridge.durable import peers as watching
from bridge.durable.peers import (
    GRACE,
    Peers,
    anybody_works,
    call,
    new_executor_id,
    number_of,
)
from bridge.durable.system import postgres_engine
from tests.worlds.embedded import until

ROOT = Path(__file__).parents[2]
TAKEN_OVER_WITHIN = 15.0
WAITS = GRACE / 2
"""Seconds that the processes here wait for one that is missing; half as long saves time."""

NEVER = 600.0
"""Seconds between two looks at the queue that nobody called for: longer than any test waits."""

Started = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def started(postgres: str, tmp_path: Path) -> Iterator[Started]:
    """Starts a process that runs flows; the ids that it is given it starts."""
    running: list[subprocess.Popen[bytes]] = []

    def start(*ids: str, poll: float = NEVER) -> "subprocess.Popen[bytes]":
        script = str(Path(__file__).with_name("flows_process.py"))
        process = subprocess.Popen(
            [sys.executable, script, postgres, str(tmp_path), str(WAITS), str(poll)],
            stdin=subprocess.PIPE,
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )
        running.append(process)
        assert process.stdin is not None
        process.stdin.write("\n".join(ids).encode())
        process.stdin.close()
        return process

    yield start
    for process in running:
        process.kill()
        process.wait()


def lines(folder: Path) -> list[str]:
    file = folder / "ledger"
    return file.read_text().splitlines() if file.exists() else []


async def written(folder: Path, *wanted: str, within: float = TAKEN_OVER_WITHIN) -> float:
    """Wait until lines that begin so are there; how long that took, in seconds."""
    began = time.monotonic()

    async def found() -> list[str]:
        return lines(folder)

    def all_there(some: list[str]) -> bool:
        return all(any(line.startswith(one) for line in some) for one in wanted)

    async with asyncio.timeout(within):
        await until(found, all_there)
    return time.monotonic() - began


async def both(started: Started, folder: Path) -> tuple["subprocess.Popen[bytes]", int]:
    """One process with two flows of one key under way, and a second beside it, with its pid."""
    first = started("0001.a", "0002.a")
    await written(folder, f"ready {first.pid}", f"0001.a two {first.pid}")
    second = started()
    await written(folder, f"ready {second.pid}")
    return first, second.pid


@pytest.mark.slow
async def test_the_flows_of_a_killed_process_go_on_in_another(
    started: Started, tmp_path: Path
) -> None:
    first, second = await both(started, tmp_path)

    first.kill()
    took = await written(tmp_path, f"0001.a two {second}")
    (tmp_path / "gate").touch()
    await written(tmp_path, f"0002.a end {second}")

    assert WAITS <= took < TAKEN_OVER_WITHIN - GRACE
    mine = [line.rpartition(" ")[0] for line in lines(tmp_path) if line.endswith(f" {second}")]
    assert mine == ["ready", "0001.a two", "0001.a end", "0002.a one", "0002.a two", "0002.a end"]


async def test_the_flows_of_one_who_leaves_go_on_at_once(started: Started, tmp_path: Path) -> None:
    first, second = await both(started, tmp_path)

    first.terminate()
    took = await written(tmp_path, f"0001.a two {second}", within=WAITS)
    (tmp_path / "gate").touch()
    await written(tmp_path, f"0002.a end {second}")

    assert took < WAITS
    assert await asyncio.to_thread(first.wait, 10) == 0


@pytest.mark.slow
async def test_one_that_stands_still_or_whose_connections_are_cut_keeps_its_flows(
    started: Started, tmp_path: Path, postgres: str
) -> None:
    first, second = await both(started, tmp_path)

    first.send_signal(signal.SIGSTOP)
    await asyncio.sleep(2 * WAITS)  # as long as nobody may take over
    first.send_signal(signal.SIGCONT)
    with psycopg.connect(postgres, autocommit=True) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    await asyncio.sleep(2 * WAITS)  # again, with its connections cut
    (tmp_path / "gate").touch()
    await written(tmp_path, "0002.a end", within=30)

    assert not any(line == f"0001.a two {second}" for line in lines(tmp_path))
    assert f"0001.a end {first.pid}" in lines(tmp_path)


async def test_two_processes_that_start_flows_of_one_key_run_them_one_at_a_time_in_order(
    started: Started, tmp_path: Path
) -> None:
    """Both decide pushes of the same app at the same moment."""
    holds = started("0000.a")
    await written(tmp_path, "0000.a two")
    odd, even = [[f"{n:04d}.a" for n in range(first, 13, 2)] for first in (1, 2)]
    both = [started(*odd), started(*even)]
    await written(tmp_path, *(f"ready {process.pid}" for process in both))
    assert len([line for line in lines(tmp_path) if not line.startswith("ready")]) == 2
    (tmp_path / "gate").touch()

    await written(tmp_path, "0011.a end", "0012.a end", within=30)

    of_flows = [line.split()[:2] for line in lines(tmp_path) if not line.startswith("ready")]
    ids = [id_ for id_, what in of_flows if what == "end"]
    assert of_flows == [[id_, what] for id_ in ids for what in ("one", "two", "end")]
    assert sorted(ids) == ["0000.a", *sorted(odd + even)]
    assert [id_ for id_ in ids if id_ in odd] == odd
    assert [id_ for id_ in ids if id_ in even] == even
    assert holds.poll() is None


@pytest.mark.parametrize("found_by", ["looking", "the next to be called"])
async def test_a_flow_whose_process_died_before_it_woke_anybody_is_not_lost(
    started: Started, tmp_path: Path, found_by: str
) -> None:
    other = started(poll=1.0 if found_by == "looking" else NEVER)
    await written(tmp_path, f"ready {other.pid}")
    dies = started("die", "0001.a")
    assert await asyncio.to_thread(dies.wait, 20) == -signal.SIGKILL
    if found_by != "looking":
        await written(tmp_path, f"ready {started('0002.b').pid}")

    await written(tmp_path, "0001.a two", within=5.0)


async def test_flows_under_way_are_listed_only_when_a_process_may_be_gone(
    postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It costs more than a look, and every process would do it every second."""
    monkeypatch.setattr(watching, "LOOK", 0.01)
    one, other = (Peers(postgres, new_executor_id(), grace=0.05) for _ in range(2))
    await one.join()
    await other.join()
    listed, looks, taken = 0, 0, list[str]()

    async def busy() -> set[str]:
        nonlocal listed
        listed += 1
        return {other._executor_id}

    async def take_over(name: str) -> None:
        taken.append(name)

    look = one._look

    async def counted(*given: Any) -> None:
        nonlocal looks
        await look(*given)
        looks += 1

    monkeypatch.setattr(one, "_look", counted)
    task = asyncio.create_task(one.watch(busy, take_over))
    try:

        async def looked() -> int:
            return looks

        await until(looked, lambda found: found >= 10)
        assert listed == 1

        await other.leave()

        async def taken_over() -> list[str]:
            return taken

        await until(taken_over, bool)
        assert taken[0] == other._executor_id
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await one.leave()


async def test_a_call_is_heard_also_when_it_came_while_the_connection_was_gone(
    postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "LOOK", 0.01)
    peers, heard = Peers(postgres, new_executor_id()), asyncio.Event()
    engine = postgres_engine(postgres)

    async def nobody() -> set[str]:
        return set()

    async def never(_: str) -> None:
        raise AssertionError

    await peers.join()
    task = asyncio.create_task(peers.watch(nobody, never, heard.set))
    try:
        await asyncio.to_thread(call, engine)
        await asyncio.wait_for(heard.wait(), 10)
        heard.clear()
        with psycopg.connect(postgres, autocommit=True) as db:
            db.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name LIKE '%presence%'"
            )
        await asyncio.wait_for(heard.wait(), 10)  # it may have missed a call meanwhile
        heard.clear()
        await asyncio.to_thread(call, engine)
        await asyncio.wait_for(heard.wait(), 10)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await peers.leave()
        engine.dispose()


async def test_a_call_to_a_database_that_is_away_is_only_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    call(postgres_engine("postgresql://ada:hunter2@127.0.0.1:1/none"))

    assert "other processes can't be called" in caplog.text
    assert "hunter2" not in caplog.text


async def test_a_database_that_is_away_is_unreachable() -> None:
    url = "postgresql://ada:hunter2@127.0.0.1:1/none"

    with pytest.raises(Unreachable):
        anybody_works(url)
    with pytest.raises(Unreachable) as caught:
        await Peers(url, new_executor_id()).join()

    assert "hunter2" not in str(caught.value)


def test_every_process_has_a_number_of_its_own() -> None:
    ids = {new_executor_id() for _ in range(100)}

    assert len({number_of(id_) for id_ in ids}) == 100
    assert all(0 <= number_of(id_) < 2**31 for id_ in ids)
    assert number_of("local") == 0
