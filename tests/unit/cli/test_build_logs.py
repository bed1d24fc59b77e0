"""A log is followed until its deployment has ended, each line once."""

from bridge.cli.build_logs import followed
from bridge.ports.backends import BackendDeployment, Progress
from tests.fakes.journey import FakeBackend, ManualClock, app

LOG = [f"step {number}" for number in range(1, 6)]


class Growing(FakeBackend):
    """A backend whose log has a line more each second."""

    async def log_tail(self, deployment: BackendDeployment, lines: int) -> str:
        began = deployment.started_at or 0.0
        written = LOG[: int(self.clock() - began) + 1]
        return "".join(f"{line}\n" for line in written[-lines:])


async def test_every_line_is_told_once() -> None:
    clock = ManualClock()
    backend = Growing(clock, waits=0.0, builds=4.5)
    await backend.deploy(app(), title="t", description="d")
    clock.now += 1.0
    (newest,) = await backend.deployments(app())
    told: list[str] = []

    first = await backend.log_tail(newest, 9)
    ended, whole = await followed(backend, app(), newest, first, told.extend, clock.sleep)

    assert first.splitlines() + told == whole.splitlines() == LOG
    assert ended.status is Progress.DONE


async def test_a_deployment_that_is_not_kept_any_more_ends_it() -> None:
    clock = ManualClock()
    backend = Growing(clock, waits=0.0)
    await backend.deploy(app(), title="t", description="d")
    (newest,) = await backend.deployments(app())
    clock.after(2.0, backend.jobs.clear)

    ended, whole = await followed(backend, app(), newest, "", None, clock.sleep)

    assert ended == newest
    assert whole.splitlines() == LOG[: len(whole.splitlines())]
    assert clock.slept
