"""A strict OpenID provider by others: the npm package `oidc-provider`, and a browser there.

https://github.com/panva/node-oidc-provider
"""

import json
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import urljoin

import httpx
from jwt.algorithms import RSAAlgorithm

from tests.fakes.identity import CLIENT, SECRET, key
from tests.oracles.node_tools import TOOLS, Unavailable, missing, node, node_home
from tests.worlds.console import fields_of

NODE = 22
"""The major version of Node that it needs."""

SCRIPT = TOOLS / "oidc-provider" / "provider.mjs"
WAYS = ("client_secret_basic", "client_secret_post")


class OpenidProvider:
    """The running provider, whose log-in takes any name."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self.url: str = self._said()

    def set_up(
        self,
        back: str,
        *,
        way: str = WAYS[0],
        ways: Sequence[str] = WAYS,
        secret: str = SECRET,
        signs: tuple[str, str] = ("k1", "k1"),
        seconds_ahead: int = 0,
        audience: str = "",
    ) -> None:
        """Set it up anew, and listen.

        Args:
            back: the address to which it may send browsers.
            way: the only one in which the client may send its secret.
            ways: those that it lists.
            signs: the key that signs ID tokens, and the id under which it is published.
            seconds_ahead: of this machine's clock.
            audience: whom ID tokens are for; "": the client.
        """
        name, id_ = signs
        secret_key: dict[str, Any] = RSAAlgorithm.to_jwk(key(name), as_dict=True)
        client = {
            "client_id": CLIENT,
            "client_secret": secret,
            "redirect_uris": [back],
            "token_endpoint_auth_method": way,
        }
        self._ask(
            {
                "clients": [client],
                "clientAuthMethods": list(ways),
                "jwks": {"keys": [secret_key | {"kid": id_, "use": "sig", "alg": "RS256"}]},
                "cookies": {"keys": ["a key of the tests"]},
                "ttl": {"IdToken": 60},
                "seconds_ahead": seconds_ahead,
                "audience": audience,
            }
        )

    def away(self) -> None:
        """Stop listening."""
        self._ask(None)

    def _ask(self, settings: Any) -> None:
        assert self._process.stdin
        self._process.stdin.write(json.dumps(settings) + "\n")
        self._process.stdin.flush()
        assert self._said() == "done"

    def _said(self) -> Any:
        assert self._process.stdout
        return json.loads(self._process.stdout.readline())


@contextmanager
def openid_provider() -> Iterator[OpenidProvider]:
    """Run it on loopback."""
    try:
        command = [str(node(NODE)), "--no-warnings", str(SCRIPT), str(node_home("oidc-provider"))]
    except Unavailable as why:
        missing(f"no OpenID provider: {why}")
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        encoding="utf-8",
    ) as process:
        try:
            yield OpenidProvider(process)
        finally:
            process.kill()


async def signed_in(address: str, back: str) -> str:
    """Go through its pages as a person's browser does; return where it leads in the end."""
    async with httpx.AsyncClient(trust_env=False, timeout=20) as web:
        answer = await web.get(address)
        for _ in range(10):
            if not answer.is_redirect:
                action, fields = fields_of(answer.text, "<button")
                who = {"login": "ada", "password": "any"}
                answer = await web.post(urljoin(address, action), data=fields | who)
            elif (place := urljoin(address, answer.headers["Location"])).startswith(back):
                return place
            else:
                answer = await web.get(place)
        raise AssertionError(answer.text)
