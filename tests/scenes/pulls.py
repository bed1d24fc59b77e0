"""Previews of pull requests, as chats show them: facts for the scenes of each chat."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from bridge.core.apps import App
from bridge.core.events import Repository
from bridge.core.lifecycle import Deployment, State
from bridge.core.previews.preview import Preview, PreviewState
from bridge.core.previews.verdict import Why
from bridge.core.pulls import PullRequest
from bridge.messages.told import rows_of
from bridge.ports.feedback import Snapshot
from bridge.ports.outcomes import Subscription
from bridge.views.links import Links
from bridge.views.pull_requests import Row, pull_request_view
from bridge.views.view import View

SHOP = Repository("github", "583231", "acme/shop")
PULL = PullRequest(
    12,
    "feature/sundays",
    "13dfa1f09d8e7c6b5a4938271605f4e3d2c1b0a9",
    open=True,
    base="main",
    title="Open the shop on Sundays",
    author="ada",
)
HERE = Subscription("pull", "pull", "lane", ("pull github:583231#12",), {})

NOTHING: Mapping[str, Deployment] = {}

Deploys = Callable[..., Deployment]
"""Makes a deployment, as `tests.scenes.slack.deployment` does."""


def preview(app: App, state: PreviewState = PreviewState.UP, **facts: Any) -> Preview:
    """A preview of the pull request, as its keeper has left it."""
    pull = replace(PULL, **facts.pop("pull", {}))
    there = state in (PreviewState.MAKING, PreviewState.UP, PreviewState.ENDING)
    given: dict[str, Any] = {
        "made": f"pr-{app.id}" if there else None,
        "url": f"https://pr-12-{app.name[:20]}.preview.example.com" if there else None,
        "asked": pull.head_sha if state is PreviewState.UP else None,
        "reason": Why.WANTED,
    }
    return Preview("583231", SHOP, app.id, app.label, "dokploy", pull, state=state, **given | facts)


def card_of(
    those: Sequence[Preview], links: Links, deployed: Mapping[str, Deployment] = NOTHING
) -> tuple[View, tuple[Row, ...]]:
    """The message of these previews, and its rows.

    `deployed`: the deployments of their own apps, by app id.
    """
    deployments = tuple(
        replace(deployed[one.app_id], app_id=one.made or "")
        for one in those
        if one.app_id in deployed
    )
    snapshot = Snapshot(deployments=deployments, previews=tuple(those))
    rows = rows_of(those, HERE, snapshot)
    return pull_request_view(max(those, key=lambda one: one.version), links, rows), rows


FORK = {"own": False, "author": "mallory", "head": "main", "head_sha": "18f234f0c2aa" + "0" * 28}
WAITS = "fork: waiting for approval of 18f234f0c2aa"


def cards(
    deploys: Deploys, web: App, api: App, longest: App, hostile: str, links: Links
) -> Iterator[tuple[str, tuple[View, tuple[Row, ...]]]]:
    """Pull requests as they go on, and where they are hard to keep in form."""
    new = [preview(web, PreviewState.NEW), preview(api, PreviewState.MAKING, url=None)]
    yield "opened", card_of(new, links)
    both = [preview(web), preview(api)]
    going = {web.id: deploys(State.DONE), api.id: deploys(State.RUNNING, api)}
    yield "builds", card_of(both, links, going)
    note = "the build failed: npm run build exited with 1"
    failed = {web.id: deploys(State.DONE), api.id: deploys(State.FAILED, api, note=note)}
    yield "failed", card_of(both, links, failed)
    held = {"reason": Why.APPROVAL, "note": WAITS, "pull": FORK}
    yield "approval", card_of([preview(web, PreviewState.HELD, **held)], links)
    full = "shop/web has 5 previews already, the limit of its rule"
    limited = preview(web, PreviewState.HELD, reason=Why.LIMIT, note=full)
    yield "limit", card_of([limited], links)
    away = {"failures": 3, "note": "dokploy can't be reached (ConnectError)", "url": None}
    yield "failing", card_of([preview(web, PreviewState.MAKING, **away)], links)
    stopped = {"reason": Why.STOPPED, "note": "somebody has stopped it; a push starts it again"}
    yield "stopped", card_of([preview(web, PreviewState.SKIPPED, **stopped)], links)
    over = {"reason": Why.CLOSED, "note": "the pull request is merged"}
    merged = {"pull": {"open": False, "merge_sha": "a" * 40}}
    ended = preview(web, PreviewState.ENDED, **over, **merged)
    yield "ended", card_of([ended, preview(api, PreviewState.ENDING, **over, **merged)], links)
    crowd = [replace(web, id=f"app{n:02}", name=f"app-{n:02}") for n in range(50)]
    up = {one.id: deploys(State.DONE, one) for one in crowd[:30]}
    yield "of_50_apps", card_of([preview(one) for one in crowd], links, up)
    said = {"title": hostile, "author": hostile, "head": hostile, "own": False}
    hardest = [replace(longest, id=f"long{n}") for n in range(50)]
    worst = {"reason": Why.APPROVAL, "note": hostile * 3, "pull": said}
    yield "hardest", card_of([preview(one, PreviewState.HELD, **worst) for one in hardest], links)
