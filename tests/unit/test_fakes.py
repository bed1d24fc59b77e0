"""The stand-ins have the ports' own form, and the backend behaves as the real one was seen to."""

import inspect

import pytest

from bridge.core.errors import Refused, Unanswered, Unreachable
from bridge.ports.backends import Backend, Progress
from bridge.ports.flows import Flows
from bridge.ports.githosts import GitHost, HostApi, ListsPulls, TellsWriters
from tests.fakes.git_api import FakeHostApi
from tests.fakes.journey import HEAD, FakeBackend, FakeFlows, FakeHost, ManualClock, app
from tests.fakes.toy_backend import Crane


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def backend(clock: ManualClock) -> FakeBackend:
    return FakeBackend(clock)


@pytest.mark.parametrize(
    ("fake", "port"),
    [
        (FakeBackend, Backend),
        (Crane, Backend),
        (FakeFlows, Flows),
        (FakeHost, GitHost),
        (FakeHostApi, HostApi),
        (FakeHostApi, ListsPulls),
        (FakeHostApi, TellsWriters),
    ],
)
def test_a_fake_has_every_method_of_its_port_in_the_same_form(fake: type, port: type) -> None:
    for name, method in inspect.getmembers(port, inspect.isfunction):
        if not name.startswith("_"):
            assert inspect.signature(getattr(fake, name)) == inspect.signature(method), name


async def test_a_waiting_job_has_no_record_and_its_title_is_ours_until_it_ends(
    backend: FakeBackend, clock: ManualClock
) -> None:
    await backend.deploy(app(), title="ours", description="[br-1]")
    assert await backend.deployments(app()) == []
    assert [(job.title, job.active) for job in await backend.queue() or []] == [("ours", False)]

    clock.now += backend.waits
    (record,) = await backend.deployments(app())
    assert (record.title, record.status, record.commit) == ("ours", Progress.RUNNING, None)
    assert [job.active for job in await backend.queue() or []] == [True]

    clock.now += backend.builds
    (record,) = await backend.deployments(app())
    assert (record.title, record.status, record.commit) == ("ours", Progress.DONE, None)
    assert await backend.queue() == []

    clock.now += 0.3
    (record,) = await backend.deployments(app())
    assert (record.description, record.commit) == (f"Commit: {HEAD}", HEAD)


async def test_a_second_deploy_of_an_app_waits_and_another_apps_does_not(
    backend: FakeBackend, clock: ManualClock
) -> None:
    for of in (app("app-a"), app("app-a"), app("app-b")):
        await backend.deploy(of, title="t", description="d")
    clock.now += backend.waits

    assert [(job.app, job.active) for job in await backend.queue() or []] == [
        ("app-a", True), ("app-a", False), ("app-b", True),
    ]  # fmt: skip


async def test_failures_come_as_they_were_scripted(backend: FakeBackend) -> None:
    backend.next("deploy", Unanswered("dokploy", "lost"), arrives=True)
    backend.next("deploy", Refused("dokploy", "no"))

    with pytest.raises(Unanswered):
        await backend.deploy(app(), title="t", description="d")
    with pytest.raises(Refused):
        await backend.deploy(app(), title="t", description="d")
    backend.away = True
    with pytest.raises(Unreachable):
        await backend.deploy(app(), title="t", description="d")

    assert (len(backend.jobs), backend.asked) == (1, 3)
