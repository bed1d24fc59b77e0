"""What becomes of a test whose helper that forks processes dies, and of the tests after it."""

import os
import signal
from pathlib import Path

import pytest

from tests.worlds.processes import BRIDGE, forking, start_bridge


async def test_a_dead_helper_fails_one_test_with_its_reason(tmp_path: Path) -> None:
    lost = await start_bridge("demo", cwd=tmp_path, env=dict(os.environ))
    forking(BRIDGE.forks).end(signal.SIGKILL)

    with pytest.raises(RuntimeError, match=r"forks the others has ended \(exit code -9\)"):
        await lost.wait()
    os.kill(lost.pid, signal.SIGKILL)  # it is nobody's child any more

    next_one = await start_bridge("--version", cwd=tmp_path, env=dict(os.environ))
    assert await next_one.wait() == 0
