"""Which repositories a webhook's body names, before anybody has verified it.

Of many secrets that each speak for one repository, only those of the named ones are worth a pass
over the body. What people write can't look like a name: in JSON its quotes are escaped.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from bridge.core.hooks import Scope, ScopeKind

MOST = 64
"""The most names, and the most ids, to read; hosts send a few."""

MOST_LOOKED_AT = 4096
"""The most places to look at that may be a name."""

_FIELDS = (b'"full_name"', b'"path_with_namespace"')
_VALUE = re.compile(rb'\s{0,8}:\s{0,8}"([^"\\]{1,400})"')
_ID = re.compile(rb'id"\s{0,8}:\s{0,8}([0-9]{1,20})\b')


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
    """Return what a JSON body names."""
    names = islice(_names(body), MOST)
    ids = islice(_ID.finditer(body), MOST)
    return Named(frozenset(names), frozenset(one[1].decode() for one in ids))


def _names(body: bytes | bytearray) -> Iterator[str]:
    looks = MOST_LOOKED_AT
    for name in _FIELDS:
        at = body.find(name)
        while at >= 0 and looks:
            looks -= 1
            end = at + len(name)
            if body[at - 1 : at] != b"\\" and (found := _VALUE.match(body, end)):
                yield found[1].decode(errors="replace").casefold()
            at = body.find(name, end)
