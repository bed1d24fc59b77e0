"""The suite of the `Journal` port runs over each of its implementations."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.journey import ManualClock
from tests.worlds.journal import IMPLEMENTATIONS, Opened


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(params=sorted(IMPLEMENTATIONS))
async def reopened(
    request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock
) -> AsyncIterator[Opened]:
    """Opens the journal on the same place each time, closing what was open before."""
    last: list[Any] = []
    place = request.getfixturevalue("postgres") if request.param == "postgres" else tmp_path

    async def opened() -> Any:
        while last:
            await last.pop().stop()
        last.append(await IMPLEMENTATIONS[request.param](place, clock))
        return last[0]

    yield opened
    while last:
        await last.pop().stop()


@pytest.fixture
async def journal(reopened: Opened) -> Any:
    return await reopened()
