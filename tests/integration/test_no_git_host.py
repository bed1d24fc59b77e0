"""Another server, or a proxy, that answers in place of a Git host is told by what came."""

from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from bridge.app.providers import host_apis
from bridge.core.errors import BridgeError, NotFound, Refused, Unreachable
from bridge.settings import read_settings
from tests.fakes.serving import served

PAGE = "<!doctype html><html>Welcome</html>"


def many(small: str, count: int) -> str:
    return "[" + f"{small}," * count + "0]"


STRANGE: dict[str, tuple[int, str, dict[str, str], type[BridgeError], str]] = {
    "a page": (200, PAGE, {}, Unreachable, "a web page came instead of JSON, from another server"),
    "words": (200, "ok", {}, Unreachable, "something else came instead of JSON, from another"),
    "404": (404, PAGE, {}, NotFound, "HTTP 404, which may come from another server or a proxy; is"),
    "a gateway": (502, PAGE, {}, Unreachable, "HTTP 502 (Bad Gateway), most likely from a proxy"),
    "a bad redirect": (302, "", {"Location": "http://[::1"}, Refused, "it redirects "),
    "a login": (302, "", {"Location": "https://login.example/x"}, Refused, "it redirects /"),
    # In memory each takes up to fifty times its bytes, and Python's lock while it is made.
    "objects": (200, many("{}", 500_000), {}, Unreachable, "more than 200000 lists and objects"),
    "lists": (200, many("[]", 500_000), {}, Unreachable, "more than 200000 lists and objects"),
    "full objects": (200, many('{"a":1}', 60_000), {}, Unreachable, "more than 50000 objects"),
    "numbers": (200, many("0", 1_100_000), {}, Unreachable, "about 1100000 values"),
    "an error of objects": (500, many("{}", 500_000), {}, Unreachable, "more than 256 KiB"),
}


@pytest.fixture(params=STRANGE)
async def strange(
    request: pytest.FixtureRequest,
) -> AsyncIterator[tuple[str, type[BridgeError], str]]:
    """A server that answers everything alike: its address, the error that is, and its words."""
    status, body, headers, error, words = STRANGE[request.param]

    async def same(_request: web.Request) -> web.Response:
        return web.Response(
            status=status, text=body, headers={"Content-Type": "text/html"} | headers
        )

    app = web.Application()
    app.router.add_get("/{path:.*}", same)
    async with served(app) as url:
        yield url, error, words


@pytest.mark.parametrize("host", ["github", "gitlab"])
async def test_what_is_no_git_host_is_told_by_what_came(
    strange: tuple[str, type[BridgeError], str], host: str
) -> None:
    url, error, words = strange
    given = {
        "BRIDGE_GITHUB_TOKEN": "ghp_12345678",
        "BRIDGE_GITHUB_API_URL": url,
        "BRIDGE_GITLAB_TOKEN": "glpat-12345678",
        "BRIDGE_GITLAB_URL": url,
    }
    apis = host_apis(read_settings(None, given))

    with pytest.raises(BridgeError) as told:
        await apis[host].repository("my-org/mono")
    for api in apis.values():
        await api.close()

    assert type(told.value) is error
    assert words in str(told.value)
    assert "Error" not in str(told.value)
