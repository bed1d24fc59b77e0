"""The way to GitHub: its address, and for each repository the token that is good for it."""

import re
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

from bridge.core.errors import NotFound, Refused
from bridge.githosts.asking.answers import NOTHING, Answer
from bridge.githosts.asking.client import Ask, Client, checked_base
from bridge.githosts.asking.pool import Bounds
from bridge.githosts.github.credentials import Credential
from bridge.ports.clock import Clock

SERVICE = "github"

_NAME = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII).fullmatch


class GithubAccess:
    """Requests about repositories, each with the token that is good for it."""

    def __init__(
        self,
        credential: Credential,
        *,
        api_url: str = "https://api.github.com",
        ca: str | None = None,
        bounds: Bounds | None = None,
        clock: Clock = time.time,
    ) -> None:
        base, bounds = checked_base(SERVICE, api_url), bounds or Bounds()

        def wire() -> Any:
            from bridge.githosts.github.wire import GithubWire

            return GithubWire(base, ca=ca, silence=bounds.silence)

        remedy = "set BRIDGE_GITHUB_TOKEN, or BRIDGE_GITHUB_APP_ID and its key, to what is valid"
        self.client = Client(SERVICE, base, wire, remedy=remedy, bounds=bounds, clock=clock)
        self.credential = credential

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
        """Send one request about a repository; `path` is under it, e.g. "/hooks"."""
        whole = f"/repos/{named(repository)}{path}"
        return await self.asker(repository)(method, whole, query=query, body=body, headers=headers)

    async def pages(
        self, repository: str, path: str, *, query: Mapping[str, Any] = NOTHING
    ) -> AsyncIterator[Answer]:
        """The pages of a list of a repository."""
        whole, ask = f"/repos/{named(repository)}{path}", self.asker(repository)
        async for answer in self.client.pages(ask, whole, query=query):
            yield answer

    def asker(self, repository: str) -> Ask:
        """Sends requests with the token that is good for a repository."""

        async def once(method: str, path: str, **others: Any) -> Answer:
            token = await self.credential.token(self.client, repository)
            return await self.client.ask(token, method, path, **others)

        async def ask(method: str, path: str, **others: Any) -> Answer:
            try:
                return await once(method, path, **others)
            except Refused as error:
                # An installation's token ends early when the App's permissions change.
                if error.status != 401 or not self.credential.forget(repository):
                    raise
            return await once(method, path, **others)

        return ask


def named(repository: str) -> str:
    """A repository's name, safe in a path; NotFound for what can't be one."""
    if not _NAME(repository) or {".", ".."} & set(repository.split("/")):
        raise NotFound(f"github: {repository[:200]!r} is no repository; it has the form owner/name")
    return repository
