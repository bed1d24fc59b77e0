"""Read a webhook from a file, for `explain`: its host and event from headers, or from its body."""

import json
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bridge.cli.context import found
from bridge.core.errors import MalformedPayload, Rejected
from bridge.core.validation_errors import shortened
from bridge.githosts import HOSTS

if TYPE_CHECKING:
    from bridge.core.events import Event
    from bridge.pipeline.deciding.what_if import Told
    from bridge.ports.providers import Provider
    from bridge.settings import Settings

HostOption = Annotated[
    str | None,
    typer.Option(
        "--host",
        metavar="HOST",
        help=f"The service that sent it: {', '.join(HOSTS)}, or a further server.",
        show_default="guessed",
    ),
]
EventOption = Annotated[
    str | None,
    typer.Option("--event", help="Its event, as in the header.", show_default="guessed"),
]


def told_by_file(settings: "Settings", given: Mapping[str, Any]) -> "Told | None":
    """Return the webhook in a file, or on standard input for "-"; None if there is no such file."""
    from bridge.pipeline.deciding.what_if import Told

    source = str(given["delivery"])
    if source != "-" and not found(Path(source).is_file):
        return None
    read = _read(source, given.get("host"), given.get("event"), settings)
    return Told(read.host, read.event, _meaning_of(read, settings), read.assumed)


def _read(source: str, host: str | None, event: str | None, settings: "Settings") -> "Payload":
    """Read a file; of several servers of a host, its repository's address tells which sent it."""
    from bridge.core.events import FromRepository, kind_of

    servers = settings.host_servers()
    records = {name: one.provider for name, one in servers.items()}
    try:
        raw = sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()
    except OSError as error:
        raise Rejected(f"{source} can't be read: {error.strerror}") from None
    payload = parse_payload(raw, host, event, records)
    alike = [one for name, one in servers.items() if kind_of(name) == payload.host]
    if host is not None or len(alike) < 2:
        return payload
    said = records[payload.host].reader().parse(payload.event, payload.headers, payload.body)
    if isinstance(said, FromRepository):
        for one in alike:
            if any(map(said.repository.is_at, one.addresses)):
                return replace(payload, host=one.name)
    return payload


def _meaning_of(payload: "Payload", settings: "Settings") -> "Event":
    """Return its meaning; raise MalformedPayload, or Rejected for another server's repository."""
    from bridge.core.events import FromRepository, kind_of
    from bridge.githosts.server import OwnRepositories

    reader = HOSTS[kind_of(payload.host)].reader()
    event = reader.parse(payload.event, payload.headers, payload.body)
    if not isinstance(event, FromRepository):
        return event
    repository = replace(event.repository, host=payload.host)
    server = settings.host_servers().get(payload.host)
    if server is not None and server.serves:
        repository = OwnRepositories(server)(repository)
    return replace(event, repository=repository)


_REQUEST = re.compile(rb"[A-Z]+ (\S+) HTTP/[0-9.]+\r?\n")
_BLANK = re.compile(rb"\r?\n\r?\n")
_FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Payload:
    """A webhook to explain.

    Attributes:
        assumed: the guesses, for people.
    """

    host: str
    event: str
    headers: Mapping[str, str]
    body: bytes
    assumed: tuple[str, ...] = ()


def parse_payload(
    raw: bytes,
    host: str | None,
    event: str | None,
    servers: "Mapping[str, Provider]" = HOSTS,
) -> Payload:
    """Determine host and event; options override headers, and headers the body.

    Args:
        servers: the record of each server, by name.

    Raises:
        Rejected: its sender or its event can't be determined.
    """
    from bridge.core.refused import first_of, imitators

    if host is not None and host not in servers:
        known = ", ".join(servers)
        raise Rejected(f"--host {shortened(host)} is none of {known}; name one of them")
    path, headers, body = split_request(raw)
    if not headers and body.startswith(b"payload="):
        headers = {"content-type": _FORM}
    assumed: list[str] = []
    host = host or _told_server(path, headers, servers)
    if host is None:
        host = _guessed_host(_json(body, headers))
        assumed.append(f"--host {host}, from the shape of the body")
    provider = servers[host]
    if (odd := first_of(headers, imitators(provider, HOSTS))) is not None:
        raise Rejected(f"{odd} is not a header of {provider.title}'s: leave out --host {host}")
    event = event or headers.get(provider.event_header.lower())
    if event is None:
        event = provider.event_of(_json(body, headers))
        if event is None:
            raise Rejected(
                "the body does not show its event; give --event, as in the header"
                f" {provider.event_header.lower()}"
            )
        assumed.append(f"--event {event!r}, from the shape of the body")
    return Payload(host, event, headers, body, tuple(assumed))


def split_request(raw: bytes) -> tuple[str, dict[str, str], bytes]:
    """Return path, headers with lower-case names, and body; a bare body has no path or headers."""
    line = _REQUEST.match(raw)
    if line is None:
        return "", {}, raw
    parts = _BLANK.split(raw[line.end() :], maxsplit=1)
    headers: dict[str, str] = {}
    for one in parts[0].decode("latin-1").splitlines():
        name, _, value = one.partition(":")
        headers[name.strip().lower()] = value.strip()
    return line[1].decode("latin-1"), headers, parts[1] if len(parts) > 1 else b""


def _told_server(
    path: str, headers: Mapping[str, str], servers: "Mapping[str, Provider]"
) -> str | None:
    """Return the server that the headers and the path name; the headers name only its kind."""
    from multidict import CIMultiDict

    from bridge.core.events import kind_of
    from bridge.core.refused import sender_of

    kind = sender_of(CIMultiDict(headers), HOSTS)
    named = (one for one in servers if path.rstrip("/").endswith(f"/{one}"))
    return next((one for one in named if kind in (kind_of(one), None)), kind)


def _guessed_host(body: Mapping[str, Any]) -> str:
    likest = max(HOSTS.values(), key=lambda one: one.likeness(body))
    if likest.likeness(body):
        return likest.key
    titles = " nor ".join(f"{one.title}'s" for one in HOSTS.values())
    raise Rejected(f"the body is neither {titles}; name the sender with --host")


def _json(body: bytes, headers: Mapping[str, str]) -> Mapping[str, Any]:
    from urllib.parse import parse_qs

    if headers.get("content-type", "").startswith(_FORM):
        body = parse_qs(body).get(b"payload", [b""])[0]
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        raise MalformedPayload("the payload is not JSON; is it the right file?") from None
    if not isinstance(data, dict):
        raise MalformedPayload("the payload must be a JSON object")
    return data
