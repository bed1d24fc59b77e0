"""What Slack is shown of previews: scenes of `tests/scenes/slack.py`."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

from bridge.chats.slack.blocks import Message
from bridge.chats.slack.render import outgoing
from bridge.chats.slack.views import message_of
from bridge.core.apps import App
from bridge.core.chat.replies import PreviewDone, PreviewList, PreviewShown
from bridge.core.lifecycle import State
from bridge.core.previews.native import NativeState
from bridge.core.previews.preview import PreviewState
from bridge.core.previews.verdict import Act, Why
from bridge.views.links import Links
from bridge.views.pull_requests import news_in, news_view
from tests.scenes.pulls import FORK, WAITS, Deploys, cards, preview
from tests.scenes.slack_gates import NOON
from tests.worlds.previewed import native

TELLS = ("failed", "approval", "limit", "hardest")


def pull_scenes(
    deploys: Deploys, web: App, api: App, longest: App, hostile: str, links: Links
) -> Iterator[tuple[str, Callable[[], Message]]]:
    """Messages of pull requests, lines of their threads, answers."""
    for name, (view, rows) in cards(deploys, web, api, longest, hostile, links):
        yield f"pull_{name}", partial(message_of, view)
        if name in TELLS:
            yield f"pull_news_{name}", partial(message_of, news_view(news_in(rows, {})))
        if name == "ended":
            told = {row.id: "ready" for row in rows}
            yield "pull_news_ended", partial(message_of, news_view(news_in(rows, told)))
    held = preview(api, PreviewState.HELD, reason=Why.APPROVAL, note=WAITS, pull=FORK)
    up = PreviewShown(preview(web), deploys(State.DONE), NOON + 3600, frozenset(Act))
    waits = PreviewShown(held, None, None, frozenset({Act.APPROVE}))
    few = PreviewList((up, waits))
    many = PreviewList(tuple(replace(up, ends=NOON + n) for n in range(40)), "web")
    yield "previews", lambda: outgoing(few, links).message
    yield "previews_40", lambda: outgoing(many, links).message
    dokploys = native(web, 12), native(api, 13, state=NativeState.FAILED, url=None, commit=None)
    hardest = native(longest, 14, title=hostile, branch=hostile, url="javascript:x", page=None)
    yield (
        "previews_native",
        lambda: outgoing(PreviewList((up,), native=(*dokploys, hardest)), links).message,
    )
    yield "previews_none", lambda: outgoing(PreviewList((), hostile), links).message
    for act, of in ((Act.APPROVE, held), (Act.STOP, up.preview), (Act.EXTEND, up.preview)):
        done = outgoing(PreviewDone(act, of, NOON + 7 * 86_400), links).message
        yield f"previews_{act}", partial(_same, done)


def _same(message: Message) -> Message:
    return message
