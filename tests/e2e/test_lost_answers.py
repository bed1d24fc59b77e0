"""Answers to writes that configure or clear are lost: what is said afterwards agrees with the row.

The backend is real; a proxy before it loses what it answers, or what it is asked.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from typer.testing import Result

from bridge.core.apps import App, Rules, Trigger
from bridge.core.configuration.configuration import GitSource
from bridge.embedded.server import EmbeddedServer
from bridge.ports.backends import Progress
from bridge.ports.outcomes import DONE, Audited
from tests.chaos.dokploy.faults import Fault, resets, says
from tests.fakes.lossy import LossyProxy, lossy
from tests.fakes.slack.forms import Forms, View
from tests.fakes.slack.hands import words_of
from tests.worlds.cli import Cli
from tests.worlds.embedded import Maker, maker_of, until
from tests.worlds.slack import SlackWorld, slack_world

UPDATE = "application.update"
BUILD = "application.saveBuildType"
ENVIRONMENT = "application.saveEnvironment"
CLEAR = "application.clearDeployments"
GIT = GitSource(url="https://example.com/a.git", branch="main", watch_paths=("web/**",))


@dataclass(frozen=True)
class Loss:
    """How one request fails; `arrives` says whether it is carried out all the same."""

    fault: Fault
    arrives: bool


LOSSES = {
    "lost after": Loss(resets(arrives=True), arrives=True),
    "lost before": Loss(resets(arrives=False), arrives=False),
    "502 after": Loss(says(502, arrives=True), arrives=True),
    "500 before": Loss(says(500), arrives=False),
}


@dataclass(frozen=True)
class Write:
    """A change on the command line.

    Attributes:
        words: the command.
        procedure: what of the backend it calls.
    """

    words: tuple[str, ...]
    procedure: str


WRITES = {
    "branch and watch paths": Write(
        ("provider", "set", "git", "web", "--branch", "dev", "--watch", "api/**"), UPDATE
    ),
    "branch and the bridge's own rules": Write(
        ("provider", "set", "git", "web", "--branch", "dev", "--trigger", "tag", "--tags", "v*"),
        UPDATE,
    ),
    "another kind of source, with its trigger": Write(
        (
            *("provider", "set", "github", "web", "--owner", "o", "--repository", "r"),
            *("--branch", "main", "--account", "", "--trigger", "tag"),
        ),
        UPDATE,
    ),
    "disconnect": Write(("provider", "disconnect", "web"), UPDATE),
    "undo": Write(("provider", "undo", "web"), UPDATE),
    "build": Write(("build", "set", "web", "--type", "static", "--publish", "dist"), BUILD),
    "variables": Write(("env", "set", "web", "A=1", "B=2"), ENVIRONMENT),
}

CHANGES = [name for name in WRITES if name != "undo"]
EACH_WITH_A_LOSS = list(zip(WRITES, itertools.cycle(LOSSES), strict=False))
"""Each kind of change with one of the losses, so that each loss is met."""


@dataclass
class Shop:
    """An app of a backend that a proxy stands before, and the command line."""

    cli: Cli
    backend: Maker
    proxy: LossyProxy
    app: App

    async def run(self, *words: str, code: int = 0) -> Result:
        """Call a command, which must end with that code."""
        return await asyncio.to_thread(self.cli, *words, code=code)

    async def row(self) -> Any:
        """How the app is configured, at the backend and by the bridge's own rules."""
        rules = await self._stores(lambda stores: stores.journal.rules(self.app.id))
        return await self.backend.saved(self.app), rules

    async def audits(self) -> list[Audited]:
        return await self._stores(  # type: ignore[no-any-return]
            lambda stores: stores.journal.audited(limit=99, app_id=self.app.id)
        )

    async def _stores(self, work: Callable[[Any], Any]) -> Any:
        return await asyncio.to_thread(self.cli.with_stores, work)


@pytest.fixture
async def shop(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Shop]:
    async with (
        EmbeddedServer(tmp_path / "data") as server,
        maker_of(server, "dokploy") as backend,
        lossy(backend.client.http) as proxy,
    ):
        app = await backend.create_app("web", project="shop", source=GIT)
        monkeypatch.setattr("bridge.pipeline.deploying.configure.PAUSES", (0.01, 0.01, 0.01))
        monkeypatch.setenv("BRIDGE_DOKPLOY_URL", proxy.url)
        monkeypatch.setenv("BRIDGE_DOKPLOY_API_KEY", "a-key")
        shop = Shop(cli, backend, proxy, app)
        # Something to take back that is not what the tests change.
        await shop.run("env", "set", "web", "FIRST=1", "--yes")
        proxy.heal()
        yield shop


@pytest.mark.parametrize(("write", "loss"), EACH_WITH_A_LOSS)
async def test_a_change_whose_answer_is_lost_is_carried_to_its_end(
    shop: Shop, write: str, loss: str
) -> None:
    asked = WRITES[write]
    if write == "undo":
        await shop.run("provider", "set", "git", "web", "--branch", "dev", "--tags", "v*", "--yes")
    before = await shop.row()
    await shop.run(*asked.words, "--yes")
    after = await shop.row()
    await shop.run("provider", "undo", "web", "--yes")
    assert await shop.row() == before != after
    shop.proxy.once[asked.procedure].append(LOSSES[loss].fault)

    words = ("provider", "undo", "web") if write == "undo" else asked.words
    told = await shop.run(*words, "--yes")

    assert await shop.row() == after
    assert told.stdout.splitlines()[-1] == "changed shop/web"
    (note, *_) = await shop.audits()
    assert note.result == DONE
    await shop.run("provider", "undo", "web", "--yes")
    assert await shop.row() == before


@pytest.mark.parametrize(("write", "loss"), [one for one in EACH_WITH_A_LOSS if one[0] in CHANGES])
async def test_where_every_answer_is_lost_what_is_said_agrees_with_the_row(
    shop: Shop, write: str, loss: str
) -> None:
    asked, lost = WRITES[write], LOSSES[loss]
    before = await shop.row()
    shop.proxy.always[asked.procedure] = lost.fault

    told = await shop.run(*asked.words, "--yes", code=0 if lost.arrives else 1)

    changed = await shop.row() != before
    assert changed is lost.arrives
    (note, *_) = await shop.audits()
    shop.proxy.heal()
    undone = (await shop.run("provider", "undo", "web", "--yes")).stdout
    if lost.arrives:
        assert told.stdout.splitlines()[-1] == "changed shop/web"
        assert note.result == DONE
        assert "env.FIRST" not in undone
        assert await shop.row() == before
    else:
        assert "shop/web is still as it was" in told.stderr
        assert "ask again" in told.stderr
        assert "is still as it was" in note.outcome
        # The change before it is the newest that was made.
        assert "env.FIRST: set → removed" in undone


@pytest.mark.parametrize(
    ("write", "arrives"), list(zip(CHANGES, itertools.cycle([True, False]), strict=False))
)
async def test_where_nothing_can_be_read_back_it_may_have_been_made_and_undo_looks(
    shop: Shop, write: str, arrives: bool
) -> None:
    """The backend goes away in the middle of a change."""
    asked = WRITES[write]
    before = await shop.row()
    shop.proxy.always[asked.procedure] = resets(arrives=arrives)
    shop.proxy.away_after = asked.procedure

    told = await shop.run(*asked.words, "--yes", code=1)

    assert "may have been made" in told.stderr
    (note, *_) = await shop.audits()
    assert note.outcome.startswith("Unanswered: ")
    assert shop.proxy.writes.count(asked.procedure) == 1
    shop.proxy.heal()
    assert (await shop.row() != before) is arrives
    undone = (await shop.run("provider", "undo", "web", "--yes")).stdout
    if arrives:
        assert "env.FIRST" not in undone
        assert await shop.row() == before
    else:
        assert "env.FIRST: set → removed" in undone


# ── clear ────────────────────────────────────────────────────────────────────


@pytest.fixture
async def built(shop: Shop) -> Shop:
    """With a deployment that has failed, so that there is a log."""
    await shop.backend.save_provider(shop.app, GIT.model_copy(update={"url": "file:///nowhere"}))
    await shop.backend.deploy(shop.app, title="t", description="d")
    await until(
        lambda: shop.backend.deployments(shop.app),
        lambda found: found and found[0].status is Progress.ERROR,
    )
    return shop


async def logs(shop: Shop) -> int:
    found = await shop.backend.deployments(shop.app)
    return len([one for one in found if (await shop.backend.log_tail(one, 1)).strip()])


@pytest.mark.journey
@pytest.mark.parametrize("loss", ["lost after", "500 before"])
async def test_clearing_whose_answer_is_lost_says_what_became_of_the_logs(
    built: Shop, loss: str
) -> None:
    lost = LOSSES[loss]
    built.proxy.once[CLEAR].append(lost.fault)

    told = await built.run("clear", "web", "--yes", code=0 if lost.arrives else 1)

    (note, *_) = await built.audits()
    assert await logs(built) == (0 if lost.arrives else 1)
    if lost.arrives:
        assert told.stdout.startswith("removed the log of 1 deployment of shop/web;")
        assert note.result == DONE
    else:
        assert "the logs of shop/web are still there" in told.stderr
        assert "ask again" in told.stderr
        assert "are still there" in note.outcome
    assert built.proxy.writes == [CLEAR]
    undone = (await built.run("provider", "undo", "web", "--yes")).stdout
    assert "env.FIRST: set → removed" in undone  # a clear is nothing that is taken back


@pytest.mark.parametrize("fault", [None, "lost after", "500 before"])
async def test_clearing_before_the_backend_goes_away_denies_nothing(
    built: Shop, fault: str | None
) -> None:
    if fault is not None:
        built.proxy.always[CLEAR] = LOSSES[fault].fault
    built.proxy.away_after = CLEAR

    told = await built.run("clear", "web", "--yes", code=1)

    (note, *_) = await built.audits()
    if fault is None:
        assert "the log folder of shop/web was deleted" in told.stderr
        assert note.result == DONE
    else:
        assert "may have been deleted" in told.stderr
        assert "may have been deleted" in note.outcome


# ── from Slack ───────────────────────────────────────────────────────────────


async def test_from_slack_each_kind_of_change_is_carried_to_its_end(tmp_path: Path) -> None:
    async with (
        EmbeddedServer(tmp_path / "data") as server,
        maker_of(server, "dokploy") as backend,
        lossy(backend.client.http) as proxy,
    ):
        app = await backend.create_app("web", project="shop", source=GIT)
        settings: dict[str, Any] = {
            "BRIDGE_DOKPLOY_URL": proxy.url,
            "BRIDGE_DOKPLOY_API_KEY": "a-key",
        }
        async with slack_world(tmp_path / "bridge", **settings) as both:
            await both.knows("shop/web")
            hands, journal = Forms(both.slack, both.hands), both.world.stores.journal

            async def agreed(view: View, procedure: str, **changed: str) -> None:
                proxy.once[procedure].append(LOSSES["lost after"].fault)
                compared = await hands.pushed(view, **changed)
                await hands.submit(compared)
                await hands.says(compared["id"], "is changed")
                assert proxy.once[procedure] == []
                (note, *_) = await journal.audited(limit=1)
                assert note.result == DONE

            view = await hands.open("web")
            await hands.act(view, "provider.redraw", trigger="tag")
            view = await hands.says(view["id"], "when.tags")
            await agreed(view, UPDATE, branch="dev", tags="v*")
            saved, rules = await backend.saved(app), await journal.rules(app.id)
            assert saved.provider == GIT.model_copy(update={"branch": "dev"})
            assert rules == Rules(trigger=Trigger.TAG, tags="v*")
            changed = dict(await both.slack.until(lambda: _posted(both, "the source")))

            view = await hands.open("web")
            await hands.act(view, "provider.part.build")
            view = await hands.says(view["id"], "Built with")
            await hands.act(view, "provider.redraw", build_type="static")
            view = await hands.says(view["id"], "Published folder")
            await agreed(view, BUILD, publish_directory="dist")

            view = await hands.open("web")
            await hands.act(view, "provider.part.environment")
            view = await hands.says(view["id"], "Set variables")
            await agreed(view, ENVIRONMENT, set="A=1")

            proxy.once[UPDATE].append(LOSSES["500 before"].fault)
            await both.hands.click(changed, "provider.undo")
            await both.slack.until(lambda: _posted(both, "Undone by Ada"))
            after = await backend.saved(app)
            assert (after.provider, await journal.rules(app.id)) == (GIT, Rules())
            assert after.build is not None
            assert (after.build.publish_directory, after.environment.env) == (
                "dist",
                SecretStr("A=1"),
            )


def _posted(both: SlackWorld, words: str) -> dict[str, Any] | None:
    roots = both.slack.channels["C0SHOP"].roots()
    return next((one for one in roots if words in words_of(one)), None)
