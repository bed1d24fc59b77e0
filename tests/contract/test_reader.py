"""Large bodies are read in a process of their own: what they mean, and what ends with it."""

import asyncio
import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote_plus

import pytest

from bridge.core.errors import MalformedPayload, Unreachable, Unread
from bridge.core.events import Event, RefPushed
from bridge.githosts.github.webhooks import GitHub
from bridge.githosts.large_bodies import MODULE, Apart
from tests.unit.githosts.test_large import push

HOST = GitHub(["secret"])


async def apart(body: bytes, event: str = "push", headers: dict[str, str] | None = None) -> Event:
    return await Apart()(HOST, event, headers or {}, [body[:1000], body[1000:]])


@pytest.mark.parametrize("ascii_only", [False, True])
async def test_a_body_read_apart_means_what_it_means_here(*, ascii_only: bool) -> None:
    body = json.dumps(push(3, 1500), ensure_ascii=ascii_only).encode()
    form = b"payload=" + quote_plus(body).encode()
    form_type = {"content-type": "application/x-www-form-urlencoded"}
    opened = {
        "action": "opened",
        "number": 7,
        "pull_request": {"head": {"ref": "a", "sha": "a" * 40, "repo": {"id": 1}}},
        "repository": {"id": 1, "name": "mono", "full_name": "my-org/mono"},
    }
    pull = json.dumps(opened).encode()

    meaning = HOST.parse("push", {}, body)

    assert isinstance(meaning, RefPushed)
    assert len(meaning.paths or ()) == 3 * 1500 + 3
    assert await apart(body) == meaning
    assert await apart(form, headers=form_type) == meaning
    assert await apart(pull, "pull_request") == HOST.parse("pull_request", {}, pull)
    assert await apart(b"{}", "star") == HOST.parse("star", {}, b"{}")


async def test_what_is_malformed_is_so_apart() -> None:
    for body in (b'{"ref": 1}', b"\xff"):
        with pytest.raises(MalformedPayload) as here:
            HOST.parse("push", {}, body)
        with pytest.raises(MalformedPayload) as there:
            await apart(body)
        assert str(there.value) == str(here.value)
    for half in ("ud800", "udc00", "uD83Dx", "ud83d\\ud83d", "ude00\\ud83d"):
        text = f'{{"x": "\\\\ud800 \\ud83d\\ude00 \\{half}"}}'.encode()
        with pytest.raises(MalformedPayload, match=r"is half a character"):
            HOST.parse("push", {}, text)


async def test_many_values_objects_or_lists_are_refused_before_they_are_read() -> None:
    commits = b",".join(b'{\n\t"id":"%040x"}' % n for n in range(50_001))
    for body, why in (
        (b"[" + b"0," * 1_100_000 + b"0]", r"about 1100000 values, at most 1000000"),
        (b'{"commits":[' + commits + b"]}", r"more than 50000 objects"),
        (b'{"x": [' + b"[[[[" * 200_001, r"more than 200000 lists and objects in each other"),
        (b'{"x": [' + b"[{}, [], [{}]" * 200_001, r"more than 200000 lists and objects"),
    ):
        with pytest.raises(MalformedPayload, match=why):
            await apart(body)


async def test_texts_are_not_taken_for_objects() -> None:
    sent = push(1, 0)
    sent["commits"][0]["added"] = [f'app/{{"id": {n}' for n in range(60_000)]

    meaning = await apart(json.dumps(sent).encode())

    assert isinstance(meaning, RefPushed)


async def test_what_takes_much_memory_ends_with_its_reader() -> None:
    wide = "\N{PARTY POPPER}".encode()  # each of its text's characters takes four bytes then
    body = b'{"x": [' + b",".join(b'"%s%016x"' % (wide, n) for n in range(990_000)) + b"]}"

    with pytest.raises(MalformedPayload, match="memory"):
        await apart(body)


async def test_a_reader_that_somebody_kills_is_no_fault_of_the_body() -> None:
    held = asyncio.Event()

    def body() -> Iterator[bytes]:
        yield b"{"
        until = time.monotonic() + 10
        while not (readers := _readers()) and time.monotonic() < until:
            time.sleep(0.01)  # the kernel's list of children may lag
        os.kill(readers[0], signal.SIGKILL)
        held.set()

    with pytest.raises(Unread, match="SIGKILL"):
        await Apart()(HOST, "push", {}, body())
    assert held.is_set()


async def test_a_body_that_can_not_be_had_is_no_malformed_one() -> None:
    def body() -> Iterator[bytes]:
        yield b"{"
        raise Unreachable("the inbox", "it is away")

    with pytest.raises(Unreachable, match="it is away"):
        await Apart()(HOST, "push", {}, body())

    assert _readers() == []


def _readers() -> list[int]:
    """The readers that this process has started, and that are there still."""
    tasks = Path("/proc/self/task").iterdir()
    children = {pid for task in tasks for pid in (task / "children").read_text().split()}
    return [
        int(pid) for pid in children if MODULE.encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]
