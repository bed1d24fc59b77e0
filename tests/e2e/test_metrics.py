"""What those who watch over a bridge see: its metrics, its readiness, and the trail in its logs."""

import asyncio
import io
import json
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from prometheus_client.parser import text_string_to_metric_families

from bridge.cli.logs import JsonLines
from bridge.web.answers import Insiders
from bridge.web.server import readyz
from tests.worlds.bridge import Origin, World, hook_headers, running_world
from tests.worlds.sites import make_site

TOKEN = "a token of the watchers"


async def figures(world: World) -> dict[tuple[str, ...], float]:
    """Every sample by its name and its labels' values, in the order of the labels' names."""
    answer = await world.web.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    return {
        (sample.name, *(sample.labels[name] for name in sorted(sample.labels))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


async def send(world: World, event: str, id_: str, **others: str) -> int:
    headers = hook_headers("github", {}, b"{}", id_) | {"X-GitHub-Event": event} | others
    return (await world.web.post("/hooks/github", content=b"{}", headers=headers)).status_code


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """All that is logged, as JSON lines."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    ours = logging.getLogger("bridge")
    before = ours.level
    ours.setLevel(logging.INFO)
    ours.addHandler(handler)
    yield stream
    ours.removeHandler(handler)
    ours.setLevel(before)


@pytest.mark.journey
async def test_webhooks_are_counted_by_how_they_were_answered(world: World) -> None:
    wrong = {"X-Hub-Signature-256": "sha256=" + "0" * 64}
    assert await send(world, "ping", "1") == 202
    assert await send(world, "ping", "1") == 200
    assert await send(world, "invented", "2") == 202
    assert await send(world, "push", "3", **wrong) == 401

    found = await figures(world)
    counted = {key[1:]: n for key, n in found.items() if key[0] == "bridge_webhooks_received_total"}
    assert counted == {
        ("ping", "accepted", "github"): 1,
        ("ping", "duplicate", "github"): 1,
        ("other", "accepted", "github"): 1,
        ("push", "unauthorized", "github"): 1,
    }


async def test_what_ends_is_counted_once(world: World, origin: Origin) -> None:
    before = await figures(world)
    await make_site(world, origin)
    await world.commit(origin, "feat: second", {"web/index.html": "2"})
    (ended,) = await world.ended(1)
    await world.stores.journal.say(ended.id, "said after its end")

    found = await figures(world)
    again = await figures(world)

    assert not [key for key in before if key[0] == "bridge_deploys_total"]
    for one in (found, again):
        assert one["bridge_deploys_total", "shop/web", "done"] == 1
        assert one["bridge_deploy_duration_seconds_count", "done"] == 1
        assert one["bridge_queue_depth", "deployments"] == 0
        assert one["bridge_queue_depth", "deliveries"] == 0
    assert found["bridge_store_bytes", "inbox"] > 0
    assert found["process_resident_memory_bytes",] > 10 * 2**20


async def test_a_bridge_counts_from_its_start(tmp_path: Path, origin: Origin) -> None:
    async with running_world(tmp_path / "bridge") as world:
        await make_site(world, origin)
        await world.commit(origin, "feat: second", {"web/index.html": "2"})
        await world.ended(1)
    async with running_world(tmp_path / "bridge") as world:
        found = await figures(world)

    assert not [key for key in found if key[0] == "bridge_deploys_total"]


OF_PROXIES = (
    *("CF-Connecting-IP", "CF-Connecting-IPv6", "CF-Ray", "CDN-Loop", "True-Client-IP", "Via"),
    *("X-Real-IP", "X-Client-IP", "X-Cluster-Client-IP", "Fastly-Client-IP", "X-Azure-ClientIP"),
    *("X-Forwarded-Proto", "X-Original-Forwarded-For", "X-Envoy-External-Address", "x_real_ip"),
)
"""Headers of proxies; none is believed, whoever it names."""


READERS = [
    ({}, 200),
    ({"X-Forwarded-For": "203.0.113.7"}, 403),
    ({"Forwarded": "for=203.0.113.7"}, 403),
    *(({name: "127.0.0.1"}, 403) for name in OF_PROXIES),
    ({"Via": "127.0.0.1", "Authorization": f"Bearer {TOKEN}"}, 200),
    ({"User-Agent": "Prometheus/3.0", "X-Prometheus-Scrape-Timeout-Seconds": "10"}, 200),
    ({"X-Forwarded-For": "203.0.113.7", "Authorization": f"Bearer {TOKEN}"}, 200),
    ({"X-Forwarded-For": "203.0.113.7", "Authorization": f"bearer {TOKEN}"}, 200),
    ({"X-Forwarded-For": "203.0.113.7", "Authorization": f"Basic {TOKEN}"}, 403),
    ({"X-Forwarded-For": "203.0.113.7", "Authorization": "Bearer x"}, 403),
    ({"X-Forwarded-For": "203.0.113.7", "Authorization": "Bearer"}, 403),
]


@pytest.mark.journey
async def test_who_may_read_the_metrics(tmp_path: Path) -> None:
    async with running_world(tmp_path / "bridge", BRIDGE_WEB_METRICS_TOKEN=TOKEN) as watched:
        for headers, status in READERS:
            answer = await watched.web.get("/metrics", headers=headers)

            assert answer.status_code == status, headers
            assert ("BRIDGE_WEB_METRICS_TOKEN" in answer.text) == (status == 403)
            assert TOKEN not in answer.text


@pytest.mark.journey
async def test_who_speaks_as_a_silent_proxy_does_is_no_neighbour(world: World) -> None:
    """Nginx on the same machine names nobody by default, and speaks HTTP/1.0."""
    host, port = world.web.base_url.host, world.web.base_url.port
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(b"GET /metrics HTTP/1.0\r\nHost: a\r\nConnection: close\r\n\r\n")
    said = await reader.read()
    writer.close()

    assert said.split(b" ")[1] == b"403"


LET_IN = ("127.0.0.1:8080", "localhost", "LOCALHOST:80", "[::1]:80", "127.0.0.2")
KEPT_OUT = (
    *("evil.example", "evil.example:80", "127.0.0.1.evil.example", "localhost.evil.example"),
    *("10.0.0.1", "a b", ""),
)


@pytest.mark.journey
async def test_a_page_whose_name_leads_here_by_trickery_reads_nothing(world: World) -> None:
    """DNS rebinding: a browser on this machine asks for a page of a stranger's name."""
    for host in LET_IN:
        assert (await world.web.get("/metrics", headers={"Host": host})).status_code == 200, host
    for host in KEPT_OUT:
        answer = await world.web.get("/metrics", headers={"Host": host})
        assert answer.status_code in (400, 403), host


@dataclass
class Ill:
    """A part that does not work, and how often it was looked at."""

    looks: int = 0

    async def __call__(self) -> str:
        self.looks += 1
        return "the inbox can't be reached: disk full at 10.0.0.5"


async def well() -> None:
    return None


@pytest.fixture
async def ill(aiohttp_client: Any) -> tuple[Ill, Any]:
    part, app = Ill(), web.Application()
    app.router.add_get("/readyz", readyz({"inbox": part, "journal": well}, Insiders(TOKEN)))
    return part, await aiohttp_client(app)


async def test_strangers_do_not_learn_why_a_part_does_not_work(
    ill: tuple[Ill, Any], lines: io.StringIO
) -> None:
    answers = [
        await ill[1].get("/readyz", headers={"X-Forwarded-For": "203.0.113.7"}) for _ in range(3)
    ]

    assert [answer.status for answer in answers] == [503] * 3
    told = [await answer.json() for answer in answers]
    assert told == 3 * [
        {
            "status": "not ready",
            "inbox": "does not work; the log says why",
            "journal": "ok",
        }
    ]
    (logged,) = map(json.loads, lines.getvalue().splitlines())
    assert logged["part"] == "inbox"
    assert "10.0.0.5" in logged["why"]


@pytest.mark.journey
async def test_closed_connections_are_counted_and_told_once_a_minute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("bridge.web.server.most_connections", lambda: 10)
    caplog.set_level(logging.INFO)
    async with running_world(tmp_path / "bridge") as world:
        address = world.bridge.url.removeprefix("http://").split(":")
        made = [await asyncio.open_connection(*address) for _ in range(60)]
        text = (await world.web.get("/metrics")).text
        for _, writer in made:
            writer.close()
        told = [one for one in caplog.records if one.getMessage().startswith("too many conn")]
        assert [one.__dict__["closed"] for one in told] == [1]
    told = [one for one in caplog.records if one.getMessage().startswith("too many conn")]

    (closed,) = re.findall(r"^bridge_connections_closed_total (\d+)", text, re.MULTILINE)
    assert 50 <= int(float(closed)) <= 51  # that which asks may be one of them
    assert [one.__dict__["closed"] for one in told] == [1, int(float(closed)) - 1]
    assert told[0].__dict__["client"] == "127.0.0.1"
    assert told[0].__dict__["limit"] == 10
