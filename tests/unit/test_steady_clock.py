"""A clock that never jumps, whatever is done to the machine's."""

from bridge.ports.clock import SteadyClock


class Machine:
    """A machine with a clock that can be set."""

    def __init__(self) -> None:
        self.wall = 1_700_000_000.0
        self.ticks = 5.0

    def passes(self, seconds: float) -> None:
        self.wall += seconds
        self.ticks += seconds


def steady() -> tuple[Machine, SteadyClock]:
    machine = Machine()
    return machine, SteadyClock(lambda: machine.wall, lambda: machine.ticks)


def test_it_goes_with_the_machine() -> None:
    machine, clock = steady()

    for seconds in (0.0, 0.1, 60.0, 86_400.0):
        machine.passes(seconds)
        assert abs(clock() - machine.wall) < 1e-6


def test_a_jump_changes_nothing_at_once_and_it_agrees_again_in_the_end() -> None:
    for jump in (60.0, -60.0):
        machine, clock = steady()
        before = clock()
        machine.wall += jump

        assert clock() == before
        machine.passes(10.0)
        assert 9.0 - 1e-6 <= clock() - before <= 11.0 + 1e-6
        for _ in range(600):
            machine.passes(1.0)
            clock()
        assert abs(clock() - machine.wall) < 1e-3


def test_it_never_goes_back() -> None:
    machine, clock = steady()
    times = []
    for jump in (0.0, -1000.0, 5.0, 1e6, -1e6, 0.0):
        machine.wall += jump
        machine.passes(0.5)
        times.append(clock())

    assert times == sorted(set(times))
