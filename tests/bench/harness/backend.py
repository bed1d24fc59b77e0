"""The chaos tests' recording backend as a process: `backend.py PORT APPS BUILD_SECONDS`.

`GET /ledger` tells what it was asked for: app, commit and when, on the clock of the machine.
"""

import asyncio
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))


from tests.chaos.recording_backend import recording_backend


async def main(port: int, apps: int, build_seconds: float) -> None:
    """Serve until told to stop."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with recording_backend(
        apps=apps, build_seconds=build_seconds, listing_delay=0, port=port
    ):
        await stop.wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))
