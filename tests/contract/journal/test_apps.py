"""The `Journal` port: the apps that were read, and the rules that were set for them."""

from dataclasses import asdict
from typing import Any

import pytest

from bridge.core.apps import App, AppKind, Prereleases, Rules, Source, SourceType, Trigger
from tests.fakes.journey import ManualClock, app
from tests.worlds.journal import Opened

EVERYTHING = App(
    id="app-full",
    name="full",
    project="shop",
    backend="dokploy",
    environment="staging",
    kind=AppKind.COMPOSE,
    source=Source(SourceType.GITLAB, "group/sub/x", "42", "host/x", "feature/a", "nginx"),
    trigger=Trigger.TAG,
    watch_paths=("web/**", "!docs/**"),
    auto_deploy=True,
    page="https://dokploy.example.com/dashboard/project/p1",
    url="https://shop.example.com",
)


async def test_apps_come_back_as_they_were_by_label(reopened: Opened) -> None:
    bare = App(id="app-bare", name="bare", project="shop", watch_paths=())
    await (await reopened()).save_apps("dokploy", [EVERYTHING, app(), bare])

    journal = await reopened()

    assert await journal.apps() == [bare, EVERYTHING, app()]
    assert await journal.app("app-full") == EVERYTHING
    assert await journal.app("nothing") is None


async def test_what_a_newer_release_says_of_an_app_is_no_trouble_to_an_older_one(
    journal: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def newer(one: App) -> dict[str, Any]:
        said = asdict(one)
        del said["rules"]
        return said | {"colour": "blue", "source": said["source"] | {"depth": 1}}

    monkeypatch.setattr("bridge.storage.journal.rows._record", newer)
    await journal.save_apps("dokploy", [app()])

    assert await journal.apps() == [app()]


async def test_an_app_that_is_gone_is_still_known_and_may_come_back(
    reopened: Opened, clock: ManualClock
) -> None:
    journal = await reopened()
    other = app("app-c", backend="embedded")
    await journal.save_apps("embedded", [other])
    await journal.save_apps("dokploy", [app("app-a"), app("app-b")])
    await journal.save_apps("dokploy", [app("app-b", name="renamed")])
    assert [one.label for one in await journal.apps()] == [other.label, "shop/renamed"]
    assert await journal.app("app-a") == app("app-a")
    assert await journal.gone_apps() == [app("app-a")]

    clock.now += 6 * 86_400
    await journal.renew_apps([], gone=["app-b"])
    journal = await reopened()
    assert [one.id for one in await journal.removed_lately()] == ["app-a", "app-b"]
    clock.now += 2 * 86_400
    assert [one.id for one in await journal.removed_lately()] == ["app-b"]
    await journal.save_apps("dokploy", [app("app-a", name="back"), app("app-b")])
    assert [one.label for one in await journal.apps()] == ["shop/b", "shop/back", other.label]
    assert await journal.gone_apps() == await journal.removed_lately() == []


async def test_single_apps_are_renewed_beside_the_others(journal: Any) -> None:
    await journal.save_apps("dokploy", [app("app-a"), app("app-b"), app("app-c")])
    before = await journal.apps_version()

    await journal.renew_apps([app("app-a")], gone=["unknown"])
    assert await journal.apps_version() == before, "as before is nothing new"
    await journal.renew_apps([app("app-b", name="renamed"), app("app-new")], gone=["app-c"])

    labels = ["shop/a", "shop/new", "shop/renamed"]
    assert [one.label for one in await journal.apps()] == labels
    assert await journal.apps_version() > before


RULES = Rules(
    trigger=Trigger.TAG,
    branch="release/*",
    watch_paths=("a/**",),
    tags="v*",
    versions=">=1",
    tag_prefix="",
    prereleases=Prereleases.ONLY,
    only_newer=False,
    skip_directives=False,
)


async def test_rules_that_were_set_stay_and_come_with_their_app(reopened: Opened) -> None:
    journal = await reopened()
    await journal.save_apps("dokploy", [app("app-a"), app("app-b")])
    await journal.save_rules("app-a", Rules(tags="old"), by="cli: ada")
    await journal.save_rules("app-a", RULES, by="cli: ada")
    await journal.save_apps("dokploy", [app("app-a"), app("app-b")])

    journal = await reopened()

    assert await journal.rules("app-a") == RULES
    assert await journal.rules("app-b") == Rules()
    assert await journal.apps() == [app("app-a", rules=RULES), app("app-b")]
    assert await journal.app("app-a") == app("app-a", rules=RULES)
