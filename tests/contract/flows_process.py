"""A process that runs flows, for tests that kill it.

    flows_process.py URL FOLDER GRACE POLL

A flow writes a line for each step; its second step waits until the file `gate` is there.
Starts the flows named on its standard input, one id a line. A line `die` kills the process just
when it would wake its dispatcher for the next flow.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path

from bridge.durable.engine import DurableFlows
from bridge.durable.peers import Peers, new_executor_id
from bridge.durable.system import postgres_engine
from bridge.ports.flows import Steps

URL, FOLDER, GRACE = sys.argv[1], Path(sys.argv[2]), float(sys.argv[3])
POLL = float(sys.argv[4])
LEDGER, GATE = FOLDER / "ledger", FOLDER / "gate"


def write(line: str) -> None:
    with LEDGER.open("a") as ledger:
        ledger.write(f"{line} {os.getpid()}\n")


async def first(id_: str) -> None:
    write(f"{id_} one")


async def second(id_: str) -> None:
    write(f"{id_} two")
    while not GATE.exists():  # noqa: ASYNC110 - another process makes it
        await asyncio.sleep(0.02)


async def body(steps: Steps, id_: str) -> None:
    await steps.run("one", lambda: first(id_))
    await steps.run("two", lambda: second(id_))
    write(f"{id_} end")


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


async def main() -> None:
    executor = new_executor_id()
    peers = Peers(URL, executor, grace=GRACE)
    flows = DurableFlows(
        postgres_engine(URL),
        executor_id=executor,
        poll_seconds=POLL,
        peers=peers,
    )
    flows.register("work", body)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await flows.launch()
    watching = asyncio.create_task(flows.watch_peers())
    for id_ in (await asyncio.to_thread(sys.stdin.read)).split():
        if id_ == "die":
            flows._dispatcher.wake = die  # type: ignore[method-assign]
            continue
        await flows.start("work", id_, key=id_.partition(".")[2])
    write("ready")
    await stop.wait()
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    await flows.stop()


if __name__ == "__main__":
    asyncio.run(main())
