"""A rule, freeze or grant for an app that is not there is found wherever people look."""

import logging
from dataclasses import replace
from pathlib import Path

import pytest

from bridge.app.unmatched import Unmatched
from bridge.backends import EMBEDDED
from bridge.console.pages import PAGES
from bridge.console.records import Asked
from bridge.console.render import draw
from bridge.console.visitors import BY_LINK, Visitor
from bridge.core.access import Grant, Person, Right
from bridge.pipeline.deciding.catalog import Catalog
from bridge.settings import read_settings
from bridge.storage.journal import SqlJournal
from tests.fakes.journey import FakeBackend, ManualClock, app
from tests.worlds.cli import DOCS, WEB, Cli, cli
from tests.worlds.console_records import FRAME, NOW, records_of

__all__ = ["cli"]

MISSPELT = "rules:\n  - apps: shop/wbe\n    approvals: 1\n"
SAYS = "rules.0.apps (bridge.yaml, line 2): no app is called 'shop/wbe'; did you mean shop/web?"


@pytest.fixture
def there(cli: Cli) -> Cli:
    """Two apps of the embedded backend."""
    apps = [replace(one, backend=EMBEDDED) for one in (WEB, DOCS)]
    cli.with_stores(lambda stores: stores.journal.save_apps(EMBEDDED, apps))
    return cli


def test_commands_name_a_misspelt_rule_and_the_nearest_app(there: Cli) -> None:
    (there.folder / "bridge.yaml").write_text(MISSPELT)

    there("config", "check")
    checked = there("config", "check", "--online", code=1)
    examined = there("doctor", "--json", code=1)

    assert f"error: the settings: {SAYS}" in checked.stderr
    assert f'"says": "{SAYS}"' in examined.stdout


NOTHING_THERE = {
    "payments/*": (0, "warning", "no app matches 'payments/*'"),
    "shop-eu/*": (0, "warning", "no app matches 'shop-eu/*'"),
    "shop/api-*": (0, "warning", "no app matches 'shop/api-*'"),
    "shpo/*": (1, "error", "no app matches 'shpo/*'; did you mean shop/*?"),
    "'shop/{web,dosc}'": (1, "error", "no app is called 'shop/dosc'; did you mean shop/docs?"),
    "'shop/{wbe,{docs,web}}'": (1, "error", "no app is called 'shop/wbe'; did you mean shop/web?"),
    "'{shop,blog}/{web,docs}'": (0, "warning", "no app matches 'blog/{web,docs}'"),
}
"""Patterns; the exit code, and what is said: a glob may be for apps to come, unless its folder is
misspelt. Of alternatives, each must match with any of the others."""


@pytest.mark.parametrize("pattern", NOTHING_THERE)
def test_a_glob_or_an_alternative_that_matches_nothing_is_named(there: Cli, pattern: str) -> None:
    code, level, says = NOTHING_THERE[pattern]
    (there.folder / "bridge.yaml").write_text(MISSPELT.replace("shop/wbe", pattern))

    checked = there("config", "check", "--online", code=code)

    assert f"{level}: the settings: rules.0.apps (bridge.yaml, line 2): {says}" in checked.stderr


def test_an_app_that_was_removed_lately_is_not_misspelt(there: Cli) -> None:
    docs = replace(DOCS, backend=EMBEDDED)
    (there.folder / "bridge.yaml").write_text(MISSPELT.replace("shop/wbe", WEB.label))

    there.with_stores(lambda stores: stores.journal.save_apps(EMBEDDED, [docs]))

    there("config", "check", "--online")


async def test_a_running_bridge_logs_a_misspelt_rule_once_and_a_rename_that_makes_it_one(
    caplog: pytest.LogCaptureFixture, journal: SqlJournal, clock: ManualClock
) -> None:
    rules = {"BRIDGE_RULES": "[{apps: shop/wbe, approvals: 1}, {apps: shop/web, approvals: 1}]"}
    server = {"BRIDGE_DOKPLOY_URL": "http://dokploy", "BRIDGE_DOKPLOY_API_KEY": "a-key"}
    backend = FakeBackend(clock, found=[app()])
    catalog = Catalog({"dokploy": backend}, journal, clock)
    running = Unmatched(read_settings(None, rules | server), catalog, journal)

    def told() -> list[str]:
        return [str(vars(one)["why"]).partition(";")[0] for one in caplog.records]

    with caplog.at_level(logging.WARNING, "bridge.app.unmatched"):
        await catalog.refresh()
        await running.look()
        await running.look()
        assert told() == ["rules.0.apps (BRIDGE_RULES): no app is called 'shop/wbe'"]

        backend.found = [app(name="site")]
        await catalog.refresh()
        await running.look()

    assert told()[1:] == ["rules.1.apps (BRIDGE_RULES): no app is called 'shop/web'"]


async def test_the_console_shows_it_to_those_who_see_every_app(
    journal: SqlJournal, clock: ManualClock, tmp_path: Path
) -> None:
    (tmp_path / "bridge.yaml").write_text(MISSPELT)
    settings = read_settings(tmp_path / "bridge.yaml", {})
    backend = FakeBackend(clock, found=[replace(app(), backend=EMBEDDED)])
    catalog = Catalog({EMBEDDED: backend}, journal, clock)
    await catalog.refresh()
    grants = [Grant(("github:ada",), frozenset({Right.VIEW}), ("shop/*",))]
    few = Visitor(Person("github:ada", "Ada", member=False), "github")

    async with records_of(catalog.all(), grants=grants) as without:
        records = replace(without, unmatched=Unmatched(settings, catalog, journal).found)
        first, second = [
            draw(await PAGES["/console"](records, one, Asked({}, {})), FRAME, NOW)
            for one in (BY_LINK, few)
        ]

    assert "no app is called &#39;shop/wbe&#39;; did you mean shop/web?" in first
    assert "shop/wbe" not in second
