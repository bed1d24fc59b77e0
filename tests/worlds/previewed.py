"""Records of previews, as a bridge that runs has written them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from bridge.core.apps import App
from bridge.core.events import Repository
from bridge.core.previews.native import NativePreview, NativeState
from bridge.core.previews.preview import Preview, PreviewState, preview_id
from bridge.core.previews.verdict import Why
from bridge.core.pulls import PullRequest
from bridge.pipeline.previews.previews import PreviewKeeper
from bridge.ports.journal import Journal
from bridge.ports.previews import Previewed, Reported

MONO = Repository("github", "583231", "my-org/mono")
HEAD, MOVED = "ab" * 20, "cd" * 20
PULL = PullRequest(
    12,
    "feature",
    HEAD,
    open=True,
    base="main",
    title="Add a page",
    author="ada",
    url="https://github.com/my-org/mono/pull/12",
)


@asynccontextmanager
async def previews_at_rest() -> AsyncIterator[None]:
    """Have nobody bring previews in line, so that what is recorded of them stays."""

    async def rests(_keeper: PreviewKeeper) -> float:
        return 3600.0

    with patch.object(PreviewKeeper, "look", rests):
        yield


async def report(
    journal: Journal, app: App, number: int, where: Repository = MONO, **of_pull: Any
) -> Preview:
    """Report a pull request of an app's repository, as a webhook does."""
    facts = {"url": f"https://github.com/{where.name}/pull/{number}"} | of_pull
    pull = replace(PULL, number=number, **facts)
    previewed = Previewed(app.id, app.label, app.backend)
    await journal.report_previews(Reported(where.id, where, pull), [previewed])
    found = await journal.preview(preview_id(where, number, app.id))
    assert found is not None
    return found


async def kept(journal: Journal, seen: Preview, **facts: Any) -> Preview:
    """Record what was done for a preview, as its keeper does."""
    changed = await journal.change_preview(seen, **facts)
    assert changed is not None
    return changed


async def up(
    journal: Journal, app: App, number: int, where: Repository = MONO, **of_pull: Any
) -> Preview:
    """A preview that is up."""
    seen = await report(journal, app, number, where, **of_pull)
    url = f"https://pr-{number}-{app.name}.preview.example.com"
    facts = {"made": f"{app.id}-pr-{number}", "asked": seen.pull.head_sha, "url": url}
    return await kept(
        journal, seen, state=PreviewState.UP, reason=Why.WANTED, look_at=None, **facts
    )


async def held(
    journal: Journal, app: App, number: int, where: Repository = MONO, **of_pull: Any
) -> Preview:
    """One of a fork that waits for an approval."""
    seen = await report(journal, app, number, where, own=False, **of_pull)
    note = f"fork: waiting for approval of {seen.pull.head_sha[:12]}"
    return await kept(
        journal, seen, state=PreviewState.HELD, reason=Why.APPROVAL, note=note, look_at=None
    )


def native(app: App, number: int, **facts: Any) -> NativePreview:
    """A preview that Dokploy makes by itself."""
    told: dict[str, Any] = {
        "id": f"native-{app.id}-{number}",
        "maker": "Dokploy",
        "title": "Add a page",
        "branch": "feature",
        "pull_url": f"https://github.com/my-org/mono/pull/{number}",
        "state": NativeState.UP,
        "commit": HEAD,
        "url": f"http://preview-{app.name}-{number}.sslip.io",
        "page": f"https://dokploy.example.com/dashboard/{app.id}?tab=preview-deployments",
        "active_at": 1_700_000_000.0,
    } | facts
    return NativePreview(app_id=app.id, app=app.label, backend=app.backend, number=number, **told)


async def skipped(
    journal: Journal, app: App, number: int, why: Why = Why.DRAFT, note: str = "", **of_pull: Any
) -> Preview:
    """A pull request that has no preview."""
    seen = await report(journal, app, number, **of_pull)
    note = note or "the pull request is a draft"
    return await kept(
        journal, seen, state=PreviewState.SKIPPED, reason=why, note=note, look_at=None
    )
