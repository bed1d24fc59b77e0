"""`python -m tests.chaos.process serve …`: the bridge's own command line, fit for chaos.

The clock jumps on the test's command. Writes to Git hosts and Slack are fast, and a push is soon
looked for among pull requests: the fakes have no limit of a write a second and know each commit at
once, and the tests have no hours. All else is the product's, except for a bug that a proof of these
tests plants (`planted.py`).
"""

import mmap
import os
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.chaos.planted import plant
from tests.worlds.processes import FORKS, Program, fork_on_demand

CLOCK = "CHAOS_CLOCK"
"""Names the file with the seconds by which this process's clock is off."""

CHAOTIC = Program("tests.chaos.process", "tests.chaos.process")

_OFFSET = struct.Struct("d")


def set_clock(file: Path, offset: float) -> None:
    """Set the clock of the process with that file off from now on."""
    with file.open("r+b" if file.exists() else "w+b") as opened:
        opened.write(_OFFSET.pack(offset))


def _let_clock_jump() -> Callable[[Path], None]:
    """Let it jump once it has a file, which the function that is returned gives it."""
    seconds, nanoseconds = time.time, time.time_ns
    offset: mmap.mmap | bytes = _OFFSET.pack(0.0)

    def time_() -> float:
        return seconds() + float(_OFFSET.unpack_from(offset)[0])

    def time_ns() -> int:
        return nanoseconds() + int(_OFFSET.unpack_from(offset)[0] * 1e9)

    def follow(file: Path) -> None:
        nonlocal offset
        with file.open("rb") as opened:
            offset = mmap.mmap(opened.fileno(), _OFFSET.size, access=mmap.ACCESS_READ)

    time.time, time.time_ns = time_, time_ns
    return follow


def _write_fast() -> None:
    from bridge.githosts.feedback import publishers, subscriptions
    from bridge.pipeline.feedback.rate_limit import RateLimiter
    from bridge.ports.clock import Limit

    fast, within = (Limit(200, 1.0),), RateLimiter.within
    RateLimiter.within = lambda rate_limiter, _limits, **_share: within(rate_limiter, fast)  # type: ignore[method-assign]
    publishers.CALM = publishers.AGAIN = 0.2
    subscriptions.LOOKS_AGAIN = (0.2, 0.5)


def main() -> None:
    """Run the command line; never returns."""
    follow = _let_clock_jump()  # before our own code takes `time.time` as its clock
    if sys.argv[1] == FORKS:
        fork_on_demand()
    follow(Path(os.environ.pop(CLOCK)))
    from bridge.__main__ import main as run

    _write_fast()
    plant()
    run()


if __name__ == "__main__":
    main()
