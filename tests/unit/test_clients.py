"""Every client is made by `bridge.connecting`, and every Git is run as it says."""

import ast
from collections.abc import Iterator

from tests.worlds.rows import each_row
from tests.worlds.sources import modules, parsed, statements

MAKES_CLIENTS = {
    "aiohttp.ClientSession", "aiohttp.TCPConnector", "aiohttp.request", "httpx.AsyncClient",
    "httpx.Client", "httpx.get", "httpx.post", "httpx.request", "httpx.stream",
    "httpx.AsyncHTTPTransport", "httpx.HTTPTransport", "httpx.create_ssl_context",
    "requests.Session", "requests.get", "requests.post", "requests.request", "requests.session",
    "requests.adapters.HTTPAdapter", "urllib3.PoolManager", "urllib3.request",
    "ssl.create_default_context", "asyncio.open_connection", "github.Github", "gitlab.Gitlab",
    "slack_sdk.web.async_client.AsyncWebClient",
}  # fmt: skip
"""What connects, or decides whom we trust; `bridge.connecting` makes it, or prepares it."""

WITH_OURS = {
    "bridge.app.doctor.itself": {"asyncio.open_connection"},
    "bridge.chats.slack.api": {"slack_sdk.web.async_client.AsyncWebClient"},
    "bridge.githosts.github.wire": {"github.Github"},
    "bridge.githosts.gitlab.access": {"gitlab.Gitlab"},
    "bridge.githosts.base.pool": {"requests.Session"},
}
"""Where one is made elsewhere, with what `bridge.connecting` gives."""

RUNS_GIT = {
    "bridge.cli.new_site": "as the embedded backend",
    "bridge.embedded.building.checkout": "with `bridge.connecting.git`",
    "bridge.embedded.building.large_files": "in the same environment",
}
"""The modules that run Git, and how."""


def made_elsewhere(module: str, source: str) -> Iterator[str]:
    """Every client that a module makes by itself, and every Git that it runs."""
    if module.startswith("bridge.connecting"):
        return
    names = dict(_names(source))
    for node in ast.walk(parsed(source)):
        at = f"{module}:{getattr(node, 'lineno', 0)}"
        runs_git = isinstance(node, ast.List) and ast.unparse(node).startswith("['git', ")
        if runs_git and module not in RUNS_GIT:
            yield f"{at} runs git: connect it as `bridge.connecting.git` does"
        used = [node.func] if isinstance(node, ast.Call) else getattr(node, "bases", [])
        for one in used:
            first, _, rest = ast.unparse(one).partition(".")
            whole = ".".join(filter(None, (names.get(first, first), rest)))
            makes = whole in MAKES_CLIENTS or whole.startswith(("urllib.request.", "http.client."))
            if makes and whole not in WITH_OURS.get(module, ()):
                yield f"{at} uses {whole}: make it in `bridge.connecting`"


def _names(source: str) -> Iterator[tuple[str, str]]:
    """What each imported name stands for."""
    for node in statements(parsed(source)):
        if isinstance(node, ast.Import):
            yield from ((one.asname, one.name) for one in node.names if one.asname)
        elif isinstance(node, ast.ImportFrom):
            yield from ((one.asname or one.name, f"{node.module}.{one.name}") for one in node.names)


def test_every_client_is_made_in_one_place() -> None:
    assert [fault for name, source in modules() for fault in made_elsewhere(name, source)] == []


@each_row(
    "source",
    [
        "import aiohttp\naiohttp.ClientSession()",
        "from aiohttp import ClientSession as Session\ndef late():\n    Session()",
        "def late():\n    import httpx\n    httpx.AsyncClient(timeout=3)",
        "import requests\nclass Own(requests.Session): ...",
        "import ssl\nssl.create_default_context(cafile=x)",
        "from urllib.request import urlopen\nurlopen(x)",
        "run(['git', 'fetch', x])",
    ],
)
def test_a_planted_client_of_its_own_is_found(source: str) -> None:
    (fault,) = made_elsewhere("bridge.web.x", source)

    assert "bridge.connecting" in fault
