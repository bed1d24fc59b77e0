"""The stand-ins have the ports' own form, and the backend behaves as the real one was seen to."""

import inspect

from bridge.ports.backends import Backend, Progress
from bridge.ports.flows import Flows
from bridge.ports.githosts import GitHost, HostApi, ListsPulls, TellsWriters
from tests.fakes.git_api import FakeHostApi
from tests.fakes.journey import HEAD, FakeBackend, FakeFlows, FakeHost, ManualClock, app
from tests.fakes.toy_backend import Crane
from tests.worlds.rows import each_row

PORTS = {
    FakeBackend: [Backend], Crane: [Backend], FakeFlows: [Flows], FakeHost: [GitHost],
    FakeHostApi: [HostApi, ListsPulls, TellsWriters],
}  # fmt: skip


@each_row(("fake", "ports"), PORTS.items())
def test_a_fake_has_every_method_of_its_ports_in_the_same_form(fake, ports) -> None:
    for name, method in (one for of in ports for one in inspect.getmembers(of, inspect.isfunction)):
        if not name.startswith("_"):
            assert inspect.signature(getattr(fake, name)) == inspect.signature(method), name


async def test_a_waiting_job_has_no_record_and_its_title_is_ours_until_it_ends() -> None:
    clock = ManualClock()
    backend = FakeBackend(clock)
    await backend.deploy(app(), title="ours", description="[br-1]")
    assert await backend.deployments(app()) == []
    assert [(job.title, job.active) for job in await backend.queue() or []] == [("ours", False)]

    clock.now += backend.waits
    await backend.deploy(app(), title="later", description="[br-2]")
    (record,) = await backend.deployments(app())
    assert (record.title, record.status, record.commit) == ("ours", Progress.RUNNING, None)
    assert [job.active for job in await backend.queue() or []] == [True, False]

    clock.now += backend.builds
    assert (await backend.deployments(app()))[-1].status is Progress.DONE
    clock.now += 0.3
    record = (await backend.deployments(app()))[-1]
    assert (record.description, record.commit) == (f"Commit: {HEAD}", HEAD)
