"""The port `MakesApps`: what the bridge makes is made once, has what was asked, and ends."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from bridge.backends import embedded_client
from bridge.backends.dokploy.answers import Forbidden
from bridge.backends.dokploy.client import Dokploy
from bridge.core.apps import App
from bridge.core.errors import Refused, Unanswered, Unreachable
from bridge.ports.backends import Address
from tests.chaos.dokploy.faults import resets
from tests.worlds.own_apps import (
    ADDRESSES,
    BUILT,
    MARKER,
    WORLDS,
    DokployMaking,
    EmbeddedMaking,
    Making,
    build,
    complete,
    hosts,
    make,
)

WRITES = ("environment.create", "application.create", "application.update", "domain.create")
READS = ("application.one", "project.one", "domain.byApplicationId")


# ── Make ────────────────────────────────────────────────────────────────────────────────────────


async def test_an_app_is_made_in_an_environment_of_its_models_project(world: Making) -> None:
    app, *again = await asyncio.gather(*(make(world) for _ in range(3)))

    record = await world.one(app)
    assert (record["name"], record["description"]) == ("web-pr-7", MARKER)
    assert record["environment"]["name"] == "previews"
    assert record["environment"]["projectId"] == world.project
    assert (app.name, app.environment, app.project) == ("web-pr-7", "previews", "shop")
    assert (app.marker, app.service) == (MARKER, record["appName"])
    assert app.made_at is not None
    assert {one.id for one in again} == {app.id}, "made at once, they are made one by one"
    other = await make(world, "bridge:github:my-org/mono#8:web")
    assert other.id != app.id
    assert await world.environments() == ["previews", "production"]
    read = {one.id: one for one in await world.backend.apps()}
    assert (read[app.id].marker, read[app.id].service) == (MARKER, app.service)
    assert read[world.model.id].marker == ""


@pytest.mark.parametrize(
    ("lost", "arrives"),
    [*((one, True) for one in WRITES + READS), *((one, False) for one in WRITES)],
)
async def test_nothing_is_made_twice_when_an_answer_is_lost(
    world: Making, lost: str, arrives: bool
) -> None:
    world.proxy.once[lost].append(resets(arrives=arrives))
    with pytest.raises((Unanswered, Unreachable)):
        await complete(world)

    app = await complete(world)

    made = [one for one in await world.apps() if one["environment"] == "previews"]
    assert [one["applicationId"] for one in made] == [app.id]
    assert await world.environments() == ["previews", "production"]
    record = await world.one(app)
    assert hosts(record) == sorted(one.host for one in ADDRESSES)
    assert record["customGitBranch"] == "feature/a"


async def test_of_two_that_were_raced_the_oldest_is_the_one(world: Making) -> None:
    those = [
        await world.ask("POST", "environment.create", name="previews", projectId=world.project)
        for _ in range(2)
    ]
    first = await make(world)
    assert (await world.one(first))["environmentId"] == those[0]["environmentId"]
    environment = (await world.one(first))["environmentId"]
    second = await world.create("web-pr-7", environment, description=MARKER)

    assert [one.id for one in await world.backend.made(MARKER)] == [first.id, second.id]
    assert (await make(world)).id == first.id
    assert (await world.backend.all_made("bridge:")).keys() == {MARKER}
    fields = {"applicationId": first.id, "host": "a.example.com"}
    kept, _ = [await world.ask("POST", "domain.create", **fields) for _ in range(2)]
    await world.backend.set_addresses(first, [Address("a.example.com"), Address("a.example.com")])
    (left,) = await world.ask("GET", "domain.byApplicationId", applicationId=first.id)
    assert left["domainId"] == kept["domainId"]


async def test_nothing_is_made_in_production(world: Making) -> None:
    for name in ("production", "Production", " production "):
        with pytest.raises(Refused, match="name another one"):
            await world.backend.make("web-pr-7", MARKER, world.model, name)

    assert world.proxy.writes == []


async def test_markers_are_compared_exactly(world: Making) -> None:
    longer, cased = f"{MARKER}-admin", MARKER.replace("my-org", "My-Org")
    made = {marker: await make(world, marker) for marker in (MARKER, longer, cased)}

    assert len({one.id for one in made.values()}) == 3
    for marker, app in made.items():
        assert [one.id for one in await world.backend.made(marker)] == [app.id]
    found = await world.backend.all_made("bridge:github:my-org/mono#7:")
    assert {marker: [one.id for one in apps] for marker, apps in found.items()} == {
        MARKER: [made[MARKER].id],
        longer: [made[longer].id],
    }
    assert await world.backend.made("bridge:github:my-org/mono#9:web") == []


async def test_all_that_was_made_is_found_in_every_project(world: Making) -> None:
    first = await make(world)
    other = await world.ask("POST", "project.create", name="blog")
    model = await world.create("blog", other["environment"]["environmentId"])
    second = await world.backend.make("blog-pr-1", "bridge:x#1:blog", model, "previews")
    await world.ask("POST", "project.create", name="without previews")
    world.proxy.reads.clear()

    found = await world.backend.all_made("bridge:")

    assert {one.id: one.project for (one,) in found.values()} == {
        first.id: "shop",
        second.id: "blog",
    }
    assert sorted(world.proxy.reads) == ["project.all", "project.one", "project.one"]


# ── Configure ───────────────────────────────────────────────────────────────────────────────────


async def test_an_app_has_of_its_model_what_builds_it_and_nothing_else(world: Making) -> None:
    app = await make(world)
    fresh = await world.one(app)
    await world.backend.set_build(app, build(world))

    record = await world.one(app)

    changed = {name: value for name, value in record.items() if value != fresh[name]}
    assert changed == BUILT | {
        "customGitBranch": "feature/a",
        "env": "PR=7",
        "buildArgs": "SHA=abc",
        "memoryLimit": "536870912",
        "cpuLimit": "500000000",
        **({"autoDeploy": False} if fresh["autoDeploy"] else {}),
    }
    assert record["autoDeploy"] is False
    assert (record["replicas"], record["isPreviewDeploymentsActive"]) == (1, False)
    assert "hush" not in json.dumps(record)


async def test_a_branch_goes_into_the_field_of_the_kind_of_source(fake: DokployMaking) -> None:
    app = await make(fake)
    kinds: dict[str, tuple[str, dict[str, Any]]] = {
        "github": ("branch", {"owner": "my-org", "repository": "mono", "githubId": "gh_1"}),
        "gitlab": (
            "gitlabBranch",
            {"gitlabOwner": "g", "gitlabRepository": "p", "gitlabProjectId": 12, "gitlabId": "gl"},
        ),
        "gitea": (
            "giteaBranch",
            {"giteaOwner": "o", "giteaRepository": "mono", "giteaId": "ge_1"},
        ),
        "bitbucket": (
            "bitbucketBranch",
            {"bitbucketRepository": "mono", "bitbucketRepositorySlug": "mono-slug"},
        ),
    }
    for kind, (branch, source) in kinds.items():
        fake.server.rows[fake.model.id] |= source | {"sourceType": kind, branch: "main"}
        await fake.backend.set_build(app, build(fake))

        record = await fake.one(app)
        assert record["sourceType"] == kind
        assert {name: record[name] for name in source} == source
        assert record[branch] == "feature/a"


async def test_only_a_model_with_a_repository_can_be_followed(fake: DokployMaking) -> None:
    app = await make(fake)
    for source in ("docker", "drop", "github"):
        fake.server.rows[fake.model.id] |= {"sourceType": source, "repository": None}
        with pytest.raises(Refused, match=r"not from a branch|no repository"):
            await fake.backend.set_build(app, build(fake))


async def test_repeated_calls_send_nothing_but_reads(world: Making) -> None:
    app = await complete(world)
    world.proxy.heal()

    await complete(world)

    assert world.proxy.writes == []
    assert sorted(world.proxy.reads) == sorted(
        ["application.one", "project.one"]  # make
        + ["application.one"] * 2  # set_build
        + ["domain.byApplicationId"]
    )
    await world.backend.set_build(app, build(world, environment="PR=8", cpus=None))
    record = await world.one(app)  # only what differs is written
    assert (record["env"], record["cpuLimit"], record["buildArgs"]) == ("PR=8", None, "SHA=abc")


async def test_what_was_not_stored_as_asked_is_refused(fake: DokployMaking) -> None:
    app = await make(fake)
    kept: dict[str, Any]
    for kept, words in (
        ({"autoDeploy": True}, "it has stored True as autoDeploy, not False"),
        ({"memoryLimit": None}, "it has stored None as memoryLimit, not '536870912'"),
        ({"env": "hush"}, "it has not stored the env that it was sent"),
        ({"replicas": 2}, "it has stored 2 as replicas, not 1"),
    ):
        fake.server.keeps_as = kept
        with pytest.raises(Refused) as refused:
            await fake.backend.set_build(app, build(fake))
        assert words in refused.value.words
        assert "hush" not in str(refused.value)


# ── Addresses ───────────────────────────────────────────────────────────────────────────────────


async def test_an_app_has_exactly_the_addresses_that_were_asked_for(world: Making) -> None:
    app = await complete(world)
    columns = ("host", "port", "https", "path", "certificateType", "customCertResolver")

    domains = await world.ask("GET", "domain.byApplicationId", applicationId=app.id)
    assert sorted([one[name] for name in columns] for one in domains) == [
        ["pr-7-web.preview.example.com", 8080, True, "/", "letsencrypt", ""],
        ["pr-7.own.example.com", 3000, True, "/web", "custom", "internal"],
    ]

    await world.backend.set_addresses(app, [replace(ADDRESSES[0], port=9000)])
    (left,) = await world.ask("GET", "domain.byApplicationId", applicationId=app.id)
    assert (left["host"], left["port"]) == ("pr-7-web.preview.example.com", 9000)

    await world.backend.set_addresses(app, [])
    assert await world.ask("GET", "domain.byApplicationId", applicationId=app.id) == []


async def test_a_suggested_host_can_be_an_address(world: Making) -> None:
    app = await make(world)

    host = await world.backend.suggest_host(app)

    assert host is not None
    assert host.startswith(app.service)
    await world.backend.set_addresses(app, [Address(host)])
    world.proxy.heal()
    await world.backend.set_addresses(app, [Address(host)])
    assert world.proxy.writes == []


async def test_no_host_is_suggested_by_a_server_that_does_not_know_its_address() -> None:
    said = httpx.Response(200, json="web-1f2e3d-127-0-0-1.sslip.io")
    transport = httpx.MockTransport(lambda _request: said)
    far = Dokploy("https://dokploy.example.com", "any-key", transport=transport)

    assert await far.suggest_host(App("a", "web", "shop", service="web")) is None
    await far.close()


# ── Rights ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("procedure", "right"),
    [
        ("environment.create", r"Create Environments \(canCreateEnvironments\)"),
        ("application.create", r"Create Services \(canCreateServices\)"),
        ("application.update", r"Create Services \(canCreateServices\)"),
        ("application.delete", r"Delete Services \(canDeleteServices\)"),
        ("domain.create", "domain.create needs that right"),
    ],
)
async def test_a_missing_right_is_named(fake: DokployMaking, procedure: str, right: str) -> None:
    fake.server.forbidden.add(procedure)

    with pytest.raises(Forbidden, match=right):
        await fake.backend.remove(await complete(fake))


async def test_what_a_key_can_not_see_is_not_made_again_and_again(fake: DokployMaking) -> None:
    fake.server.sees, fake.server.notes_new = {fake.model.id}, False

    for _ in range(3):
        with pytest.raises(Refused, match="give the key's user access to that service"):
            await make(fake)

    (made,) = [one for one in fake.server.rows.values() if one["description"] == MARKER]
    fake.server.sees.add(made["applicationId"])
    assert (await make(fake)).id == made["applicationId"]


# ── The embedded backend ────────────────────────────────────────────────────────────────────────


async def test_a_client_of_public_sites_suggests_no_local_host(tmp_path: Path) -> None:
    async with WORLDS["embedded"](tmp_path) as world:
        assert isinstance(world, EmbeddedMaking)
        app = await make(world)
        server = world.server
        public = embedded_client(server.url, server.api_key, sites="https://sites.example.com")

        assert await public.suggest_host(app) is None
        await public.close()
