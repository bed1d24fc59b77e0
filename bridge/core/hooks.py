"""Webhooks of our own: whose repositories each speaks for, and what is wrong with one."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Self
from urllib.parse import SplitResult, urlsplit

from bridge.core.errors import Rejected
from bridge.core.events import Repository

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
        """Return it for people."""
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
        checks_tls: the host checks our certificate.
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
    """Yield what is wrong with a webhook of this bridge.

    Args:
        url: where it should send.
    """
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
