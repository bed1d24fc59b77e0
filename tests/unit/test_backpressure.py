"""Backpressure: deciding slows down under many webhooks, and never stops for good."""

from dataclasses import dataclass, field

from bridge.pipeline.deciding.deliveries import FEW, LONGEST, SHARE, Backpressure


@dataclass
class Road:
    """A clock, a counter, and the pauses that were made."""

    now: float = 0.0
    kept: int = 0
    pauses: list[float] = field(default_factory=list)

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)

    def backpressure(self) -> Backpressure:
        return Backpressure(lambda: self.kept, clock=lambda: self.now, sleep=self.sleep)


async def test_few_hold_nothing_up_and_batches_are_small_while_many_come() -> None:
    road = Road()
    backpressure = road.backpressure()
    road.now, road.kept = 1.0, 200
    await backpressure.give(0.05)
    assert (road.pauses, backpressure.batch(128)) == ([], 128)

    road.now, road.kept = 2.0, 5000
    await backpressure.give(0.05)
    assert (backpressure.batch(128), backpressure.batch(8)) == (FEW, 8)

    road.now = 3.0
    await backpressure.give(0.05)
    assert backpressure.batch(128) == 128


async def test_many_get_most_of_the_time_but_not_all_of_it() -> None:
    road = Road()
    backpressure = road.backpressure()
    for second, spent in enumerate((0.05, 0.05, 60.0), 1):
        road.now, road.kept = float(second), second * 5000
        await backpressure.give(spent)
    road.now = 4.0
    await backpressure.give(0.05)

    assert road.pauses == [0.05 * SHARE] * 2 + [LONGEST]
