"""How often a backend is polled for all followed deployments together."""

from contextlib import ExitStack

import pytest

from bridge.pipeline.deploying.polling import MANY, BackendPoller
from tests.fakes.journey import FakeBackend, ManualClock, app, deployment


async def nothing_pinned(_app_id: str) -> frozenset[str]:
    return frozenset()


@pytest.mark.parametrize(("followed", "a_second"), [(1, 40), (MANY // 2, 24), (MANY, 8)])
async def test_the_more_are_followed_the_slower_each_is_asked_for(
    followed: int, a_second: int
) -> None:
    clock = ManualClock()
    backend = FakeBackend(clock)
    poller = BackendPoller(backend, clock, nothing_pinned, sleep=clock.sleep)
    began = clock.now
    with ExitStack() as stack:
        for number in range(followed):
            stack.enter_context(poller.following(f"{number}"))
        while clock.now - began < 60:
            await poller.look(deployment(), app())

    asked = backend.count("deployments", "queue") / (clock.now - began)
    assert asked == pytest.approx(a_second, rel=0.1)
