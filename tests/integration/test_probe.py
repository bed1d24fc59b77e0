"""What a backend is said to be, and what is warned of: each once."""

import logging
from dataclasses import replace

import pytest

from bridge.core.errors import Unreachable
from bridge.pipeline.deciding.catalog import Catalog
from bridge.pipeline.deciding.probe import Probe
from bridge.storage.journal import SqlJournal
from tests.fakes.journey import FakeBackend, ManualClock, app


async def test_a_version_and_auto_deploy_are_each_told_once(
    caplog: pytest.LogCaptureFixture, journal: SqlJournal
) -> None:
    clock = ManualClock()
    backend = FakeBackend(clock, found=[replace(app(), auto_deploy=True)])
    catalog = Catalog({"dokploy": backend}, journal, clock)
    await catalog.refresh()
    probe = Probe({"dokploy": backend}, catalog)

    with caplog.at_level(logging.INFO, "bridge.pipeline.deciding.probe"):
        await probe.look()
        await probe.look()

    assert probe.versions == {"dokploy": "v0.30.2"}
    assert [record.message.partition(":")[0] for record in caplog.records] == [
        "backend probed",
        "auto deploy is on at the backend",
    ]


async def test_a_backend_that_is_away_keeps_nobody_from_working(journal: SqlJournal) -> None:
    clock = ManualClock()
    backend = FakeBackend(clock, found=[app()])
    catalog = Catalog({"dokploy": backend}, journal, clock)
    await catalog.refresh()
    backend.next("version", Unreachable("dokploy", "ConnectError"))
    probe = Probe({"dokploy": backend}, catalog)

    await probe.look()
    assert probe.versions == {}
    await probe.look()
    assert probe.versions == {"dokploy": "v0.30.2"}
