"""Translate the answers of a Git host's API: errors, rate limits, and the expected form."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from functools import cache
from types import GenericAlias
from typing import TYPE_CHECKING, Any, TypeVar, cast

from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json

from bridge.connecting import CannotConnect
from bridge.core.errors import (
    BridgeError,
    NotFound,
    Refused,
    Rejected,
    Unanswered,
    Unreachable,
)
from bridge.core.errors.connection import why_not_connected
from bridge.core.large_json import LARGE, load_large, must_be_usual
from bridge.core.log_text import harmless
from bridge.core.validation_errors import explained_one

if TYPE_CHECKING:
    import requests

F = TypeVar("F")

_LIMITED_WITHOUT_A_TIME = 60.0  # GitHub's advice if a secondary limit names no time
LONGEST_PAUSE = 3700.0
"""Seconds; the longest window of any host is an hour."""

_WORDS = 300
_SHORTEST_SECRET = 4  # anything shorter occurs in any text, and hiding it there would reveal it


@dataclass(frozen=True, slots=True)
class Request:
    """One request to a host's API.

    Attributes:
        path: under the API's base, e.g. "/repos/o/r/hooks"; its parts are already quoted.
        token: our credential; never shown.
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
        """True for a request that changes nothing, so a retry is always safe."""
        return self.method == "GET"


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer of a host.

    Attributes:
        headers: names in lower case.
        body: loaded JSON.
        needs: a sufficient permission, if the host names one.
    """

    status: int
    headers: Mapping[str, str]
    body: Any
    needs: str = ""


def error_in(request: Request, answer: Answer, now: float, remedy: str) -> BridgeError | None:
    """Return the error that an answer means; None for a success.

    Args:
        remedy: what to do about a rejected credential.
    """
    status, service = answer.status, request.service
    if status < 300 or status == 304:
        return None
    words = words_in(answer.body, (request.token,)) or _without_words(answer)
    if (wait := wait_in(answer, now)) is not None:
        return Unreachable(service, f"rate limit: {words}", retry_after=wait.seconds)
    if status in (404, 410) or (status == 422 and "no commit found" in words.lower()):
        return NotFound(
            f"{service} has no {request.path}, or our credential may not see it: {words}"
        )
    if status == 401:
        return Refused(service, f"{words}; {remedy}", status=status)
    if status >= 500:
        retry_after = _pause(answer, now).seconds if "retry-after" in answer.headers else None
        said = words if words.startswith("HTTP ") else f"HTTP {status}: {words}"
        return lost(request, said, retry_after=retry_after)
    if status < 400:
        why = f"it redirects {request.path} (HTTP {status}): it has moved, or the address is wrong"
        return Refused(service, f"{why}; use its present name", status=status)
    if answer.needs and status == 403:
        words += f" (it needs {fit(answer.needs)})"
    return Refused(service, words, status=status)


_GATEWAY = {502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Timeout"}


def _without_words(answer: Answer) -> str:
    """Describe an error that lacks the host's own words, which are always JSON."""
    if answer.status in _GATEWAY:
        return f"HTTP {answer.status} ({_GATEWAY[answer.status]}), most likely from a proxy"
    if answer.body is None and answer.status in (404, 405):
        return f"HTTP {answer.status}, which may come from another server or a proxy; {RIGHT}"
    return f"HTTP {answer.status}"


RIGHT = "is its address in the settings correct?"


class NotJson(ValueError):
    """A success without JSON, as another server or a proxy sends."""


class Unusual(ValueError):
    """A success that would take far more memory than its size."""


def loaded(text: str | bytes, status: int) -> object:
    """Return an answer's body; None if it is empty, or an error's without JSON, e.g. a proxy's."""
    if not text or text.isspace():
        return None
    body = text.encode(errors="replace") if isinstance(text, str) else text
    if len(body) >= LARGE:
        try:
            must_be_usual(body, "an answer")
        except Rejected as error:
            raise Unusual(str(error)) from None
    try:
        return from_json(body) if len(body) < LARGE else load_large(body)
    except (ValueError, RecursionError):
        if status >= 300:
            return None
    kind = "a web page" if text.lstrip()[:1] in ("<", b"<") else "something else"
    raise NotJson(f"{kind} came instead of JSON, from another server or a proxy; {RIGHT}")


def answer_in(response: "requests.Response") -> Answer:
    """Return what a client built on requests was answered."""
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Answer(response.status_code, headers, loaded(response.content, response.status_code))


@dataclass(frozen=True, slots=True)
class Wait:
    """How long a host asks us to wait; `named`: the host gave the time itself."""

    seconds: float
    named: bool


def wait_in(answer: Answer, now: float) -> Wait | None:
    """Return how long the whole credential must wait; None if its limit is not reached.

    Even a success may have used up the window.
    """
    if answer.status < 400:
        return _pause(answer, now) if _spent(answer) else None
    return _pause(answer, now) if _limited(answer, words_in(answer.body)) else None


def lost(request: Request, why: str, *, retry_after: float | None = None) -> BridgeError:
    """Return the error for a request that may have arrived; only a read surely changed nothing."""
    if request.reads:
        return Unreachable(request.service, why, retry_after=retry_after)
    return Unanswered(request.service, why)


def trouble(request: Request, error: Exception) -> BridgeError:
    """Translate what a vendor's client raised."""
    import requests
    from urllib3.exceptions import MaxRetryError, NewConnectionError

    ours = isinstance(error, NotJson | Unusual | RuntimeError)
    words = str(error) if ours else f"{type(error).__name__}: {error}"
    why = fit(why_not_connected(error) or words, (request.token,))
    failed = requests.exceptions
    before = (CannotConnect, failed.ConnectTimeout, failed.ProxyError, failed.SSLError)
    inner = error.args[0] if error.args else None
    refused = isinstance(inner, MaxRetryError) and isinstance(inner.reason, NewConnectionError)
    if isinstance(error, before) or refused:
        return Unreachable(request.service, why)
    if isinstance(error, failed.TooManyRedirects | RuntimeError):
        return Refused(
            request.service, f"it redirects to another host, which must not get our token: {why}"
        )
    return lost(request, why)


def words_in(body: Any, secrets: Iterable[str] = ()) -> str:
    """Return the host's words in an error's body; "" if it is not JSON, e.g. a proxy's page."""
    if not isinstance(body, Mapping):
        return ""
    said = [body.get("message") or body.get("error_description") or body.get("error")]
    if isinstance(body.get("errors"), list):
        said += body["errors"][:3]
    return fit("; ".join(filter(None, map(_plain, said))), secrets)


def fit(text: str, secrets: Iterable[str] = ()) -> str:
    """Return the text on one line of at most 300 characters, without secrets."""
    for secret in secrets:
        if len(secret) >= _SHORTEST_SECRET:
            text = text.replace(secret, "***")
    text = " ".join(harmless(text[:5000], unseen=" ").split())
    return text if len(text) <= _WORDS else text[: _WORDS - 1].rstrip() + "…"


def _plain(said: Any) -> str:
    """Return words from any of the hosts' forms: text, list, `{field: [words]}`."""
    if isinstance(said, Mapping):
        if said.get("message"):
            return str(said["message"])
        return ", ".join(f"{key} {_plain(value)}" for key, value in list(said.items())[:5])
    if isinstance(said, list):
        return ", ".join(map(_plain, said[:5]))
    return "" if said is None else str(said)


def _limited(answer: Answer, words: str) -> bool:
    """Return whether a refusal is a rate limit: GitHub sends 403 or 429, GitLab 429."""
    if answer.status == 403:
        named = "rate limit" in words.lower() or "abuse detection" in words.lower()
        return _spent(answer) or named or "retry-after" in answer.headers
    return answer.status == 429


def _spent(answer: Answer) -> bool:
    """Return whether an answer says that no requests are left; the hosts' headers differ."""
    left = ("x-ratelimit-remaining", "ratelimit-remaining")
    return any(answer.headers.get(name) == "0" for name in left)


def _pause(answer: Answer, now: float) -> Wait:
    """Return how long the answer asks us to wait: `Retry-After`, else until the window ends."""
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
    """Return the host's own time, so a wrong clock here does not distort the pause."""
    try:
        return parsedate_to_datetime(answer.headers["date"]).timestamp()
    except (KeyError, ValueError, OverflowError):
        return now


_adapter: Callable[[Any], TypeAdapter[Any]] = cache(TypeAdapter)


def list_of(entry: type[F]) -> type[list[F]]:
    """Return the form of a list of such entries."""
    return cast("type[list[F]]", GenericAlias(list, (entry,)))


def read(form: type[F], answer: Answer, service: str, *, reads: bool = True) -> F:
    """Return an answer in the expected form.

    Raises:
        Unreachable, Unanswered: it has another; the message never repeats it.
    """
    adapter: TypeAdapter[F] = _adapter(cast("Any", form))
    try:
        return adapter.validate_python(answer.body)
    except ValidationError as error:
        first = explained_one(error.errors(include_url=False)[0], answer.body)
        why = f"unexpected answer: {first}"
        raise lost(Request(service, "GET" if reads else "POST", ""), why) from None
