"""A card that asks for an approval asks no more once something else has answered it."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bridge.core.lifecycle import State
from tests.fakes.slack.hands import buttons_of, words_of
from tests.worlds.console import ConsoleWorld, sent
from tests.worlds.office import Office, office_in

pytestmark = pytest.mark.journey


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with office_in(tmp_path, {"grace": ["slack:U0GRACE", "github:grace"]}) as made:
        await made.begin()
        yield made


async def asked(office: Office, text: str) -> str:
    """Push, and return the card that asks for an approval, by its id."""
    commit = await office.push(text, "bob")
    await office.held(f"of {commit[:7]}, has 0")
    card = office.both.card()
    assert "gate.approve" in buttons_of(card)
    return str(card["ts"])


async def asks_no_more(office: Office, ts: str, words: str) -> None:
    """Wait until a card says what has happened and has nothing left of the question."""

    def answered() -> list[dict[str, Any]]:
        cards = [one for one in office.both.slack.channels["C0SHOP"].roots() if one["ts"] == ts]
        return [one for one in cards if words in one["text"]]

    (card,) = await office.both.slack.until(answered)
    assert not [one for one in buttons_of(card) if one.startswith("gate.")]
    assert "To approve" not in words_of(card)


async def test_an_approval_in_the_console_answers_the_card(office: Office) -> None:
    ts = await asked(office, "second")

    assert "You approved" in await office.approve_in_console("grace", 103)

    await asks_no_more(office, ts, "is live")
    await office.both.thread_says({"ts": ts}, "Approved by github:grace")


async def test_a_newer_push_takes_the_question_to_its_own_card(office: Office) -> None:
    ts = await asked(office, "second")

    newer = await asked(office, "third")

    assert newer != ts
    await asks_no_more(office, ts, "gave way to a newer deployment")


async def test_cancelling_in_the_console_ends_the_question(office: Office) -> None:
    ts = await asked(office, "second")
    journal = office.both.world.stores.journal
    (held,) = await journal.deployments(limit=1, state=State.HELD)

    async with ConsoleWorld(office.both.world).browsing() as web:
        page = await web.get(f"/console/deployments/{held.id}")
        assert (await sent(web, page, "Cancel</button>")).status_code == 303

    await asks_no_more(office, ts, "was cancelled")
