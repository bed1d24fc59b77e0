"""Another server, or a proxy, that answers in place of a Git host is told by what came."""

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from bridge.app.providers import host_apis
from bridge.core.errors import BridgeError, NotFound, Refused, Unreachable
from bridge.settings import read_settings

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
def strange(request: pytest.FixtureRequest) -> Iterator[tuple[str, type[BridgeError], str]]:
    """A server that answers everything alike: its address, the error that is, and its words."""
    status, body, headers, error, words = STRANGE[request.param]

    class Same(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            kind = {"Content-Type": "text/html", "Content-Length": str(len(body))}
            for name, value in (kind | headers).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Same)
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", error, words
    server.shutdown()
    server.server_close()


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
