"""Webhooks of our own: whose repositories each speaks for, who vouches, and what is wrong."""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import islice
from typing import NamedTuple, Self
from urllib.parse import SplitResult, unquote, urlsplit

from bridge.core.errors import Rejected
from bridge.core.events import Repository
from bridge.core.refs import is_on_disk

SIGNED_FOR = "bridge-signed-for"
"""Kept with a delivery's headers: the scope of the secret that has signed it. Without it, the
secret speaks for all repositories."""

SIGNED_WITH = "bridge-signed-with"
"""Kept with a delivery's headers: the fingerprint of that secret."""


class ScopeKind(StrEnum):
    """Where a webhook is configured."""

    REPOSITORY = "repository"
    OWNER = "owner"
    APP = "app"


@dataclass(frozen=True, slots=True)
class Scope:
    """The repositories that a webhook reports.

    Attributes:
        name: of the repository, or of the organisation, group or user that owns several, e.g.
            "my-org/mono" or "group/sub"; "" for an App.
        id: the host's id, which survives renames; "" if only the name is known.
    """

    kind: ScopeKind
    name: str
    id: str = ""

    def covers(self, repository: Repository) -> bool:
        """Return whether a repository is one of them; names count only without ids."""
        if self.kind is ScopeKind.REPOSITORY and self.id:
            return repository.id == self.id
        if self.kind is ScopeKind.OWNER and self.id and repository.owner_id:
            return repository.owner_id == self.id
        return self.names(repository)

    def names(self, repository: Repository) -> bool:
        """Return whether a repository is one of them by its name."""
        name, own = repository.name.casefold(), self.name.casefold()
        if self.kind is ScopeKind.REPOSITORY:
            return name == own
        return self.kind is ScopeKind.APP or name.startswith(f"{own}/")

    def __str__(self) -> str:
        if self.kind is ScopeKind.APP:
            return "the App"
        return self.name if self.kind is ScopeKind.REPOSITORY else f"{self.name}/*"

    def written(self) -> str:
        """Return it as one line of text."""
        return f"{self.kind} {self.id or '-'} {self.name}"

    @classmethod
    def read(cls, text: str) -> Self:
        """Read what `written` returned; raise Rejected."""
        kind, _, rest = text.partition(" ")
        id_, _, name = rest.partition(" ")
        try:
            return cls(ScopeKind(kind), name, "" if id_ == "-" else id_)
        except ValueError:
            raise Rejected(f"which secret signed it can't be read: {text[:100]!r}") from None


def scope_named(name: str) -> Scope:
    """Return what `owner/name` or `owner/*` stands for."""
    if name.endswith("/*"):
        return Scope(ScopeKind.OWNER, name.removesuffix("/*"))
    return Scope(ScopeKind.REPOSITORY, name)


def without_name(written: str) -> str:
    """Return a written scope without its name, if it has an id: a new name is no new scope."""
    kind, id_, _ = written.split(" ", 2)
    return written if id_ == "-" else f"{kind} {id_}"


@dataclass(frozen=True, slots=True)
class SignedBy:
    """The secret that has signed a delivery.

    Attributes:
        headers: what is kept of it with the delivery.
    """

    headers: Mapping[str, str]


def signed_by(scope: Scope, secret: str) -> SignedBy:
    """Return what is kept of a secret; that of an App speaks for every repository."""
    kept = {SIGNED_WITH: fingerprint(secret)}
    if scope.kind is not ScopeKind.APP:
        kept[SIGNED_FOR] = scope.written()
    return SignedBy(kept)


def fingerprint(secret: str) -> str:
    """Return a name for a random secret that does not reveal it."""
    return hashlib.sha256(b"dokploy-bridge hook\0" + secret.encode()).hexdigest()[:16]


# ── A webhook at its Git host ───────────────────────────────────────────────────────────────────

_PORTS = {"https": 443, "http": 80}


@dataclass(frozen=True, slots=True)
class HostHook:
    """A webhook as its Git host shows it.

    Attributes:
        missing: events that the bridge needs and the webhook does not send, in the host's terms.
        as_json: it sends JSON, not a form.
        trouble: why the host sends nothing, or how the last delivery failed.
        signs: it has what signs its payloads.
    """

    scope: Scope
    id: str
    url: str
    active: bool = True
    missing: tuple[str, ...] = ()
    as_json: bool = True
    checks_tls: bool = True
    trouble: str | None = None
    signs: bool = True


def is_ours(url: str, public_url: str) -> bool:
    """Return whether a URL is of this bridge, whatever its scheme and the rest of its path."""
    theirs, ours = _split(url), _split(public_url)
    if theirs is None or ours is None or _server(theirs)[1:] != _server(ours)[1:]:
        return False
    return f"{theirs.path}/".startswith(f"{ours.path.rstrip('/')}/")


def may_be_ours(url: str, path: str) -> bool:
    """Return whether a URL may be of a bridge whose own address is not known: its path says so."""
    theirs = _split(url)
    return theirs is not None and theirs.scheme in _PORTS and theirs.path.endswith(path)


def same_url(one: str, other: str) -> bool:
    """Return whether two URLs lead to the same place."""
    first, second = _split(one), _split(other)
    if first is None or second is None:
        return one == other
    return _server(first) == _server(second) and _path(first) == _path(second)


def shown_url(url: str, *, whole: bool = True) -> str:
    """Return a URL without login and query; without its path as well, which may be a secret."""
    parts = _split(url)
    if parts is None:
        return "(no address)"
    scheme, host, port = _server(parts)
    server = f"{scheme}://{host}" + (f":{port}" if port else "")
    return f"{server}{parts.path}" if whole else f"{server}/…"


def faults(hook: HostHook, url: str) -> Iterator[str]:
    """Yield what is wrong with a webhook of this bridge."""
    sent, wanted = _split(hook.url), _split(url)
    if sent is not None and wanted is not None and not same_url(hook.url, url):
        if _path(sent) == _path(wanted):
            yield f"it sends to {sent.scheme}://…, and the bridge is at {url}"
        else:
            yield f"it sends to the wrong path, {sent.path or '/'} instead of {wanted.path}"
    if not hook.active:
        yield "it is switched off"
    if hook.missing:
        yield f"it does not send {', '.join(hook.missing)}"
    if not hook.as_json:
        yield "it sends a form instead of JSON"
    if not hook.checks_tls and url.startswith("https:"):
        yield "it does not check the bridge's certificate (SSL verification is off)"
    if hook.trouble:
        yield hook.trouble


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url.strip())
        _ = parts.port
    except ValueError:
        return None
    return parts if parts.hostname else None


def _server(parts: SplitResult) -> tuple[str, str, int | None]:
    """Return scheme, host and port; the port is None if it is the scheme's own."""
    port = None if parts.port == _PORTS.get(parts.scheme) else parts.port
    return parts.scheme, (parts.hostname or "").rstrip("."), port


def _path(parts: SplitResult) -> str:
    query = f"?{parts.query}" if parts.query else ""
    return parts.path.rstrip("/") + query


# ── which repositories a body names, before it is verified ───────────────────────────────────────

MOST = 64
"""The most names, and the most ids, to read; hosts send a few."""

MOST_LOOKED_AT = 4096
"""The most places to look at that may be a name."""


class _Syntax(NamedTuple):
    """The syntax of names and ids in a body."""

    fields: Sequence[bytes]
    escape: bytes
    value: re.Pattern[bytes]
    id: re.Pattern[bytes]


_JSON = _Syntax(
    (b'"full_name"', b'"path_with_namespace"'),
    b"\\",
    re.compile(rb'\s{0,8}:\s{0,8}"([^"\\]{1,400})"'),
    re.compile(rb'id"\s{0,8}:\s{0,8}([0-9]{1,20})\b'),
)
_FORM = _Syntax(
    (b"%22full_name%22",),
    b"%5C",
    re.compile(rb"\+{0,8}%3A\+{0,8}%22((?:[\w.-]|%2F){1,400})%22", re.IGNORECASE),
    re.compile(rb"id%22\+{0,8}%3A\+{0,8}([0-9]{1,20})(?![0-9])", re.IGNORECASE),
)
"""JSON in the field of a form, as GitHub can send it; it is not decoded, which takes long."""

_FIELD = b"payload="


@dataclass(frozen=True, slots=True)
class Named:
    """The names of repositories in a body, in lower case, and all ids in it."""

    names: frozenset[str]
    ids: frozenset[str]

    def by_name(self, scope: Scope) -> bool:
        """Return whether a scope covers one of the names."""
        own = scope.name.casefold()
        if scope.kind is ScopeKind.OWNER:
            return any(name.startswith(f"{own}/") for name in self.names)
        return own in self.names

    def by_id(self, scope: Scope) -> bool:
        """Return whether one of the ids may be its own: repositories and owners are renamed."""
        return scope.id in self.ids


def named_in(body: bytes | bytearray) -> Named:
    """Return what a body names: JSON, or a form with JSON in it."""
    syntax = _FORM if body.startswith(_FIELD) else _JSON
    names = islice(_names(body, syntax), MOST)
    ids = islice(syntax.id.finditer(body), MOST)
    return Named(frozenset(names), frozenset(one[1].decode() for one in ids))


def _names(body: bytes | bytearray, syntax: _Syntax) -> Iterator[str]:
    looks, escape = MOST_LOOKED_AT, syntax.escape
    for name in syntax.fields:
        at = body.find(name)
        while at >= 0 and looks:
            looks -= 1
            end = at + len(name)
            escaped = body[max(0, at - len(escape)) : at].upper() == escape
            if not escaped and (found := syntax.value.match(body, end)):
                name_ = found[1].decode(errors="replace")
                yield (unquote(name_) if syntax is _FORM else name_).casefold()
            at = body.find(name, end)


# ── who vouches for a repository ─────────────────────────────────────────────────────────────────


def spoken_for(scope: Scope, repository: Repository) -> Repository | None:
    """Return a repository if its secret alone vouches for it; None: its host has to.

    Raises:
        Rejected: it speaks for no such repository.
    """
    if not scope.covers(repository):
        raise Rejected(_not_covered(scope, repository))
    if scope.kind is ScopeKind.REPOSITORY and scope.id and scope.names(repository):
        return _at_host(repository)
    return None


def confirmed(scope: Scope, repository: Repository, told: Repository | None) -> Repository:
    """Return a repository as far as its secret and its host vouch for it.

    Args:
        told: what the host has by that name; None if it can't be asked or shows nothing. Then only
            the name is known, and stands for the number.

    Raises:
        Rejected: the secret does not speak for it, or the host contradicts its number.
    """
    if told is None:
        if not scope.names(repository):
            raise Rejected(
                f"it is signed with the secret of {scope}, and it names {repository.name}; whether"
                f" that is its new name, {repository.host} does not say: let the bridge's"
                " credential there see it, or create its webhook again (`dokploy-bridge hooks"
                " install`), then replay"
            )
        return _at_host(replace(repository, id=repository.name.lower(), owner_id=""))
    if told.id != repository.id:
        raise Rejected(
            f"it calls {repository.name} number {repository.id}, and at {repository.host} that is"
            f" number {told.id}: nothing is deployed for it"
        )
    if not scope.covers(told):
        raise Rejected(_not_covered(scope, repository))
    return _at_host(repository)


def _at_host(repository: Repository) -> Repository:
    """Return a repository without paths on our own disk, for which no such secret speaks."""
    urls = frozenset(url for url in repository.urls if not is_on_disk(url))
    return replace(repository, urls=urls)


def _not_covered(scope: Scope, repository: Repository) -> str:
    return (
        f"it is signed with the secret of {scope}, which speaks for no other repository, and"
        f" it names {repository.name}: give that repository a webhook with a secret of its own"
        " (`dokploy-bridge hooks install`)"
    )
