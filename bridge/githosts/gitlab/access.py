"""The way to a GitLab: its address, and our token."""

import time
from collections.abc import AsyncIterator, Mapping
from functools import partial
from typing import Any

from pydantic import SecretStr, TypeAdapter

from bridge.githosts.asking.answers import NOTHING, Answer
from bridge.githosts.asking.client import Client, checked_base, checked_token, part, read
from bridge.githosts.asking.pool import Bounds
from bridge.githosts.models import Model
from bridge.ports.clock import Clock

SERVICE = "gitlab"


class GitlabAccess:
    """Requests about projects, with one token."""

    def __init__(
        self,
        token: SecretStr,
        *,
        url: str = "https://gitlab.com",
        ca: str | None = None,
        bounds: Bounds | None = None,
        clock: Clock = time.time,
    ) -> None:
        base, bounds = checked_base(SERVICE, url), bounds or Bounds()
        self._token = SecretStr(checked_token(SERVICE, token.get_secret_value()))

        def wire() -> Any:
            from bridge.githosts.gitlab.wire import GitlabWire

            secret = self._token.get_secret_value()
            return GitlabWire(base, secret, ca=ca, silence=bounds.silence)

        remedy = "set BRIDGE_GITLAB_TOKEN to one that is valid"
        api = f"{base}/api/v4"
        self.client = Client(SERVICE, api, wire, remedy=remedy, bounds=bounds, clock=clock)
        self._me: int | None = None

    async def me(self) -> int:
        """The id of the account that we write as; of a project token that is a bot."""
        if self._me is None:
            answer = await self.client.ask(self._token.get_secret_value(), "GET", "/user")
            self._me = read(_USER, "/user", answer, SERVICE, reads=True).id
        return self._me

    async def ask(
        self,
        repository: str,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] = NOTHING,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] = NOTHING,
    ) -> Answer:
        """Send one request about a project; `path` is under it, e.g. "/hooks"."""
        whole = f"/projects/{part(repository)}{path}"
        return await self.client.ask(
            self._token.get_secret_value(), method, whole, query=query, body=body, headers=headers
        )

    async def pages(
        self, repository: str, path: str, *, query: Mapping[str, Any] = NOTHING
    ) -> AsyncIterator[Answer]:
        """The pages of a list of a project."""
        ask = partial(self.client.ask, self._token.get_secret_value())
        whole = f"/projects/{part(repository)}{path}"
        async for answer in self.client.pages(ask, whole, query=query):
            yield answer


class _User(Model):
    id: int


_USER = TypeAdapter(_User)
