"""Addresses that people name are asked on the public internet only, by whatever name they come."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.test_utils import TestServer

from bridge.outbound import MOST_BODY, MOST_EVIDENCE, Guard, Outbound, is_public, networks_of
from bridge.ports.probes import Silent, Unprobed


class Names(AbstractResolver):
    """A resolver of the test's own; a name may resolve to something else each time."""

    def __init__(self, **names: list[str]) -> None:
        self.names = {name.replace("_", "."): list(found) for name, found in names.items()}
        self.asked: list[str] = []

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked.append(host)
        answers = self.names[host]
        address = answers.pop(0) if len(answers) > 1 else answers[0]
        return [
            ResolveResult(
                hostname=host, host=address, port=port, family=socket.AF_INET, proto=0, flags=0
            )
        ]

    async def close(self) -> None:
        """Do nothing."""


Serve = Callable[..., Any]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    servers: list[TestServer] = []

    async def start(handler: Callable[[web.Request], Any]) -> TestServer:
        app = web.Application()
        app.router.add_get("/{path:.*}", handler)
        servers.append(TestServer(app))
        await servers[-1].start_server()
        return servers[-1]

    yield start
    for server in servers:
        await server.close()


async def hello(_request: web.Request) -> web.Response:
    return web.Response(text="hello")


LOOPBACK = networks_of(["127.0.0.0/8"])


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.100.100.200",
        "192.0.0.192", "0.0.0.0", "224.0.0.1", "255.255.255.255", "168.63.129.16", "198.18.0.1",
        "::1", "::", "fe80::1", "fd00:ec2::254", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "ff02::1",
        "64:ff9b::7f00:1", "::7f00:1", "fec0::1", "2002:7f00:1::", "2001::1",
        "::ffff:169.254.169.254", "::ffff:0:7f00:1", "5f00::1",
    ],
)  # fmt: skip
def test_these_are_never_public(address: str) -> None:
    from ipaddress import ip_address

    assert not is_public(ip_address(address))
    assert not Guard().permits("web.test", 443, address)


@pytest.mark.parametrize("address", ["8.8.8.8", "93.184.216.34", "2606:2800:220:1::1"])
def test_these_are_public(address: str) -> None:
    assert Guard().permits("web.test", 443, address)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:{port}/", "http://[::1]:{port}/", "http://[::ffff:127.0.0.1]:{port}/",
        "http://localhost:{port}/", "http://2130706433:{port}/", "http://0x7f.1:{port}/",
        "http://127.1:{port}/", "http://0:{port}/", "http://169.254.169.254/latest/meta-data",
        "http://\uff11\uff12\uff17.0.0.1:{port}/", "http://127\u30020\u30020\u30021:{port}/",
        "http://me:pw@127.0.0.1:{port}/", "ftp://127.0.0.1/", "file:///etc/passwd", "http://",
        "//x", "http://[::1/",
    ],
)  # fmt: skip
async def test_no_way_of_writing_it_reaches_this_machine(serve: Serve, url: str) -> None:
    reached: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        reached.append(request.path)
        return web.Response()

    server = await serve(handler)
    async with Outbound(Guard()) as outbound:
        with pytest.raises(Unprobed):
            await outbound.get(url.format(port=server.port), body=True)
    assert reached == []


async def test_a_name_that_resolves_anew_cannot_get_past_the_check(serve: Serve) -> None:
    """The address that was checked is the one that is connected to, each time."""
    server = await serve(hello)
    names = Names(web_test=["127.0.0.2", "127.0.0.1"])
    only_second = Guard(networks_of(["127.0.0.2"]), resolver=names)
    async with Outbound(only_second, seconds=3.0) as outbound:
        try:
            answer = await outbound.get(f"http://web.test:{server.port}/", body=False)
            assert answer.status == 200
        except Silent:
            pass  # this machine has no 127.0.0.2
        with pytest.raises(Unprobed):
            await outbound.get(f"http://web.test:{server.port}/", body=False)
    assert names.asked == ["web.test", "web.test"]


async def test_a_redirect_is_checked_like_the_first_address(serve: Serve) -> None:
    names = Names(web_test=["127.0.0.1", "10.0.0.9"])

    async def moved(request: web.Request) -> web.Response:
        raise web.HTTPFound(f"http://web.test:{request.url.port}/inside")

    server = await serve(moved)
    async with Outbound(Guard(LOOPBACK, resolver=names)) as outbound:
        for _ in range(2):  # as it redirects there, and at once
            with pytest.raises(
                Unprobed, match=r"web\.test \(10\.0\.0\.9\) is in a private network"
            ):
                await outbound.get(f"http://web.test:{server.port}/", body=False)


async def test_a_redirect_to_another_host_is_the_answer_itself_and_names_that_host(
    serve: Serve,
) -> None:
    hosts = ["169.254.169.254", "www.web.test:8443", "[2001:db8::1]:80"]

    async def moved(request: web.Request) -> web.Response:
        named = hosts[int(request.path.strip("/"))]
        raise web.HTTPFound(f"https://me:pw@{named}/?token=secret")

    server = await serve(moved)
    async with Outbound(Guard(LOOPBACK)) as outbound:
        for place, named in enumerate(hosts):
            url = f"http://127.0.0.1:{server.port}/{place}"
            answer = await outbound.get(url, body=True)
            assert (answer.status, answer.url, answer.leads_to) == (302, url, named)


async def test_redirects_on_the_same_host_are_followed_but_not_for_ever(serve: Serve) -> None:
    async def handler(request: web.Request) -> web.Response:
        if request.path == "/there":
            return web.Response(text="arrived")
        raise web.HTTPFound("/there" if request.path == "/" else request.path)

    server = await serve(handler)
    async with Outbound(Guard(LOOPBACK)) as outbound:
        base = f"http://127.0.0.1:{server.port}"
        assert (await outbound.get(f"{base}/", body=True)).body == "arrived"
        with pytest.raises(Silent, match="redirects more than"):
            await outbound.get(f"{base}/circle", body=False)


async def test_own_sites_may_be_asked_and_nothing_else_beside_them(serve: Serve) -> None:
    sites, other = await serve(hello), await serve(hello)
    async with Outbound(Guard(own=[("127.0.0.1", sites.port)])) as outbound:
        assert (await outbound.get(f"http://127.0.0.1:{sites.port}/", body=True)).body == "hello"
        with pytest.raises(Unprobed):
            await outbound.get(f"http://127.0.0.1:{other.port}/", body=True)


async def test_a_body_without_end_is_read_up_to_its_limit(serve: Serve) -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"x" * 65536)

    server = await serve(endless)
    async with Outbound(Guard(LOOPBACK)) as outbound:
        answer = await outbound.get(f"http://127.0.0.1:{server.port}/", body=True)

    assert len(answer.body) == MOST_BODY


async def test_what_happens_is_said_in_few_words(serve: Serve) -> None:
    async def drip(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await asyncio.Event().wait()
        return response

    async def babble(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.test ESMTP\r\n")
        await writer.drain()
        writer.close()

    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        nobody = bound.getsockname()[1]
    mail = await asyncio.start_server(babble, "127.0.0.1", 0)
    slow, plain = await serve(drip), await serve(hello)
    async with Outbound(Guard(LOOPBACK), seconds=0.2) as outbound:
        for scheme, port, says in (
            ("http", slow.port, r"no answer within 0\.2 s"),
            ("http", nobody, "^connection refused$"),
            ("http", mail.sockets[0].getsockname()[1], "no HTTP"),
            ("https", plain.port, "TLS"),
        ):
            with pytest.raises(Silent, match=says):
                await outbound.get(f"{scheme}://127.0.0.1:{port}/", body=True)
    mail.close()


async def test_what_an_error_says_is_read_unasked_and_never_waited_for(serve: Serve) -> None:
    stopped = asyncio.Event()

    async def broken(request: web.Request) -> web.StreamResponse:
        if request.path == "/at-once":
            return web.Response(status=502, text="no database" + "x" * MOST_EVIDENCE)
        slow = web.StreamResponse(status=503)
        slow.content_length = 100
        await slow.prepare(request)
        await stopped.wait()
        return slow

    server = await serve(broken)
    async with Outbound(Guard(LOOPBACK)) as outbound:
        at_once = await outbound.get(f"http://127.0.0.1:{server.port}/at-once", body=False)
        late = await outbound.get(f"http://127.0.0.1:{server.port}/late", body=False)
    stopped.set()

    assert at_once.body.startswith("no database")
    assert len(at_once.body) <= MOST_EVIDENCE
    assert (late.status, late.body) == (503, "")


async def test_it_says_whether_it_has_read_a_body_to_its_end(serve: Serve) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(body=b"x" * int(request.path.strip("/")))

    server = await serve(handler)
    async with Outbound(Guard(LOOPBACK)) as outbound:
        for size in (MOST_BODY - 1, MOST_BODY, MOST_BODY + 1):
            answer = await outbound.get(f"http://127.0.0.1:{server.port}/{size}", body=True)
            assert (len(answer.body), answer.cut) == (min(MOST_BODY, size), size > MOST_BODY)


async def test_a_body_is_read_in_the_characters_that_it_names_or_as_utf_8(serve: Serve) -> None:
    known = ("utf-8", "iso-8859-1", "utf-16")

    async def handler(request: web.Request) -> web.Response:
        charset = request.path.strip("/")
        kind = {"Content-Type": f"text/html; charset={charset}"}
        body = "Größe".encode(charset if charset in known else "utf-8")
        return web.Response(body=body, headers=kind)

    server = await serve(handler)
    async with Outbound(Guard(LOOPBACK)) as outbound:
        for charset in (*known, "klingon", "base64", "rot13", "undefined"):
            answer = await outbound.get(f"http://127.0.0.1:{server.port}/{charset}", body=True)
            assert answer.body == "Größe", charset
