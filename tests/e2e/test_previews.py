"""A preview for every pull request, from the webhook to the page, and nothing left behind."""

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from bridge.core.events import Action
from bridge.core.previews.preview import PreviewState
from bridge.core.previews.verdict import Why
from tests.fakes.pulls import Change
from tests.worlds.embedded import until
from tests.worlds.feedback import comment_with
from tests.worlds.previews import PreviewWorld, preview_world, without_limits

AT_ONCE = 5.0
"""Seconds until the comment names the address of a static site, and the page is there."""

HOST = "pr-{number}-{app}.preview.example.com"


@pytest.fixture(
    params=[pytest.param("github", marks=pytest.mark.journey), "gitlab", "gitea"],
)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def rules() -> dict[str, Any]:
    return {"host": HOST}


@pytest.fixture
def sweeps() -> str:
    """How often pull requests and previews are compared; within a test never again."""
    return "1h"


@pytest.fixture
async def world(
    tmp_path: Path,
    kind: str,
    rules: dict[str, Any],
    sweeps: str,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[PreviewWorld]:
    without_limits(monkeypatch)
    apps = [{"apps": "shop/*", "previews": rules}]
    async with preview_world(tmp_path, kind, apps, BRIDGE_PREVIEWS_SWEEP=sweeps) as running:
        yield running


async def test_a_pull_request_has_its_own_app_until_it_is_closed(world: PreviewWorld) -> None:
    await world.app()

    began = time.monotonic()
    pull = await world.opened("topic", {"web/index.html": "first"})
    await comment_with(pull, "✅ up")
    preview = await world.live(pull)
    assert await world.page(preview) == "first"
    assert time.monotonic() - began < AT_ONCE
    address = f"pr-{pull.number}-web.preview.example.com"
    assert preview.url is not None
    assert preview.url.startswith(f"http://{address}")
    body = await comment_with(pull, "✅ up")
    assert f"[Visit]({preview.url})" in body

    (comment,) = pull.comments
    edits = len(comment.history)
    await world.world.ask(Action.REDEPLOY, str(preview.made))

    async def shown() -> list[str]:
        return comment.history[edits:]

    await until(shown, bool)
    await comment_with(pull, "✅ up")

    await world.pushed(pull, {"web/index.html": "second"})
    again = await world.live(pull)
    assert (again.made, await world.page(again)) == (preview.made, "second")

    await world.closed(pull)
    await world.preview(pull, PreviewState.ENDED)
    assert await world.made() == []
    assert await world.page(again) != "second"
    await comment_with(pull, "removed")
    assert len(pull.comments) == 1


@pytest.mark.parametrize("kind", ["gitea"])
@pytest.mark.parametrize("rules", [{}])
async def test_on_one_machine_its_address_leads_to_it(world: PreviewWorld) -> None:
    await world.app()
    pull = await world.opened("topic", {"web/index.html": "first"})
    for text in ("first", "second"):
        preview = await world.live(pull)
        assert preview.url is not None
        assert httpx.URL(preview.url).host.endswith(".localhost")
        assert await visited(preview.url) == text
        assert world.world.backend is not None
        made = await world.world.backend.ask("GET", "application.one", applicationId=preview.made)
        assert f"BRIDGE_URL={preview.url}" in made["env"].splitlines()
        await comment_with(pull, preview.url)
        await world.pushed(pull, {"web/index.html": "second"})
    (app,) = [one for one in await world.world.stores.journal.apps() if one.id == preview.made]
    assert app.url == preview.url


async def visited(url: str) -> str:
    """What a browser shows at an address below localhost, which it looks up on this machine."""
    where = httpx.URL(url)
    async with httpx.AsyncClient(trust_env=False, timeout=20) as web:
        headers = {"Host": where.netloc.decode()}
        return (await web.get(where.copy_with(host="127.0.0.1"), headers=headers)).text


# ── which pull requests have one ─────────────────────────────────────────────


@pytest.mark.parametrize("kind", ["gitea"])
async def test_of_two_apps_of_a_monorepo_the_one_that_is_concerned(world: PreviewWorld) -> None:
    await world.app("web", watch=["web/**"])
    await world.app("api", watch=["api/**"])

    pull = await world.opened("topic", {"web/index.html": "first"})

    await world.live(pull, "web")
    other = await world.preview(pull, PreviewState.SKIPPED, "api")
    assert (other.reason, other.made) == (Why.NO_PATH_HIT, None)
    assert await world.made() == ["web pr-2"]
    body = await comment_with(pull, "✅ up")
    assert "- `shop/api` has no preview: `1 file changed, none matches api/**" in body


@pytest.mark.parametrize("kind", ["gitlab"])
async def test_a_draft_waits_until_it_is_ready(world: PreviewWorld) -> None:
    await world.app()
    pull = await world.opened("topic", {"web/index.html": "first"}, draft=True)
    assert (await world.preview(pull, PreviewState.SKIPPED)).reason == Why.DRAFT

    world.theirs.set_draft(pull, False)
    await world.send(pull, Change.READY)

    await world.live(pull)


# ── forks ────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", [pytest.param("github", marks=pytest.mark.journey), "gitea"])
async def test_a_fork_waits_for_an_approval_of_each_commit(world: PreviewWorld) -> None:
    """No branch of the repository leads to it, whose pipelines would run it with their secrets."""
    await world.app()
    pull = await world.forked({"web/index.html": "theirs"})
    held = await world.preview(pull, PreviewState.HELD)
    assert (held.reason, await world.made()) == (Why.APPROVAL, [])
    assert "waiting for approval of" in await comment_with(pull, "✋ held")

    await world.approve(pull)
    preview = await world.live(pull)
    assert await world.page(preview) == "theirs"
    assert world.branch_writes() == 0

    approved = pull.head_sha
    await world.fork_pushed(pull, {"web/index.html": "theirs, worse"})
    again = await world.preview(pull, PreviewState.HELD)
    assert (again.reason, again.made) == (Why.APPROVAL, preview.made)
    assert await world.page(preview) == "theirs"
    await world.approve(pull, approved)  # that of the old commit, once more
    assert (await world.preview(pull, PreviewState.HELD)).asked == approved

    await world.closed(pull)
    await world.preview(pull, PreviewState.ENDED)
    assert await world.made() == []
    assert world.branch_writes() == 0


@pytest.mark.parametrize("kind", ["gitea"])
async def test_what_was_approved_is_built_though_the_fork_has_moved_on(world: PreviewWorld) -> None:
    await world.app()
    pull = await world.forked({"web/index.html": "theirs"})
    approved = pull.head_sha
    await world.preview(pull, PreviewState.HELD)
    await world.approve(pull)
    preview = await world.live(pull)
    await world.fork_pushed(pull, {"web/index.html": "theirs, worse"})
    await world.preview(pull, PreviewState.HELD)

    assert preview.made is not None
    assert world.world.backend is not None
    again = await world.world.backend.deployed(preview.made)  # as by hand

    assert again["description"] == f"Commit: {approved}"
    assert await world.page(preview) == "theirs"


@pytest.mark.parametrize("rules", [{"host": HOST, "pin": True, "environment": {"KEY": "secret"}}])
async def test_no_webhook_makes_a_forks_commit_the_repositorys_own(
    world: PreviewWorld,
) -> None:
    """Nor does one of the future hide that the pull request is closed."""
    await world.app()

    pull = await world.misreported({"web/index.html": "theirs"}, time.time() + 3600)

    held = await world.preview(pull, PreviewState.HELD)
    assert (held.reason, held.pull.own, await world.made()) == (Why.APPROVAL, False, [])
    assert world.branch_writes() == 0
    await world.closed(pull)
    await world.preview(pull, PreviewState.ENDED)


async def test_without_a_credential_no_webhook_has_a_commit_built(tmp_path: Path) -> None:
    rules = [{"apps": "shop/*", "previews": {"host": HOST, "pin": True}}]
    async with preview_world(tmp_path, "gitea", rules, BRIDGE_GITEA_TOKEN="") as world:
        await world.app()
        pull = await world.misreported({"web/index.html": "theirs"}, time.time())

        held = await world.preview(pull, PreviewState.HELD)
        assert (held.reason, await world.made()) == (Why.CANNOT_BUILD, [])


# ── what is lost, late or at once ────────────────────────────────────────────


@pytest.mark.parametrize("kind", ["gitlab"])
@pytest.mark.parametrize("sweeps", ["1s"])
async def test_an_opening_and_a_close_that_are_lost_are_found_by_the_sweep(
    world: PreviewWorld,
) -> None:
    await world.app()
    pull = await world.opened("topic", {"web/index.html": "first"})
    await world.live(pull)
    world.branch("unheard", {"web/index.html": "unheard"})
    unheard = world.theirs.open_pull("unheard")
    assert await world.page(await world.live(unheard)) == "unheard"

    world.theirs.close(pull)
    world.theirs.close(unheard)

    await world.preview(pull, PreviewState.ENDED)
    assert await world.made() == []


@pytest.mark.parametrize("kind", ["gitea"])
@pytest.mark.parametrize(
    "rules", [{"host": HOST, "environment": {"LEVEL": "debug"}, "memory": 256, "cpus": 0.5}]
)
async def test_nothing_of_the_app_is_in_its_preview_but_what_the_rule_names(
    world: PreviewWorld,
) -> None:
    await world.app()
    pull = await world.opened("topic", {"web/index.html": "first"})
    preview = await world.live(pull)

    assert world.world.backend is not None
    made = await world.world.backend.ask("GET", "application.one", applicationId=preview.made)
    assert made["env"].splitlines() == [
        "LEVEL=debug",
        f"BRIDGE_PR={pull.number}",
        f"BRIDGE_SHA={pull.head_sha}",
        f"BRIDGE_URL=http://pr-{pull.number}-web.preview.example.com",
    ]
    assert (made["autoDeploy"], made["branch"] or made["customGitBranch"]) == (False, "topic")
    assert "of production" not in str(made)


@pytest.mark.parametrize("kind", ["gitea"])
async def test_a_branch_with_a_name_for_a_shell_is_built_by_its_commit(
    world: PreviewWorld,
) -> None:
    await world.app()
    pull = await world.opened("$(touch${IFS}harm)", {"web/index.html": "first"})

    preview = await world.live(pull)

    assert await world.page(preview) == "first"
    assert world.branch_writes() == 0
