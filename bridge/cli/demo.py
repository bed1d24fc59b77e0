"""`demo`: a real push deploys on this machine: git, HTTP, the bridge, a deploy server."""

import asyncio
import os
import secrets
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bridge.cli.context import run
from bridge.cli.demo_world import (
    BAD,
    BRANCH,
    CHANNEL,
    GOOD,
    QUIET,
    TOKEN,
    Services,
    Shop,
    Stage,
    card_lines,
    comment_lines,
    farewell,
    running_services,
    signed,
)
from bridge.cli.show import called_as
from bridge.core.errors import BridgeError
from bridge.views.decisions import decision_line

if TYPE_CHECKING:
    import httpx

    from bridge.app.run import Bridge
    from bridge.core.decision import Decision
    from bridge.core.lifecycle import Deployment
    from bridge.settings import Settings

SECONDS = 60.0
"""Seconds for the whole demo; a quick machine needs a tenth."""

LOOK = 0.05

PAGE = "<!doctype html>\n<title>Shop</title>\n<h1>{}</h1>\n"


class DemoFailed(BridgeError):
    """A step had an unexpected result."""


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything that runs during the demo."""

    stage: Stage
    bridge: "Bridge"
    shop: Shop
    http: "httpx.AsyncClient"
    services: Services
    secret: str
    page: str


def demo(
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep the page open until you press Ctrl-C.")
    ] = False,
) -> None:
    """Watch a push deploy, for real, on this machine: about ten seconds, nothing to set up."""
    import logging

    logging.basicConfig(level=logging.ERROR, stream=sys.stderr)  # logs would interrupt the demo
    logging.getLogger("bridge").setLevel(logging.ERROR)
    os.environ.pop("DATABASE_URL", None)
    stage = Stage()
    stage.title("dokploy-bridge demo: everything real, on this machine, in a temporary folder")
    run(_demo(stage, keep=keep))
    stage.lines(farewell(called_as()))


async def _demo(stage: Stage, *, keep: bool) -> None:
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="bridge-demo-") as folder:
        try:
            async with asyncio.timeout(SECONDS) as limit:
                async with _scene(stage, Path(folder)) as scene:
                    await _play(scene)
                    took = time.monotonic() - began
                    if keep:
                        limit.reschedule(None)
                        await _kept(stage, scene.page)
        except TimeoutError:
            raise DemoFailed(f"the demo was not over after {SECONDS:.0f} s") from None
    stage.fact("took", f"{took:.1f} s; the temporary folder is gone", QUIET)


async def _kept(stage: Stage, page: str) -> None:
    stage.fact("page", f"{page} stays open until you press Ctrl-C", GOOD)
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()


async def _play(scene: Scene) -> None:
    stage = scene.stage
    stage.act("The first push: nothing is published yet")
    files = {"web/index.html": PAGE.format("Opening soon"), "docs/read.md": "# Shop\n"}
    await _deploys(scene, "feat: open the shop", files, "Opening soon")

    stage.act("A push that changes web/: the page changes")
    files = {"web/index.html": PAGE.format("Open!")}
    await _deploys(scene, "feat: we are open (#1)", files, "Open!")

    stage.act("What people see: a comment on the pull request, a card in Slack")
    await _shows(scene)

    stage.act("A push that changes only docs/: nothing to deploy, and the reason")
    await _skips(scene, "docs: tell the hours", {"docs/read.md": "# Shop\n\nOpen 9 to 5.\n"})

    stage.act("Somebody else's webhook: wrong signature, nothing happens")
    await _refuses(scene)


async def _deploys(scene: Scene, message: str, files: dict[str, str], wanted: str) -> None:
    before = await _title(scene)
    decision, deployment = await _push(scene, message, files)
    if deployment is None:
        raise DemoFailed(f"it should have deployed: {decision_line(decision)}")
    if deployment.state != "done":
        raise DemoFailed(f"the deployment ended {deployment.state}: {deployment.note}")
    after = await _title(scene)
    scene.stage.fact("page", f"{before} → {after}", GOOD)
    scene.stage.fact("", scene.page, QUIET)
    if after != wanted:
        raise DemoFailed(f"the page should say {wanted!r}, but it says {after!r}")


async def _shows(scene: Scene) -> None:
    """Show what GitHub and Slack were sent."""
    services = scene.services
    with scene.stage.waiting("it is published"):
        await services.shown(lambda seen: any("deployed" in one for one in seen.comments.values()))
        live = f"is live  ·  {services.merged[:7]}"
        await services.shown(lambda seen: live in _newest(seen.cards).get("text", ""))
    (comment,) = services.comments.values()
    scene.stage.box("comment on pull request #1", comment_lines(comment), markdown=True)
    scene.stage.box("card in #deploys", card_lines(_newest(services.cards)))


def _newest(cards: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any]:
    return cards[max(cards, key=float)] if cards else {}


async def _skips(scene: Scene, message: str, files: dict[str, str]) -> None:
    decision, deployment = await _push(scene, message, files)
    if deployment is not None or decision.reason != "no_path_hit":
        raise DemoFailed(f"it should have been skipped: {decision_line(decision)}")


async def _refuses(scene: Scene) -> None:
    body = b'{"ref": "refs/heads/main"}'
    headers = signed(body, "not the secret")
    answer = await scene.http.post(
        f"{scene.bridge.url}/hooks/github", content=body, headers=headers
    )
    scene.stage.fact("answer", f"{answer.status_code} {answer.json()['error']}", GOOD)
    if answer.status_code != 401:
        raise DemoFailed("a webhook with a wrong signature was let in")


async def _push(
    scene: Scene, message: str, files: dict[str, str]
) -> "tuple[Decision, Deployment | None]":
    """Push with git, deliver the webhook, show the result."""
    stage, stores = scene.stage, scene.bridge.stores
    with stage.waiting("git push"):
        push = await scene.shop.push(message, files)
        scene.services.merged = push.after if "(#1)" in message else ""
        body = await scene.shop.payload(push, scene.services.url)
    stage.fact("git push", f"{push.before[:7]}..{push.after[:7]} {BRANCH}  {message}")
    delivery_id = await _deliver(scene, body)
    with stage.waiting("the bridge decides"):
        while True:
            delivery = await stores.inbox.find("github", delivery_id)
            if delivery is not None and delivery.state != "kept":
                break
            await asyncio.sleep(LOOK)
    decisions = (await stores.journal.decisions([delivery.seq]))[delivery.seq]
    if not decisions:
        raise DemoFailed(f"the delivery was {delivery.state}: {delivery.error}")
    stage.fact("decision", decision_line(decisions[0]), GOOD if decisions[0].deploy else "yellow")
    found = await stores.journal.deployments(limit=1, seq=delivery.seq)
    return decisions[0], await _ended(scene, found[0].id) if found else None


async def _deliver(scene: Scene, body: bytes) -> str:
    began = time.monotonic()
    headers = signed(body, scene.secret)
    answer = await scene.http.post(
        f"{scene.bridge.url}/hooks/github", content=body, headers=headers
    )
    took = (time.monotonic() - began) * 1000
    words = f"signed, kept on disk, answered {answer.status_code} in {took:.0f} ms"
    scene.stage.fact("webhook", words, "" if answer.status_code == 202 else BAD)
    if answer.status_code != 202:
        raise DemoFailed(f"the webhook was answered {answer.status_code}: {answer.text.strip()}")
    return str(answer.json()["delivery"])


async def _ended(scene: Scene, id_: str) -> "Deployment":
    journal = scene.bridge.stores.journal
    seen = 0
    with scene.stage.waiting("it deploys"):
        while True:
            deployment = await journal.deployment(id_)
            changes = await journal.changes(id_, after=seen)
            seen += len(changes)
            for change in changes:
                scene.stage.change(change)
            if deployment is not None and deployment.final and not changes:
                return deployment
            await asyncio.sleep(LOOK)


async def _title(scene: Scene) -> str:
    """Return the page's heading, fetched like a browser does."""
    answer = await scene.http.get(scene.page)
    if answer.status_code == 404:
        return "nothing there"
    return answer.text.partition("<h1>")[2].partition("</h1>")[0]


@asynccontextmanager
async def _scene(stage: Stage, folder: Path) -> AsyncIterator[Scene]:
    from bridge.app.providers import run_embedded
    from bridge.app.run import run_bridge
    from bridge.cli.embedded import connected, make_site
    from bridge.cli.new_site import NewSite
    from bridge.connecting.clients import http_client
    from bridge.settings import Settings

    secret, shop = secrets.token_hex(16), Shop(folder)
    stage.act("A Git repository, a deploy backend and the bridge between them")
    async with AsyncExitStack() as stack:
        with stage.waiting("starting"):
            await shop.make()
            stage.fact("git", f"{shop.name}: a small monorepo with web/ and docs/")
            own = Settings.model_validate({"data": folder, "embedded": {"port": 0}})
            backend = await stack.enter_async_context(run_embedded(own))
            stage.fact("backend", f"{backend.url}/api (embedded, speaks Dokploy's API)")
            stage.fact("sites", f"{backend.sites_url} (a port of their own)")
            api = await stack.enter_async_context(connected(backend.url, backend.api_key, None))
            site = NewSite("web", shop.url, BRANCH, "web", ("web/**",), "shop")
            app, path = await make_site(api, site)
            words = f"{app.label}: serves web/, deploys when web/** changes on {BRANCH}"
            stage.fact("app", words)
            services = await stack.enter_async_context(running_services())
            stage.fact("around", f"{services.url}: stand-ins of GitHub and Slack")
            settings = demo_settings(folder, secret, backend.url, backend.api_key, services.url)
            bridge = await stack.enter_async_context(run_bridge(settings))
            stage.fact("bridge", f"{bridge.url}/hooks/github")
        http = http_client(backend.sites_url, direct=True, follow_redirects=True)
        await stack.enter_async_context(http)
        yield Scene(stage, bridge, shop, http, services, secret, backend.sites_url + path)


def demo_settings(folder: Path, secret: str, url: str, key: str, around: str) -> "Settings":
    """Return the demo's settings: its own data, a free port, and short pauses.

    It reaches its backend over HTTP, like a Dokploy.

    Args:
        around: where the stand-ins of GitHub and Slack are.
    """
    from bridge.settings import Settings

    values: dict[str, Any] = {
        "port": 0,
        "data": folder / "bridge",
        "github": {
            "webhook_secrets": secret,
            "api_url": f"{around}/api/v3",
            "token": "ghp_demo",
            "feedback": "comment",
        },
        "slack": {"bot_token": TOKEN, "api_url": f"{around}/api/", "channel": CHANNEL},
        "feedback": {"debounce": 0.1},
        "dokploy": {"url": url, "api_key": key},
        "journey": {"look": 0.1, "look_at_most": 0.5},
    }
    return Settings.model_validate(values)
