"""The bridge's own doors and inbox and nothing else, as in `--role web`: `acks.py PORT DATA`.

What it costs to take webhooks, without what it costs to decide them in the same process. The
process is prepared as `serve` prepares it.
"""

import asyncio
import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))

from bridge.cli.serve import SWITCH, leave_the_program_alone
from bridge.githosts import HOSTS
from bridge.githosts.github.webhooks import GitHub
from bridge.pipeline.deciding.ingest import Ingest
from bridge.storage.inbox.sqlite import SqliteInbox
from bridge.web.hooks import BodyLimits
from bridge.web.server import WebServer, routes
from tests.bench.harness.webhooks import SECRET


async def main(port: int, data: Path) -> None:
    """Serve until told to stop."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    inbox = SqliteInbox(data / "inbox.sqlite")
    await inbox.start()
    ingest = Ingest({"github": GitHub([SECRET])}, inbox, time.time)
    server = WebServer(routes(ingest, HOSTS, BodyLimits(), {}), "127.0.0.1", port)
    await server.start()
    leave_the_program_alone()
    await stop.wait()
    await server.stop()
    await inbox.stop()


if __name__ == "__main__":
    from uvloop import new_event_loop

    sys.setswitchinterval(SWITCH)
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(main(int(sys.argv[1]), Path(sys.argv[2])))
