"""How Dokploy is asked: the key, its secrecy, answers of any size and form, and the end."""

import asyncio
import gzip
import json
import logging
import traceback
import tracemalloc
import zlib
from collections.abc import AsyncIterator

import httpx
import pytest
from pydantic import SecretStr

from bridge.backends import BACKENDS
from bridge.backends.dokploy.client import Dokploy
from bridge.backends.dokploy.http import ALONE
from bridge.core.errors import Refused, Rejected, Unanswered, Unreachable
from bridge.ports.backends import BackendDeployment, Configures, Progress
from bridge.ports.providers import BackendServer
from tests.unit.dokploy.conftest import KEY, Make, ok, trpc
from tests.worlds.rows import each_row

# ── the request ──────────────────────────────────────────────────────────────


async def test_the_key_goes_into_its_own_header_or_as_a_bearer(build: Make, table, web) -> None:
    table.replies["application.deploy"] = ok({"success": True})

    await build().deploy(web, title="", description="")
    await build(auth="bearer").deploy(web, title="", description="")

    own, bearer = (request.headers for request in table.requests)
    assert (own["x-api-key"], bearer["authorization"]) == (KEY, f"Bearer {KEY}")
    assert "authorization" not in own
    assert "x-api-key" not in bearer


@pytest.mark.parametrize("url", ["https://h.test/base", " https://h.test/base/api/ "])
async def test_the_url_may_have_a_path_and_end_in_api(build: Make, table, url: str) -> None:
    table.replies["/base/api/settings.getDokployVersion"] = ok("v0.30.2")

    assert await build(url=url).version() == "v0.30.2"
    assert str(table.requests[0].url) == "https://h.test/base/api/settings.getDokployVersion"


@each_row(
    "url",
    [
        "",
        "dokploy.test",
        "ftp://h",
        "https://",
        "https://u:p@h",
        "https://h?x=1",
        "http://h:x",
        "http://xn--",
        "http://h\0",
    ],
)
def test_a_url_that_can_not_be_one_is_rejected(url: str) -> None:
    with pytest.raises(Rejected, match="dokploy: the url"):
        Dokploy(url, KEY)


@each_row("key", ["", " ", "naïve", "a\nb"])
def test_a_key_that_can_not_be_one_is_rejected_without_repeating_it(key: str) -> None:
    with pytest.raises(Rejected) as caught:
        Dokploy("https://h.test", key)
    assert not key.strip() or key not in str(caught.value)


# ── following ────────────────────────────────────────────────────────────────


OLD = BackendDeployment("d1", "t", "", Progress.ERROR, 0.0)


async def test_an_older_server_is_told_from_a_silent_one(dokploy, table) -> None:
    assert await dokploy.queue() is None
    assert await dokploy.log_tail(OLD, 10) == ""
    assert await dokploy.version() is None
    assert len(table.requests) == 3

    table.replies["deployment.queueList"] = httpx.Response(404, text="404 page not found\n")
    with pytest.raises(Unreachable):
        await dokploy.queue()


async def test_the_version_is_none_for_a_key_that_may_not_ask(dokploy, table) -> None:
    table.replies["settings.getDokployVersion"] = ok("v0.30.2")
    assert await dokploy.version() == "v0.30.2"

    table.replies["settings.getDokployVersion"] = trpc(401, "no", "UNAUTHORIZED")
    assert await dokploy.version() is None


@pytest.mark.parametrize(
    ("reply", "healthy"),
    [
        (ok({"ok": True}), True),
        (ok({"ok": False}), False),
        (trpc(404, "Not found", "NOT_FOUND"), True),
        (httpx.Response(302, headers={"Location": "https://login.test"}), False),
        (httpx.Response(200, text="<html>Log in</html>"), False),
        (httpx.Response(502, text="bad gateway"), False),
        (httpx.ConnectError("refused"), False),
        (httpx.ReadTimeout("slow"), False),
    ],
)
async def test_health_is_asked_once_without_the_key(dokploy, table, reply, healthy) -> None:
    table.replies["health"] = reply

    assert await dokploy.healthy() is healthy
    assert table.asked == ("health", {})
    assert "x-api-key" not in table.requests[0].headers


@pytest.mark.parametrize(
    "trouble", [httpx.ConnectError("refused"), httpx.Response(200, text='[{"depl')]
)
async def test_a_read_is_tried_again_with_growing_pauses(dokploy, table, web, trouble) -> None:
    table.replies["deployment.all"] = [trouble, trouble, ok([])]

    assert await dokploy.deployments(web) == []
    assert len(table.requests) == 3
    assert table.pauses == pytest.approx([0.1, 0.3])


# ── secrets, limits and the end ──────────────────────────────────────────────


async def test_secrets_stay_out_of_reprs_tracebacks_and_logs(dokploy, table, web, caplog) -> None:
    caplog.set_level(logging.DEBUG)
    shown = [repr(dokploy), repr(vars(dokploy)), repr(vars(dokploy._http))]
    table.replies["application.deploy"] = httpx.Response(400, json={"message": f"bad {KEY}"})
    table.replies["deployment.all"] = ok([{"deploymentId": 1, "title": "TOKEN=abc"}])
    table.replies["project.all"] = httpx.ReadError("reset")
    for act in (
        dokploy.deploy(web, title="", description=""),
        dokploy.deployments(web),
        dokploy.apps(),
    ):
        with pytest.raises((Refused, Unreachable)) as caught:
            await act
        shown += traceback.format_exception(caught.value)
    shown += [json.dumps(record.__dict__, default=repr) for record in caplog.records]

    assert KEY not in " ".join(shown)
    assert "TOKEN=abc" not in "".join(shown)


async def test_a_closed_client_says_so(dokploy, web) -> None:
    await dokploy.close()
    await dokploy.close()

    with pytest.raises(Unreachable, match="closed"):
        await dokploy.deploy(web, title="", description="")


async def test_a_certificate_file_that_is_not_there_is_named(tmp_path, web) -> None:
    client = Dokploy("https://127.0.0.1:1", KEY, ca=str(tmp_path / "no.pem"), read_retries=0)

    with pytest.raises(Unreachable, match=r"no\.pem"):
        await client.deployments(web)


async def test_the_record_builds_it_from_its_settings() -> None:
    provider = BACKENDS["dokploy"]
    given = provider.settings()(url="https://dokploy.test", api_key=SecretStr(KEY))
    backend = BackendServer("prod", provider, given).open()

    assert isinstance(backend, Dokploy)
    assert isinstance(backend, Configures)
    assert repr(backend) == "Dokploy('https://dokploy.test', name='prod')"
    await backend.close()


# ── answers that would take many times their bytes ───────────────────────────

DEEP = b"[" * 100_000 + b"]" * 100_000

ABSURD = {
    "objects": (b"[" + b"{}," * 500_000 + b"0]", "more than 200000 lists and objects"),
    "full objects": (b"[" + b'{"a":1},' * 60_000 + b"0]", "more than 50000 objects"),
    "numbers": (b"[" + b"0," * 1_100_000 + b"0]", "about 1100000 values"),
    "lists in each other": (DEEP * 3, "more than 200000 lists and objects"),
}


@pytest.mark.parametrize("kind", ABSURD)
async def test_an_absurd_answer_is_not_loaded(kind: str, build: Make, table, web) -> None:
    body, why = ABSURD[kind]
    table.replies |= dict.fromkeys(
        ("deployment.queueList", "application.deploy"), httpx.Response(200, content=body)
    )
    client = build(read_retries=0)

    with pytest.raises(Unreachable, match=why):
        await client.queue()
    with pytest.raises(Unanswered, match=why):
        await client.deploy(web, title="", description="")


async def test_large_answers_are_read_one_at_a_time_and_small_ones_go_on(
    build: Make, table
) -> None:
    large = b"[" + b" " * (ALONE + 100_000) + b"]"
    reading, most, may_end = 0, 0, asyncio.Event()
    begun = asyncio.Event()

    async def pieces() -> AsyncIterator[bytes]:
        nonlocal reading, most
        yield large[: ALONE + 1]
        reading += 1
        most = max(most, reading)
        begun.set()
        await may_end.wait()
        reading -= 1
        yield large[ALONE + 1 :]

    table.replies["deployment.queueList"] = lambda request: httpx.Response(200, content=pieces())
    table.replies["settings.getDokployVersion"] = ok("v0.29.0")
    client = build(read_retries=0)

    several = [asyncio.create_task(client.queue()) for _ in range(3)]
    await begun.wait()
    assert await client.version() == "v0.29.0"
    may_end.set()
    assert await asyncio.gather(*several) == [[], [], []]
    assert most == 1


async def test_a_compressed_answer_is_unpacked_no_further_than_its_limit(
    build: Make, table
) -> None:
    """Sixty-four kilobytes that arrive together can hold as many megabytes."""
    packer = zlib.compressobj(9, wbits=31)
    packed = b"".join(packer.compress(b" " * 2**20) for _ in range(64)) + packer.flush()

    async def pieces() -> AsyncIterator[bytes]:
        yield packed

    table.replies["deployment.queueList"] = lambda request: httpx.Response(
        200, headers={"Content-Encoding": "gzip"}, content=pieces()
    )
    client = build(read_retries=0, max_answer_bytes=2 * 2**20)

    tracemalloc.start()
    try:
        several = [client.queue() for _ in range(8)]
        for failed in await asyncio.gather(*several, return_exceptions=True):
            assert "larger than 2097152 bytes" in str(failed)
        assert tracemalloc.get_traced_memory()[1] < 16 * 2**20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [("gzip", gzip.compress(b"[]")), ("deflate", zlib.compress(b"[]")), ("identity", b"[]")],
    ids=["gzip", "deflate", "identity"],
)
async def test_a_compressed_answer_is_read(
    encoding: str, packed: bytes, build: Make, table
) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for byte in packed:
            yield bytes([byte])

    table.replies["deployment.queueList"] = lambda request: httpx.Response(
        200, headers={"Content-Encoding": encoding}, content=pieces()
    )
    client = build(read_retries=0)
    assert await client.queue() == []
    assert table.requests[0].headers["accept-encoding"] == "gzip, deflate"

    packed = b"no such thing"
    with pytest.raises(Unreachable):
        await client.queue()
