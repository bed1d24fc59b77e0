"""App Home: what somebody may see, as it stands, while they look."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bridge.chats.slack import home as visits
from tests.fakes.slack.hands import ADA, buttons_of, words_of
from tests.fakes.slack.methods import TEAM
from tests.worlds.bridge import Origin
from tests.worlds.embedded import until
from tests.worlds.sites import make_site
from tests.worlds.slack import SlackWorld, slack_world


@pytest.fixture
async def both(tmp_path: Path) -> AsyncIterator[SlackWorld]:
    async with slack_world(tmp_path / "bridge") as running:
        yield running


async def look(both: SlackWorld, user: str = ADA, **event: Any) -> None:
    opened = {"type": "app_home_opened", "user": user, "tab": "home", "channel": "D0ADA"}
    answered = await both.hands.event(opened | event)
    assert answered.status == 200


async def home(both: SlackWorld, words: str, user: str = ADA) -> dict[str, Any]:
    """Somebody's Home, once it says so."""

    def found() -> dict[str, Any] | None:
        view = both.slack.homes.get(user)
        return view if view and words in words_of(view) else None

    return dict(await both.slack.until(found))


async def act(
    both: SlackWorld, view: dict[str, Any], action_id: str, value: str, *, chosen: bool = False
) -> Any:
    """Press a button of Home, or choose something there."""
    action = {"action_id": action_id, "block_id": "b", "action_ts": "1780000000.000001"}
    what = {"selected_option": {"value": value}} if chosen else {"value": value}
    payload = {
        "type": "block_actions",
        "user": {"id": ADA, "team_id": TEAM},
        "team": {"id": TEAM, "domain": "test"},
        "container": {"type": "view", "view_id": view["id"]},
        "trigger_id": both.slack.trigger(),
        "view": view,
        "actions": [action | what],
    }
    return await both.hands._send("interactive", payload, "")


async def test_home_shows_apps_and_is_drawn_anew_while_somebody_looks(
    both: SlackWorld, origin: Origin
) -> None:
    assert both.world.backend is not None
    await both.world.backend.app("quiet", "https://git.example.com/acme/quiet.git")
    await both.app(origin)

    await look(both)
    first = await home(both, "*shop/web*")
    assert "never deployed from here" in words_of(first)
    assert "No push to git.example.com/acme/quiet has ever arrived" in words_of(first)
    await both.world.commit(origin, "feat: second", {"web/index.html": "2"})
    await home(both, "feat: second")
    await both.world.ended(1)
    calm = await home(both, "All quiet")

    assert {"home.deploy", "home.configure", "home.new"} <= set(buttons_of(calm | {"text": ""}))


async def test_home_deploys_and_configures(both: SlackWorld, origin: Origin) -> None:
    app_id = await both.app(origin)
    await look(both)
    view = await home(both, "*shop/web*")

    await act(both, view, "home.deploy", app_id)
    await act(both, view, "home.deploy", app_id)  # a double click
    (deployment,) = await both.world.ended(1)
    await act(both, view, "home.configure", app_id)
    dialog = await both.view("provider.source", "Clone address")
    await act(both, view, "home.new", "deploy")

    assert deployment.trigger == "slack: Ada"
    assert "shop/web" in words_of(dialog)
    await both.view("operation.view", "Deploy")


async def test_home_has_pages_and_projects_that_stay_while_it_is_drawn_anew(
    both: SlackWorld, origin: Origin
) -> None:
    assert both.world.backend is not None
    for number in range(20):
        await both.world.backend.app(f"app-{number:02d}", origin.clone_url)
    await make_site(both.world, origin)
    await both.knows("shop/web")
    await look(both)
    view = await home(both, "Page 1 of 3")

    await act(both, view, "home.page", "3", chosen=True)
    second = await home(both, "*shop/web*")
    await both.hands.type("web", command="/deploy")
    await home(both, ":white_check_mark:  *shop/web*")

    assert "shop/app-00" not in words_of(second)
    assert '"page": 3' in both.slack.homes[ADA]["private_metadata"]


async def test_nobody_sees_in_home_what_they_may_not(tmp_path: Path, origin: Origin) -> None:
    grants = [{"who": ["U0ADA"], "may": ["view"]}]
    async with slack_world(tmp_path / "bridge", grants) as both:
        both.slack.person("U0EVE", "Eve")
        await both.app(origin)

        await look(both)
        await look(both, "U0EVE")
        mine = await home(both, "*shop/web*")
        theirs = await home(both, "no app that you may see", "U0EVE")

        assert buttons_of(mine | {"text": ""}) == ["home.new"]
        assert "shop" not in words_of(theirs)


async def test_a_home_that_nobody_has_looked_at_for_long_is_not_drawn(
    both: SlackWorld, origin: Origin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(visits, "LOOKS_LAST", -1.0)
    await both.app(origin)
    await look(both)
    await home(both, "*shop/web*")

    await both.hands.type("web", command="/deploy")
    await both.world.ended(1)
    journal = both.world.stores.journal

    async def watched() -> list[str]:
        return [one.subscription.kind for one in await journal.feedback(limit=99)]

    await until(watched, lambda kinds: "slack.home" not in kinds)
    assert both.slack.count("views.publish") == 1
