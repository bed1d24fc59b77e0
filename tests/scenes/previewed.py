"""What terminals show of previews: scenes of `tests/scenes/terminal.py` on data of their own."""

import asyncio
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from bridge.app.storage import Stores, open_stores
from bridge.core.lifecycle import NoteKind, State
from bridge.core.previews.native import NativeState
from bridge.core.previews.preview import Preview, PreviewState
from bridge.core.previews.verdict import Why
from bridge.ports.inbox import NewDelivery
from bridge.ports.journal import Journal
from bridge.settings import read_settings
from tests.fakes.journey import ManualClock, deployment
from tests.scenes.hostile import EVIL
from tests.worlds.journal import outcome, record
from tests.worlds.previewed import HEAD, held, kept, native, skipped, up

PULL_DELIVERY = "5d0c5a1e-0000-11f0-8000-000000000012"
HOUR, DAY = 3600.0, 86_400.0

PREVIEWS: Mapping[str, tuple[str, ...]] = {
    "apps-all": ("apps", "--all", "previews"),
    "explain-pull": ("explain", "5d0c5a1e"),
    "previews": ("previews",),
    "previews-all": ("previews", "--all"),
    "previews-app": ("previews", "--app", "shop/api"),
    "previews-approve": ("previews", "approve", "shop/web#14", "--commit", HEAD[:12]),
    "previews-approve-which": ("previews", "approve", "shop/web#14"),
    "previews-approve-moved": ("previews", "approve", "shop/web#14", "--commit", "0" * 40),
    "previews-extend": ("previews", "extend", "shop/web#12"),
    "previews-several": ("previews", "stop", "12"),
    "previews-stop": ("previews", "stop", "web#12"),
    "why-preview": ("why", "shop/web#14"),
    "why-preview-none": ("why", "shop/web#15"),
    "why-preview-failing": ("why", "shop/web#17"),
    "previews-stop-native": ("previews", "stop", "shop/api#18"),
    "why-preview-native": ("why", "shop/api#18"),
    "previews-stop-none": ("previews", "stop", "shop/web#15"),
}

PREVIEWS_JSON: Mapping[str, tuple[str, ...]] = {
    "explain (a pull request)": ("explain", PULL_DELIVERY),
    "why shop/web#12": ("why", "shop/web#12"),
    "previews": ("previews",),
    "previews approve": ("previews", "approve", "shop/web#14", "--commit", HEAD[:12]),
    "previews extend": ("previews", "extend", "shop/web#12"),
    "previews stop": ("previews", "stop", "shop/web#12"),
}
"""A command for each form that scripts read."""

RULES = "- {apps: shop/*, previews: {host: 'pr-{number}-{app}.preview.example.com'}}"


@contextmanager
def previewed(data: Path, now: float) -> Iterator[Mapping[str, str]]:
    """Copy data, and have pull requests previewed; yields the settings that lead there."""
    with TemporaryDirectory() as folder:
        own = Path(folder, "data")
        shutil.copytree(data, own)
        given = {"BRIDGE_DATA": str(own)}
        clock = ManualClock(now - 2 * DAY)

        async def run() -> None:
            async with open_stores(read_settings(None, given), clock=clock) as stores:
                await preview_all(stores)
                clock.now = now - 3 * HOUR
                await preview_some(stores)

        asyncio.run(run())
        yield {**given, "BRIDGE_RULES": RULES}


async def _deliver_pull(stores: Stores) -> None:
    """Have a webhook tell of a pull request of a fork."""
    repository = {"id": 583231, "name": "mono", "full_name": "my-org/mono"}
    repository["clone_url"] = "https://github.com/my-org/mono.git"
    pull = {
        "number": 21,
        "title": f"Add {EVIL}",
        "state": "open",
        "user": {"login": "mallory"},
        "head": {"ref": "main", "sha": HEAD, "repo": {"id": 99}},
        "base": {"ref": "main", "repo": {"id": 583231}},
    }
    told = {"action": "opened", "number": 21, "pull_request": pull, "repository": repository}
    body = json.dumps(told).encode()
    kept = NewDelivery("github", PULL_DELIVERY, "pull_request", {}, body, 1_778_000_000.0)
    await stores.inbox.keep(kept)


async def preview_all(stores: Stores) -> None:
    """Give pull requests of two apps their previews, and keep a webhook of another one."""
    await _deliver_pull(stores)
    journal = stores.journal
    apps = {one.label: one for one in await journal.apps()}
    web, api = apps["shop/web"], apps["shop/api"]
    there = await up(journal, web, 12)
    made = replace(
        web,
        id=there.made or "",
        name="web pr-12",
        environment="previews",
        marker=there.marker,
        auto_deploy=False,
    )
    await journal.renew_apps([made])
    await _live(journal, there)
    await up(journal, api, 12)
    await held(journal, web, 14, author=f"mallory {EVIL}", title=EVIL)


async def _live(journal: Journal, one: Preview) -> None:
    """Have the deployment of a preview be live."""
    built = deployment(9001, one.made or "", app=f"{one.app} pr")
    await record(journal, outcome(built.seq, built, explicit=True))
    note = f"commit {HEAD[:7]} is live"
    facts = {"deployed_commit": HEAD, "note_kind": NoteKind.LIVE}
    await journal.move(built.id, State.DONE, note, **facts)


async def preview_some(stores: Stores) -> None:
    """Have others wait, fail, end, or not be at all."""
    journal = stores.journal
    apps = {one.label: one for one in await journal.apps()}
    web, api = apps["shop/web"], apps["shop/api"]
    await skipped(journal, web, 15, Why.NO_PATH_HIT, "1 file changed, none matches web/**")
    full = await held(journal, api, 16, head_sha="12" * 20)
    note = "shop/api has 5 previews already, the limit of its rule"
    await kept(journal, full, reason=Why.LIMIT, note=note, approved="12" * 20, approver="ada")
    at = {"active_at": full.active_at}
    building = {"state": NativeState.BUILDING, "url": None, "title": EVIL, "page": None}
    of_dokploy = [native(api, 18, **at), native(api, 19, **at, **building)]
    await journal.save_native_previews(api.id, of_dokploy)
    failing = await up(journal, web, 17, head_sha=HEAD[::-1])
    await kept(
        journal,
        failing,
        state=PreviewState.MAKING,
        url=None,
        failures=3,
        note=f"dokploy: {EVIL} 502 Bad Gateway",
    )
