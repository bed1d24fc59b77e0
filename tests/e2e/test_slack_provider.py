"""An app is configured from Slack: shown, agreed to, carried out, told, undone."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bridge.ports import DONE, Audited
from tests.fake_slack.hands import buttons_of, words_of
from tests.slack_forms import Forms
from tests.slack_world import SlackWorld, slack_world
from tests.unit.embedded.support import until
from tests.world import Origin

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


async def change(both: SlackWorld, outcome: str = DONE) -> Audited:
    """The newest change of how an app is configured, once it has come to that."""

    async def newest() -> Audited | None:
        notes = await both.world.stores.journal.audited(limit=20)
        return next((one for one in notes if one.seq is not None), None)

    found = await until(newest, lambda one: one is not None and one.outcome.startswith(outcome))
    assert found is not None
    return found


def posted(both: SlackWorld, words: str, channel: str = SHOP) -> dict[str, Any] | None:
    roots = both.slack.channels[channel].roots()
    return next((one for one in reversed(roots) if words in words_of(one)), None)


async def agree(both: SlackWorld, app: str = "web", **changed: Any) -> dict[str, Any]:
    """Open the dialog, change something and agree to it; the last view."""
    hands = forms(both)
    view = await hands.open(app)
    compared = await hands.pushed(view, **changed)
    answered = await hands.submit(compared)
    assert answered.body["response_action"] == "update", answered.body
    return compared


# ── a change ─────────────────────────────────────────────────────────────────


async def test_a_change_is_shown_agreed_to_made_and_told(both: SlackWorld, origin: Origin) -> None:
    app_id = await both.app(origin)
    hands = forms(both)

    view = await hands.open("web")
    compared = await hands.pushed(view, branch="dev", watch_paths="web/**")

    assert "main" in words_of(compared)
    assert await branch_of(both, app_id) == "main"  # nothing is saved yet
    await hands.submit(compared)
    await hands.says(compared["id"], "is changed")

    assert await branch_of(both, app_id) == "dev"
    note = await change(both)
    assert (note.by, note.what, note.app) == ("slack: Ada (U0ADA)", "provider set", "shop/web")
    assert {one.field for one in note.difference} == {"branch", "watch_paths"}
    message = await both.slack.until(lambda: posted(both, "changed"))
    assert "*Ada* changed *shop/web*" in words_of(message)
    assert "`main` → `dev`" in words_of(message)
    assert buttons_of(message) == ["provider.undo"]
    assert both.slack.ephemerals == []  # the dialog has told it


async def test_a_change_is_undone_by_its_button_and_the_message_says_so(
    both: SlackWorld, origin: Origin
) -> None:
    app_id = await both.app(origin)
    await agree(both, branch="dev")
    first = dict(await both.slack.until(lambda: posted(both, "changed")))

    await asyncio.gather(
        both.hands.click(first, "provider.undo"), both.hands.click(first, "provider.undo")
    )
    await both.slack.until(lambda: posted(both, "undid a change"))
    again = dict(await both.slack.until(lambda: posted(both, "Undone by Ada")))

    assert again["ts"] == first["ts"]
    assert buttons_of(again) == []
    assert await branch_of(both, app_id) == "main"
    notes = await both.world.stores.journal.audited(limit=20)
    undone = [one for one in notes if one.undoes is not None]
    assert [one.outcome for one in undone] == [DONE]


async def test_an_undo_is_refused_with_what_was_changed_since(
    both: SlackWorld, origin: Origin
) -> None:
    app_id = await both.app(origin)
    await agree(both, branch="dev")
    first = dict(await both.slack.until(lambda: posted(both, "changed")))
    await both.slack.until(lambda: posted(both, "Undo"))
    assert both.world.backend is not None
    await both.world.backend.save_git(app_id, origin.clone_url, customGitBranch="theirs")

    await both.hands.click(first, "provider.undo")
    (told,) = await both.slack.until(lambda: both.slack.ephemerals)

    assert told["user"] == "U0ADA"
    assert "branch: dev → theirs" in words_of(told)
    assert await branch_of(both, app_id) == "theirs"


async def test_submitting_twice_is_once(both: SlackWorld, origin: Origin) -> None:
    await both.app(origin)
    hands = forms(both)
    compared = await hands.pushed(await hands.open("web"), branch="dev")

    await asyncio.gather(hands.submit(compared), hands.submit(compared))
    await change(both)

    notes = await both.world.stores.journal.audited(limit=20)
    assert len([one for one in notes if one.seq is not None]) == 1
    kept = await both.world.stores.inbox.newest(20)
    assert len([one for one in kept if one.event == "configure"]) == 1


async def test_disconnecting_forgets_the_source_and_comes_back_with_undo(
    both: SlackWorld, origin: Origin
) -> None:
    app_id = await both.app(origin)
    hands = forms(both)
    view = await hands.open("web")

    await hands.act(view, "provider.disconnect")
    await hands.says(view["id"], "is changed")

    assert both.world.backend is not None
    assert (await both.world.backend.ask("GET", "application.one", applicationId=app_id))[
        "sourceType"
    ] == "github"
    message = dict(await both.slack.until(lambda: posted(both, "changed")))
    await both.hands.click(message, "provider.undo")
    await both.slack.until(lambda: posted(both, "Undone by Ada"))
    assert await branch_of(both, app_id) == "main"
