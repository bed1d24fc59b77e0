"""Going back at a Dokploy: each way and each refusal, by the command line and a whole bridge."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bridge.core.events import Action
from bridge.core.lifecycle import Deployment
from tests.fakes.dokploy_server import FakeDokploy
from tests.worlds.bridge import World, running_world
from tests.worlds.embedded import until
from tests.worlds.setup import command

ONE, TWO = "1" * 40, "2" * 40
YOUNG = {"name": "web-x1.1.abc", "state": "running", "status": "Up Less than a second"}
RULES = '[{apps: "shop/*", verify: {every: 0.1s, within: 0.5s}}]'


@dataclass
class Shop:
    """A Dokploy, a bridge, and its command line."""

    dokploy: FakeDokploy
    world: World
    settings: dict[str, str]

    async def __call__(self, *words: str, code: int = 0) -> str:
        found, said = await command(*words, **self.settings)
        assert found == code, said
        assert "Traceback" not in said
        return said

    async def deployed(self, app: str, **changes: Any) -> Deployment:
        """Deploy it once more, after some changes of the server."""
        for name, value in changes.items():
            setattr(self.dokploy, name, value)
        before = len(await self.world.deployments())
        await self.world.ask(Action.DEPLOY, app)
        return (await self.world.ended(before + 1))[-1]


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    async with FakeDokploy(containers=[YOUNG]).running() as dokploy:
        dokploy.app("web", appName="web-x1")
        dokploy.app("image", appName="web-x1", sourceType="docker", dockerImage="shop/web:1")
        given: dict[str, Any] = dokploy.settings | {
            "BRIDGE_RULES": RULES,
            "BRIDGE_JOURNEY_CATALOG_EVERY": "0.3",
        }
        async with running_world(tmp_path / "data", **given) as world:
            settings = given | {"BRIDGE_DATA": str(tmp_path / "data")}
            yield Shop(dokploy, world, settings)


async def two_versions(shop: Shop) -> None:
    await shop.deployed("web", head=ONE)
    await shop.deployed("web", head=TWO)


async def test_what_dokploy_kept_is_served_again(shop: Shop) -> None:
    await two_versions(shop)

    plan = await shop("rollback", "shop/web", "--plan")
    assert "shop/web: go back from 2222222 to 1111111: serve again what was built then" in plan
    assert "migrations are not undone" in plan
    assert shop.dokploy.restored == []

    said = await shop("rollback", "shop/web", "--yes", "--follow")

    assert "1111111 was served again, as it was built then; healthy, but not proven" in said
    assert "asked to roll back" in said
    assert shop.dokploy.restored == ["r1"]
    assert "shop/web" in await shop("locks")
    assert "1111111" in await shop("apps")
    further = await shop("rollback", "shop/web", "--plan", code=4)
    assert "no healthy version before 1111111 is known" in further


async def test_dokploy_s_no_is_told_with_what_may_be_wrong(shop: Shop) -> None:
    await two_versions(shop)
    shop.dokploy.refuses = True

    said = await shop("rollback", "shop/web", "--yes", "--follow", code=3)

    assert "refused by dokploy: Error input: Rolling back; either it no longer has" in said
    assert "may not reach the app" in said
    assert "shop/web" not in await shop("locks")


async def two_images(shop: Shop) -> None:
    await shop.deployed("image", keeps=False)
    shop.dokploy.apps["image"]["dockerImage"] = "shop/web:2"
    await until(shop.world.stores.journal.apps, lambda apps: "shop/web:2" in str(apps))
    await shop.deployed("image")


async def test_an_image_is_put_back_where_its_deployment_is_refused(shop: Shop) -> None:
    await two_images(shop)
    shop.dokploy.refuses_deploys = True

    said = await shop("rollback", "shop/image", "--yes", "--follow", code=3)

    assert "Server is inactive; the app's image is shop/web:2 as before" in said
    assert shop.dokploy.apps["image"]["dockerImage"] == "shop/web:2"


async def test_an_image_is_set_and_deployed_again(shop: Shop) -> None:
    await two_images(shop)

    said = await shop("rollback", "shop/image", "--plan")
    done = await shop("rollback", "shop/image", "--yes", "--follow")

    assert "go back from shop/web:2 to shop/web:1: deploy that image again" in said
    assert "the environment stays as it is now" in said
    assert shop.dokploy.apps["image"]["dockerImage"] == "shop/web:1"
    assert "healthy, but not proven" in done
    assert len(shop.dokploy.made["image"]) == 3


NO_WAY = [
    (("--to", "fffffff"), "no healthy deployment of it has made 'fffffff'", 4),
    (("--to", "2222222"), "2222222 is what is served already", 2),
    ((), "switch on rollbacks for the app in dokploy, with a registry", 2),
]


async def test_without_a_way_it_says_what_to_do(shop: Shop) -> None:
    before = await shop("rollback", "shop/web", "--plan", code=4)
    assert "nothing of it has been deployed yet" in before
    await shop.deployed("web", head=ONE, keeps=False)
    await shop.deployed("web", head=TWO)

    for words, says, code in NO_WAY:
        for how in ("--plan", "--yes"):
            assert says in await shop("rollback", "shop/web", *words, how, code=code)
    assert shop.dokploy.restored == []


async def test_what_dokploy_has_forgotten_can_not_be_restored(shop: Shop) -> None:
    await two_versions(shop)
    del shop.dokploy.made["web"][1:]

    said = await shop("rollback", "shop/web", "--yes", code=2)

    assert "the backend has kept newer builds, and not that of 1111111" in said
