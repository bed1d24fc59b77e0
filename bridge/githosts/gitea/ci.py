"""Read a commit's statuses, and which a branch's protection requires.

https://docs.gitea.com/api
"""

import re
from fnmatch import translate
from functools import lru_cache

from pydantic import TypeAdapter

from bridge.core.checks import Check, Required
from bridge.githosts.answers import read
from bridge.githosts.ci import all_there, if_seen, is_ours, newest
from bridge.githosts.gitea.access import GiteaAccess
from bridge.githosts.gitea.events import CommitStatus
from bridge.githosts.http import part
from bridge.githosts.webhook import Model


class GiteaReadsChecks:
    """Checks of commits; a `ReadsChecks`."""

    name: str
    _access: GiteaAccess

    async def checks(self, repository: str, commit: str) -> list[Check]:
        """Return the newest status of each context; Gitea lists all that were ever set."""
        path, listed, told = f"/commits/{part(commit)}/statuses", 0, ""
        found: list[tuple[int, Check]] = []
        async for answer in self._access.pages(repository, path):
            page = read(_STATUSES, path, answer, self.name, reads=True) or []
            listed += len(page)
            told = answer.headers.get("x-total-count", "")
            found += [(one.id, one.meaning()) for one in page if not is_ours(one.context)]
        all_there(self.name, "statuses", listed, int(told) if told.isdecimal() else None)
        return newest(found)

    async def required_checks(self, repository: str, branch: str) -> tuple[Required, ...] | None:
        """Return the contexts that the branch's protection requires; see `fits`."""
        path = f"/branches/{part(branch)}"
        answer = await if_seen(self._access.ask(repository, "GET", path))
        if answer is None:
            return None
        found = read(_BRANCH, path, answer, self.name, reads=True)
        if not found.enable_status_check:
            return ()
        names = [one for one in found.status_check_contexts or () if not is_ours(one)]
        return tuple(map(Required, dict.fromkeys(names)))

    def fits(self, required: str, name: str) -> bool:
        """Return whether a context is one that the protection requires, by Gitea's globs.

        `*` matches any text, also a slash, `?` any character; there are `[a-c]`, `[!a-c]`,
        `{a,b}`, and a backslash. https://pkg.go.dev/github.com/gobwas/glob
        """
        return required == name or any(one.fullmatch(name) for one in _compiled(required))


@lru_cache(maxsize=1024)
def _compiled(glob: str) -> tuple[re.Pattern[str], ...]:
    """Return a glob as expressions, none of which backtracks; () if it is invalid or too large."""
    try:
        plain, _ = _expanded(glob, 0, nested=False)
    except ValueError:
        return ()
    return tuple(re.compile(translate(one)) for one in plain)


def _expanded(glob: str, at: int, *, nested: bool) -> tuple[list[str], int]:
    """Return the patterns without braces, as `fnmatch` has them, and where they end.

    Raises:
        ValueError: a brace or bracket is not closed, or they are too many.
    """
    done, now = list[str](), [""]
    while at < len(glob):
        char, at = glob[at], at + 1
        if nested and char == "}":
            return done + now, at
        if nested and char == ",":
            done, now, inner = done + now, [""], [""]
        elif char == "{":
            inner, at = _expanded(glob, at, nested=True)
        elif char == "[":
            begins, at = at - 1, glob.index("]", at + 1) + 1
            inner = [glob[begins:at]]
        elif char == "\\":
            char, at = glob[at : at + 1] or char, at + 1
            inner = [f"[{char}]" if char in "*?[" else char]
        else:
            inner = [char]
        now = [one + other for one in now for other in inner]
        if len(done) + len(now) > _MOST_ALTERNATIVES:
            raise ValueError("too many alternatives")
    if nested:
        raise ValueError("a brace is not closed")
    return now, at


_MOST_ALTERNATIVES = 256


class _Branch(Model):
    enable_status_check: bool = False
    status_check_contexts: list[str] | None = None


_STATUSES, _BRANCH = TypeAdapter(list[CommitStatus] | None), TypeAdapter(_Branch)
