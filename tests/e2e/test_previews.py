"""A preview for every pull request, from the webhook to the page, and nothing left behind."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bridge.core.previews.preview import PreviewState
from tests.worlds.feedback import comment_with
from tests.worlds.previews import PreviewWorld, preview_world, without_limits

HOST = "pr-{number}-{app}.preview.example.com"


@pytest.fixture(params=["github", "gitlab", "gitea"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def rules() -> dict[str, Any]:
    return {"host": HOST}


@pytest.fixture
async def world(
    tmp_path: Path, kind: str, rules: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[PreviewWorld]:
    without_limits(monkeypatch)
    async with preview_world(tmp_path, kind, [{"apps": "shop/*", "previews": rules}]) as running:
        yield running


async def test_a_pull_request_has_its_own_app_until_it_is_closed(world: PreviewWorld) -> None:
    await world.app()

    pull = await world.opened("topic", {"web/index.html": "first"})

    preview = await world.live(pull)
    assert await world.page(preview) == "first"
    address = f"pr-{pull.number}-web.preview.example.com"
    assert preview.url is not None
    assert preview.url.startswith(f"http://{address}")
    body = await comment_with(pull, "✅ up")
    assert f"[{preview.url.partition('://')[2].rstrip('/')}]({preview.url})" in body

    await world.pushed(pull, {"web/index.html": "second"})
    again = await world.live(pull)
    assert (again.made, await world.page(again)) == (preview.made, "second")

    await world.closed(pull)
    await world.preview(pull, PreviewState.ENDED)
    assert await world.made() == []
    assert await world.page(again) != "second"
    await comment_with(pull, "removed")
    assert len(pull.comments) == 1
