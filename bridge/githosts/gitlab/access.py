"""Access to a GitLab: its address, our token, and python-gitlab on the wire.

Imported only if GitLab's API is used, since that library loads slowly.
"""

import time
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import Any

import requests
from gitlab import Gitlab
from gitlab.exceptions import GitlabAuthenticationError, GitlabHttpError
from pydantic import SecretStr

from bridge.connecting import AGENT
from bridge.core.errors import Unanswered, Unreachable
from bridge.githosts.base.answers import Answer, Request, answer_in
from bridge.githosts.base.http import Access, Ask, Client, checked_base, checked_token, part
from bridge.githosts.base.pool import Bounds, OwnHostSession
from bridge.ports.clock import Clock

WEB_URL = "https://gitlab.com"


class _Session(OwnHostSession):
    """Stores the last answer."""

    last: requests.Response | None = None

    def send(self, request: requests.PreparedRequest, **kwargs: object) -> requests.Response:
        self.last = super().send(request, **kwargs)
        return self.last

    def taken(self) -> requests.Response | None:
        """Return the last answer, and forget it."""
        taken, self.last = self.last, None
        return taken


class GitlabWire:
    """One python-gitlab client, for one thread at a time, since its session stores the answer."""

    def __init__(self, url: str, token: str, *, ca: str | None, silence: float) -> None:
        self._session = _Session(url, ca)
        self._gitlab = Gitlab(
            url,
            private_token=token,
            timeout=silence,
            user_agent=AGENT,
            keep_base_url=True,
            retry_transient_errors=False,
            session=self._session,
        )

    def ask(self, request: Request) -> Answer:
        self._session.taken()
        # The answer has the error's text, and the headers that the exception lacks.
        with suppress(GitlabHttpError, GitlabAuthenticationError):
            self._gitlab.http_request(
                request.method.lower(),
                request.path,
                query_data=dict(request.query),
                post_data=None if request.body is None else dict(request.body),
                # It must neither sleep nor retry: the caller decides both.
                obey_rate_limit=False,
                max_retries=0,
                extra_headers=dict(request.headers),
            )
        if (response := self._session.taken()) is None:
            raise RuntimeError("python-gitlab sent nothing")
        return answer_in(response)

    def close(self) -> None:
        self._session.close()


# ── Address and token ─────────────────────────────────────────────────────────────────────────────

SERVICE = "gitlab"


class GitlabAccess(Access):
    """Requests about projects, all with one token."""

    def __init__(
        self,
        token: SecretStr,
        *,
        url: str = WEB_URL,
        ca: str | None = None,
        bounds: Bounds | None = None,
        clock: Clock = time.time,
    ) -> None:
        base, bounds = checked_base(SERVICE, url), bounds or Bounds()
        self._token = SecretStr(checked_token(SERVICE, token.get_secret_value()))

        def wire() -> GitlabWire:
            secret = self._token.get_secret_value()
            return GitlabWire(base, secret, ca=ca, silence=bounds.silence)

        remedy = "set BRIDGE_GITLAB_TOKEN to a valid token"
        api, self._graphql = f"{base}/api/v4", f"{base}/api/graphql"
        super().__init__(Client(SERVICE, api, wire, remedy=remedy, bounds=bounds, clock=clock))

    async def query(self, text: str, variables: Mapping[str, Any]) -> Answer:
        """Send a GraphQL query, for what REST does not tell; it changes nothing.

        Raises:
            NotFound, Refused, Unreachable: see `HostApi`.
        """
        body, secret = {"query": text, "variables": variables}, self._token.get_secret_value()
        try:
            return await self.client.ask(secret, "POST", self._graphql, body=body)
        except Unanswered as error:
            raise Unreachable(SERVICE, error.why) from error

    def place(self, repository: str) -> str:
        return f"/projects/{part(repository)}"  # named by its id or its whole path

    def asker(self, repository: str) -> Ask:  # noqa: ARG002 - one token serves all projects
        return partial(self.client.ask, self._token.get_secret_value())
