"""What Slack is shown of previews: scenes of `tests/scenes/slack.py`."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

from bridge.chats.slack.blocks import Message
from bridge.chats.slack.render import outgoing
from bridge.chats.slack.views import message_of
from bridge.core.apps import App
from bridge.core.lifecycle import State
from bridge.core.policies import PreviewPolicy
from bridge.core.previews.native import NativeState
from bridge.core.previews.preview import PreviewState
from bridge.core.previews.verdict import Act, Why
from bridge.operations.typed import called
from bridge.views.links import Links
from bridge.views.previews import (
    Standing,
    approved,
    extended,
    listed,
    stopped,
    which_commit,
)
from bridge.views.pull_requests import news_in, news_view
from bridge.views.view import View
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
    yield from _answers(deploys, web, api, longest, hostile, links)


PAGE = "https://github.com/acme/shop/pull/12"
IDLE = PreviewPolicy(idle=3600.0)


def _answers(
    deploys: Deploys, web: App, api: App, longest: App, hostile: str, links: Links
) -> Iterator[tuple[str, Callable[[], Message]]]:
    """Lists, and what was done with one."""
    waits = {"reason": Why.APPROVAL, "note": WAITS, "pull": FORK | {"url": PAGE}}
    held = Standing(preview(api, PreviewState.HELD, **waits), offers=[Act.APPROVE])
    there = preview(web, active_at=NOON, pull={"url": PAGE})
    up = Standing(there, deploys(State.DONE), None, IDLE, [Act.STOP, Act.EXTEND])
    many = [
        replace(up, preview=replace(up.preview, active_at=NOON + number)) for number in range(40)
    ]
    dokploys = [native(web, 12), native(api, 13, state=NativeState.FAILED, url=None, commit=None)]
    hardest = native(longest, 14, title=hostile, branch=hostile, url="javascript:x", page=None)
    lists = {
        "previews": listed([up, held], [], NOON, every=False),
        "previews_40": replace(listed(many, [], NOON, every=False), call=called("previews", {})),
        "previews_native": listed([up], [*dokploys, hardest], NOON, every=False),
        "previews_none": listed([], [], NOON, every=False),
    }
    call = called("previews approve", {"preview": held.preview.name, "commit": "18f234f0c2aa"})
    done = {
        "previews_approve": approved(held),
        "previews_stop": stopped(up),
        "previews_extend": extended(replace(up, policy=PreviewPolicy(idle=7 * 86_400.0))),
        "previews_which": which_commit(held.preview, call),
    }
    for name, view in (lists | done).items():
        yield name, partial(_shown, view, links)


def _shown(view: View, links: Links) -> Message:
    return outgoing(view, links).message
