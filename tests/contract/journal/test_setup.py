"""Stored settings, one-time links and signed-in browsers; on SQLite and on Postgres."""

import asyncio
from typing import Any

from tests.fakes.journey import ManualClock


async def test_a_link_works_once_also_for_many_at_once(journal: Any) -> None:
    await journal.admit("link", "hash", 60.0)

    assert await journal.redeem("session", "hash") is None
    assert await journal.redeem("link", "another") is None
    found = await asyncio.gather(*(journal.redeem("link", "hash") for _ in range(8)))
    assert sorted(found, key=str) == ["", *[None] * 7]


async def test_a_session_ends_with_its_time_or_with_all_of_its_kind(
    journal: Any, clock: ManualClock
) -> None:
    await journal.admit("session", "long", 3600.0)
    await journal.admit("session", "short", 0.05)
    await journal.admit("link", "link", 3600.0)
    assert await journal.admitted("session", "long") == ""
    assert await journal.admitted("link", "long") is None

    async with asyncio.timeout(10):
        while await journal.admitted("session", "short") is not None:
            clock.now += 0.05  # on Postgres its own clock counts

    await journal.expel("session")
    assert await journal.admitted("session", "long") is None
    assert await journal.redeem("link", "link") == ""


async def test_a_session_tells_who_signed_in_and_ends_alone_or_with_all_of_theirs(
    journal: Any,
) -> None:
    for hashed, whose in (("a1", "ada"), ("a2", "ada"), ("a3", "ada"), ("g1", "grace")):
        await journal.admit("session", hashed, 60.0, about=f"about {hashed}", whose=whose)

    await journal.expel("session", hashed="a1")
    assert await journal.admitted("session", "a1") is None
    assert await journal.admitted("session", "a2") == "about a2"

    await journal.expel("session", whose="ada")
    assert [await journal.admitted("session", one) for one in ("a2", "a3", "g1")] == [
        None,
        None,
        "about g1",
    ]
