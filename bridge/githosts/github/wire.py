"""PyGithub on the wire; imported only if GitHub's API is used, since it loads slowly."""

import logging
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from github import Auth, Github
from github.Requester import HTTPRequestsConnectionClass, HTTPSRequestsConnectionClass, Requester

from bridge.connecting import AGENT
from bridge.connecting.blocking import prepared
from bridge.githosts.base.answers import Answer, Request, loaded
from bridge.githosts.base.pool import Bounded

_VERSION = "2022-11-28"
"""https://docs.github.com/en/rest/about-the-rest-api/api-versions"""


# At debug level PyGithub logs answers, and an answer may be a token.
logging.getLogger("github.Requester").setLevel(logging.INFO)


class _Https(HTTPSRequestsConnectionClass):
    """A connection like all of ours, which limits the size of answers."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        ca = self.verify if isinstance(self.verify, str) else None
        prepared(self.session, f"https://{self.host}:{self.port}", Bounded(ca))


class _Http(HTTPRequestsConnectionClass):
    """The same without TLS, for tests and servers on this machine."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        prepared(self.session, f"http://{self.host}:{self.port}", Bounded())


Requester.injectConnectionClasses(_Http, _Https)


class _Bearer(Auth.Auth):
    """The token of the request that is being sent."""

    def __init__(self) -> None:
        self.current = ""

    @property
    def token_type(self) -> str:
        return "Bearer"

    @property
    def token(self) -> str:
        return self.current


class GithubWire:
    """One PyGithub client, for one thread at a time, since it stores the current request."""

    def __init__(self, api_url: str, *, ca: str | None, silence: float) -> None:
        self._auth = _Bearer()
        parts = urlsplit(api_url)
        self._host, self._prefix = parts.netloc, parts.path
        self._github = Github(
            base_url=api_url,
            auth=self._auth,
            timeout=max(1, round(silence)),
            user_agent=AGENT,
            verify=ca or True,
            lazy=True,
            # It must neither sleep nor retry: the caller decides both.
            retry=None,
            seconds_between_requests=None,
            seconds_between_writes=None,
        )

    def ask(self, request: Request) -> Answer:
        answer = self._send(request, request.path)
        if answer.status not in (307, 308):
            return answer
        # a renamed repository, for anything but GET; it follows a 301 itself
        try:
            to = urlsplit(answer.headers.get("location", ""))
        except ValueError:
            raise RuntimeError(NOWHERE) from None
        if to.netloc != self._host:
            return answer
        return self._send(request, to.path.removeprefix(self._prefix))

    def close(self) -> None:
        self._github.close()

    def _send(self, request: Request, path: str) -> Answer:
        self._auth.current = request.token
        headers = {
            "Accept": "application/vnd.github+json",
            "X-GitHub-Api-Version": _VERSION,
            **request.headers,
        }
        body = None if request.body is None else dict(request.body)
        try:
            status, answered, text = self._github.requester.requestJson(
                request.method, path, dict(request.query), headers, body
            )
        except ValueError as error:
            if isinstance(error, OSError):  # of requests, whose errors are all OSErrors
                raise
            raise RuntimeError(NOWHERE) from None
        needs = answered.get("x-accepted-github-permissions") or ""
        return Answer(status, answered, loaded(text, status), needs)


NOWHERE = "it redirects to an invalid address"


def app_jwt(app_id: int, private_key: str) -> Callable[[], str]:
    """Return a signer of the App's proofs, each valid for nine minutes.

    Raises:
        ValueError: the key is not an RSA key in PEM.
    """
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(private_key.strip().encode(), password=None)
    except (ValueError, TypeError) as error:
        raise ValueError(type(error).__name__) from None
    if not isinstance(key, RSAPrivateKey):
        raise ValueError("not an RSA key")  # noqa: TRY004 - the given text is at fault
    return Auth.AppAuth(app_id, private_key.strip(), jwt_expiry=540).create_jwt
