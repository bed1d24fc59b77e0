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


@pytest.mark.parametrize("body", [b"[", b'{"ref": 1}', b"\xff"])
async def test_what_is_malformed_is_so_apart(body: bytes) -> None:
    with pytest.raises(MalformedPayload) as here:
        HOST.parse("push", {}, body)
    with pytest.raises(MalformedPayload) as there:
        await apart(body)

    assert str(there.value) == str(here.value)


@pytest.mark.parametrize("half", ["ud800", "udc00", "uD83Dx", "ud83d\\ud83d", "ude00\\ud83d"])
async def test_half_a_character_is_told_as_such(half: str) -> None:
    body = f'{{"x": "\\\\ud800 \\ud83d\\ude00 \\{half}"}}'.encode()

    with pytest.raises(MalformedPayload, match=r"is half a character"):
        HOST.parse("push", {}, body)


async def test_many_values_are_refused_before_they_are_read() -> None:
    with pytest.raises(MalformedPayload, match=r"about 1100000 values, at most 1000000"):
        await apart(b"[" + b"0," * 1_100_000 + b"0]")


@pytest.mark.parametrize("begin", [b'{"', b'{ "', b'{\n\t"'])
async def test_many_objects_are_refused_before_they_are_read(begin: bytes) -> None:
    commits = b",".join(b'%sid":"%040x"}' % (begin, n) for n in range(50_001))

    with pytest.raises(MalformedPayload, match=r"more than 50000 objects"):
        await apart(b'{"commits":[' + commits + b"]}")


@pytest.mark.parametrize("nest", [b"[[[[", b"[ [ [ [ ", b"[{}, [], [{}]", b"{}, {}, {}, {}"])
async def test_many_lists_in_each_other_are_refused_before_they_are_read(nest: bytes) -> None:
    with pytest.raises(MalformedPayload, match=r"more than 200000 lists and objects in each other"):
        await apart(b'{"x": [' + nest * 200_001)


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


async def test_who_does_not_wait_for_its_reader_leaves_none_behind() -> None:
    def body() -> Iterator[bytes]:
        yield b"{"
        reading.cancel()

    reading = asyncio.create_task(Apart()(HOST, "push", {}, body()))
    with pytest.raises(asyncio.CancelledError):
        await reading

    assert _readers() == []


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
