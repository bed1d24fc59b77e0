"""A shop whose apps are live, held, locked, unhealthy and failed, for the console's pictures."""

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from bridge.core.events import Repository as GitRepository
from bridge.core.lifecycle import State
from bridge.core.previews.preview import PreviewState
from bridge.core.previews.verdict import Why
from bridge.pipeline.deciding.catchup import HookTroubles
from bridge.ports.githosts import Hook
from tests.fakes.journey import deployment
from tests.worlds.bridge import Origin
from tests.worlds.console import ConsoleWorld, console_world
from tests.worlds.embedded import Repository, until
from tests.worlds.journal import outcome, record
from tests.worlds.previewed import held, kept, native, previews_at_rest, report, skipped, up

SHOTS = {
    "now": "/console",
    "apps": "/console/apps",
    "app": "/console/apps/{web}",
    "gates": "/console/gates",
    "previews": "/console/previews?all=1",
    "deliveries": "/console/deliveries",
    "delivery": "/console/deliveries/{delivery}",
    "today": "/console/deliveries/{delivery}/today",
    "deployments": "/console/deployments",
    "deployment": "/console/deployments/{failed}",
    "held": "/console/deployments/{held}",
    "figures": "/console/figures",
    "refused": "/console/refused",
    "audit": "/console/audit",
    "search": "/console/search?q=web",
    "sign-in": "/console/sign-in",
}
"""The pages of which there are pictures."""

APPS = ("web", "api", "docs", "jobs")
RULES = [
    {"apps": "shop/api", "approvals": 1},
    {"apps": "shop/web", "previews": "pr-{number}-{app}.preview.example.com"},
    {
        "apps": "shop/docs",
        "verify": {"url": "/", "contains": "Refunds", "within": "2s", "every": "0.5s"},
    },
]
CHANGES = [
    ("feat: open the shop on Sundays", "web", "open"),
    ("feat: explain refunds", "docs", "Refunds take a day"),
    ("fix: charge once", "api", "charge"),
    ("perf: cache prices for a minute", "web", "cached"),
    ("chore: night shift for invoices", "jobs", "night"),
    ("docs: shorten the page about refunds", "docs", "Pay back"),
    ("feat: cheaper shipping above 50 euros", "web", "shipping"),
]


@asynccontextmanager
async def shop(folder: Path) -> AsyncIterator[tuple[ConsoleWorld, dict[str, Any]]]:
    """Run it; yield the ids that the pages are about as well."""
    files = {f"{name}/index.html": f"{name}: first" for name in APPS}
    origin = Origin(Repository.make(folder / "origin", files), name="acme/shop")
    async with (
        previews_at_rest(),
        console_world(folder / "bridge", BRIDGE_RULES=json.dumps(RULES)) as console,
    ):
        world, ids = console.world, dict[str, Any]()
        assert world.backend is not None
        for name in APPS:
            app = await world.backend.app(name, origin.clone_url, publishDirectory=name)
            id_ = ids[name] = app["applicationId"]
            await world.backend.save_git(id_, origin.clone_url, watchPaths=[f"{name}/**"])
        for message, name, text in CHANGES:
            await world.commit(origin, message, {f"{name}/index.html": text})
            await _settled(console)
        origin.repository.git("rm", "-rq", "jobs")
        before = origin.head()
        after = origin.repository.commit("refactor: move the jobs", {"worker/index.html": "jobs"})
        await world.push(origin, "refs/heads/main", before, after)
        await _settled(console)
        await world.web.post("/hooks/github", content=b"{}", headers=_unsigned("1"))
        await world.web.post(
            "/hooks/gitlab", content=b"{}", headers={"X-Gitlab-Event": "Push Hook"}
        )
        async with console.browsing() as web:
            locked = {"reason": "the sale ends at noon", "lasts": "3h", "scope": ids["web"]}
            await web.post("/console/do/lock", data=locked)
        await until(world.stores.journal.locks, lambda locks: len(locks) == 1)
        hook = Hook("repos/acme/legal", "4711", None, "it is switched off at GitHub")
        await HookTroubles(world.stores.journal, time.time).note(
            "github", "acme/legal", [(hook, None)]
        )
        await until(lambda: world.stores.journal.refused(limit=5), lambda those: len(those) == 2)
        await _previews(console, ids)
        by_state = {str(one.state): one.id for one in await world.deployments()}
        newest = (await world.stores.inbox.newest(3))[-1]
        ids |= {"failed": by_state["failed"], "held": by_state["held"], "delivery": newest.seq}
        yield console, ids


def _unsigned(id_: str) -> dict[str, str]:
    signature = "sha256=" + "0" * 64
    return {
        "X-GitHub-Event": "push",
        "X-GitHub-Delivery": id_,
        "X-Hub-Signature-256": signature,
        "Content-Type": "application/json",
    }


async def _previews(console: ConsoleWorld, ids: dict[str, Any]) -> None:
    """Have pull requests of two apps: up, held, failing, and without a preview."""
    journal = console.world.stores.journal
    apps = {one.id: one for one in await journal.apps()}
    web, docs = apps[ids["web"]], apps[ids["docs"]]
    mono = GitRepository("github", "583231", "acme/shop")
    of_both: dict[str, Any] = {
        "title": "Open the shop on holidays",
        "head_sha": "4f1c9ae" + "0" * 33,
    }
    there = await up(journal, web, 12, mono, **of_both)
    made = replace(web, id=there.made or "", name="web pr-12", marker=there.marker)
    made = replace(made, environment="previews")
    await journal.renew_apps([made])
    built = deployment(9001, made.id, app=made.label, commit=there.pull.head_sha)
    await record(journal, outcome(9001, built, explicit=True))
    await journal.move(built.id, State.DONE, "")
    of_fork: dict[str, Any] = {
        "title": "Translate the shop into Welsh",
        "author": "mallory",
        "head_sha": WELSH,
    }
    await held(journal, web, 14, mono, **of_fork)
    of_full: dict[str, Any] = {
        "title": "Explain the returns",
        "author": "grace",
        "head_sha": "93a6c55" + "0" * 33,
    }
    full = await report(journal, docs, 15, mono, **of_full)
    note = f"{docs.label} has 5 previews already, the limit of its rule"
    facts: dict[str, Any] = {
        "state": PreviewState.HELD,
        "reason": Why.LIMIT,
        "look_at": None,
        "note": note,
    }
    await kept(journal, full, **facts)
    await skipped(journal, docs, 12, Why.NO_PATH_HIT, NO_DOCS, where=mono, **of_both)
    since = full.active_at - 2 * 3600
    await journal.save_native_previews(
        docs.id, [native(docs, 11, title="Name the couriers", active_at=since)]
    )


HOLIDAYS, RETURNS, WELSH = "4f1c9ae" + "0" * 33, "93a6c55" + "0" * 33, "b07e2d1" + "0" * 33
NO_DOCS = "1 file changed, none matches docs/**"


async def _settled(console: ConsoleWorld) -> None:
    """Wait until everything is decided, and nothing but what is held is open."""

    async def still_open() -> list[str]:
        kept = [one.id for one in await console.world.stores.inbox.newest(1) if one.state == "kept"]
        open_ = await console.world.stores.journal.open_deployments(held=False)
        return kept + [one.id for one in open_]

    await until(still_open, lambda those: not those)
