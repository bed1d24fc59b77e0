"""Signed bodies made to hurt: they cost bounded memory, and no start is stuck with one."""

import asyncio
import base64
import contextlib
import json
import os
import random
import signal
import socket
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from bridge.app.storage import open_stores
from bridge.console.visitors import new_link
from bridge.core.decision import Reason
from bridge.ports.inbox import Delivery, DeliveryState, NewDelivery
from tests.chaos.cluster import ROOT, Process
from tests.worlds.bridge import SECRET, hook_headers, settings_for
from tests.worlds.embedded import until
from tests.worlds.memory import resident
from tests.worlds.processes import start_bridge

pytestmark = pytest.mark.slow

MIB = 2**20
SIZE = 22_000_000
MOST_MEMORY = 250 * MIB
MOST_SILENCE = 0.1
AT_ONCE = "BRIDGE_JOURNEY_CATALOG_EAGER"
URL = "https://127.0.0.1:1/my-org/mono.git"
HEAD = (
    b'{"ref": "refs/heads/main", "before": "%s", "after": "%s",'
    b' "repository": {"id": 1, "name": "mono", "full_name": "my-org/mono"}, "commits": [], '
    % (b"a" * 40, b"b" * 40)
)


def with_text() -> bytes:
    """A push whose text is backslashes, then NUL again and again, each as JSON writes it."""
    half = (SIZE - len(HEAD)) // 2
    return HEAD + b'"x": "' + b"\\\\" * (half // 2) + b"\\u0000" * (half // 6) + b'"}'


def with_keys() -> bytes:
    """A push with an object of two million keys."""
    return HEAD + b'"x": {' + b",".join(b'"%06x": 0' % n for n in range(2_000_000)) + b"}}"


def with_zeros() -> bytes:
    """A push with a list of eleven million numbers."""
    return HEAD + b'"x": [' + b"0," * ((SIZE - len(HEAD)) // 2) + b"0]}"


def with_commits() -> bytes:
    """A push with 250,000 small commits."""
    commits = b",".join(b'{"id": "%040x", "added": ["a"], "m": 1}' % n for n in range(250_000))
    return HEAD.replace(b'"commits": []', b'"commits": [%s]' % commits) + b'"x": 0}'


def with_lists() -> bytes:
    """A push with ten million lists, a hundred in each other."""
    nest = b"[" * 100 + b"]" * 100 + b","
    return HEAD + b'"x": [' + nest * ((SIZE - len(HEAD)) // len(nest)) + b"0]}"


def with_names() -> bytes:
    """The largest push that a host sends: 716,000 paths in 24 MB, which nothing compresses."""
    letters = base64.urlsafe_b64encode(random.Random(1).randbytes(2000 * 358 * 30 * 3 // 4))
    names = [b'"%s"' % letters[at : at + 30] for at in range(0, len(letters), 30)]
    commits = b",".join(
        b'{"id": "%040x", "added": [%s], "removed": [], "modified": []}'
        % (n, b",".join(names[n * 358 : n * 358 + 358]))
        for n in range(2000)
    )
    return HEAD.replace(b'"commits": []', b'"commits": [%s]' % commits) + b'"x": 0}'


def with_characters() -> bytes:
    """A push with nearly a million texts, each with a character that takes four bytes of all."""
    emoji = "\N{PILE OF POO}".encode()
    return HEAD + b'"x": [' + b",".join(b'"%06x%s"' % (n, emoji) for n in range(990_000)) + b"]}"


POISONS: dict[str, Callable[[], bytes]] = {
    "backslashes": with_text,
    "keys": with_keys,
    "zeros": with_zeros,
    "commits": with_commits,
    "lists": with_lists,
    "characters": with_characters,
}


WHAT_IS_TOO_MUCH = {
    "keys": "values",
    "zeros": "values",
    "commits": "objects",
    "lists": "lists and objects in each other",
    "characters": "memory",
}


def environment(folder: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BRIDGE_")}
    return kept | {
        "BRIDGE_DATA": str(folder / "bridge"),
        "BRIDGE_GITHUB_WEBHOOK_SECRETS": SECRET,
        "BRIDGE_EMBEDDED_PORT": "0",
        # For a repository that no app has they are read anew: at once, not after a pause.
        AT_ONCE: "0.001",
        "BRIDGE_LOG_LEVEL": "warning",
        "PYTHONPATH": str(ROOT),
    }


@asynccontextmanager
async def bridge_of(folder: Path) -> AsyncIterator[Process]:
    """`serve` in a process of its own, not started yet."""
    ours = {"BRIDGE_GITHUB_WEB_URL": "https://127.0.0.1:1"}  # where `URL` is
    process = Process("all", environment(folder) | ours, folder / "bridge.log")
    try:
        yield process
    finally:
        if process.running is not None and process.running.returncode is None:
            process.running.kill()
            await process.running.wait()


# ── memory ───────────────────────────────────────────────────────────────────


@dataclass
class Watch:
    """Looks at a process all the time: its memory, and how long it holds `/healthz` up."""

    process: Process
    peak: int = 0
    silence: float = 0.0
    _over: threading.Event = field(default_factory=threading.Event)

    @contextlib.contextmanager
    def looking(self) -> Iterator["Watch"]:
        threads = [threading.Thread(target=one) for one in (self._memory, self._health)]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            self._over.set()
            for thread in threads:
                thread.join()

    def _memory(self) -> None:
        assert self.process.running is not None
        while not self._over.wait(0.02):
            self.peak = max(self.peak, resident(self.process.running.pid))

    def _health(self) -> None:
        assert self.process.running is not None
        pid = self.process.running.pid
        ask = b"GET /healthz HTTP/1.1\r\nHost: bridge\r\n\r\n"
        with socket.create_connection(("127.0.0.1", self.process.port)) as line:
            while not self._over.wait(0.01):
                began, before = time.perf_counter(), waited_for_a_core(pid)
                line.sendall(ask)
                answer = line.recv(65536)
                took, after = time.perf_counter() - began, waited_for_a_core(pid)
                self.silence = max(self.silence, took - lost_between(before, after, pid))
                assert b" 200 " in answer


Waits = dict[str, float]


def waited_for_a_core(pid: int) -> Waits:
    """Seconds that threads were ready to run while others of a busy machine ran: its, and ours."""
    found: Waits = {}
    for file in (
        *Path(f"/proc/{pid}/task").glob("*/schedstat"),
        Path("/proc/thread-self/schedstat"),
    ):
        with contextlib.suppress(OSError):  # a thread has ended
            found[file.parent.name] = int(file.read_text().split()[1]) / 1e9
    return found


def lost_between(before: Waits, after: Waits, pid: int) -> float:
    """Return the seconds for which the machine alone held up an answer of a process's main thread.

    It waits for the interpreter's lock as long as whoever has that waits for a core.
    """
    lost = {name: waited - before.get(name, waited) for name, waited in after.items()}
    main, own = lost.pop(str(pid), 0.0), lost.pop("thread-self", 0.0)
    return main + own + max(lost.values(), default=0.0)


SEND = """
import http.client, json, sys
port, headers, length = int(sys.argv[1]), json.loads(sys.argv[2]), int(sys.argv[3])
body = sys.stdin.buffer.read(length)
line = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
line.request("POST", "/hooks/github", body, headers)
print(line.getresponse().status)
"""


async def send(process: Process, id_: str, body: bytes) -> int:
    """Deliver a body from a process of its own, so that nothing here is held up by it."""
    headers = json.dumps(hook_headers("github", {}, body, id_))
    sender = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", SEND, str(process.port), headers, str(len(body))),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await sender.communicate(body)
    return int(out)


async def deliveries(folder: Path) -> dict[str, Delivery]:
    """All that is kept, by its id."""
    async with open_stores(settings_for(folder / "bridge")) as stores:
        return {one.id: one for one in await stores.inbox.newest(100)}


async def settled(folder: Path, count: int) -> dict[str, Delivery]:
    """All that is kept, once there are so many and none waits any more."""
    return await until(
        lambda: deliveries(folder),
        lambda found: len(found) == count and are_settled(found),
        patience=60,
    )


def are_settled(found: dict[str, Delivery]) -> bool:
    """Whether none waits any more."""
    return all(one.state is not DeliveryState.KEPT for one in found.values())


async def test_bodies_made_to_hurt_cost_bounded_memory_and_hold_nothing_up(
    tmp_path: Path,
) -> None:
    bodies = {name: make() for name, make in POISONS.items()}
    # A busy machine may hold an answer up as well: of a few times the best tells.
    for number in range(3):
        folder = tmp_path / str(number)
        folder.mkdir()
        async with bridge_of(folder) as process:
            await process.started()
            with Watch(process).looking() as watch:
                answers = [await send(process, name, body) for name, body in bodies.items()]
                found = await settled(folder, len(bodies))
        assert answers == [202] * len(bodies)
        assert watch.peak <= MOST_MEMORY
        assert found["backslashes"].state is DeliveryState.IGNORED
        for name, what in WHAT_IS_TOO_MUCH.items():
            assert found[name].state is DeliveryState.FAILED
            assert what in str(found[name].error)
        if watch.silence <= MOST_SILENCE:
            return
    pytest.fail(f"/healthz waited for {watch.silence:.3f} s")


async def known_app(process: Process, name: str = "web") -> None:
    """Make an app that the pushes of `of_app` concern, and whose watch path no file matches."""
    words = ("app", "create", name, "--watch", "web/**", "--repo", URL)
    making = await start_bridge(*words, env=process.environment, cwd=process.log.parent)
    assert await making.wait() == 0


def of_app(body: bytes, number: int) -> bytes:
    """The same push, by number, of the repository that the app deploys from."""
    address = b'"full_name": "my-org/mono", "clone_url": "%s"' % URL.encode()
    named = body.replace(b'"full_name": "my-org/mono"', address)
    return named.replace(b"b" * 40, b"%040x" % number)


async def costs(
    process: Process, folder: Path, bodies: list[bytes]
) -> tuple[Watch, list[Delivery]]:
    """Deliver one body after the other, each once the last is settled."""
    found: dict[str, Delivery] = {}
    with Watch(process).looking() as watch:
        for number, body in enumerate(bodies):
            assert await send(process, str(number), body) == 202
            found = await settled(folder, number + 1)
    return watch, [found[str(number)] for number in range(len(bodies))]


async def test_large_pushes_that_the_console_shows_cost_no_more(tmp_path: Path) -> None:
    """No app is known for them, so their pages read their subjects; a dry run reads them anew."""
    async with bridge_of(tmp_path) as process:
        await process.started()
        _, found = await costs(process, tmp_path, [with_names(), with_text()])
        async with open_stores(settings_for(tmp_path / "bridge")) as stores:
            link = await new_link(stores.journal, f"http://127.0.0.1:{process.port}")
        async with httpx.AsyncClient(trust_env=False, timeout=20) as web:
            assert (await web.get(link)).status_code == 303
            page = link.partition("/console")[0] + "/console/deliveries"
            watches: list[Watch] = []
            while len(watches) < 3 and all(one.silence > MOST_SILENCE for one in watches):
                with Watch(process).looking() as watch:
                    await web.get(page)
                    shown = [(await web.get(f"{page}/{one.seq}")).text for one in found]
                    dry_runs = [(await web.get(f"{page}/{one.seq}/today")).text for one in found]
                watches.append(watch)

    assert all("my-org/mono" in one for one in shown)
    assert "716000 changed files" in dry_runs[0]
    assert "changed files" in dry_runs[1]
    assert max(one.peak for one in watches) <= MOST_MEMORY
    # A busy machine may hold an answer up as well: of a few times the best tells.
    assert min(one.silence for one in watches) <= MOST_SILENCE


async def test_large_pushes_that_are_decided_cost_no_more(tmp_path: Path) -> None:
    """Each is compared with watch paths; then all are decided once more, for an app found late."""
    body = with_names()
    async with bridge_of(tmp_path) as process:
        process.environment["BRIDGE_JOURNEY_CATALOG_EVERY"] = "20"
        await known_app(process)
        await process.started()
        await known_app(process, "late")
        with Watch(process).looking() as later:
            watch, found = await costs(process, tmp_path, [of_app(body, n) for n in (1, 2)])
            await until(
                lambda: decided_for(tmp_path, found), lambda apps: apps == [2, 2], patience=60
            )

    assert [one.state for one in found] == [DeliveryState.DECIDED] * 2
    assert watch.peak <= MOST_MEMORY
    assert later.peak <= MOST_MEMORY
    # On a busy machine; comparing all files at once held it up for two seconds.
    assert max(watch.silence, later.silence) <= 5 * MOST_SILENCE


async def decided_for(folder: Path, those: list[Delivery]) -> list[int]:
    """For how many apps each was decided, none of which deploys."""
    async with open_stores(settings_for(folder / "bridge")) as stores:
        decided = await stores.journal.decisions([one.seq for one in those])
    assert {one.reason for some in decided.values() for one in some} == {Reason.NO_PATH_HIT}
    return [len(decided[one.seq]) for one in those]


# ── killed for its memory ────────────────────────────────────────────────────


async def test_who_is_killed_at_a_delivery_again_and_again_parks_it_and_goes_on(
    tmp_path: Path,
) -> None:
    # One that is read whole and one that is not; what is in a body does not matter any more.
    poisons = ("backslashes", "lists")
    bodies = {name: POISONS[name]() for name in poisons} | {"small": HEAD[:-2] + b"}"}
    async with bridge_of(tmp_path) as process:
        await process.started()
        assert process.running is not None
        limit = resident(process.running.pid) + 20 * MIB
        await process.leave()
        async with open_stores(settings_for(tmp_path / "bridge")) as stores:
            for name, body in bodies.items():
                await stores.inbox.keep(NewDelivery("github", name, "push", {}, body, time.time()))

        starts = 0
        while await killed_at(process, tmp_path, limit):
            starts += 1
            assert starts <= 3 * len(poisons), "it is killed without end"
        found = await deliveries(tmp_path)

    assert found["small"].state is DeliveryState.IGNORED
    for name in poisons:
        assert found[name].state is DeliveryState.FAILED
        assert "killed" in str(found[name].error)


async def killed_at(process: Process, folder: Path, limit: int) -> bool:
    """Start, and kill it once it takes more memory; False when it has settled all before that."""
    await process.start()
    assert process.running is not None
    pid, over = process.running.pid, threading.Event()

    def watch() -> bool:
        while not over.wait(0.005):
            if resident(pid) > limit:
                os.kill(pid, signal.SIGKILL)
                return True
        return False

    watching = asyncio.create_task(asyncio.to_thread(watch))
    deadline = time.monotonic() + 30
    while not watching.done() and not are_settled(await deliveries(folder)):
        assert time.monotonic() < deadline, process.log.read_text()
        await asyncio.wait({watching}, timeout=0.5)
    over.set()
    killed = await watching
    await process.kill()
    return killed
