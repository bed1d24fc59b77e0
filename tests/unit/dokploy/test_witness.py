"""A refused key is told from a database that is away, by a witness that needs no key."""

import asyncio

import httpx
import pytest

from bridge.backends.dokploy.key_check import PATH as WITNESS
from bridge.backends.dokploy.key_check import DatabaseAway
from bridge.core.errors import KeyRefused, Refused, Unreachable
from tests.unit.dokploy.conftest import GONE, WELL, ok, trpc

UNAUTHORIZED = httpx.Response(401, json={"message": "Unauthorized"})


async def test_a_read_that_had_its_time_is_not_tried_again(dokploy, table, web) -> None:
    """An answer takes 6 to 25 s while the database is away: three of them are a minute."""
    table.replies["deployment.all"] = httpx.ReadTimeout("slow")

    with pytest.raises(Unreachable, match="did not answer in time"):
        await dokploy.deployments(web)
    assert table.paths == ["deployment.all", WITNESS]

    table.replies[WITNESS] = GONE
    table.now += 60
    with pytest.raises(DatabaseAway):
        await dokploy.deployments(web)


async def test_the_witness_is_asked_without_the_key_and_only_when_one_is_refused(
    dokploy, table, web
) -> None:
    table.replies["deployment.all"] = [ok([]), UNAUTHORIZED]
    table.replies[WITNESS] = GONE

    await dokploy.deployments(web)
    assert table.paths == ["deployment.all"]

    with pytest.raises(DatabaseAway):
        await dokploy.deployments(web)
    assert table.paths == ["deployment.all"] * 2 + [WITNESS]
    assert "x-api-key" not in table.requests[-1].headers


async def test_a_key_that_worked_is_refused_once_that_has_lasted(dokploy, table, web) -> None:
    table.replies["deployment.all"] = [ok([]), UNAUTHORIZED]
    table.replies[WITNESS] = WELL

    await dokploy.deployments(web)
    with pytest.raises(Unreachable, match="though its database is well") as caught:
        await dokploy.deployments(web)
    assert not isinstance(caught.value, KeyRefused)

    table.now += 31
    with pytest.raises(KeyRefused, match="rateLimitEnabled: false"):
        await dokploy.deployments(web)


async def test_a_no_of_dokploys_own_shows_that_the_key_works(dokploy, table, web) -> None:
    table.replies["application.deploy"] = [
        trpc(404, "Application not found", "NOT_FOUND"),
        UNAUTHORIZED,
    ]
    table.replies[WITNESS] = WELL

    with pytest.raises(Refused):
        await dokploy.deploy(web, title="", description="")
    for _ in range(2):  # one that never worked is refused by now
        with pytest.raises(Unreachable, match="that may pass"):
            await dokploy.deploy(web, title="", description="")


async def test_a_wrong_key_is_told_by_the_very_first_read(dokploy, table, web) -> None:
    """A read is tried again, so it is refused between two words that the database is well."""
    table.replies["deployment.all"] = UNAUTHORIZED
    table.replies[WITNESS] = WELL

    with pytest.raises(KeyRefused, match="wrong, disabled"):
        await dokploy.deployments(web)
    assert table.paths.count("deployment.all") == 2


async def test_the_health_probe_does_not_prove_the_key(dokploy, table, web) -> None:
    table.replies["health"] = ok({"ok": True})
    table.replies["deployment.all"] = UNAUTHORIZED
    table.replies[WITNESS] = WELL

    await dokploy.healthy()
    with pytest.raises(KeyRefused, match="wrong, disabled"):
        await dokploy.deployments(web)


async def test_all_who_are_refused_at_a_time_share_a_witness(dokploy, table, web) -> None:
    table.replies["deployment.all"] = UNAUTHORIZED
    table.replies[WITNESS] = GONE

    asked = (dokploy.deployments(web) for _ in range(20))
    found = await asyncio.gather(*asked, return_exceptions=True)

    assert {type(error) for error in found} == {DatabaseAway}
    assert table.paths.count(WITNESS) == 1
