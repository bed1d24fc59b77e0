"""What is said of the parts when one of them says nothing."""

import asyncio

import pytest

from bridge.web.server import Readiness


async def well() -> str | None:
    return None


async def silent() -> str | None:
    """As of a database whose machine was stopped: no answer, and no error."""
    await asyncio.Event().wait()
    return None


async def test_a_part_that_is_silent_is_named_and_the_others_are_told_of() -> None:
    readiness = Readiness({"inbox": silent, "journal": well}, patience=0.01)

    async with asyncio.timeout(5):
        found = await readiness.wrong()

    assert found == {"inbox": "it has not answered for 0.01 s", "journal": None}


async def test_all_who_ask_at_a_time_wait_for_one_look(caplog: pytest.LogCaptureFixture) -> None:
    readiness = Readiness({"inbox": silent}, patience=0.01)

    await asyncio.gather(*(readiness.wrong() for _ in range(5)))

    assert [record.message for record in caplog.records] == ["a part is not ready"]
