"""What an answer of Dokploy means: fine, or which error of ours. Pure.

    2xx                     fine; `{"success": false}` → Refused
    3xx                     Refused: we follow no redirect, it names where to
    401 without `code`      KeyRefused: unknown, disabled, expired or exhausted key
    401 with `code`, 403    Forbidden: the key lacks a permission, `data.path` names it
    408, 425, 429           Unreachable: nothing was done; 503 with Retry-After the same
    404 of a proxy          Unreachable: Dokploy itself was not asked
    other 4xx               Refused, with the server's words
    5xx                     Unreachable when reading, else Unanswered; but an unknown
                            provider id (a failed query on a save) is Refused

Source: facts.md, "Errors", and the recorded exchanges named there.
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

from bridge.backends.dokploy.words import WITHHELD, fit
from bridge.core.errors import BridgeError, Refused, Unanswered, Unreachable

_LONGEST_WAIT = 3600.0  # of a Retry-After; more is a mistake, and would look like a hang
_PROXY_404 = re.compile(rb"404 page not found|<html|<!doctype", re.IGNORECASE)
_PROVIDER_IDS = ("githubId", "gitlabId", "customGitSSHKeyId")
_SAVES_PROVIDER = re.compile(r"application\.save\w+Provider|(?:application|compose)\.update")


class KeyRefused(Refused):
    """The key itself is not accepted, whatever is asked."""


class Forbidden(Refused):
    """The key is good but lacks a permission, or has no access to this service."""


@dataclass(frozen=True, slots=True)
class Call:
    """What was asked, as far as it matters for reading the answer.

    Attributes:
        path: e.g. "application.deploy".
        body: as sent; None for a read.
        key_worked: this key has been accepted before in this process.
        secrets: never to be repeated.
    """

    service: str
    path: str
    body: Mapping[str, Any] | None = field(repr=False)
    auth: str
    key_worked: bool
    secrets: tuple[str, ...] = field(repr=False)

    @property
    def reads(self) -> bool:
        """Whether it changes nothing, so that asking again is always safe."""
        return self.body is None

    def lost(self, why: str) -> BridgeError:
        """The error for an answer that did not come or can't be read."""
        why = f"{self.path}: {why}"
        return Unreachable(self.service, why) if self.reads else Unanswered(self.service, why)


def error_in(
    call: Call, status: int, headers: Mapping[str, str], body: bytes, now: float
) -> BridgeError | None:
    """The error that an answer means; None for a 2xx.

    Args:
        headers: names in lower case, or a mapping that does not mind.
        now: seconds since 1970, for a Retry-After that is a date.
    """
    if 200 <= status < 300:
        return None
    if 300 <= status < 400:
        return _redirected(call, status, headers.get("location", ""))
    said = _parsed(body)
    words = _words(call, said, body) or f"HTTP {status}"
    if status in (408, 425, 429) or (status == 503 and "retry-after" in headers):
        wait = retry_after(headers.get("retry-after"), now)
        return Unreachable(call.service, f"it answered {status}: {words}", retry_after=wait)
    if status >= 500:
        return _unknown_provider(call, said) or call.lost(f"it answered {status}: {words}")
    if status == 401 and "code" not in said:
        return KeyRefused(call.service, _about_the_key(call), status=status)
    if status in (401, 403):
        path = _path_in(said) or call.path
        return Forbidden(
            call.service, f"the key lacks a permission for {path}: {words}", status=status
        )
    if status == 404 and not said and _PROXY_404.search(body[:2000]):
        why = "a proxy answered 404, not Dokploy itself; is it starting, is the url right?"
        return Unreachable(call.service, f"{call.path}: {why}")
    return Refused(call.service, words, status=status)


def refusal_in(call: Call, body: bytes) -> tuple[Refused | None, str]:
    """Read the 2xx answer to a mutation: its refusal, if it is one, and its message.

    An empty body, a bare `true`, `{"success": true}` and a whole record are all "accepted".

    Raises:
        Unanswered: it is no JSON, so we can't know who answered.
    """
    if not body.strip():
        return None, ""
    try:
        said = json.loads(body)
    except ValueError:
        raise call.lost("the answer is no JSON") from None
    message = said.get("message") if isinstance(said, dict) else None
    words = fit(message, call.secrets) if isinstance(message, str) else ""
    if said is False or (isinstance(said, dict) and said.get("success") is False):
        return Refused(call.service, words or f"{call.path}: success is false", status=200), words
    return None, words


def retry_after(value: str | None, now: float) -> float | None:
    """Seconds to wait, from a number or an HTTP date; None where it says nothing usable."""
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


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        said = json.loads(body)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _words(call: Call, said: Mapping[str, Any], body: bytes) -> str:
    message = said.get("message")
    if not isinstance(message, str):
        # "Invalid JSON" comes as plain text; a JSON answer without a message says nothing.
        message = "" if said else body[:2000].decode(errors="replace")
    fields = _field_errors(said)
    return fit(f"{message}: {fields}" if fields else message, call.secrets)


def _field_errors(said: Mapping[str, Any]) -> str:
    """`branch: Invalid string; owner: …`, from zod's list of what is wrong."""
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


def _about_the_key(call: Call) -> str:
    if call.key_worked:
        return (
            "the API key worked before and is refused now: probably it is exhausted. Keys made "
            "without rateLimitEnabled: false allow ten checks a day; make one without that "
            "limit. It may also have been disabled or have expired"
        )
    hint = "" if call.auth == "api-key" else "; self-hosted servers only take auth: api-key"
    return f"the API key is wrong, disabled, expired or exhausted{hint}"


def _redirected(call: Call, status: int, location: str) -> Refused:
    to = urlsplit(location)
    where = f" to {to.scheme}://{to.hostname}" if to.scheme and to.hostname else ""
    return Refused(
        call.service,
        f"{call.path} was redirected{where} ({status}); redirects are not followed, "
        "so that the key stays here: put the right address into url",
        status=status,
    )


def _unknown_provider(call: Call, said: Mapping[str, Any]) -> Refused | None:
    """Dokploy answers 500 with SQL when a save names a provider or key that it does not have."""
    message = said.get("message")
    if call.body is None or not isinstance(message, str):
        return None
    if not message.startswith("Failed query: update") or not _SAVES_PROVIDER.fullmatch(call.path):
        return None
    given = [name for name in _PROVIDER_IDS if call.body.get(name)]
    if not given:
        return None
    named = ", ".join(f"{name} {fit(str(call.body[name]), call.secrets)!r}" for name in given)
    words = f"it could not save this; most likely it has no {named} (HTTP 500; {WITHHELD})"
    return Refused(call.service, words, status=500)
