"""An app is configured from Slack: shown, agreed to, carried out, told, undone."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bridge.backends.dokploy.client import Dokploy
from bridge.core.apps import SourceType
from bridge.embedded.http import applications
from bridge.embedded.server import EmbeddedServer
from bridge.ports.backends import GitAccount, GitRepository
from bridge.ports.outcomes import DONE, Audited, Stage
from tests.fakes.slack.forms import Forms
from tests.fakes.slack.hands import buttons_of, words_of
from tests.fakes.slack.server import running_slack
from tests.worlds.bridge import Origin
from tests.worlds.embedded import client_of, until
from tests.worlds.slack import SlackWorld, bridged, slack_world

SECRET = "hunter2-of-the-tests"
SHOP = "C0SHOP"


@pytest.fixture
async def both(tmp_path: Path) -> AsyncIterator[SlackWorld]:
    async with slack_world(tmp_path / "bridge") as running:
        yield running


def forms(both: SlackWorld) -> Forms:
    return Forms(both.slack, both.hands)


async def branch_of(both: SlackWorld, app_id: str) -> str:
    assert both.world.backend is not None
    return str(
        (await both.world.backend.ask("GET", "application.one", applicationId=app_id))[
            "customGitBranch"
        ]
    )


async def change(both: SlackWorld, stage: Stage = Stage.DONE) -> Audited:
    """The newest change of how an app is configured, once it has come to that."""

    async def newest() -> Audited | None:
        notes = await both.world.stores.journal.audited(limit=20)
        return next((one for one in notes if one.seq is not None), None)

    found = await until(newest, lambda one: one is not None and one.result.stage is stage)
    assert found is not None
    return found


def posted(both: SlackWorld, words: str, channel: str = SHOP) -> dict[str, Any] | None:
    roots = both.slack.channels[channel].roots()
    return next((one for one in reversed(roots) if words in words_of(one)), None)


async def undo(both: SlackWorld, message: dict[str, Any]) -> None:
    """Take a change back by the button of its message; returns once it is done."""
    await both.hands.click(message, "provider.undo")
    await both.slack.until(lambda: posted(both, "Undone by Ada"))


async def agree(both: SlackWorld, app: str = "web", **changed: Any) -> dict[str, Any]:
    """Open the dialog, change something and agree to it; the last view."""
    hands = forms(both)
    view = await hands.open(app)
    compared = await hands.pushed(view, **changed)
    answered = await hands.submit(compared)
    assert answered.body["response_action"] == "update", answered.body
    return compared


# ── a change ─────────────────────────────────────────────────────────────────


async def test_a_change_is_shown_agreed_to_made_told_and_undone_each_once(
    both: SlackWorld, origin: Origin
) -> None:
    app_id = await both.app(origin)
    hands = forms(both)

    view = await hands.open("web")
    compared = await hands.pushed(view, branch="dev", watch_paths="web/**")

    assert "main" in words_of(compared)
    assert await branch_of(both, app_id) == "main"  # nothing is saved yet
    await asyncio.gather(hands.submit(compared), hands.submit(compared))
    await hands.says(compared["id"], "is changed")

    assert await branch_of(both, app_id) == "dev"
    note = await change(both)
    assert (str(note.by), note.what, note.app) == ("slack: Ada (U0ADA)", "provider set", "shop/web")
    assert {one.field for one in note.difference} == {"branch", "watch_paths"}
    message = await both.slack.until(lambda: posted(both, "changed"))
    assert "*Ada* changed the source of *shop/web*" in words_of(message)
    assert "`main` → `dev`" in words_of(message)
    assert buttons_of(message) == ["provider.undo"]
    assert both.slack.ephemerals == []  # the dialog has told it
    kept = await both.world.stores.inbox.newest(20)
    assert len([one for one in kept if one.event == "configure"]) == 1

    first = dict(message)
    await asyncio.gather(
        both.hands.click(first, "provider.undo"), both.hands.click(first, "provider.undo")
    )
    await both.slack.until(lambda: posted(both, "undid a change"))
    again = dict(await both.slack.until(lambda: posted(both, "Undone by Ada")))
    assert (again["ts"], buttons_of(again)) == (first["ts"], [])
    assert await branch_of(both, app_id) == "main"
    notes = await both.world.stores.journal.audited(limit=20)
    assert [one.result for one in notes if one.undoes is not None] == [DONE]


# ── while it is filled in ────────────────────────────────────────────────────


async def test_the_dialog_follows_what_is_typed_and_errors_stand_beside_their_fields(
    both: SlackWorld, origin: Origin
) -> None:
    await both.app(origin)
    await both.world.commit(origin, "web", {"web/index.html": "new"})
    await both.world.ended(1)
    hands = forms(both)
    view = await hands.open("web")
    typed = [f"{'x' * number}/**" for number in range(1, 8)] + ["web/**"]
    for one in typed:  # quicker than it is drawn
        await hands.act(view, "provider.try", watch_paths=one)
    await hands.says(view["id"], "*1 of the last 1 push*")
    await hands.act(view, "provider.redraw", trigger="tag")
    await hands.says(view["id"], "when.tags")

    await hands.act(view, "provider.redraw", kind="gitlab")
    view = await hands.says(view["id"], "Project ID")
    answered = await hands.submit(view, path="group/web", project_id="x", branch="main")

    assert answered.body["response_action"] == "errors"
    assert list(answered.body["errors"]) == ["gitlab.path"]
    assert "provider_id" in answered.body["errors"]["gitlab.path"]
    await hands.act(view, "provider.redraw", kind="git")
    view = await hands.says(view["id"], "Clone address")
    answered = await hands.submit(view, url="ext::sh -c x", branch="main")
    assert "a transport that runs commands" in answered.body["errors"]["git.url"]
    answered = await hands.submit(view, url="file:///etc", branch="main")
    assert "names no Git server" in answered.body["errors"]["git.url"]
    answered = await hands.submit(view, url="https://example.com/a.git", branch="release/*")
    assert "set `branches`" in answered.body["errors"]["git.branch"]


async def test_a_source_is_chosen_from_the_lists_of_the_backend_and_undone(
    both: SlackWorld, origin: Origin, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = GitAccount("gt_1", "ours", SourceType.GITEA)
    mono = GitRepository(1, "acme", "mono", "acme/mono")
    listed = [mono, GitRepository(2, "acme", "other", "acme/other")]
    monkeypatch.setattr(Dokploy, "pickers", Lists([account], listed), raising=False)
    monkeypatch.delitem(applications._NONE_OF_THESE, "giteaId")  # as if it had such accounts
    app_id = await both.app(origin)
    assert both.world.backend is not None
    hands = forms(both)
    view = await hands.open("web")

    await hands.act(view, "provider.redraw", kind="gitea")
    view = await hands.says(view["id"], "Gitea or Forgejo account")
    await hands.act(view, "provider.redraw", account="gt_1")
    view = await hands.says(view["id"], "provider.repository")
    assert await hands.suggest(view, "provider.repository") == ["acme/mono", "acme/other"]
    assert await hands.suggest(view, "provider.repository", "oth") == ["acme/other"]
    await hands.act(view, "provider.repository", repository="acme/mono")
    view = await hands.says(view["id"], "provider.branch")
    assert await hands.suggest(view, "provider.branch", "ma") == ["main of acme/mono"]
    compared = await hands.pushed(view, branch="main")
    assert "gitea" in words_of(compared)
    assert "acme" in words_of(compared)
    await hands.submit(compared)
    await hands.says(compared["id"], "is changed")

    ask = partial(both.world.backend.ask, "GET", "application.one", applicationId=app_id)
    app = await ask()
    names = ("sourceType", "giteaOwner", "giteaRepository", "giteaBranch", "giteaId")
    assert [app[name] for name in names] == ["gitea", "acme", "mono", "main", "gt_1"]
    await undo(both, dict(await both.slack.until(lambda: posted(both, "changed the source"))))
    app = await ask()
    assert [app[name] for name in names] == ["git", None, None, None, None]


class Lists:
    """What a backend offers to choose from."""

    def __init__(self, accounts: list[GitAccount], listed: list[GitRepository]) -> None:
        self._accounts = accounts
        self._listed = listed

    async def git_providers(self) -> list[GitAccount]:
        return self._accounts

    async def repositories(self, provider: GitAccount) -> list[GitRepository]:
        assert provider in self._accounts
        return self._listed

    async def branches(self, provider: GitAccount, repository: GitRepository) -> list[str]:
        return [f"main of {repository.path}", "dev"]


# ── rights ───────────────────────────────────────────────────────────────────

ADA_ONLY = [
    {"who": ["U0ADA"], "may": ["configure"]},
    {"who": ["everyone"], "may": ["deploy"]},
]


async def test_who_may_not_is_refused_at_every_step_and_that_is_kept(
    tmp_path: Path, origin: Origin
) -> None:
    async with slack_world(tmp_path / "bridge", ADA_ONLY) as both:
        both.slack.person("U0EVE", "Eve")
        app_id = await both.app(origin)
        hands = forms(both)

        refused = await both.hands.type("web", command="/provider", user="U0EVE")
        assert "may: [configure]" in words_of(refused.body)
        view = await hands.open("web")
        opened = await hands.pushed(view, user="U0EVE", branch="evil")
        assert "may: [configure]" in words_of(opened)
        compared = await hands.pushed(view, branch="dev")
        answered = await hands.submit(compared, user="U0EVE")
        assert "may: [configure]" in words_of(answered.body["view"])
        await hands.act(view, "provider.disconnect", user="U0EVE")
        shown = await both.view("provider.news", "may: [configure]")
        assert "forgets" not in words_of(shown)
        await hands.act(view, "provider.disconnect")
        parting = await both.view("provider.parting")
        answered = await hands.submit(parting, user="U0EVE")
        assert "may: [configure]" in words_of(answered.body["view"])

        assert await branch_of(both, app_id) == "main"
        refusals = await both.world.stores.journal.audited(limit=20)
        assert any("U0EVE" in str(one.by) and "configure" in one.outcome for one in refusals)
        assert all(one.seq is None for one in refusals)


async def test_a_right_that_is_gone_by_then_counts_no_more(tmp_path: Path, origin: Origin) -> None:
    async with dokploy(tmp_path) as (server, settings), running_slack() as slack:
        async with bridged(slack, tmp_path / "bridge", **settings) as both:
            app_id = await made_at(server, both, origin)
            hands = forms(both)
            compared = await hands.pushed(await hands.open("web"), branch="dev")
            await server.stop()
            await hands.submit(compared)
            await change(both, Stage.WAITS)
        again = EmbeddedServer(tmp_path / "dokploy", port=port_of(settings))
        async with again, bridged(slack, tmp_path / "bridge", [], **settings) as both:
            note = await change(both, Stage.REFUSED)
            async with client_of(again) as client:
                found = await client.ask("GET", "application.one", applicationId=app_id)

    assert "no grant in `access` gives you `configure`" in note.outcome
    assert found["customGitBranch"] == "main"


# ── a backend that is away, and restarts ─────────────────────────────────────


@asynccontextmanager
async def dokploy(folder: Path) -> AsyncIterator[tuple[EmbeddedServer, dict[str, Any]]]:
    """A Dokploy of its own, which may stop; and the settings of a bridge that uses it."""
    server = EmbeddedServer(folder / "dokploy")
    await server.start()
    try:
        yield (
            server,
            {
                "BRIDGE_DOKPLOY_URL": server.url,
                "BRIDGE_DOKPLOY_API_KEY": server.api_key,
                "BRIDGE_DOKPLOY_READ_RETRIES": "0",
            },
        )
    finally:
        await server.stop()


def port_of(settings: dict[str, str]) -> int:
    return int(settings["BRIDGE_DOKPLOY_URL"].rpartition(":")[2])


async def made_at(server: EmbeddedServer, both: SlackWorld, origin: Origin) -> str:
    """An app at that Dokploy, `shop/web`, which the bridge knows; its id."""
    async with client_of(server) as client:
        made = await client.app("web", origin.clone_url, publishDirectory="web")
    await both.knows("shop/web")
    return str(made["applicationId"])


async def test_a_change_waits_for_its_backend_over_a_restart_and_no_secret_is_ever_on_disk(
    tmp_path: Path, origin: Origin, caplog: pytest.LogCaptureFixture
) -> None:
    data = tmp_path / "bridge"
    async with dokploy(tmp_path) as (server, settings), running_slack() as slack:
        async with bridged(slack, data, **settings) as both:
            app_id = await made_at(server, both, origin)
            hands = forms(both)
            view = await hands.open("web")
            await hands.act(view, "provider.redraw", kind="docker")
            view = await hands.says(view["id"], "Password there")
            compared = await hands.pushed(
                view, image="web:1", username="me", password=SECRET, registry_url=None
            )
            assert "password" in words_of(compared)
            await server.stop()

            answered = await hands.submit(compared)
            assert answered.seconds < 3
            await hands.says(compared["id"], "waits for the backend")
            await no_secret(both, data)

        again = EmbeddedServer(tmp_path / "dokploy", port=port_of(settings))
        async with again, bridged(slack, data, **settings) as both:
            note = await change(both)
            await forms(both).says(compared["id"], "is changed")
            await both.slack.until(lambda: posted(both, "changed"))
            await no_secret(both, data)
            async with client_of(again) as client:
                found = await client.ask("GET", "application.one", applicationId=app_id)

    assert (found["dockerImage"], found["password"]) == ("web:1", SECRET)
    assert [one.after for one in note.difference if one.field == "password"] == ["set"]
    assert SECRET not in caplog.text
    assert SECRET not in json.dumps([call.args for call in slack.calls])


async def no_secret(both: SlackWorld, data: Path) -> None:
    """Neither in a file, nor in a body of the inbox, which are compressed there."""
    for file in data.rglob("*"):
        if file.is_file():
            assert SECRET.encode() not in file.read_bytes(), file
    for one in await both.world.stores.inbox.newest(100):
        kept = await both.world.stores.inbox.get(one.seq)
        assert kept is not None
        assert SECRET.encode() not in (kept.body or b"")
    assert SECRET not in repr(await both.world.stores.journal.audited(limit=100))


async def test_a_backend_that_is_away_is_told_in_the_dialog_which_can_try_again(
    tmp_path: Path, origin: Origin
) -> None:
    async with dokploy(tmp_path) as (server, settings):  # noqa: SIM117 - needs its settings
        async with slack_world(tmp_path / "bridge", **settings) as both:
            await made_at(server, both, origin)
            hands = forms(both)
            view = await hands.open("web")
            await server.stop()

            on_top = await hands.pushed(view, branch="dev")
            assert "can't be read just now" in words_of(on_top)
            away = await hands.open("web")
            assert "can't be read just now" in words_of(away)
            async with EmbeddedServer(tmp_path / "dokploy", port=port_of(settings)):
                await hands.act(away, "provider.again")
                await hands.says(away["id"], "Clone address")


async def test_a_slow_backend_is_told_of_at_once_and_what_changes_follows(
    both: SlackWorld, origin: Origin, monkeypatch: pytest.MonkeyPatch
) -> None:
    await both.app(origin)
    hands = forms(both)
    view = await hands.open("web")
    monkeypatch.setattr("bridge.chats.slack.workspace.ACK_WITHIN", 0.0)

    waiting = await hands.pushed(view, branch="dev")
    compared = await hands.says(waiting["id"], "`main` → `dev`")
    again = await hands.pushed(view, branch="a b")

    assert "Comparing" in words_of(waiting)
    assert compared["callback_id"] == "provider.confirm"
    await hands.says(again["id"], "can't be 'a b'")
