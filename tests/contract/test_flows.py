"""One suite for the `Flows` port: what is started runs, once, in order, whatever happens."""

import asyncio
import base64
import itertools
import logging
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from dbos import DBOS

from bridge.ports.flows import Steps
from tests.worlds.embedded import until
from tests.worlds.flows import Body, Launched, Ledger, launch_on_sqlite, launched, say

__all__ = ["launched"]


async def test_each_runs_once_in_order_within_its_key_and_beside_other_keys(
    launched: Launched,
) -> None:
    ledger = Ledger()
    gate = ledger.gate("0001.a one")
    flows = await launched(work=ledger.body)

    for id_ in ("0001.a", "0002.a", "0001.a", "0003.a", "0001.b", "0002.a"):
        await flows.start("work", id_, key=id_[-1])
    await ledger.written("0001.b end", "0001.a one")
    assert not any(line.startswith(("0002.a", "0003.a")) for line in ledger.lines)
    gate.set()
    await ledger.written("0003.a end")
    await flows.start("work", "0001.a", key="a")
    await flows.start("work", "0004.a", key="a")
    await ledger.written("0004.a end")

    of_a = [line for line in ledger.lines if ".a" in line]
    assert of_a == [f"000{n}.a {what}" for n in (1, 2, 3, 4) for what in ("one", "two", "end")]
    assert ledger.most_at_once == {"a": 1, "b": 1}


async def test_a_stop_in_a_step_runs_that_step_again_and_no_finished_one(
    launched: Launched,
) -> None:
    """Return the stored result of a finished step instead of running it."""
    first, second = Ledger(), Ledger()
    first.gate("0001.a two")
    given: list[Any] = []

    def body(value: Any, ledger: Ledger) -> Body:
        async def find() -> Any:
            return value

        async def work(steps: Steps, id_: str) -> None:
            given.append(await steps.run("find", find))
            await ledger.body(steps, id_)

        return work

    flows = await launched(work=body({"a": [1, None, "ü"]}, first))
    await flows.start("work", "0001.a", key="a")
    await flows.start("work", "0002.a", key="a")
    await first.written("0001.a two")

    await launched(work=body("another", second))
    await second.written("0002.a end")

    assert first.lines == ["0001.a one", "0001.a two"]
    assert second.lines == [
        "0001.a two", "0001.a end", "0002.a one", "0002.a two", "0002.a end",
    ]  # fmt: skip
    assert given == [{"a": [1, None, "ü"]}, {"a": [1, None, "ü"]}, "another"]


async def test_what_should_be_under_way_is_started_or_taken_up_anew(
    launched: Launched, caplog: pytest.LogCaptureFixture
) -> None:
    ledger = Ledger()
    gate = ledger.gate("0002.b one")
    broken = {"0001.a"}

    async def body(steps: Steps, id_: str) -> None:
        if id_ in broken:
            broken.discard(id_)
            raise RuntimeError("a fault of our own")
        if f"{id_} end" not in ledger.lines:  # it may have ended while `ensure` was called
            await ledger.body(steps, id_)

    flows = await launched(work=body)
    wanted = {"0001.a": "a", "0002.b": "b", "0003.c": "c"}
    await flows.start("work", "0001.a", key="a")
    await flows.start("work", "0002.b", key="b")
    await ledger.written("0002.b one")

    async def ended() -> bool:
        left = {id_: key for id_, key in wanted.items() if f"{id_} end" not in ledger.lines}
        await flows.ensure("work", left)
        return left.keys() == {"0002.b"}

    await until(ended, bool)
    gate.set()
    await ledger.written("0002.b end")

    assert sorted(ledger.lines) == sorted(
        f"{id_} {what}" for id_ in wanted for what in ("one", "two", "end")
    )


async def test_one_that_fails_again_and_again_is_given_up(launched: Launched) -> None:
    tries: list[str] = []

    async def body(_: Steps, id_: str) -> None:
        tries.append(id_)
        raise RuntimeError("a bug")

    flows = await launched(work=body)
    await flows.start("work", "0001.a", key="a")

    async def given_up() -> list[str]:
        found: list[str] = await flows.ensure("work", {"0001.a": "a"})
        return found

    assert await until(given_up, bool) == ["0001.a"]
    assert len(tries) == 4
    assert await flows.ensure("work", {"0001.a": "a"}) == ["0001.a"]
    assert len(tries) == 4


# ── rows that run code ───────────────────────────────────────────────────────

PLANTED = {
    "a step's result": "UPDATE {operation_outputs} SET output = :pickle, error = NULL,"
    " serialization = 'py_pickle' WHERE workflow_uuid = 'work.0001.a'",
    "a step's error": "UPDATE {operation_outputs} SET output = NULL, error = :pickle,"
    " serialization = 'py_pickle' WHERE workflow_uuid = 'work.0001.a'",
    "a step of before there were names": "UPDATE {operation_outputs} SET output = :pickle,"
    " serialization = NULL WHERE workflow_uuid = 'work.0001.a'",
    "a flow's arguments": "UPDATE {workflow_input} SET inputs = :pickle"
    " WHERE workflow_uuid = 'work.0001.a';"
    " UPDATE {workflow_status} SET serialization = 'py_pickle'"
    " WHERE workflow_uuid = 'work.0001.a'",
}


@pytest.mark.parametrize("planted", sorted(PLANTED))
async def test_no_row_runs_code_and_no_other_flow_is_held_up(
    launched: Launched, tmp_path: Path, planted: str
) -> None:
    ran = tmp_path / "ran"
    pickle = base64.b64encode(b"cos\nsystem\n(S'touch %s'\ntR." % bytes(ran)).decode()
    before, after = Ledger(), Ledger()
    for id_ in ("0001.a", "0002.b"):
        before.gate(f"{id_} two")
    flows = await launched(work=before.body)
    await flows.start("work", "0001.a", key="a")
    await flows.start("work", "0002.b", key="b")
    await before.written("0001.a two", "0002.b two")
    for statement in PLANTED[planted].split(";"):
        say(flows, statement, **({"pickle": pickle} if ":pickle" in statement else {}))

    flows = await launched(work=after.body)
    await after.written("0002.b end")
    await flows.start("work", "0003.b", key="b")
    await after.written("0003.b end")

    async def gone_on() -> bool:
        """As the journal has it: what has not ended gets a flow that does its work."""
        assert await flows.ensure("work", {"0001.a": "a"}) == []
        return "0001.a end" in after.lines

    await until(gone_on, bool)
    assert not ran.exists()


# ── under another state of the database, as after a failover or a restore ────


STATUS = "UPDATE {workflow_status} SET status = :status WHERE workflow_uuid = :name"
GONE = "DELETE FROM {workflow_status} WHERE workflow_uuid = :name"
GIVEN = "UPDATE {workflow_status} SET executor_id = :to WHERE workflow_uuid = :name"


async def until_it_says(flows: Any, name: str, status: str) -> None:
    async def said() -> str | None:
        known: dict[str, str] = await flows._known([name])
        return known.get(name)

    await until(said, lambda found: found == status)


@pytest.mark.parametrize("lost", ["the row", "that it runs"])
async def test_one_that_runs_here_and_not_by_the_database_runs_once_at_a_time_to_its_end(
    launched: Launched, lost: str
) -> None:
    ledger = Ledger()
    gate = ledger.gate("0001.a one")
    flows = await launched(work=ledger.body)
    await flows.start("work", "0001.a", key="a")
    await ledger.written("0001.a one")

    if lost == "the row":
        say(flows, GONE, name="work.0001.a")
        assert await flows.ensure("work", {"0001.a": "a"}) == []
    else:
        say(flows, STATUS, name="work.0001.a", status="ENQUEUED")

    async def so_far() -> int:
        return ledger.lines.count("0001.a one")

    await until(so_far, lambda found: found == 2)
    gate.set()
    await ledger.written("0001.a end")
    await until_it_says(flows, "work.0001.a", "SUCCESS")
    assert ledger.lines.count("0001.a end") == 1
    assert ledger.most_at_once == {"a": 1}


async def test_one_that_another_process_has_by_the_database_is_left_to_it(
    launched: Launched,
) -> None:
    ledger = Ledger()
    ledger.gate("0001.a one")
    flows = await launched(work=ledger.body)
    await flows.start("work", "0001.a", key="a")
    await ledger.written("0001.a one")
    say(flows, GIVEN, name="work.0001.a", to="another-1-00000001")

    await flows.look()
    assert flows._bodies.running() == ["work.0001.a"]
    await flows.look()

    assert flows._bodies.running() == []
    await until_it_says(flows, "work.0001.a", "PENDING")


async def test_a_queue_that_was_lost_is_made_anew(launched: Launched) -> None:
    ledger = Ledger()
    flows = await launched(work=ledger.body)
    say(flows, "DELETE FROM {queues}")

    async def deaf() -> bool:
        return not any(thread.name == "flows-dispatcher" for thread in threading.enumerate())

    await until(deaf, bool)
    await flows.start("work", "0001.a", key="a")
    await flows.look()

    await ledger.written("0001.a end")


async def test_a_stop_ends_no_flow_however_long_it_takes(
    launched: Launched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A flow that takes a step meanwhile meets an engine that is half gone."""
    begun, failed = asyncio.Event(), []

    async def body(steps: Steps, _id: str) -> None:
        async def step() -> None:
            begun.set()

        try:
            for number in itertools.count():
                await steps.run(f"{number}", step)
        except Exception as error:
            failed.append(error)
            raise

    flows = await launched(work=body)
    database = flows._dbos._sys_db
    monkeypatch.setattr(database, "_cleanup_connections", lambda: time.sleep(0.2))
    for number in range(10):
        await flows.start("work", f"{number}", key=f"{number}")
    await begun.wait()
    await flows.stop()

    assert failed == []
    with flows._engine.connect() as db:
        place = "dbos.workflow_status" if db.dialect.name == "postgresql" else "workflow_status"
        states = db.execute(sa.text(f"SELECT DISTINCT status FROM {place}")).scalars()
        assert set(states) <= {"PENDING", "ENQUEUED"}


async def test_an_engine_that_fails_as_it_stops_keeps_nobody_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    destroy = DBOS.destroy

    def fails(**how: Any) -> None:
        destroy(**how)
        raise KeyError("a bug")

    flows = await launch_on_sqlite(tmp_path, {})
    monkeypatch.setattr(DBOS, "destroy", fails)

    async with asyncio.timeout(20):
        await flows.stop()

    assert "the workflow engine could not be stopped" in caplog.text


async def test_old_flows_that_have_ended_are_forgotten_and_no_others(launched: Launched) -> None:
    ledger = Ledger()
    gate = ledger.gate("3.b one")
    flows = await launched(work=ledger.body)
    for id_ in ("1.a", "2.a", "3.b"):
        await flows.start("work", id_, key=id_[2:])
    await ledger.written("1.a end", "2.a end", "3.b one")
    forgotten = 0

    async def forget() -> int:
        nonlocal forgotten
        some: int = await flows.forget(time.time() + 60, 1)
        forgotten += some
        return forgotten

    assert await flows.forget(time.time() - 60, 10) == 0
    await until(forget, lambda total: total == 2)  # an end is written down a little after it
    assert await flows.forget(time.time() + 60, 10) == 0

    gate.set()
    await ledger.written("3.b end")


async def test_what_the_engine_says_is_one_line_without_statements(
    launched: Launched, caplog: pytest.LogCaptureFixture
) -> None:
    await launched(work=Ledger().body)
    driver = RuntimeError("server closed the connection unexpectedly\n\tThis probably means…")
    failed = sa.exc.OperationalError("SELECT secret", {"token": "hunter2"}, driver)

    logging.getLogger("dbos").warning("Exception in queue thread: %s", failed)
    try:
        raise failed
    except sa.exc.OperationalError:
        logging.getLogger("dbos").exception("it failed")

    said = [record for record in caplog.records if record.name == "dbos"][-2:]
    assert [record.exc_info for record in said] == [None, None]
    for record in said:
        message = record.getMessage()
        assert "server closed the connection" in message
        assert not any(word in message for word in ("SELECT", "hunter2", "\n"))
