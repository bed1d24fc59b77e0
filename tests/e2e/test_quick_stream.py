"""Whatever comes down a connection, in whatever pieces: the door does what aiohttp alone does."""

import asyncio
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.githosts import HOSTS
from bridge.githosts.github.webhooks import GitHub
from bridge.listening.listener import NO_HTTP, UNREADABLE
from bridge.pipeline.deciding.ingest import Ingest
from bridge.ports.inbox import Kept, NewDelivery
from bridge.web.answers import error_body
from bridge.web.hooks import BodyLimits
from bridge.web.server import HOOKS, WebServer, routes
from tests.worlds.bridge import SECRET

LIMITS = BodyLimits(max_body=20_000, max_in_flight=4_000_000, timeout=0.4, patience=0.2)

Came = tuple[list[tuple[int, bytes]] | None, list[tuple[str, bytes]]]
"""Answers by status and body, None where more was sent than was read; and what was kept."""


@dataclass
class Remembers:
    """An inbox without a disk."""

    kept: list[tuple[str, bytes]] = field(default_factory=list)

    def put(self, new: NewDelivery) -> asyncio.Future[Kept]:
        """As any inbox."""
        self.kept.append((new.id, bytes(new.body)))
        done: asyncio.Future[Kept] = asyncio.get_running_loop().create_future()
        done.set_result(Kept(len(self.kept), duplicate=False))
        return done


NO_HTTP_SAID = {error_body(words) for words in (*NO_HTTP.values(), UNREADABLE)}


async def came(pieces: Sequence[bytes], *, quick: bool) -> Came:
    """What a stream leads to at the door, or at aiohttp alone."""
    inbox = Remembers()
    ingest = Ingest({"github": GitHub([SECRET])}, inbox, lambda: 0.0)  # type: ignore[arg-type]  # it only keeps
    app = routes(ingest, HOSTS, LIMITS, {})
    if not quick:
        app[HOOKS] = app[HOOKS][0], ()
    server = WebServer(app, "127.0.0.1", 0)
    await server.start()
    try:
        port = int(server.url.rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            for piece in pieces:
                writer.write(piece)
                await asyncio.sleep(0.001)
            async with asyncio.timeout(5):
                raw = await reader.read()
        except ConnectionError:
            return None, inbox.kept
        finally:
            writer.close()
    finally:
        await server.stop()
    return answers_in(raw), inbox.kept


def answers_in(raw: bytes) -> list[tuple[int, bytes]]:
    """The answers of a connection, read strictly."""
    found = []
    while raw:
        head, end, raw = raw.partition(b"\r\n\r\n")
        assert end, head
        first, *lines = head.decode("ascii").split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines)
        length = int(headers.get("content-length", "0"))  # "100 Continue" has none
        body, raw = raw[:length], raw[length:]
        assert len(body) == length
        found.append((int(first.split()[1]), body))
    return found


BODIES = [b"{}", b"", b"x" * 5000, b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"]
PLAIN = {b"Host": b"a", b"X-GitHub-Event": b"push"}
ODD_LINES = [
    *(b"Content-Length: 2", b"Content-Length: 0", b"content-length: +2", b"Content-Length: 2, 2"),
    *(b"Content-Length:\t2", b"Content-Length: 0x2", b"Content-Length : 2", b"Content-Length:"),
    *(b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity", b"transfer-encoding: Chunked"),
    *(b"Expect: 100-continue", b"Connection: close", b"Connection: keep-alive, close"),
    *(b"Connection: Upgrade", b"Upgrade: websocket", b"TE: trailers", b"Trailer: X-A"),
    *(b" folded", b"\tfolded", b"X-A: b\n", b"X-A: b\x00", b"X-A\x00: b", b"X-A: \xe9", b":", b""),
    *(b"X-A: b\r", b"X-A: b\rX-B: c", b"Host: b", b"X-GitHub-Event: ping", b"X\xe9: a", b"X-A"),
    *(b"X-GitHub-Delivery: other", b"X-Hub-Signature-256: sha256=00", b"X-A: " + b"a" * 9000),
    b"\r\n".join(b"X-%d: a" % n for n in range(140)),
    *(b"Content-Encoding: gzip", b"Sec-WebSocket-Key1: x", b"Proxy-Connection: close", b"\x00"),
]
LINES = [
    *[b"POST /hooks/github HTTP/1.1"] * 6,
    *(b"POST /hooks/github HTTP/1.0", b"POST http://a/hooks/github HTTP/1.1", b"GET / HTTP/1.1"),
    *(b"POST  /hooks/github HTTP/1.1", b"POST /hooks/github  HTTP/1.1", b"POST /hooks/github"),
    *(b"post /hooks/github HTTP/1.1", b"POST /hooks/github HTTP/2.0", b"GET /healthz HTTP/1.1"),
    *(b"\r\nPOST /hooks/github HTTP/1.1", b"POST /hooks/github?a=b HTTP/1.1", b"PRI * HTTP/2.0"),
    *(b"POST /hooks/gith\xc3\xbcb HTTP/1.1", b"POST /hooks/github#a HTTP/1.1", b"GET /\xff"),
    *(b"OPTIONS * HTTP/1.1", b"CONNECT a:1 HTTP/1.1", b"GET /%ff%00 HTTP/1.1", b"\x16\x03\x01\x02"),
    *(b"POST /hooks/github HTTP/1.1 ", b"GET /\xff HTTP/1.1", b"GET /%ed%a0%80 HTTP/1.1"),
]


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """A webhook; mostly as it should be."""
    body = draw(st.sampled_from(BODIES))
    signature = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    wrong = draw(st.integers(0, 9)) == 0
    lines = [
        draw(st.sampled_from(LINES)),
        *(name + b": " + value for name, value in PLAIN.items()),
        b"X-GitHub-Delivery: %d" % draw(st.integers(0, 99)),
        b"X-Hub-Signature-256: sha256=" + (b"0" * 64 if wrong else signature.encode()),
    ]
    if draw(st.integers(0, 9)):
        announced = len(body) + draw(st.sampled_from([0] * 8 + [-1, 1]))
        lines.append(b"Content-Length: %d" % max(0, announced))
    for odd in draw(st.lists(st.sampled_from(ODD_LINES), max_size=2)):
        lines.insert(draw(st.integers(1, len(lines))), odd)
    end = draw(st.sampled_from([b"\r\n"] * 9 + [b"\n"]))
    if b"Transfer-Encoding: chunked" in lines and draw(st.booleans()):
        body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    return end.join(lines) + 2 * end + body


@st.composite
def streams(draw: st.DrawFn) -> list[bytes]:
    """Some requests in a row, cut into pieces anywhere."""
    whole = b"".join(draw(st.lists(requests(), min_size=1, max_size=3)))
    cuts = sorted(draw(st.lists(st.integers(0, len(whole)), max_size=4)))
    return [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]


@pytest.mark.journey
@given(streams())
@settings(max_examples=60)
def test_the_door_does_what_aiohttp_alone_does(pieces: list[bytes]) -> None:
    async def both() -> tuple[Came, Came]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("bridge.listening.listener.KEEPALIVE_SECONDS", 0.3)
            at_the_door, alone = await asyncio.gather(
                came(pieces, quick=True), came(pieces, quick=False)
            )
        return at_the_door, alone

    at_the_door, alone = asyncio.run(both())
    answers, answers_alone = at_the_door[0], alone[0]
    no_http = any(body in NO_HTTP_SAID for _, body in answers_alone or ())
    if answers is None or answers_alone is None or no_http:
        # Of what is no HTTP aiohttp drops what came before it, too; the door answers that first.
        assert at_the_door[1][: len(alone[1])] == alone[1]
        # So it does with what follows a request that closes: aiohttp resets the connection then.
        closes = b"connection: close" in b"".join(pieces).lower()
        assert not answers or answers[-1][0] >= 400 or closes
    else:
        assert at_the_door == alone
