"""The request for a page: the parts of its path, and its query."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from bridge.core.errors import NotFound, Rejected

LONGEST = 200
"""Characters of a search."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request for a page.

    Attributes:
        parts: the named parts of the path.
        query: the query's fields.
    """

    parts: Mapping[str, str]
    query: Mapping[str, str]

    def text(self, name: str) -> str:
        """Return a field of the query, without surrounding spaces; "" if it is not given."""
        return self.query.get(name, "").strip()[:LONGEST]

    def number(self, name: str, default: int) -> int:
        """Return a numeric field of the query; raise Rejected for anything else."""
        given = self.text(name)
        if not given:
            return default
        if not (given.isascii() and given.isdecimal() and len(given) < 19):
            raise Rejected(f"{name!r} must be a number, not {given!r}.")
        return int(given)

    @property
    def seq(self) -> int:
        """The number of the delivery in the path; raise NotFound if there can't be one."""
        given = self.parts["seq"]
        if not (given.isascii() and given.isdecimal() and len(given) < 19):
            raise NotFound("There is no delivery with that number.")
        return int(given)

    def again(self, **changed: object) -> str:
        """Return the query with some fields changed; those that are empty are left out."""
        fields = {k: v for k, v in self.query.items() if k != "said"} | changed
        return urlencode({k: str(v) for k, v in fields.items() if v not in ("", None)})
