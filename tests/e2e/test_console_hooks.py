"""The console names the webhooks that their Git host has disabled, or can't deliver."""

from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import httpx
import pytest

from bridge.pipeline.deciding.catchup import MOST, HookTroubles
from bridge.ports.githosts import Hook
from tests.fakes.github import FakeGithub
from tests.fakes.gitlab import FakeGitlab
from tests.fakes.host import FakeHook, FakeHost
from tests.worlds.bridge import SECRET, TOKEN, Origin
from tests.worlds.console import ConsoleWorld, console_world
from tests.worlds.embedded import until
from tests.worlds.sites import MAIN, make_app, on

URL = "https://bridge.example.com"
QUICK = {"BRIDGE_PUBLIC_URL": URL, "BRIDGE_CATCHUP_EVERY": "0.2", "BRIDGE_CATCHUP_GRACE": "0"}


@pytest.fixture
async def host(request: pytest.FixtureRequest) -> AsyncIterator[FakeHost]:
    async with getattr(request, "param", FakeGithub)() as fake:
        yield fake


async def needs(web: httpx.AsyncClient) -> str:
    """Return what needs somebody."""
    page = (await web.get("/console")).text
    return page[page.index('id="needs"') : page.index('id="apps"')]


def reported(host: FakeHost, origin: Origin) -> FakeHook:
    """Return a webhook of the origin that leads to the bridge."""
    repository = host.repository(origin.name, id=origin.id, git=origin.repository.path)
    secret = SECRET if host.name == "github" else TOKEN
    return host.hook(repository, f"{URL}/hooks/{host.name}", secret)


async def test_a_disabled_webhook_needs_somebody_until_it_is_on_again(
    tmp_path: Path, origin: Origin, host: FakeHost
) -> None:
    origin = on(host, origin)
    hook = reported(host, origin)
    hook.active = False
    says = f"webhook {hook.id} of my-org/mono at {host.name}:"
    async with (
        console_world(tmp_path / "bridge", **host.settings, **QUICK) as console,
        console.browsing() as web,
    ):
        await make_app(console.world, origin)
        await until(lambda: needs(web), lambda text: says in text)
        assert '<span class="tag bad">disabled</span>' in await needs(web)
        assert "/console/deliveries?repo=my-org%2Fmono" in await needs(web)

        hook.active = True
        await until(lambda: needs(web), lambda text: says not in text)


@pytest.mark.parametrize("host", [FakeGitlab], indirect=True)
async def test_a_webhook_that_can_not_be_delivered_needs_somebody(
    tmp_path: Path, origin: Origin, host: FakeHost
) -> None:
    origin = on(host, origin)
    hook = reported(host, origin)
    async with (
        console_world(tmp_path / "bridge", **host.settings, **QUICK) as console,
        console.browsing() as web,
    ):
        await make_app(console.world, origin)
        before, after = origin.head(), origin.repository.commit("feat: lost", {"a.txt": "a"})
        event = "push" if host.name == "github" else "Push Hook"
        await host.send(hook, event, origin.payload(MAIN, before, after), lost=True)

        failing = await until(lambda: needs(web), lambda text: ">failing</span>" in text)
        assert f"webhook {hook.id} of my-org/mono at {host.name}: its last delivery" in failing


async def test_the_page_asks_no_host_and_shows_when_it_was_asked(
    tmp_path: Path, origin: Origin, host: FakeHost
) -> None:
    origin = on(host, origin)
    reported(host, origin).active = False
    settings: dict[str, Any] = {**host.settings, **QUICK}
    async with (
        console_world(tmp_path / "bridge", **settings) as console,
        console.browsing() as web,
    ):
        await make_app(console.world, origin)
        await until(lambda: needs(web), lambda text: "disabled" in text)
    await host.away()
    async with (
        console_world(tmp_path / "bridge", **settings) as console,
        console.browsing() as web,
    ):
        assert "disabled" in await needs(web)
        assert "<time" in await needs(web)


async def shown(console: ConsoleWorld, secret: str | None = None) -> str:
    async with console.browsing(secret) as web:
        return await needs(web)


async def fail(troubles: HookTroubles, numbers: Iterable[int]) -> None:
    """Note that these webhooks are switched off, each of a repository of its own."""
    for number in numbers:
        hook = Hook("repos/a/b", str(number), f"{URL}/hooks/github", "it is switched off")
        await troubles.note("github", f"my-org/r{number}", [(hook, None)])


async def test_many_are_counted_and_shown_to_those_who_may_view_every_app(tmp_path: Path) -> None:
    access = '[{"who": ["github:ada"], "may": ["view"], "apps": ["shop/*"]}]'
    async with console_world(tmp_path / "bridge", BRIDGE_ACCESS=access) as console:
        troubles = HookTroubles(console.world.stores.journal, lambda: 4e9)
        await fail(troubles, range(7))

        assert (await shown(console)).count('tag bad">disabled<') == 5
        assert "2 other webhooks do not arrive" in await shown(console)
        assert "disabled" not in await shown(console, await console.session("github:ada"))
        await fail(troubles, range(7, MOST + 1))
        assert "more than 95 other webhooks do not arrive" in await shown(console)
