"""Where branches stand, asked conditionally: GitHub does not count what has not changed."""

from collections import OrderedDict
from dataclasses import dataclass, field

from bridge.githosts.asking.answers import Answer

_MOST = 4096


@dataclass(slots=True)
class Heads:
    """The last answer about each branch, with the tag that the host gave it."""

    _known: OrderedDict[tuple[str, str], tuple[str, str]] = field(default_factory=OrderedDict)

    def condition(self, repository: str, branch: str) -> dict[str, str]:
        """The header that asks for what is new only."""
        known = self._known.get((repository, branch))
        return {"If-None-Match": known[0]} if known else {}

    def kept(self, repository: str, branch: str) -> str:
        """The commit of the last answer, where the host says that it is still right."""
        return self._known[repository, branch][1]

    def keep(self, repository: str, branch: str, answer: Answer, commit: str) -> None:
        """Remember an answer; those that were not asked for in a long time are forgotten."""
        key = (repository, branch)
        self._known.pop(key, None)
        if etag := answer.headers.get("etag"):
            self._known[key] = (etag, commit)
        if len(self._known) > _MOST:
            self._known.popitem(last=False)
