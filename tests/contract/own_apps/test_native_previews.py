"""The port `MakesPreviews`: the previews that a backend makes by itself are read, and no more.

On a fake and the embedded backend, and on what a real Dokploy v0.30.2 has answered.
"""

import httpx
import pytest

from bridge.backends.dokploy.answers import Forbidden
from bridge.backends.dokploy.client import Dokploy
from bridge.core.apps import App
from bridge.core.previews.native import NativePreview, NativeState
from bridge.ports.backends import read_apps
from tests.oracles.dokploy_recordings import recording
from tests.worlds.own_apps import DokployMaking

SITE = App(
    "9DBC_ZcKI5_4Uv-U2pACc", "site", "shop", page="https://dokploy.example.com/dashboard/site"
)
ROWS = {row["name"]: row for row in recording("recorded-2") if "response" in row}


async def test_each_pull_request_has_its_newest_build(fake: DokployMaking) -> None:
    assert await fake.backend.native_previews(fake.model) == []
    assert await fake.backend.native_previews(App("nope", "nope", "shop")) == []
    id_ = fake.model.id
    fake.server.preview(id_, 7, sha="b" * 40)
    fake.server.preview(id_, 8, "running")
    fake.server.preview(id_, 7, "error", sha="c" * 40)
    fake.server.preview("another app", 9)

    found = await fake.backend.native_previews(fake.model)

    assert [(one.number, one.state, one.commit) for one in found] == [
        (7, NativeState.FAILED, "c" * 40),
        (8, NativeState.BUILDING, "a" * 40),
    ]
    assert {one.app for one in found} == {"shop/web"}


async def test_only_apps_from_github_have_some(fake: DokployMaking) -> None:
    for source, active, makes in (
        ("github", True, "Dokploy"), ("github", False, ""), ("git", True, ""),
    ):  # fmt: skip
        columns = {"sourceType": source, "isPreviewDeploymentsActive": active}
        fake.server.rows[fake.model.id] |= columns
        (app,) = await read_apps(fake.backend, [fake.model])
        assert app.native_previews == makes


# ── A real Dokploy's answers ────────────────────────────────────────────────────────────────────


async def read(name: str) -> list[NativePreview]:
    """What the client makes of a recorded answer."""
    row = ROWS[name]
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(row["response"]["status"], json=row["response"]["json"])

    transport = httpx.MockTransport(answer)
    client = Dokploy("https://dokploy.example.com", "any-key", transport=transport, read_retries=0)
    try:
        return await client.native_previews(SITE)
    finally:
        await client.close()
        (request,) = asked
        assert (request.method, request.url.path) == ("GET", "/api/previewDeployment.all")
        assert dict(request.url.params) == {"applicationId": SITE.id}


async def test_a_recorded_preview_is_read() -> None:
    (found,) = await read("273-previewDeployment.all")

    assert found == NativePreview(
        id="FDUnPqcjctC3gv1T8vDVf",
        maker="Dokploy",
        app_id=SITE.id,
        app="shop/site",
        backend="dokploy",
        number=7,
        title="My PR",
        branch="feat/x",
        pull_url="https://github.com/acme/site/pull/7",
        state=NativeState.UP,
        commit="e22c30749b4a2140f2a08375eda966be02fc86f8",
        url="http://preview-site-7swlkp-vgrsoz.sslip.io",
        page="https://dokploy.example.com/dashboard/site?tab=preview-deployments",
        active_at=1795727884.311,
    )


async def test_the_states_of_recorded_previews() -> None:
    for name, states in (
        ("270-previewDeployment.all-empty", {}),
        ("270-previewDeployment.all-github-comment-fails", {7: "building"}),
        ("271-previewDeployment.all-building", {7: "building"}),
        ("275-previewDeployment.all-redeploying", {8: "up", 7: "building"}),
        ("276-previewDeployment.all-unknown", {}),
        ("277-previewDeployment.all-after-close", {8: "up"}),
    ):
        assert {one.number: one.state for one in await read(name)} == states, name
    with pytest.raises(Forbidden, match="You don't have access to this service"):
        await read("276-previewDeployment.all-member-no-access")
