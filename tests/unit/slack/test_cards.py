"""Cards and the lines of their threads: where they lead, who hears of what, and no secret."""

from dataclasses import replace

from bridge.chats.slack.blocks import Message
from bridge.core.apps import App, Source, SourceType
from bridge.core.lifecycle import Change, State
from bridge.views.links import Around
from tests.scenes.shop import LINKS, LOG, OTHER, WEB, deployment, links_to
from tests.scenes.slack_gates import NOON, PUSHED
from tests.worlds.messages import render_card, render_line
from tests.worlds.rows import each_row


def words(card: Message) -> str:
    """All that stands on a card."""
    sections = [block["text"]["text"] for block in card.blocks if block["type"] == "section"]
    small = [block["elements"] for block in card.blocks if block["type"] == "context"]
    return "\n".join([*sections, *(text["text"] for texts in small for text in texts)])


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


def test_no_secret_stands_on_a_card() -> None:
    note = "clone of https://ada:hunter2@git.example/a failed"
    card = render_card(deployment(State.FAILED, note=note), WEB, links=LINKS)

    assert "hunter2" not in card.text + words(card)


# ── where more is to be seen ─────────────────────────────────────────────────


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


# ── the lines of its thread ────────────────────────────────────────────────────


@each_row("state", State)
def test_the_channel_hears_only_of_what_needs_somebody(state: State) -> None:
    line = render_line(deployment(state), Change(NOON, state, "a note"))

    assert line.broadcast == (state in (State.FAILED, State.UNHEALTHY, State.UNKNOWN))


def test_an_unhealthy_one_shows_what_it_answered_and_not_its_builds_log() -> None:
    note = "commit 13dfa1f is live, but GET https://web.test/: 502 Bad Gateway"
    seen = "GET https://web.test/: 502 Bad Gateway\nno database, token=hunter2"
    bad = deployment(State.UNHEALTHY, log_tail=seen)

    line = render_line(bad, Change(NOON, State.UNHEALTHY, note), log_tail=LOG)

    shown = str(line.message.blocks)
    assert "no database, token=***" in shown
    assert shown.count("502 Bad Gateway") == 1
    assert "NPM_TOKEN" not in shown
