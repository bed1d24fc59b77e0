"""Which apps a Dokploy has: listed cheaply, many read by one request, one by one where need be."""

import time

import httpx
import pytest

from bridge.backends.dokploy.apps import BATCH, UNLISTED_FOR
from bridge.core.errors import Unreachable
from bridge.ports.backends import ReadsApps
from tests.fakes.dokploy import CountingDokploy


@pytest.fixture
def server() -> CountingDokploy:
    server = CountingDokploy()
    server.add(*(f"app-{n}" for n in range(100)))
    return server


async def test_a_hundred_apps_take_one_request_for_the_list_and_three_for_their_sources(
    server: CountingDokploy,
) -> None:
    client = server.client()

    found = await client.apps()

    assert isinstance(client, ReadsApps)
    assert [app.id for app in found] == list(server.apps)
    assert found[7].watch_paths == ("app-7/**",)
    # Which environments are default ones is asked once; they stay what they are.
    assert server.requests == ["overview.services", "project.all", *["trpc"] * 3]
    server.requests.clear()
    await client.listing()
    assert server.requests == ["overview.services"]
    await client.close()


async def test_the_listing_tells_of_a_source_that_was_saved(server: CountingDokploy) -> None:
    client = server.client()
    before = {one.app.id: one.signal for one in await client.listing()}

    server.save_provider("app-7", repository="other")

    after = {one.app.id: one.signal for one in await client.listing()}
    assert [id_ for id_ in after if after[id_] != before[id_]] == ["app-7"]
    await client.close()


async def test_the_listing_tells_of_a_deployment_by_whomever_but_of_no_new_configuration(
    server: CountingDokploy,
) -> None:
    client = server.client()
    before = {one.app.id: one for one in await client.listing()}

    server.deployed("app-7", "2026-11-26T20:57:51.771Z")

    after = {one.app.id: one for one in await client.listing()}
    assert before["app-7"].deployed_at is None
    assert after["app-7"].deployed_at == 1795726671.771
    assert after["app-7"].signal == before["app-7"].signal
    assert [id_ for id_ in after if after[id_] != before[id_]] == ["app-7"]
    await client.close()


async def test_an_older_server_is_listed_as_ever_and_tells_of_no_deployment(
    server: CountingDokploy,
) -> None:
    client = server.client()
    newer = await client.listing()
    server.overview = False
    server.deployed("app-7", "2026-11-26T20:57:51.771Z")
    server.requests.clear()

    older = [await client.listing() for _ in range(2)][-1]

    assert older == newer
    assert server.requests == ["overview.services", "project.all", "project.all"]
    await client.close()


async def test_a_server_that_was_updated_is_asked_for_deployments_after_a_while(
    server: CountingDokploy, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = server.client()
    server.overview = False
    await client.listing()
    server.overview = True
    server.deployed("app-7", "2026-11-26T20:57:51.771Z")
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + UNLISTED_FOR)

    assert [one.app.id for one in await client.listing() if one.deployed_at] == ["app-7"]
    await client.close()


async def test_where_nothing_is_batched_every_app_is_asked_for_by_itself(
    server: CountingDokploy,
) -> None:
    server.batches = False
    client = server.client()
    assert client.apps_per_request == BATCH

    assert len(await client.apps()) == 100

    assert client.apps_per_request == 1
    assert server.requests.count("trpc") <= 2
    server.requests.clear()
    assert len(await client.apps()) == 100
    assert server.requests.count("application.one") == 100
    assert "trpc" not in server.requests
    await client.close()


async def test_an_app_of_a_batch_that_went_or_is_forbidden_is_left_out(
    server: CountingDokploy,
) -> None:
    client = server.client()
    listed = [one.app for one in await client.listing()]
    del server.apps["app-1"]
    server.forbidden.add("app-3")

    found = await client.read_apps(listed[:5])

    assert [app.id for app in found] == ["app-0", "app-2", "app-4"]
    assert client.apps_per_request == BATCH
    await client.close()


async def test_a_batch_of_apps_that_have_all_gone_says_nothing_against_batches(
    server: CountingDokploy,
) -> None:
    client = server.client()
    listed = [one.app for one in await client.listing()]
    server.apps.clear()

    assert await client.read_apps(listed) == []
    assert client.apps_per_request == BATCH
    await client.close()


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (httpx.Response(401, json={"message": "Unauthorized"}), Unreachable),
        (httpx.Response(502, text="bad gateway"), Unreachable),
        (httpx.ConnectError("refused"), Unreachable),
    ],
)
async def test_a_server_in_trouble_does_not_look_as_if_apps_had_gone(
    server: CountingDokploy, reply: httpx.Response | Exception, error: type[Exception]
) -> None:
    """While its database is away each question of a batch is refused like a lack of rights."""
    client = server.client()
    listed = [one.app for one in await client.listing()]

    async def in_trouble(request: httpx.Request) -> httpx.Response:
        if request.url.path.startswith("/api/trpc/"):
            said = {"message": "UNAUTHORIZED", "data": {"code": "UNAUTHORIZED", "httpStatus": 401}}
            return httpx.Response(401, json=[{"error": {"json": said}}] * BATCH)
        if isinstance(reply, Exception):
            raise reply
        return reply

    server.answer = in_trouble  # type: ignore[method-assign]
    client = server.client()

    with pytest.raises(error):
        await client.read_apps(listed)
    await client.close()
