"""When the secrets of our own webhooks are read again."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from bridge.core.errors import Unreachable
from bridge.core.hooks import Scope, ScopeKind
from bridge.pipeline.deciding.hooks import MOST_WAITING, PAUSE, HookSecrets
from bridge.ports.hooks import MadeHook

NEW = MadeHook("github", Scope(ScopeKind.REPOSITORY, "my-org/mono", "1"), "sealed", 0.0)


class Store:
    """Counts the readings; `hooks` None: it can't be reached."""

    def __init__(self) -> None:
        self.hooks: list[MadeHook] | None = []
        self.readings = 0

    async def made_hooks(self) -> list[MadeHook]:
        self.readings += 1
        if self.hooks is None:
            raise Unreachable("the journal", "nothing listens")
        return list(self.hooks)


class World:
    def __init__(self) -> None:
        self.store, self.used = Store(), list[Sequence[MadeHook]]()
        self.pauses: list[float] = []
        self.go_on = asyncio.Event()
        store: Any = self.store
        self.secrets = HookSecrets(store, self.used.append, self.sleep)

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        await self.go_on.wait()
        self.go_on.clear()


@pytest.fixture
async def world() -> AsyncIterator[World]:
    found = World()
    task = asyncio.create_task(found.secrets.run())
    yield found
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_all_who_wait_share_one_reading_and_only_so_many_wait(world: World) -> None:
    world.store.hooks = [NEW]

    assert await asyncio.gather(*(world.secrets.renew() for _ in range(20))) == [True] * 20
    assert (world.store.readings, world.used, world.pauses) == (1, [[NEW]], [PAUSE])

    waiting = [asyncio.create_task(world.secrets.renew()) for _ in range(MOST_WAITING)]
    await asyncio.sleep(0)
    assert world.secrets.full
    assert not await world.secrets.renew()
    assert world.store.readings == 1

    world.go_on.set()  # the next reading comes a second later
    assert await asyncio.gather(*waiting) == [True] * MOST_WAITING
    assert world.store.readings == 2
    assert not world.secrets.full


async def test_while_the_store_is_away_nobody_is_told_of_new_secrets_and_the_old_ones_stay(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.store.hooks = None

    assert not await world.secrets.renew()

    assert world.used == []
    assert [record.message for record in caplog.records] == ["secrets of webhooks can't be read"]
