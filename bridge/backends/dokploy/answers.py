"""The meaning of every answer of Dokploy, in one table, `TABLE`, with texts safe to show. Pure.

    yes        it was done
    no         Refused, Forbidden: understood and not done; a retry changes nothing
    away       Unreachable: nothing was done; retry later
    not it     NotDokploy: nothing was done; it may be starting, or the url is wrong
    unknown    it may have been done: Unreachable for a read, Unanswered for a change
    doubtful   two possible causes, a bad key or a database that is away; `key_check` decides

The first row that fits counts. A contract test replays every recorded answer of a real
server and names its row. Source: docs/dokploy.md, "Errors", "401" and "The database away".
"""

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from enum import StrEnum
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from bridge.core.configuration.fields import FIELDS
from bridge.core.errors import BridgeError, Refused, Unanswered, Unreachable, WrongServer
from bridge.core.large_json import load_large
from bridge.core.log_text import harmless

LIMIT = 300
WITHHELD = "it reported an internal error; its own log has the details"

# Each pattern begins with literal characters, so that a long hostile text costs one pass.
_UNFIT = re.compile(
    r"""
    failed\ query | \bparams:\s
    | \bselect\s[^;]{1,2000}?\sfrom\s+["`\w]
    | \binsert\s+into\s | \bdelete\s+from\s | \bupdate\s+["`\w.]+\s+set\s
    | \breturning\s+["`] | \bwhere\s+["`] | \bsqlstate\b | \bsyntax\ error\ at\ or\ near\b
    | \bviolates\s[\w\s-]{1,60}constraint | \bduplicate\ key\ value\b
    | \b(?:relation|column|table)\s+"[^"]{1,200}"\s+(?:does\ not|of\ relation)
    | \b(?:postgres|drizzle|sqlite)\w{0,10}error\b
    | <!doctype | </?(?:html|head|body|title|div|span|script|pre|center|h[1-6]|p|br|hr)\b
    | traceback\ \(most\ recent | \bFile\ "[^"]{1,300}",\ line\ \d
    | \n\s{1,20}at\s | \bat\s[^\n]{0,200}\(?[^\s()]{1,200}:\d+:\d+\)? | node_modules/
    | \.[cm]?[jt]sx?:\d+:\d+ | -----BEGIN
    """,
    re.IGNORECASE | re.VERBOSE,
)
_SECRET = re.compile(
    r"""
    (?<=://)[^\s/@]{1,500}(?=@)
    | \b(?:gh[a-z]_|github_pat_|glpat-|gloas-|xox[a-z]-|bearer\s+)[\w.~+/=-]{6,500}
    | (?<=key=)[^\s&]+ | (?<=token=)[^\s&]+ | (?<=password=)[^\s&]+
    """,
    re.IGNORECASE | re.VERBOSE,
)
_READ_AT_MOST = 5_000
_SHORTEST_SECRET = 4  # a shorter one occurs in any text, and hiding it there would reveal it


def fit(text: str, secrets: Iterable[str] = ()) -> str:
    """Return the text on one line of at most 300 characters, or `WITHHELD` if it is not safe.

    Args:
        secrets: values to hide, such as the key that was sent.
    """
    text = text[:_READ_AT_MOST]
    if _UNFIT.search(text):
        return WITHHELD
    for secret in secrets:
        if len(secret) >= _SHORTEST_SECRET:
            text = text.replace(secret, "***")
    text = " ".join(harmless(_SECRET.sub("***", text), unseen=" ").split())
    return text if len(text) <= LIMIT else text[: LIMIT - 1].rstrip() + "…"


# ── Answers ─────────────────────────────────────────────────────────────────────────────────────

_LONGEST_WAIT = (
    3600.0  # limit of a Retry-After; a longer one is a mistake and would look like a hang
)
_NO_SUCH_PATH = (404, 405, 410, 501)
_GATEWAY = {502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Timeout"}
_PAGE = re.compile(rb"\s*<(?:html|!doctype)", re.IGNORECASE)
_JSON = re.compile(rb"\s*[\[{\"\d-]|\s*(?:true|false|null)\b")
_PROVIDER_IDS = (*FIELDS["provider_id"].columns.values(), *FIELDS["ssh_key_id"].columns.values())
_SAVES_PROVIDER = re.compile(r"application\.save\w+Provider|(?:application|compose)\.update")
_FAILED_QUERY = "Failed query"


class Forbidden(Refused):
    """The key is valid but lacks a permission, or access to this service."""


class UnlessGone:
    """Suppress a 404 in a block about something that may be gone."""

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        return isinstance(error, Refused) and error.status == 404


class NotDokploy(WrongServer):
    """A server that is not Dokploy answered."""

    def __init__(self, service: str, why: str) -> None:
        super().__init__(service, why)
        self.args = (f"{service}: {why}",)


class Means(StrEnum):
    """The meaning of an answer; see the top of this file."""

    YES = "yes"
    NO = "no"
    FORBIDDEN = "forbidden"
    AWAY = "away"
    NOT_IT = "not it"
    UNKNOWN = "unknown"
    KEY_OR_DATABASE = "key or database"
    KEY = "key"
    PROVIDER_OR_DATABASE = "provider or database"


@dataclass(frozen=True, slots=True)
class Call:
    """A request, as far as it matters for reading the answer.

    Attributes:
        path: e.g. "application.deploy".
        body: as sent; None for a read.
        secrets: values that errors must not repeat.
        below: the path in the server's url; "" if it has none.
    """

    service: str
    path: str
    body: Mapping[str, Any] | None = field(repr=False)
    auth: str
    secrets: tuple[str, ...] = field(repr=False)
    below: str = ""

    @property
    def reads(self) -> bool:
        """True for a call that changes nothing, so that a retry is always safe."""
        return self.body is None

    def lost(self, why: str) -> BridgeError:
        """Return the error for an answer that is missing or unreadable."""
        why = f"{self.path}: {why}"
        return Unreachable(self.service, why) if self.reads else Unanswered(self.service, why)

    def not_dokploy(self, what: str) -> NotDokploy:
        """Return the error for an answer that is none of Dokploy's, e.g. "answered 404"."""
        why = f"a proxy or another server {what}, not Dokploy itself; is it starting, is the url"
        return NotDokploy(self.service, f"{self.path}: {why} right?{self._about_the_url()}")

    def _about_the_url(self) -> str:
        if self.below.endswith("/api"):
            return f" The url ends with {self.below}/api; /api is added to it anyway: leave it out."
        if self.below:
            path = fit(self.below, self.secrets)
            return f" The url has the path {path}; leave it out unless Dokploy is served below it."
        return ""


@dataclass(frozen=True)
class Answer:
    """An answer to a call.

    Attributes:
        headers: with names in lower case, or case-insensitive.
    """

    call: Call
    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    @cached_property
    def said(self) -> Mapping[str, Any]:
        """The JSON object in the body; empty for anything else."""
        try:
            said = json.loads(self.body)
        except (ValueError, RecursionError):
            return {}
        return said if isinstance(said, dict) else {}

    @property
    def code(self) -> object:
        """E.g. "UNAUTHORIZED"; None if no procedure has answered."""
        return self.said.get("code")

    @property
    def message(self) -> str:
        """Dokploy's own message, not safe to show; "" if there is none."""
        message = self.said.get("message")
        return message if isinstance(message, str) else ""

    @property
    def words(self) -> str:
        """The server's words, safe to show; e.g. "HTTP 502" if there are none."""
        if self.is_page:
            return "a web page came, not JSON"
        # "Invalid JSON" comes as plain text; a JSON answer without a message has no words.
        message = self.message or ("" if self.said else self.body[:2000].decode(errors="replace"))
        fields = _field_errors(self.said)
        shown = fit(f"{message}: {fields}" if fields else message, self.call.secrets)
        return shown or f"HTTP {self.status}"

    @property
    def is_page(self) -> bool:
        """True for a web page; Dokploy itself answers JSON or a few plain words."""
        return not self.said and _PAGE.match(self.body[:2000]) is not None

    @property
    def asks_for_a_login(self) -> bool:
        """True for a 401 that only a proxy sends; Dokploy's has a message and no such header."""
        return self.is_page or "www-authenticate" in self.headers


@dataclass(frozen=True, slots=True)
class Row:
    """A kind of answer.

    Attributes:
        name: of the row, for tests and readers.
        fits: tells whether an answer is of this kind.
    """

    name: str
    means: Means
    fits: Callable[[Answer], bool]


TABLE = (
    Row("done", Means.YES, lambda a: 200 <= a.status < 300),
    # No redirect is followed: it would send the key to another host.
    Row("redirected", Means.NO, lambda a: 300 <= a.status < 400),
    Row("not now", Means.AWAY, lambda a: a.status in (408, 425, 429)),
    Row("not now", Means.AWAY, lambda a: a.status == 503 and "retry-after" in a.headers),
    # A proxy in front of Dokploy; Dokploy itself was not asked.
    Row("proxy", Means.NOT_IT, lambda a: a.status in (401, 403) and a.asks_for_a_login),
    # Dokploy names a code, even for an unknown procedure.
    Row(
        "not dokploy",
        Means.NOT_IT,
        lambda a: a.status in _NO_SUCH_PATH and not isinstance(a.code, str),
    ),
    # Byte for byte the same for a wrong, disabled, expired or exhausted key, and for any key while
    # the database is away.
    Row("not let in", Means.KEY_OR_DATABASE, lambda a: a.status == 401 and a.code is None),
    # The key is verified twice. If only the second check fails, no procedure has run.
    Row(
        "not let in twice",
        Means.KEY_OR_DATABASE,
        lambda a: a.status == 401 and a.message == a.code == "UNAUTHORIZED",
    ),
    # The database has answered: the key's user is no longer in any organisation.
    Row("key of nobody", Means.KEY, lambda a: a.status == 401 and a.message == "Permission denied"),
    Row("no permission", Means.FORBIDDEN, lambda a: a.status in (401, 403)),
    # Dokploy answers a save with an unknown provider with the failed SQL.
    Row(
        "save failed",
        Means.PROVIDER_OR_DATABASE,
        lambda a: a.message.startswith(f"{_FAILED_QUERY}: update") and bool(_named_providers(a)),
    ),
    # Any status: some procedures wrap an internal error in a 400.
    Row("query failed", Means.UNKNOWN, lambda a: _FAILED_QUERY in a.message),
    Row("nothing to save", Means.NO, lambda a: a.status == 500 and a.message == "No values to set"),
    Row(
        "nothing runs",
        Means.NO,
        lambda a: a.status == 500 and a.message.startswith("No container or service found"),
    ),
    Row("refused", Means.NO, lambda a: 400 <= a.status < 500),
    Row("failed unexpectedly", Means.UNKNOWN, lambda a: a.status >= 100),
)


def row_of(answer: Answer) -> Row:
    """Return the row of `TABLE` that fits an answer."""
    return next(row for row in TABLE if row.fits(answer))


def error_in(answer: Answer, means: Means, now: float) -> BridgeError | None:
    """Return the error that an answer means; None for a yes.

    Args:
        means: any meaning that `key_check` need not decide.
        now: seconds since 1970, to read a Retry-After that is a date.
    """
    call, status = answer.call, answer.status
    match means:
        case Means.YES:
            return None
        case Means.NO if 300 <= status < 400:
            return _redirected(answer)
        case Means.NO:
            return Refused(call.service, answer.words, status=status)
        case Means.FORBIDDEN:
            path = _path_in(answer.said) or call.path
            words = f"the key lacks a permission for {path}: {answer.words}"
            return Forbidden(call.service, words, status=status)
        case Means.NOT_IT:
            return call.not_dokploy(f"answered {status}")
        case Means.AWAY:
            wait = retry_after(answer.headers.get("retry-after"), now)
            why = f"it answered {status}: {answer.words}"
            return Unreachable(call.service, why, retry_after=wait)
        case _ if status in _GATEWAY and not answer.said:
            why = f"a proxy answered {status} ({_GATEWAY[status]}): it got no answer from Dokploy"
            return call.lost(f"{why}; is Dokploy running?")
        case _:
            return call.lost(f"it answered {status}: {answer.words}")


def instead_of_json(body: bytes) -> str | None:
    """Describe an answer without JSON, e.g. "sent a web page"; None if it looks like JSON."""
    if not body.strip():
        return "sent an empty answer"
    if _PAGE.match(body[:2000]):
        return "sent a web page"
    return None if _JSON.match(body[:2000]) else "sent plain text"


def no_such_provider(answer: Answer) -> Refused:
    """Return the error for a save that failed although the database works."""
    named = ", ".join(
        f"{name} {fit(str(value), answer.call.secrets)!r}"
        for name, value in _named_providers(answer).items()
    )
    words = f"it could not save this; most likely it has no {named} (HTTP 500; {WITHHELD})"
    return Refused(answer.call.service, words, status=answer.status)


def refusal_in(call: Call, body: bytes) -> tuple[Refused | None, str]:
    """Return the refusal in a 2xx answer to a change, if any, and its message.

    An empty body, a bare `true`, a text, `{"success": true}` and a whole record are all "accepted";
    the text is the message.

    Raises:
        Unanswered: it is not JSON, so its sender is unknown.
    """
    if not body.strip():
        return None, ""
    try:
        said = load_large(body)
    except (ValueError, RecursionError):
        what = instead_of_json(body) or "sent broken JSON"
        raise call.lost(f"{what.removeprefix('sent ')} came instead of Dokploy's JSON") from None
    message = said.get("message") if isinstance(said, dict) else said
    words = fit(message, call.secrets) if isinstance(message, str) else ""
    if said is False or (isinstance(said, dict) and said.get("success") is False):
        return Refused(call.service, words or f"{call.path}: success is false", status=200), words
    return None, words


def retry_after(value: str | None, now: float) -> float | None:
    """Parse seconds to wait, from a number or an HTTP date; None if it is neither."""
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            date = parsedate_to_datetime(value)
        except ValueError:
            return None
        seconds = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - now
    if math.isnan(seconds):
        return None
    return min(max(seconds, 0.0), _LONGEST_WAIT)


def _field_errors(said: Mapping[str, Any]) -> str:
    """Return e.g. `branch: Invalid string; owner: …`, from zod's list of faults."""
    data = said.get("data")
    zod = data.get("zodError") if isinstance(data, dict) else None
    fields = zod.get("fieldErrors") if isinstance(zod, dict) else None
    if not isinstance(fields, dict):
        return ""
    return "; ".join(
        f"{name}: {problems[0]}"
        for name, problems in fields.items()
        if isinstance(problems, list) and problems
    )


def _path_in(said: Mapping[str, Any]) -> str | None:
    data = said.get("data")
    path = data.get("path") if isinstance(data, dict) else None
    return fit(path) if isinstance(path, str) else None


def _named_providers(answer: Answer) -> dict[str, Any]:
    """Return the providers and keys that a save names; none if it is no save."""
    call = answer.call
    if call.body is None or not _SAVES_PROVIDER.fullmatch(call.path):
        return {}
    return {name: call.body[name] for name in _PROVIDER_IDS if call.body.get(name)}


def _redirected(answer: Answer) -> Refused:
    call, status = answer.call, answer.status
    return Refused(
        call.service,
        f"{call.path} was redirected{_where_to(answer)} ({status}); redirects are not followed, "
        "so that the key stays here: put the right address into url",
        status=status,
    )


def _where_to(answer: Answer) -> str:
    """Return a redirect's target, e.g. " to https://example.com", without its path or query."""
    location = answer.headers.get("location", "")
    try:
        to = urlsplit(location)
        host = to.hostname
    except ValueError:
        return ", to an invalid address"
    if to.scheme and host:
        return f" to {to.scheme}://{fit(host, answer.call.secrets)}"
    return " to another page of the same server" if location.startswith("/") else ""
