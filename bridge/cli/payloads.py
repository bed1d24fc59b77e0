"""A webhook as it lies on disk: its host and event from headers, or guessed from the body."""

import json
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bridge.core.errors import MalformedPayload, Rejected

if TYPE_CHECKING:
    from bridge.ports.inbox import Delivery

_REQUEST = re.compile(rb"[A-Z]+ (\S+) HTTP/[0-9.]+\r?\n")
_BLANK = re.compile(rb"\r?\n\r?\n")
_FORM = "application/x-www-form-urlencoded"
_EVENT_HEADERS = {"github": "x-github-event", "gitlab": "x-gitlab-event"}
_GITLAB_EVENTS = {"push": "Push Hook", "tag_push": "Tag Push Hook"}
_OF_PULL_REQUESTS = {
    "review": "pull_request_review",
    "comment": "pull_request_review_comment",
    "thread": "pull_request_review_thread",
}
"""GitHub's events about a part of a pull request, by the field that the part is in."""


@dataclass(frozen=True, slots=True)
class Payload:
    """A webhook to explain.

    Attributes:
        assumed: what was not told but guessed, for people.
    """

    host: str
    event: str
    headers: Mapping[str, str]
    body: bytes
    assumed: tuple[str, ...] = ()


def read_payload(source: str, host: str | None, event: str | None) -> Payload:
    """Read a file, or standard input for "-"; raises Rejected."""
    try:
        raw = sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()
    except OSError as error:
        raise Rejected(f"{source} can't be read: {error.strerror}") from None
    return parse_payload(raw, host, event)


def of_delivery(delivery: "Delivery") -> Payload:
    """A delivery that was kept."""
    return Payload(delivery.host, delivery.event, delivery.headers, delivery.body or b"")


def parse_payload(raw: bytes, host: str | None, event: str | None) -> Payload:
    """Find out host and event; what is told wins over headers, headers over the body.

    Raises:
        Rejected: it can't be told who sent it, or what it is.
    """
    from multidict import CIMultiDict

    from bridge.githosts.github.webhooks import refuse_imitations

    path, headers, body = split_request(raw)
    refuse_imitations(CIMultiDict(headers))
    if not headers and body.startswith(b"payload="):
        headers = {"content-type": _FORM}
    assumed: list[str] = []
    host = host or _told_host(path, headers)
    if host is None:
        host = _guessed_host(_json(body, headers))
        assumed.append(f"--host {host}, from the shape of the body")
    event = event or headers.get(_EVENT_HEADERS[host])
    if event is None:
        event = _guessed_event(host, _json(body, headers))
        assumed.append(f"--event {event!r}, from the shape of the body")
    return Payload(host, event, headers, body, tuple(assumed))


def split_request(raw: bytes) -> tuple[str, dict[str, str], bytes]:
    """Path, headers with names in lower case, and body; a bare body has no path and headers."""
    line = _REQUEST.match(raw)
    if line is None:
        return "", {}, raw
    parts = _BLANK.split(raw[line.end() :], maxsplit=1)
    headers: dict[str, str] = {}
    for one in parts[0].decode("latin-1").splitlines():
        name, _, value = one.partition(":")
        headers[name.strip().lower()] = value.strip()
    return line[1].decode("latin-1"), headers, parts[1] if len(parts) > 1 else b""


def _told_host(path: str, headers: Mapping[str, str]) -> str | None:
    for host, header in _EVENT_HEADERS.items():
        if header in headers or path.rstrip("/").endswith(f"/{host}"):
            return host
    return None


def _guessed_host(data: Mapping[str, Any]) -> str:
    if "object_kind" in data or "event_name" in data:
        return "gitlab"
    repository = data.get("repository")
    if isinstance(repository, dict) and ("full_name" in repository or "owner" in repository):
        return "github"
    if "zen" in data:
        return "github"
    raise Rejected("the body is neither GitHub's nor GitLab's; say who sent it with --host")


def _guessed_event(host: str, data: Mapping[str, Any]) -> str:
    if host == "gitlab":
        kind = data.get("object_kind") or data.get("event_name")
        if kind in _GITLAB_EVENTS:
            return _GITLAB_EVENTS[kind]
        return "System Hook" if kind else _unknown(host)
    if "ref" in data and "before" in data and "after" in data:
        return "cache_sync" if "cache_location" in data else "push"
    if "ref" in data and "ref_type" in data:
        return "create" if "master_branch" in data else "delete"
    if isinstance(data.get("pull_request"), dict):
        parts = (event for part, event in _OF_PULL_REQUESTS.items() if part in data)
        return next(parts, "pull_request")
    return "ping" if "zen" in data else _unknown(host)


def _unknown(host: str) -> str:
    header = _EVENT_HEADERS[host]
    raise Rejected(f"the body does not tell its event; give --event, as in the header {header}")


def _json(body: bytes, headers: Mapping[str, str]) -> Mapping[str, Any]:
    from urllib.parse import parse_qs

    if headers.get("content-type", "").startswith(_FORM):
        body = parse_qs(body).get(b"payload", [b""])[0]
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        raise MalformedPayload("the payload is no JSON; is it the right file?") from None
    if not isinstance(data, dict):
        raise MalformedPayload("the payload must be a JSON object")
    return data
