"""Whatever people, hosts and builds write: it mentions nobody, links nowhere, breaks nothing."""

import re
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.chats.discord.embeds import embed_of
from bridge.chats.discord.markdown import escape, link
from bridge.core.apps import App
from bridge.core.lifecycle import Deployment, State
from bridge.views.cards import deployment_view
from bridge.views.links import Around
from bridge.views.text import clean, units
from bridge.views.values import Link, Text
from bridge.views.view import Item, Lines, View
from tests.contract.slack.test_hostile import APPS, DEPLOYMENTS, GENTLY, LINKS, WORDS
from tests.oracles.discord_contract import POST, faults
from tests.scenes.discord import WRITER
from tests.scenes.shop import HOSTILE, SEEN, deployment

GRAVE = "\N{MODIFIER LETTER GRAVE ACCENT}"
ESCAPED = re.compile(r"\\[^0-9A-Za-z\s]")
ESCAPED_OR_CODE = re.compile(rf"{ESCAPED.pattern}|```\n.*?\n```|`[^`]+`", re.DOTALL)
"""Read from left to right, as Discord does: a backslash in code escapes nothing."""
MEANS_SOMETHING = re.compile(r"[*_~`|<>\[\]@]|://|^[-+#]")


def left_over(text: str) -> str:
    """What Discord would still read as markup: no escape, no code, no link of ours, no time."""
    text = ESCAPED_OR_CODE.sub("x", text)
    text = re.sub(r"\[[^\]\[]*\]\(https?://[^\s()<>\[\]]*\)|<t:\d+:[fR]>", "x", text)
    return re.sub(r"(?m)^> |\*\*", "x", text)


@settings(max_examples=100)
@given(st.text(max_size=60) | st.sampled_from([HOSTILE, "](x", "\\" * 7]), st.integers(1, 80))
def test_no_text_gets_through(text: str, limit: int) -> None:
    shown = escape(text, limit)

    assert units(shown) <= limit
    assert MEANS_SOMETHING.search(ESCAPED.sub("x", shown)) is None
    if "…" not in shown:
        unescaped = re.sub(r"\\([^0-9A-Za-z\s])", r"\1", shown)
        assert unescaped == clean(text).replace("`", GRAVE)


def test_a_link_of_ours_can_not_be_broken_out_of() -> None:
    shown = link("https://git.example/a(b)]<c> d", escape("](https://evil.example)", 60))

    assert shown == (r"[\](https:\/\/evil.example)](https://git.example/a%28b%29%5D%3Cc%3E%20d)")


@GENTLY
@given(DEPLOYMENTS, st.none() | APPS, WORDS)
def test_every_card_is_within_the_limits(one: Deployment, app: App | None, remark: str) -> None:
    view = deployment_view(one, app, LINKS, Around((1, 2), "ab12" * 10), remark or None)

    message = WRITER.render(view)

    assert faults(POST, message) == []
    (embed,) = message["embeds"]
    for text in (embed["title"], embed.get("description", "")):
        assert not re.search(r"@(?:everyone|here)|<[@#]|://", left_over(text)), text


def test_fields_that_do_not_fit_into_a_message_are_left_out_whole() -> None:
    facts = {f"field {n}": ("x" * 1000,) for n in range(25)}
    lines = [Lines("", [Item(("x" * 4000,))])]

    embed = embed_of(View(("title",), parts=lines, facts=facts))

    assert [one["value"] for one in embed["fields"]] == ["x" * 1000]
    assert faults(POST, {"embeds": [embed]}) == []


def test_links_that_do_not_fit_are_left_out_whole() -> None:
    view = deployment_view(deployment(State.DONE, SEEN), SEEN, LINKS, Around())
    many = tuple(Link(Text(f"#{n}", 9), f"https://git.example/{'x' * 370}/{n}") for n in range(6))

    fields = embed_of(replace(view, links=many))["fields"]

    (links,) = (one["value"] for one in fields if one["name"] == "Links")
    assert links == " · ".join(f"[#{n}](https://git.example/{'x' * 370}/{n})" for n in range(2))
