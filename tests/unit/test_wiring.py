"""What changes on a page is drawn once for all who watch the same, and never shown stale."""

import asyncio
from dataclasses import dataclass

import pytest

from bridge.console import sharing
from bridge.console.sharing import Looks, Part, SharedParts
from bridge.core.backoff import Backoff
from bridge.core.errors import NotFound


@dataclass
class Drawing:
    """Counts what is drawn; each part tells its number."""

    live: bool = True
    count: int = 0
    error: Exception | None = None

    async def __call__(self) -> Part:
        self.count += 1
        number = self.count
        await asyncio.sleep(0)
        if self.error is not None:
            raise self.error
        return Part(f"{number}", self.live)


async def test_all_who_watch_the_same_share_one_drawing_also_where_one_leaves() -> None:
    parts, drawing = SharedParts(lambda: "1"), Drawing()
    leaves, *stay = (asyncio.ensure_future(parts.part("now", drawing)) for _ in range(50))
    await asyncio.sleep(0)

    leaves.cancel()

    assert {one.html for one in await asyncio.gather(*stay)} == {"1"}
    assert (await parts.part("now", drawing)).html == "1"
    assert (await parts.part("others", drawing)).html == "2"


async def test_after_a_change_it_is_drawn_again_also_where_it_came_in_between() -> None:
    version = ["1"]
    parts, drawing = SharedParts(lambda: version[0]), Drawing()

    begun = asyncio.ensure_future(parts.part("now", drawing))
    await asyncio.sleep(0)
    version[0] = "2"

    assert (await parts.part("now", drawing)).html == "2"
    assert (await begun).html == "1"
    assert (await parts.part("now", drawing)).html == "2"


async def test_nothing_is_kept_that_ages_or_does_not_live_or_that_nobody_watches(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dull, still = SharedParts(lambda: None), SharedParts(lambda: "1")
    for parts, drawing in ((dull, Drawing()), (still, Drawing(live=False))):
        assert [(await parts.part("now", drawing)).html for _ in range(2)] == ["1", "2"]

    parts, drawing = SharedParts(lambda: "1"), Drawing()
    await parts.part("now", drawing)
    monkeypatch.setattr(sharing, "KEPT", -1.0)
    assert (await parts.part("now", drawing)).html == "2"


async def test_an_error_reaches_all_who_wait_and_nobody_after() -> None:
    parts, drawing = SharedParts(lambda: "1"), Drawing()
    drawing.error = NotFound("There is no app.")
    waiting = (parts.part("app", drawing) for _ in range(3))
    found = await asyncio.gather(*waiting, return_exceptions=True)
    drawing.error = None

    assert [type(one) for one in found] == [NotFound] * 3
    assert drawing.count == 1
    assert (await parts.part("app", drawing)).html == "2"


async def test_only_so_many_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing, "MOST_KEPT", 2)
    parts, drawing = SharedParts(lambda: "1"), Drawing()

    for key in ("a", "b", "c"):
        await parts.part(key, drawing)

    assert (await parts.part("c", drawing)).html == "3"
    assert (await parts.part("a", drawing)).html == "4"


async def test_looks_are_rarer_while_each_finds_a_change() -> None:
    asked: list[int] = []

    class Pauses(Backoff):
        def pause(self, failures: int) -> float:
            asked.append(failures)
            return 0.0

    values = ["1", "2", "3", "3", "3", "4"]
    all_seen = asyncio.Event()

    async def look() -> str:
        if len(values) == 1:
            all_seen.set()
            await asyncio.Event().wait()
        return values.pop(0)

    looks = Looks(look, Pauses(1.0, 5.0))
    async with looks.watched():
        assert await looks.first() == "1"
        await all_seen.wait()
        assert looks.found == "3"

    assert asked == [1, 2, 3, 0, 0]
    assert looks.found is None
