"""Locks that remind their owners, and locks that end with a pull request, over real HTTP."""

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from bridge.core.gates.locks import DAY
from tests.fakes.pulls import Change
from tests.fakes.slack.hands import Hands, buttons_of, words_of
from tests.fakes.slack.server import FakeSlack, running_slack
from tests.worlds.embedded import until
from tests.worlds.previews import FAKES, NAME, PreviewWorld, preview_world
from tests.worlds.slack import SlackWorld, slack_settings

EVERYTHING = [
    {"who": ["everyone"], "may": ["deploy", "lock"]},
]


@dataclass
class Stage:
    """A bridge beside a Git host, and a workspace."""

    host: PreviewWorld
    slack: FakeSlack
    hands: Hands

    async def says(self, channel: str, words: str) -> dict[str, Any]:
        """Wait for a message in a channel, or to a person."""

        def found() -> dict[str, Any] | None:
            there = self.slack.channels.get(channel)
            roots = there.roots() if there else []
            return next((one for one in roots if words in words_of(one)), None)

        return dict(await self.slack.until(found))

    async def typed(self, text: str) -> dict[str, Any]:
        """Type a command; return its answer, which comes later if the host is slow."""
        answered = await self.hands.type(text)
        late = answered.text.startswith("Still working")
        return await answered.later() if late else answered.body

    async def locks(self) -> list[Any]:
        return list(await self.host.world.stores.journal.locks())


@pytest.fixture
async def stage(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Stage]:
    host = getattr(request, "param", "github")
    async with running_slack() as slack:
        given: dict[str, Any] = slack_settings(slack, EVERYTHING)
        del given["BRIDGE_JOURNEY_CATALOG_EVERY"]
        async with preview_world(tmp_path, host, [], **given) as made:
            await made.app("web")
            await slack.until(lambda: slack.count("auth.test"))
            hands = Hands(slack, made.world.web)
            await SlackWorld(made.world, slack, hands).knows("shop/web")
            yield Stage(made, slack, hands)


@pytest.mark.parametrize("stage", FAKES, indirect=True)
async def test_a_lock_ends_with_its_pull_request(stage: Stage) -> None:
    host = stage.host
    pull = await host.opened("topic", {"web/index.html": "a risky one"})
    sign = "!" if host.fake.name == "gitlab" else "#"
    named = f"{NAME}{sign}{pull.number}"
    answered = await stage.typed(f"lock web until merge of #{pull.number} a risky one")
    assert f"Until {named} is merged or closed" in words_of(answered)

    host.theirs.merge(pull, host.git.git("rev-parse", "main"))
    await host.send(pull, Change.CLOSED)

    told = await stage.says("C0SHOP", f"Unlocked, as {named} is merged")
    assert "Ada had locked it since" in words_of(told)
    assert await stage.locks() == []
    audited = await host.world.stores.journal.audited(limit=9)
    assert [(str(one.by), one.what) for one in audited] == [
        (host.fake.name, "unlock"),
        ("slack: Ada (U0ADA)", "lock"),
    ]
    assert sum("Unlocked" in words_of(one) for one in stage.slack.channels["C0SHOP"].roots()) == 1


async def test_the_owner_is_reminded_and_settles_it_by_a_click_and_nobody_else(
    stage: Stage,
) -> None:
    stage.slack.person("U0EVE", "Eve", is_restricted=True)
    await stage.hands.type("lock web a migration")
    journal = stage.host.world.stores.journal
    (lock,) = await stage.locks()
    at = time.time() - DAY - 60
    await journal.take_lock(replace(lock, at=at, remind_at=at + DAY), None, steal=False)
    message = await stage.says("D0ADA", "Still locked by you")
    assert buttons_of(message) == ["lock.release", "lock.keep"]

    clicked = await stage.hands.click(message, "lock.release", user="U0EVE")
    assert (await clicked.later())["replace_original"] is False
    assert len(await stage.locks()) == 1
    audited = await journal.audited(limit=9)
    refused = [(one.what, one.outcome) for one in audited if one.by.id == "U0EVE"]
    assert refused == [("unlock", "refused: no right to lock")]

    kept = await (await stage.hands.click(message, "lock.keep")).later()
    assert kept["replace_original"] is True
    assert "Kept locked by Ada: *shop/web*" in words_of(kept)
    await until(stage.locks, lambda found: found[0].remind_at > time.time() + 5 * DAY)
    released = await (await stage.hands.click(message, "lock.release")).later()
    assert released["replace_original"] is True
    assert "Unlocked: *shop/web*" in words_of(released)
    assert await stage.locks() == []
