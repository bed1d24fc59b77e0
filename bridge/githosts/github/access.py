"""The way to GitHub: its address, and for each repository the token that is good for it."""

import re
import time
from typing import Any

from bridge.core.errors import NotFound, Refused
from bridge.githosts.asking.access import Access
from bridge.githosts.asking.answers import Answer
from bridge.githosts.asking.client import Ask, Client, checked_base
from bridge.githosts.asking.pool import Bounds
from bridge.githosts.github.credentials import Credential
from bridge.ports.clock import Clock

SERVICE = "github"

_NAME = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII).fullmatch


class GithubAccess(Access):
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
        super().__init__(Client(SERVICE, base, wire, remedy=remedy, bounds=bounds, clock=clock))
        self.credential = credential

    def place(self, repository: str) -> str:
        """As GitHub's paths begin."""
        return f"/repos/{named(repository)}"

    def asker(self, repository: str) -> Ask:
        """Sends requests with the token that is good for a repository."""

        async def once(method: str, path: str, **others: Any) -> Answer:
            token = await self.credential.token(self.client, repository)
            account = self.credential.account(repository)
            return await self.client.ask(token, method, path, account=account, **others)

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
