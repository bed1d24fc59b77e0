"""What people ask of previews is done: in the console, beside real builds and a real host's API."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bridge.core.previews.preview import Preview, PreviewState
from bridge.core.previews.verdict import Why
from tests.worlds.console import ConsoleWorld
from tests.worlds.previews import PreviewWorld, preview_world, without_limits

RULES = {"host": "pr-{number}-{app}.preview.example.com"}
ACCESS = "[{who: ['U0ADA'], may: [deploy, approve], apps: ['shop/web']}]"


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[PreviewWorld]:
    without_limits(monkeypatch)
    apps = [{"apps": "shop/*", "previews": RULES}]
    async with preview_world(tmp_path, "gitea", apps, BRIDGE_ACCESS=ACCESS) as running:
        yield running


async def ask(world: PreviewWorld, what: str, preview: Preview, **form: str) -> str:
    """Send a form of the page *Previews*, as somebody who may; return what is said then."""
    console = ConsoleWorld(world.world)
    async with console.browsing(await console.session("U0ADA", "Ada")) as web:
        answer = await web.post(
            f"/console/do/previews%20{what}", data={"preview": preview.id, **form}
        )
        assert answer.status_code == 303, answer.text
        return (await web.get(answer.headers["location"])).text


async def see(world: PreviewWorld, path: str) -> str:
    console = ConsoleWorld(world.world)
    async with console.browsing(await console.session("U0ADA", "Ada")) as web:
        answer = await web.get(path)
        assert answer.status_code == 200, answer.text
        return answer.text


async def test_one_is_stopped_and_extended(world: PreviewWorld) -> None:
    await world.app()
    pull = await world.opened("topic", {"web/index.html": "first"})
    preview = await world.live(pull)

    assert "a push or `previews extend` starts it again" in await ask(world, "stop", preview)
    ended = await world.preview(pull, PreviewState.SKIPPED)
    assert (ended.reason, await world.made()) == (Why.STOPPED, [])

    await ask(world, "extend", ended)
    again = await world.live(pull)
    assert await world.page(again) == "first"

    await ask(world, "stop", again)
    await world.preview(pull, PreviewState.SKIPPED)
    await world.pushed(pull, {"web/index.html": "second"})
    assert await world.page(await world.live(pull)) == "second"


async def test_who_may_see_an_app_sees_its_previews_and_their_deployments(
    world: PreviewWorld,
) -> None:
    await world.app()
    pull = await world.opened("topic", {"web/index.html": "first"})
    preview = await world.live(pull)
    (one,) = await world.world.stores.journal.deployments(limit=9, app_id=preview.made)

    listed = await see(world, "/console/previews")
    assert f"/console/deployments/{one.id}#log" in listed
    assert str(preview.url) in listed
    assert one.app in await see(world, f"/console/deployments/{one.id}")
    assert "shop/web" in (apps := await see(world, "/console/apps"))
    assert one.app not in apps
