"""Where branches stand, asked conditionally: GitHub does not count what has not changed."""

from collections import OrderedDict
from collections.abc import Callable

from bridge.core.errors import NotFound
from bridge.githosts.asking.access import AskAbout
from bridge.githosts.asking.answers import Answer

_MOST = 4096


class Heads:
    """The last answer about each branch, with the tag that the host gave it."""

    def __init__(self, ask: AskAbout) -> None:
        self._ask = ask
        self._known: OrderedDict[tuple[str, str], tuple[str, str]] = OrderedDict()

    async def head(
        self, repository: str, branch: str, path: str, commit_of: Callable[[Answer], str | None]
    ) -> str | None:
        """The commit that a branch is at; None where the repository has no such branch.

        Args:
            path: of the branch, under its repository.
            commit_of: reads it in an answer; None where that is about another branch.
        """
        known = self._known.get((repository, branch))
        condition = {"If-None-Match": known[0]} if known else {}
        try:
            answer = await self._ask(repository, "GET", path, headers=condition)
        except NotFound as error:
            if "branch not found" in str(error).lower():
                return None
            raise
        if answer.status == 304 and known:
            return known[1]
        commit = commit_of(answer)
        if commit is not None:
            self._keep((repository, branch), answer, commit)
        return commit

    def _keep(self, key: tuple[str, str], answer: Answer, commit: str) -> None:
        """Remember an answer; those that were not asked for in a long time are forgotten."""
        self._known.pop(key, None)
        if etag := answer.headers.get("etag"):
            self._known[key] = (etag, commit)
        if len(self._known) > _MOST:
            self._known.popitem(last=False)
