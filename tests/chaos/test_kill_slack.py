"""Kill the bridge between a command and its answer, or a card and its record: all happens once."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.chaos.cluster import Process
from tests.chaos.recording_backend import RecordingBackend, recording_backend
from tests.fakes.slack.hands import Hands, words_of
from tests.fakes.slack.server import FakeSlack, running_slack
from tests.worlds.embedded import until
from tests.worlds.slack import slack_settings

APPS = 4


class DeadlySlack(FakeSlack):
    """Carries out a request, and kills the bridge before it answers."""

    victim: Process | None = None

    def _note(self, method: str, args: Any, answer: Any, status: int) -> None:
        super()._note(method, args, answer, status)
        if method == "chat.postMessage" and self.victim is not None:
            assert self.victim.running is not None
            self.victim.running.kill()
            self.victim = None


@pytest.fixture
async def backend() -> AsyncIterator[RecordingBackend]:
    async with recording_backend(apps=APPS, build_seconds=0.3, listing_delay=0.0) as running:
        yield running


@pytest.fixture
async def slack() -> AsyncIterator[DeadlySlack]:
    async with running_slack(DeadlySlack()) as running:
        assert isinstance(running, DeadlySlack)
        running.scopes.add("channels:history")
        yield running


@pytest.fixture
async def process(
    tmp_path: Path, backend: RecordingBackend, slack: DeadlySlack
) -> AsyncIterator[Process]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BRIDGE_")}
    settings = slack_settings(slack) | {
        "BRIDGE_DATA": str(tmp_path / "data"),
        "BRIDGE_DOKPLOY_URL": backend.url,
        "BRIDGE_DOKPLOY_API_KEY": "a-key",
        "BRIDGE_FEEDBACK_LEASE": "1",
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    made = Process("all", kept | settings, tmp_path / "log")
    yield made
    await made.kill()


async def hands_of(process: Process, slack: FakeSlack, web: httpx.AsyncClient) -> Hands:
    """Return people's hands, once the bridge knows the workspace and the apps."""
    hands = Hands(slack, web)

    async def apps() -> str:
        return words_of((await hands.type("apps")).body)

    await until(apps, lambda said: f"app-{APPS - 1}" in said)
    return hands


async def test_what_was_acknowledged_is_done_though_the_bridge_is_killed(
    process: Process, backend: RecordingBackend, slack: DeadlySlack
) -> None:
    await process.started()
    async with httpx.AsyncClient(base_url=process.url, trust_env=False, timeout=20) as web:
        hands = await hands_of(process, slack, web)
        answers = await asyncio.gather(*(hands.type(f"deploy app-{n}") for n in range(APPS)))
    await process.kill()
    assert [one.body["response_type"] for one in answers] == ["in_channel"] * APPS

    await process.started()
    await slack.until(lambda: _live(slack) == APPS, seconds=60)

    assert sorted(one.app for one in backend.ledger) == [f"app-{n}" for n in range(APPS)]
    assert len(slack.channels["C0SHOP"].roots()) == APPS


async def test_killed_between_posting_a_card_and_remembering_it_there_is_one(
    process: Process, slack: DeadlySlack
) -> None:
    await process.started()
    async with httpx.AsyncClient(base_url=process.url, trust_env=False, timeout=20) as web:
        hands = await hands_of(process, slack, web)
        slack.victim = process
        await hands.type("deploy app-0")
        await slack.until(slack.channels["C0SHOP"].roots)
    await process.kill()

    await process.started()
    await slack.until(lambda: _live(slack) == 1, seconds=60)

    (card,) = slack.channels["C0SHOP"].roots()
    lines = [words_of(line) for line in slack.channels["C0SHOP"].thread(card["ts"])]
    assert len(lines) == len(set(lines))


def _live(slack: FakeSlack) -> int:
    return sum("is live" in card["text"] for card in slack.channels["C0SHOP"].roots())
