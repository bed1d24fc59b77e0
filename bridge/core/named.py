"""Which repositories a webhook's body names, before anybody has verified it.

Of many secrets that each speak for one repository, only those of the named ones are worth a pass
over the body. What people write can't look like a name: in JSON its quotes are escaped.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple
from urllib.parse import unquote

from bridge.core.hooks import Scope, ScopeKind

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
