"""What a Git host's API answered, and what that means: the one place where errors become ours."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from types import MappingProxyType
from typing import Any

from bridge.core.errors import BridgeError, NotFound, Refused, Unanswered, Unreachable

_LIMITED_WITHOUT_A_TIME = 60.0  # what GitHub asks for where a secondary limit names no time
LONGEST_PAUSE = 3700.0
"""Seconds; the longest window of any host is an hour."""

_WORDS = 300
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\s]+")
_SHORTEST_SECRET = 4  # anything shorter is in every text, and hiding it there would betray it

NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Request:
    """One request to a host's API.

    Attributes:
        path: under the API's base, e.g. "/repos/o/r/hooks"; its parts are quoted already.
        token: what proves who we are; never shown.
    """

    service: str
    method: str
    path: str
    token: str = field(repr=False, default="")
    query: Mapping[str, Any] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def reads(self) -> bool:
        """It changes nothing, so it may be repeated at will."""
        return self.method == "GET"


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer of a host; `headers` have names in lower case, `body` is loaded JSON."""

    status: int
    headers: Mapping[str, str]
    body: Any


def error_in(request: Request, answer: Answer, now: float, remedy: str) -> BridgeError | None:
    """The error that an answer is; None for one that is none.

    Args:
        remedy: what to do about a credential that is not taken.
    """
    status, service = answer.status, request.service
    if status < 300 or status == 304:
        return None
    words = words_in(answer.body, (request.token,)) or f"HTTP {status}"
    if (wait := wait_in(answer, now)) is not None:
        return Unreachable(service, f"rate limit: {words}", retry_after=wait.seconds)
    if status in (404, 410) or (status == 422 and "no commit found" in words.lower()):
        return NotFound(f"{service} has no {request.path}, or not for our credential: {words}")
    if status == 401:
        return Refused(service, f"{words}; {remedy}", status=status)
    if status >= 500:
        retry_after = _pause(answer, now).seconds if "retry-after" in answer.headers else None
        return lost(request, f"HTTP {status}: {words}", retry_after=retry_after)
    if status < 400:
        return Refused(service, f"{request.path} has moved; name it as it is now", status=status)
    return Refused(service, words + _wanted(answer), status=status)


@dataclass(frozen=True, slots=True)
class Wait:
    """How long a host asks us to wait; `named`: it said so itself."""

    seconds: float
    named: bool


def wait_in(answer: Answer, now: float) -> Wait | None:
    """Return how long all of the credential has to wait; None where its limit is not reached.

    An answer that is none of the host's errors may have been the last one of the window.
    """
    if answer.status < 400:
        return _pause(answer, now) if _spent(answer) else None
    return _pause(answer, now) if _limited(answer, words_in(answer.body)) else None


def lost(request: Request, why: str, *, retry_after: float | None = None) -> BridgeError:
    """The error for a request that may have arrived: only a read is surely harmless."""
    if request.reads:
        return Unreachable(request.service, why, retry_after=retry_after)
    return Unanswered(request.service, why)


def trouble(request: Request, error: Exception) -> BridgeError:
    """The error for what a vendor's client raised instead of an answer."""
    import requests
    from urllib3.exceptions import MaxRetryError, NewConnectionError

    why = fit(f"{type(error).__name__}: {error}", (request.token,))
    before = (requests.ConnectTimeout, requests.exceptions.ProxyError, requests.exceptions.SSLError)
    inner = error.args[0] if error.args else None
    refused = isinstance(inner, MaxRetryError) and isinstance(inner.reason, NewConnectionError)
    if isinstance(error, before) or refused:
        return Unreachable(request.service, why)
    if isinstance(error, requests.exceptions.TooManyRedirects | RuntimeError):
        return Refused(request.service, f"it sends us elsewhere, where our token won't go: {why}")
    return lost(request, why)


def words_in(body: Any, secrets: Iterable[str] = ()) -> str:
    """What a host says in an error's body; "" where it is not its JSON, as a proxy's page."""
    if not isinstance(body, Mapping):
        return ""
    said = [body.get("message") or body.get("error_description") or body.get("error")]
    if isinstance(body.get("errors"), list):
        said += body["errors"][:3]
    return fit("; ".join(filter(None, map(_plain, said))), secrets)


def fit(text: str, secrets: Iterable[str] = ()) -> str:
    """The text in one line of at most 300 characters, without secrets."""
    for secret in secrets:
        if len(secret) >= _SHORTEST_SECRET:
            text = text.replace(secret, "***")
    text = _CONTROL.sub(" ", text[:5000]).strip()
    return text if len(text) <= _WORDS else text[: _WORDS - 1].rstrip() + "…"


def _plain(said: Any) -> str:
    """Words from the forms that hosts give them: text, list, `{field: [words]}`."""
    if isinstance(said, Mapping):
        if said.get("message"):
            return str(said["message"])
        return ", ".join(f"{key} {_plain(value)}" for key, value in list(said.items())[:5])
    if isinstance(said, list):
        return ", ".join(map(_plain, said[:5]))
    return "" if said is None else str(said)


def _limited(answer: Answer, words: str) -> bool:
    """Whether a refusal is one for now only: GitHub's are 403 or 429, GitLab's 429."""
    if answer.status == 403:
        named = "rate limit" in words.lower() or "abuse detection" in words.lower()
        return _spent(answer) or named or "retry-after" in answer.headers
    return answer.status == 429


def _spent(answer: Answer) -> bool:
    """Whether an answer says that none are left; GitHub and GitLab name that differently."""
    left = ("x-ratelimit-remaining", "ratelimit-remaining")
    return any(answer.headers.get(name) == "0" for name in left)


def _pause(answer: Answer, now: float) -> Wait:
    """How long to wait, as the answer says it: `Retry-After`, else when the window ends."""
    after = answer.headers.get("retry-after", "")
    if after.isdecimal():
        return Wait(min(float(after), LONGEST_PAUSE), named=True)
    spent = answer.headers.get("x-ratelimit-remaining", "0") == "0"
    reset = answer.headers.get("x-ratelimit-reset") or answer.headers.get("ratelimit-reset", "")
    if spent and reset.isdecimal():
        left = max(float(reset) - _their_now(answer, now), 1.0)
        return Wait(min(left, LONGEST_PAUSE), named=True)
    return Wait(_LIMITED_WITHOUT_A_TIME, named=False)


def _their_now(answer: Answer, now: float) -> float:
    """The host's own time, so that a clock that is wrong here makes no wrong pause."""
    try:
        return parsedate_to_datetime(answer.headers["date"]).timestamp()
    except (KeyError, ValueError, OverflowError):
        return now


def _wanted(answer: Answer) -> str:
    """The permission that would have been enough, where GitHub tells."""
    wanted = answer.headers.get("x-accepted-github-permissions")
    return f" (it needs {fit(wanted)})" if wanted and answer.status in (403, 404) else ""
