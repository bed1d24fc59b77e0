"""Two Dokploys: while one can't be read, no push is lost for it, and the other is read as ever."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bridge.pipeline.deciding.apps import CLASHES, NOTED
from tests.chaos.dokploy.services import Config
from tests.chaos.recording_backend import (
    RecordingBackend,
    push_payload,
    recording_backend,
)
from tests.worlds.bridge import SECRET, World, running_world
from tests.worlds.embedded import until
from tests.worlds.shell import command

BASE, FIRST, SECOND = "e" * 40, "1" * 40, "2" * 40


@dataclass
class Pair:
    """Two Dokploys, `dokploy` with `app-0` and `second` without apps, and a bridge's folder."""

    data: Path
    first: RecordingBackend
    second: RecordingBackend

    @property
    def settings(self) -> dict[str, Any]:
        second = {"second": {"url": self.second.url, "api_key": "k2"}}
        return {
            "BRIDGE_DOKPLOY_URL": self.first.url,
            "BRIDGE_DOKPLOY_API_KEY": "k1",
            "BRIDGE_BACKENDS": json.dumps(second),
        }

    @asynccontextmanager
    async def bridge(self, every: str = "0.2") -> AsyncIterator[World]:
        """A bridge that has read both, as far as they can be read."""
        settings = self.settings | {"BRIDGE_JOURNEY_CATALOG_EVERY": every}
        async with running_world(self.data, **settings) as world:
            await until(world.stores.journal.apps, len)
            yield world

    async def run(self, *words: str) -> tuple[int | None, str, str]:
        """Run a command beside the bridge."""
        others = {"BRIDGE_DATA": str(self.data), "BRIDGE_GITHUB_WEBHOOK_SECRETS": SECRET}
        done = await command(words, self.data.parent, others | self.settings)
        return done.exit_code, done.stdout, done.stderr


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[Pair]:
    quick = {"build_seconds": 0.05, "listing_delay": 0.0}
    async with (
        recording_backend(apps=1, **quick) as first,  # type: ignore[arg-type]
        recording_backend(apps=0, **quick) as second,  # type: ignore[arg-type]
    ):
        yield Pair(tmp_path / "bridge", first, second)
        for backend in (first, second):
            if backend.away:
                await backend.come_back()


def made(backend: RecordingBackend, name: str = "new", **fields: Any) -> None:
    """A person makes an app there that deploys pushes to its folder."""
    backend.has(name, Config(watch_paths=(f"{name}/**",), **fields))


async def pushed(world: World, *apps: str, before: str = BASE, after: str = FIRST) -> str:
    answer = await world.hook("github", push_payload(before, after, set(apps)))
    assert answer.status_code == 202, answer.text
    return str(answer.json()["delivery"])


async def deployed(backend: RecordingBackend, app: str, commit: str = FIRST) -> None:
    """Until the app was asked for; then that it was asked for once."""

    async def asked() -> list[str]:
        return [one.commit for one in backend.ledger if one.app == app]

    await until(asked, len)
    assert await asked() == [commit]


async def noted(world: World, words: str) -> None:
    """Until the journal says so of the backends."""
    await until(lambda: world.stores.journal.recall(NOTED), lambda text: words in (text or ""))


# ── no push is lost for an app that is not known yet ─────────────────────────


@pytest.mark.journey
async def test_a_push_that_comes_while_a_dokploy_is_away_deploys_its_new_app_once_it_is_back(
    pair: Pair,
) -> None:
    async with pair.bridge() as world:
        made(pair.second)
        await pair.second.go_away()
        await noted(world, "second")

        delivery = await pushed(world, "app-0", "new")
        assert await world.reasons(delivery) == {"shop/app-0": "path_hit"}
        await pair.second.come_back()

        await deployed(pair.second, "new")
        await deployed(pair.first, "app-0")
        assert await world.reasons(delivery) == {"shop/app-0": "path_hit", "shop/new": "path_hit"}


async def test_so_it_does_where_the_bridge_is_restarted_meanwhile(pair: Pair) -> None:
    async with pair.bridge() as world:
        made(pair.second)
        await pair.second.go_away()
        await noted(world, "second")
        await world.delivery(await pushed(world, "app-0", "new"))

    async with pair.bridge() as world:
        await noted(world, "second")
        await pair.second.come_back()

        await deployed(pair.second, "new")
        await deployed(pair.first, "app-0")


@pytest.mark.journey
async def test_a_push_that_two_hooks_bring_deploys_the_new_app_once(pair: Pair) -> None:
    async with pair.bridge() as world:
        made(pair.second)
        await pair.second.go_away()
        await noted(world, "second")
        await world.delivery(await pushed(world, "new"))
        again = await pushed(world, "new")
        await world.delivery(again)
        await pair.second.come_back()

        await deployed(pair.second, "new")
        assert (await world.reasons(again))["shop/new"] == "duplicate_push"


async def test_the_command_line_says_for_which_dokploy_a_push_is_still_to_be_decided(
    pair: Pair,
) -> None:
    async with pair.bridge() as world:
        made(pair.second)
        await pair.second.go_away()
        await noted(world, "second")
        delivery = await pushed(world, "app-0", "new")
        await world.delivery(delivery)

        _, listed, _ = await pair.run("deliveries")
        _, shown, _ = await pair.run("deliveries", "show", delivery)
        _, form, _ = await pair.run("deliveries", "show", delivery, "--json")
        _, _, why = await pair.run("why", "app-0")
        code, _, unknown = await pair.run("why", "new")
        _, _, explained = await pair.run("explain", delivery)
        for told in (listed, shown, why, unknown, explained):
            assert "second could not be read since" in told, told
        assert json.loads(form)["owed"] == ["second"]
        assert code == 4

        await pair.second.come_back()
        await deployed(pair.second, "new")
        _, out, err = await pair.run("why", "new")
        assert "deploy shop/new: path_hit" in out
        assert "decided late" in out
        assert "could not be read" not in err
        _, listed, _ = await pair.run("deliveries")
        assert "could not be read" not in listed


# ── two with the same ids, as one that was restored from a copy of the other ─


async def test_two_dokploys_with_the_same_ids_are_named_with_the_remedy(pair: Pair) -> None:
    made(pair.second, "app-0")
    made(pair.second, "own")
    async with pair.bridge() as world:
        await until(world.stores.journal.apps, lambda apps: len(apps) == 2)
        await until(
            lambda: world.stores.journal.recall(CLASHES), lambda text: "app-0" in (text or "")
        )
        apps = {app.id: app.backend for app in await world.stores.journal.apps()}
        loser = {"dokploy": "second", "second": "dokploy"}[apps["app-0"]]
        said = f"{loser} has apps with the ids of apps of {apps['app-0']}"

        await world.delivery(await pushed(world, "app-0", "own"))
        await deployed(pair.second, "own")
        await deployed({"dokploy": pair.first, "second": pair.second}[apps["app-0"]], "app-0")

        ready = (await world.web.get("/readyz")).json()
        assert said in ready[f"backend {loser}"]
        assert ready["status"] == "ready"
        _, _, listed = await pair.run("apps")
        assert f"{said}, as a copy of a Dokploy has: shop/app-0." in listed
        code, _, checked = await pair.run("config", "check", "--online")
        assert code == 1
        assert "second: has apps with the ids of apps of dokploy" in checked
        assert "with another BRIDGE_DATA" in checked

        del pair.second.services["app-0"]
        await until(lambda: world.stores.journal.recall(CLASHES), lambda text: text == "{}")
