"""The card says how a deployment stands, and offers what makes sense."""

from dataclasses import replace
from typing import Any

import pytest

from bridge.chats.slack import names
from bridge.chats.slack.blocks import Message
from bridge.chats.slack.views import message_of
from bridge.core.apps import App, Source, SourceType
from bridge.core.events import Action
from bridge.core.lifecycle import NoteKind, State
from bridge.messages.told import around_of
from bridge.ports.feedback import Snapshot
from bridge.views.apps import status
from bridge.views.links import NOTHING_KNOWN, Around
from tests.scenes.shop import LINKS, OTHER, SEEN, WEB, deployment, links_to, now
from tests.scenes.slack_gates import NOON, PUSHED
from tests.worlds.messages import render_card
from tests.worlds.rows import each_row


def buttons(card: Message) -> dict[str, Any]:
    return {one["action_id"]: one for one in card.blocks[-1]["elements"]}


def words(card: Message) -> str:
    """All that stands on a card."""
    sections = [block["text"]["text"] for block in card.blocks if block["type"] == "section"]
    small = [block["elements"] for block in card.blocks if block["type"] == "context"]
    return "\n".join([*sections, *(text["text"] for texts in small for text in texts)])


@each_row(
    ("state", "offered"),
    [
        (State.WAITING, {names.DEPLOYMENT_CANCEL, names.DEPLOYMENT_WHY}),
        (
            State.RUNNING,
            {names.DEPLOYMENT_CANCEL, names.DEPLOYMENT_LOG, names.DEPLOYMENT_WHY},
        ),
        (State.DONE, {names.DEPLOYMENT_REDEPLOY, names.DEPLOYMENT_LOG, names.DEPLOYMENT_WHY}),
        (State.FAILED, {names.DEPLOYMENT_REDEPLOY, names.DEPLOYMENT_LOG, names.DEPLOYMENT_WHY}),
        (State.CANCELLED, {names.DEPLOYMENT_REDEPLOY, names.DEPLOYMENT_WHY}),
        (State.SUPERSEDED, {names.DEPLOYMENT_WHY}),
    ],
)
def test_a_card_offers_what_makes_sense(state: State, offered: set[str]) -> None:
    card = render_card(deployment(state), WEB, links=LINKS)

    assert set(buttons(card)) == offered
    assert {one["value"] for one in buttons(card).values()} == {deployment().id}


def test_cancelling_asks_first_and_names_app_branch_and_commit() -> None:
    card = render_card(deployment(State.RUNNING), WEB, links=LINKS)

    asked = buttons(card)[names.DEPLOYMENT_CANCEL]["confirm"]
    assert asked["text"]["text"].startswith("shop/web (main, 13dfa1f)")
    assert asked["style"] == "danger"


def test_cancelling_from_a_status_asks_first_too() -> None:
    running = deployment(State.RUNNING)
    shown = message_of(status(WEB, running, None, ()), LINKS)

    card = render_card(running, WEB, links=LINKS)
    cancel = buttons(card)[names.DEPLOYMENT_CANCEL]
    assert buttons(shown)[names.DEPLOYMENT_CANCEL] == cancel


def test_a_card_says_that_another_commit_is_live() -> None:
    one = deployment(deployed_commit=OTHER)
    card = render_card(one, WEB, links=LINKS, around=now(one, NOTHING_KNOWN))

    assert "`9ab41c7`> is live, not `13dfa1f`" in words(card)


def test_what_went_live_is_said_to_be_live_only_from_the_fact() -> None:
    for state in (State.DONE, State.UNHEALTHY):
        card = render_card(deployment(state), WEB, links=LINKS)

        assert " is live" not in words(card) + card.text


def test_a_shortened_name_is_the_same_commit() -> None:
    card = render_card(deployment(deployed_commit=PUSHED[:12]), WEB, links=LINKS)

    assert "not" not in words(card)


def test_a_superseded_card_leads_to_the_newer_one() -> None:
    newer = "https://acme.slack.com/archives/C1/p1"
    card = render_card(deployment(State.SUPERSEDED), WEB, links=LINKS, superseded_by=newer)

    assert f"Superseded by <{newer}|a newer deployment>" in words(card)


@each_row(
    ("source", "address"),
    [
        (Source(SourceType.GITHUB, "acme/shop"), f"https://ghe.example/acme/shop/commit/{PUSHED}"),
        (Source(SourceType.GITLAB, "a/b/c"), f"https://gl.example/x/a/b/c/-/commit/{PUSHED}"),
        (
            Source(SourceType.GIT, url="ghe.example/acme/shop"),
            f"https://ghe.example/acme/shop/commit/{PUSHED}",
        ),
        (Source(SourceType.GIT, url="evil.example/acme/shop"), None),
        (Source(SourceType.GIT, url="ghe.example.evil.example/a/b"), None),
        (Source(SourceType.DOCKER, image="web:1"), None),
        (Source(SourceType.GITHUB, "acme/shop|<!here>"), "https://ghe.example/acme/shop%7C%3C%21"),
        (None, None),
    ],
)
def test_a_commit_links_only_to_hosts_that_are_configured(
    source: Source | None, address: str | None
) -> None:
    links = links_to("https://ghe.example/", "https://gl.example/x")
    app = App("id", "web", "shop", source=source)

    text = words(render_card(deployment(), app, links=links))

    assert (f"<{address}" in text) if address else ("<http" not in text)


@each_row(
    ("trigger", "action", "said"),
    [
        ("push", Action.DEPLOY, "pushed by Ada Lovelace"),
        ("tag", Action.DEPLOY, "tagged by Ada Lovelace"),
        ("slack: Grace", Action.DEPLOY, "deploy asked by Grace"),
        ("slack: Grace", Action.REDEPLOY, "redeploy asked by Grace"),
        ("cli: ada", Action.DEPLOY, "deploy asked by ada on the command line"),
        ("slack: Grace (U0B)", Action.DEPLOY, "deploy asked by Grace  ·"),
        ("push, replayed by cli: ada", Action.DEPLOY, "Lovelace, replayed by ada on the command"),
        ("tag, found by reconciliation", Action.DEPLOY, "Lovelace, found by reconciliation"),
        ("", Action.DEPLOY, "deploy asked  ·"),
        ("<!channel>", Action.DEPLOY, "deploy asked by &lt;!channel&gt;"),
    ],
)
def test_a_card_says_who_wanted_it(trigger: str, action: Action, said: str) -> None:
    card = render_card(deployment(trigger=trigger, action=action), WEB, links=LINKS)

    assert said in words(card)


def test_a_card_says_that_it_waits_for_the_backend() -> None:
    note = "waits for the backend: dokploy can't be reached"
    card = render_card(
        deployment(State.WAITING, note=note, note_kind=NoteKind.AWAY), WEB, links=LINKS
    )

    assert "*shop/web* waits for the backend\n" in words(card)
    assert "Dokploy can't be reached" in words(card)


def test_no_secret_stands_on_a_card() -> None:
    note = "clone of https://ada:hunter2@git.example/a failed"
    card = render_card(deployment(State.FAILED, note=note), WEB, links=LINKS)

    assert "hunter2" not in card.text + words(card)


def test_the_same_deployment_makes_the_same_card() -> None:
    first, again = (render_card(deployment(), WEB, links=LINKS) for _ in range(2))

    assert first == again


def test_a_commit_that_nobody_pushed_is_the_one_that_was_deployed() -> None:
    card = render_card(deployment(commit=None, deployed_commit=OTHER), WEB, links=LINKS)

    assert "9ab41c7" in words(card)
    assert "9ab41c7" in card.text


# ── where more is to be seen ─────────────────────────────────────────────────

SITE = "<https://shop.example.com|Site>"
PAGE = f"<{SEEN.page}?tab=deployments|Dokploy>"
PULL = "<https://github.com/acme/shop/pull/7|#7>"
CHANGED = f"<https://github.com/acme/shop/compare/{OTHER}...{PUSHED}|What changed>"


@pytest.mark.parametrize(
    ("state", "shown"),
    [
        (State.WAITING, f"{PULL}  ·  {CHANGED}"),
        (State.RUNNING, f"{PAGE}  ·  {PULL}  ·  {CHANGED}"),
        (State.DONE, f"{SITE}  ·  {PAGE}  ·  {PULL}  ·  {CHANGED}"),
        (State.FAILED, f"{PAGE}  ·  {PULL}  ·  {CHANGED}"),
    ],
)
def test_a_card_leads_to_all_that_is_known_of_it(state: State, shown: str) -> None:
    card = render_card(deployment(state), SEEN, links=LINKS, around=Around((7,), OTHER))

    (found,) = [line for line in words(card).splitlines() if "/pull/7" in line]
    assert found == shown


@each_row(
    ("app", "before", "shown"),
    [
        (WEB, None, ""),
        (WEB, PUSHED, ""),
        (replace(WEB, source=None), OTHER, ""),
        (replace(WEB, page="https://dokploy.example.com/x"), None,
         "<https://dokploy.example.com/x|Dokploy>"),
        (replace(WEB, page="javascript:alert(1)", url="file:///etc/passwd"), None, ""),
        (replace(WEB, page=f"https://dokploy.example.com/{'x' * 4000}"), None, ""),
    ],
    ids=["nothing known", "the same commit", "no source", "another page", "no address", "endless"],
)  # fmt: skip
def test_a_card_links_to_nothing_that_is_not_known(
    app: App, before: str | None, shown: str
) -> None:
    bare = words(render_card(deployment(), replace(app, page=None, url=None), links=LINKS))
    card = words(render_card(deployment(), app, links=LINKS, around=Around((), before)))

    more = [line for line in card.splitlines() if line not in bare.splitlines()]
    assert more == ([shown] if shown else [])


def test_gitlab_has_addresses_of_its_own() -> None:
    source = Source(SourceType.GITLAB, repository="acme/platform/api", branch="main")
    card = render_card(
        deployment(), replace(WEB, source=source), links=LINKS, around=Around((3,), OTHER)
    )

    assert "<https://gitlab.com/acme/platform/api/-/merge_requests/3|!3>" in words(card)
    assert f"/acme/platform/api/-/compare/{OTHER}...{PUSHED}|" in words(card)


def test_a_running_card_says_since_when_and_a_final_one_how_long() -> None:
    running = words(render_card(deployment(State.RUNNING), WEB, links=LINKS))
    done = words(render_card(deployment(State.DONE), WEB, links=LINKS))

    assert f"started <!date^{NOON + 4:.0f}^{{ago}}|" in running
    assert "started" not in done
    assert "took 1 min 12 s" in done


def test_only_comments_that_are_there_are_linked_to() -> None:
    one = deployment()
    snapshot = Snapshot(
        beside={
            "github.comment 4711 7": {"comment": "1001", "shown": "abc"},
            "gitlab.comment 4711 8": {"comment": "1002"},
            "github.comment 4711 9": {"posting": True},
            "github.comment 4711 10": {"unwanted": True},
            "slack.card 7": {"comment": "1003"},
        },
        before={one.id: deployment(deployed_commit=OTHER), "another": one},
    )

    assert around_of(one, snapshot) == Around((7, 8), OTHER)
