"""The thread has one line for each change; the channel hears of what failed."""

from typing import Any

import pytest

from bridge.core.lifecycle import Change, State
from tests.scenes.shop import LINKS, LOG, WEB, deployment
from tests.scenes.slack_gates import NOON
from tests.worlds.messages import render_line
from tests.worlds.rows import each_row


def text_of(state: State, note: str = "", **more: Any) -> str:
    line = render_line(deployment(state), Change(NOON, state, note), **more)
    blocks = [one for one in line.message.blocks if one["type"] != "actions"]
    texts = [one.get("text") or one["elements"][0] for one in blocks]
    return "\n".join(text["text"] for text in texts)


@each_row("state", State)
def test_the_channel_hears_only_of_what_needs_somebody(state: State) -> None:
    line = render_line(deployment(state), Change(NOON, state, "a note"))

    assert line.broadcast == (state in (State.FAILED, State.UNHEALTHY, State.UNKNOWN))


def test_a_failure_shows_the_end_of_the_log_without_secrets() -> None:
    text = text_of(State.FAILED, "exit code: 1", log_tail=LOG)

    assert "exit code: 1\n```" in text
    assert "NPM_TOKEN=***" in text
    assert "npm_0123" not in text


def test_a_failure_calls_the_author_where_known() -> None:
    assert "<@U0123ABCD>" in text_of(State.FAILED, author_id="U0123ABCD")
    assert "pushed by Ada Lovelace" in text_of(State.FAILED)
    assert "<!" not in text_of(State.FAILED, author_id="!channel>")


def test_what_the_log_says_is_not_said_twice() -> None:
    text = text_of(State.FAILED, "it broke", log_tail="one\nit broke\n")

    assert text.count("it broke") == 1


def test_an_unhealthy_one_shows_what_it_answered_and_not_its_builds_log() -> None:
    note = "commit 13dfa1f is live, but GET https://web.test/: 502 Bad Gateway"
    seen = "GET https://web.test/: 502 Bad Gateway\nno database, token=hunter2"
    bad = deployment(State.UNHEALTHY, log_tail=seen)

    line = render_line(bad, Change(NOON, State.UNHEALTHY, note), log_tail=LOG)

    shown = str(line.message.blocks)
    assert "no database, token=***" in shown
    assert shown.count("502 Bad Gateway") == 1
    assert "NPM_TOKEN" not in shown


def test_a_failure_links_to_its_commit() -> None:
    change = Change(NOON, State.FAILED, "")
    line = render_line(deployment(State.FAILED), change, app=WEB, links=LINKS)

    assert "<https://github.com/acme/shop/commit/13dfa1f" in str(line.message.blocks)


def test_a_line_names_no_internal_id() -> None:
    assert "0000" not in text_of(State.SUPERSEDED, "deployment 0000000000000042.x is newer")


@pytest.mark.parametrize("state", [State.FAILED, State.UNKNOWN])
def test_what_the_channel_hears_can_be_acted_on(state: State) -> None:
    built = deployment(state, backend_id="dep00000000000000000d")
    line = render_line(built, Change(NOON, state, ""))

    (row,) = [block for block in line.message.blocks if block["type"] == "actions"]
    assert [(one["text"]["text"], one["action_id"]) for one in row["elements"]] == [
        ("Redeploy", "deployment.redeploy"),
        ("Log", "deployment.log"),
        ("Why", "deployment.why"),
    ]
    assert {one["value"] for one in row["elements"]} == {built.id}


def test_a_quiet_line_has_no_buttons() -> None:
    line = render_line(deployment(State.RUNNING), Change(NOON, State.RUNNING, ""))

    assert [block["type"] for block in line.message.blocks] == ["context"]
