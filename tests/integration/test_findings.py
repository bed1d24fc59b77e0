"""What `doctor` and `config check` find: names that fit nothing, and settings that differ."""

import logging
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bridge.app.doctor.names import of_identities
from bridge.app.stored_settings import NOTED, Difference, compare, note_settings
from bridge.app.unmatched import Unmatched
from bridge.backends import EMBEDDED
from bridge.console.pages import PAGES
from bridge.console.records import Asked
from bridge.console.render import draw
from bridge.console.visitors import BY_LINK, Visitor
from bridge.core.access import Grant, Person, Right
from bridge.core.errors import Refused
from bridge.pipeline.deciding.catalog import Catalog
from bridge.ports.checks import Level
from bridge.settings import read_settings
from bridge.storage.journal import SqlJournal
from tests.fakes.journey import FakeBackend, ManualClock, app
from tests.worlds.cli import DOCS, WEB, Cli, cli
from tests.worlds.console_records import FRAME, NOW, records_of

# ── rules, freezes and grants for apps that are not there ──────────────────────


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


# ── logins of `identities` ─────────────────────────────────────────────────────


REFUSED = "the token may not read accounts"


class Host:
    """It knows Grace, may not be asked for Dave, and nobody else is there."""

    def __init__(self, *, hides: bool) -> None:
        self.hides_accounts = hides

    async def number_of(self, repository: str, login: str) -> str | None:
        del repository
        if login == "dave":
            raise Refused("gitea", REFUSED, status=403)
        return "22" if login == "grace" else None

    async def close(self) -> None: ...


@pytest.mark.parametrize(
    ("hides", "level", "more"),
    [(False, Level.ERROR, ""), (True, Level.WARNING, ", or its profile is private")],
)
async def test_one_refusal_hides_no_other_finding(hides: bool, level: Level, more: str) -> None:
    provider = SimpleNamespace(api=lambda _name, _given: Host(hides=hides))
    server: Any = SimpleNamespace(name="gitea", given=None, provider=provider)
    people = {f"identities.{one}": frozenset({f"gitea:{one}"}) for one in ("ada", "dave", "grace")}

    found = [one async for one in of_identities(server, people, "my-org/mono")]

    gone = f"identities.ada: gitea knows no account ada: it was renamed or removed{more}"
    assert [(one.level, one.says) for one in found] == [
        (level, gone),
        (Level.OK, "1 of 2 logins that `identities` names were found"),
        (
            Level.WARNING,
            f"1 login that `identities` names could not be looked up: gitea: {REFUSED}",
        ),
    ]


# ── settings that differ from those in use ─────────────────────────────────────


SECRET = "a-secret-of-the-tests-0123456789"
RULES = f"[{{apps: shop/*, previews: {{environment: {{TOKEN: {SECRET}}}}}}}]"
RUNS = {
    "BRIDGE_GITHUB_WEBHOOK_SECRETS": SECRET,
    "BRIDGE_RULES": RULES,
    "BRIDGE_JOURNEY_LOOK": "0.5",
    "PORT": "8000",
}


async def difference(journal: SqlJournal, **others: str) -> Difference:
    given = {name: value for name, value in (RUNS | others).items() if value}
    found = await compare(read_settings(None, given), journal)
    assert found is not None
    return found


DIFFERENT = {
    "a secret": ({"BRIDGE_GITHUB_WEBHOOK_SECRETS": f"{SECRET}-2"}, "to other values", False),
    "a secret in a rule": ({"BRIDGE_RULES": RULES.replace("9", "8")}, "to other values", False),
    "one more": ({"BRIDGE_GITLAB_TOKEN": "glpat-1"}, "only here", False),
    "one that checks need": ({"BRIDGE_GITHUB_WEBHOOK_SECRETS": ""}, "not set here", True),
    "one that no check needs": ({"BRIDGE_JOURNEY_LOOK": ""}, "not set here", False),
    "the same": ({}, "", False),
    "one of a process": ({"PORT": "9000", "BRIDGE_LOG_LEVEL": "debug"}, "", False),
}


@pytest.mark.parametrize("name", DIFFERENT)
async def test_a_difference_is_told(name: str, journal: SqlJournal) -> None:
    given, says, incomplete = DIFFERENT[name]
    assert await compare(read_settings(None, RUNS), journal) is None  # none has noted anything
    await note_settings(read_settings(None, RUNS), journal)
    noted = await journal.recall(NOTED) or ""
    assert '"journey.look": "' in noted
    assert max(map(len, noted.split('"'))) < len(SECRET)
    assert SECRET not in noted

    found = await difference(journal, **given)

    assert (found.finding().level is Level.OK) == (not says)
    assert says in found.finding().says
    assert found.incomplete == incomplete
    assert ("nothing else was checked" in found.finding().says) == incomplete
