"""Access to a Gitea or Forgejo: its address, our token, and requests on the wire."""

import re
import time
from collections.abc import AsyncIterator, Mapping
from functools import partial
from typing import Any

from pydantic import SecretStr, TypeAdapter
from requests import PreparedRequest
from requests.auth import AuthBase

from bridge.core.errors import NotFound
from bridge.githosts.access import Access
from bridge.githosts.answers import Answer, Request, loaded, read
from bridge.githosts.http import NOTHING, Ask, Client, checked_base, checked_token, part
from bridge.githosts.pool import Bounds, OwnHostSession
from bridge.githosts.webhook import Model
from bridge.ports.clock import Clock

PAGE = 50
"""Requested entries per page; a server may be configured to return fewer."""

_MOST_PAGES = 1000

_NAME = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII).fullmatch


class GiteaWire:
    """One session, for one thread at a time."""

    def __init__(self, base: str, *, ca: str | None, silence: float) -> None:
        self._base = base
        self._silence = silence
        self._session = OwnHostSession(base, ca)
        self._session.headers["Accept"] = "application/json"

    def ask(self, request: Request) -> Answer:
        response = self._session.request(
            request.method,
            self._base + request.path,
            params={name: _plain(value) for name, value in request.query.items()},
            json=None if request.body is None else dict(request.body),
            headers=dict(request.headers),
            auth=_Token(request.token),
            timeout=self._silence,
        )
        headers = {name.lower(): value for name, value in response.headers.items()}
        status = response.status_code
        return Answer(status, headers, loaded(response.content, status))

    def close(self) -> None:
        self._session.close()


class _Token(AuthBase):
    """Send our token."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, r: PreparedRequest) -> PreparedRequest:
        r.headers["Authorization"] = f"token {self._token}"
        return r


def _plain(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value


# ── address and token ───────────────────────────────────────────────────────────────────────────


class GiteaAccess(Access):
    """Requests about repositories of one server, with one token."""

    def __init__(
        self,
        name: str,
        token: SecretStr,
        *,
        url: str,
        ca: str | None = None,
        bounds: Bounds | None = None,
        clock: Clock = time.time,
    ) -> None:
        """Take the server's name, shown in errors, and its address."""
        base, bounds = f"{checked_base(name, url)}/api/v1", bounds or Bounds()
        self._token = SecretStr(checked_token(name, token.get_secret_value()))

        def wire() -> GiteaWire:
            return GiteaWire(base, ca=ca, silence=bounds.silence)

        remedy = f"set the token of {name} to one that is valid"
        super().__init__(Client(name, base, wire, remedy=remedy, bounds=bounds, clock=clock))
        self._me: User | None = None

    async def me(self) -> "User":
        """Return the account of our token."""
        if self._me is None:
            answer = await self.client.ask(self._token.get_secret_value(), "GET", "/user")
            self._me = read(_USER, "/user", answer, self.client.service, reads=True)
        return self._me

    def place(self, repository: str) -> str:
        """Return a repository's path; Gitea identifies it by owner and name."""
        if not _NAME(repository):
            raise NotFound(f"{repository[:100]!r} is not the name of a repository, as owner/name")
        return f"/repos/{'/'.join(map(part, repository.split('/')))}"

    def asker(self, repository: str) -> Ask:  # noqa: ARG002 - one token is good for all
        """Send requests with our token."""
        return partial(self.client.ask, self._token.get_secret_value())

    async def pages(
        self, repository: str, path: str, *, query: Mapping[str, Any] = NOTHING
    ) -> AsyncIterator[Answer]:
        """Yield the pages of one of a repository's lists."""
        async for answer in self.pages_at(f"{self.place(repository)}{path}", query=query):
            yield answer

    async def pages_at(
        self, path: str, *, query: Mapping[str, Any] = NOTHING
    ) -> AsyncIterator[Answer]:
        """Yield the pages of a list; a header has the number of entries."""
        seen, ask = 0, self.asker("")
        for number in range(1, _MOST_PAGES + 1):
            step = {"limit": PAGE, **query, "page": number}
            answer = await ask("GET", path, query=step)
            yield answer
            count = len(answer.body) if isinstance(answer.body, list) else 0
            seen += count
            total = answer.headers.get("x-total-count", "")
            if not count or (total.isdecimal() and seen >= int(total)):
                return


class User(Model):
    """A user account."""

    id: int
    login: str = ""


_USER = TypeAdapter(User)
