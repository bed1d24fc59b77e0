"""What must always run and has died takes the process with it, to be started again."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from bridge.app.wiring import in_background


@pytest.fixture
async def told() -> AsyncIterator[asyncio.Event]:
    """Set once the process is told to end, as a part has died."""
    event = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, event.set)
    yield event
    loop.remove_signal_handler(signal.SIGUSR1)


async def fails() -> None:
    raise KeyError("a bug")


async def waits_for_what_is_cancelled() -> None:
    """As for the answer of a part that has been stopped: nobody has cancelled this one."""
    answer = asyncio.get_running_loop().create_future()
    answer.cancel()
    await answer


@pytest.mark.parametrize("work", [fails, waits_for_what_is_cancelled])
async def test_a_part_that_dies_ends_the_process(
    told: asyncio.Event, caplog: pytest.LogCaptureFixture, work: object
) -> None:
    assert callable(work)
    async with AsyncExitStack() as stack, asyncio.timeout(5):
        await in_background(stack, "deliveries", work())
        await told.wait()

    assert "deliveries has died" in caplog.text


async def test_a_part_that_fails_while_it_is_stopped_says_so_and_ends_nothing_else(
    told: asyncio.Event, caplog: pytest.LogCaptureFixture
) -> None:
    async def fails_at_the_end() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise KeyError("a bug")

    async with AsyncExitStack() as stack:
        await in_background(stack, "deliveries", fails_at_the_end())
        await asyncio.sleep(0)

    await asyncio.sleep(0)
    assert not told.is_set()
    (record,) = caplog.records
    assert record.message == "deliveries could not be stopped cleanly"
    assert record.exc_info


async def test_a_part_that_is_stopped_with_all_the_rest_has_not_died(
    told: asyncio.Event, caplog: pytest.LogCaptureFixture
) -> None:
    async with AsyncExitStack() as stack:
        await in_background(stack, "deliveries", asyncio.Event().wait())  # type: ignore[arg-type]
        await asyncio.sleep(0)

    await asyncio.sleep(0)
    assert not told.is_set()
    assert caplog.text == ""
