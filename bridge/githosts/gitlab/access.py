"""The way to a GitLab: its address, and our token."""

import time
from functools import partial
from typing import Any

from pydantic import SecretStr, TypeAdapter

from bridge.githosts.access import Access
from bridge.githosts.http import Ask, Client, checked_base, checked_token, part, read
from bridge.githosts.pool import Bounds
from bridge.githosts.webhook import Model
from bridge.ports.clock import Clock

SERVICE = "gitlab"


class GitlabAccess(Access):
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
        super().__init__(Client(SERVICE, api, wire, remedy=remedy, bounds=bounds, clock=clock))
        self._me: int | None = None

    async def me(self) -> int:
        """Return the id of the account that we write as; of a project token that is a bot."""
        if self._me is None:
            answer = await self.client.ask(self._token.get_secret_value(), "GET", "/user")
            self._me = read(_USER, "/user", answer, SERVICE, reads=True).id
        return self._me

    def place(self, repository: str) -> str:
        """As GitLab's paths begin; a project is known by its id, or by its whole path."""
        return f"/projects/{part(repository)}"

    def asker(self, repository: str) -> Ask:  # noqa: ARG002 - one token is good for all
        """Send requests with our token."""
        return partial(self.client.ask, self._token.get_secret_value())


class _User(Model):
    id: int


_USER = TypeAdapter(_User)
