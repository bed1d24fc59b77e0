"""The same move, reported again: the webhook that reports it tells whether it was pushed again."""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from bridge.app.data_folder import seal_of
from bridge.core.hooks import Scope, ScopeKind
from bridge.ports.hooks import MadeHook
from tests.worlds.bridge import TOKEN, Origin, World, hook_headers, running_world, settings_for
from tests.worlds.sites import at, gitlab_origin, make_project_app, make_site

pytestmark = pytest.mark.journey

DEPLOYS, SAME = "no_watch_paths", "duplicate_push"
KEY = "k" * 64


async def verdict(
    world: World, host: str, payload: Mapping[str, Any], id_: str, **headers: str
) -> str:
    """Deliver a push; return the reason of its only app."""
    body = json.dumps(payload).encode()
    sent = hook_headers(host, payload, body, id_) | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    answer = await world.web.post(f"/hooks/{host}", content=body, headers=sent)
    assert answer.status_code in (200, 202), answer.text
    (reason,) = (await world.reasons(answer.json()["delivery"], host)).values()
    return f"{reason}, sent again" if answer.status_code == 200 else reason


async def test_on_github_the_webhooks_id_tells(world: World, origin: Origin) -> None:
    await make_site(world, origin)
    before = origin.head("main")
    after = origin.repository.commit("feat: second", {"web/index.html": "2"})
    payload = origin.payload("refs/heads/main", before, after)

    found = [
        await verdict(world, "github", payload, id_, X_GitHub_Hook_ID=hook)
        for id_, hook in (("a", "1"), ("a", "1"), ("b", "2"), ("c", "1"))
    ]

    assert found == [DEPLOYS, f"{DEPLOYS}, sent again", SAME, DEPLOYS]


async def test_on_gitlab_the_webhooks_own_secret_tells(tmp_path: Path) -> None:
    """Its UUID does not: GitLab draws a new one for each request."""
    async with (
        gitlab_origin(tmp_path) as origin,
        running_world(tmp_path / "bridge", **at(origin), BRIDGE_SECRET_KEY=KEY) as world,
    ):
        await make_project_app(world, origin, "web/**")
        scope = Scope(ScopeKind.REPOSITORY, origin.name, str(origin.id))
        sealed = seal_of(settings_for(Path("unused"), BRIDGE_SECRET_KEY=KEY)).close("ours")
        await world.stores.journal.plan_hook(MadeHook("gitlab", scope, sealed, time.time(), "12"))
        before = origin.head("main")
        after = origin.repository.commit("feat: second", {"web/index.html": "2"})
        payload = origin.payload("refs/heads/main", before, after)

        found = [
            await verdict(
                *(world, "gitlab", payload, id_),
                X_Gitlab_Token=token,
                X_Gitlab_Webhook_UUID=f"uuid-{number}",
            )
            for number, (id_, token) in enumerate(
                (("a", "ours"), ("a", "ours"), ("b", TOKEN), ("c", "ours"))
            )
        ]

    assert found == ["path_hit", "path_hit, sent again", SAME, "path_hit"]
