"""Tell who wrote commits, with the accounts that Gitea and Forgejo link to them."""

from pydantic import TypeAdapter

from bridge.core.errors import NotFound
from bridge.githosts.access import Access
from bridge.githosts.answers import read
from bridge.githosts.authors import MOST_COMMITS, NAMED, TOO_MANY, AuthoredCommit, authored
from bridge.githosts.gitea.webhooks import PRIVATE
from bridge.githosts.http import part
from bridge.githosts.webhook import Model
from bridge.ports.authors import Authored


async def authors(
    access: Access, service: str, repository: str, base: str | None, head: str
) -> Authored:
    """Return who wrote what `head` contains and `base` does not; see `TellsAuthors`."""
    if base is None:
        return authored(PRIVATE, [await _commit(access, service, repository, head)])
    try:
        found = await _compared(access, service, repository, base, head)
    except NotFound:
        await _commit(access, service, repository, head)  # raises NotFound if that is missing
        why = f"{service} can't compare it with {base[:7]}, which is live (it can from Gitea 1.22)"
        return Authored(None, why)
    if found.total_commits > MOST_COMMITS:
        return Authored(None, TOO_MANY)
    if found.total_commits != len(found.commits or ()):
        return Authored(None, f"{service} has not listed them all")
    back = await _compared(access, service, repository, head, base)
    return authored(PRIVATE, found.commits or [], onward=not back.total_commits)


async def number_of(access: Access, service: str, login: str) -> str | None:
    """Return an account's number; see `TellsAccounts`."""
    path = f"/users/{part(login)}"
    try:
        answer = await access.asker("")("GET", path)
    except NotFound:
        return None
    return read(NAMED, path, answer, service, reads=True).number_if(login)


async def _compared(
    access: Access, service: str, repository: str, base: str, head: str
) -> "_Comparison":
    path = f"/compare/{part(base)}...{part(head)}"
    answer = await access.ask(repository, "GET", path)
    return read(_COMPARISON, path, answer, service, reads=True)


async def _commit(access: Access, service: str, repository: str, sha: str) -> AuthoredCommit:
    path = f"/git/commits/{part(sha)}"
    query = {"stat": False, "verification": False, "files": False}
    answer = await access.ask(repository, "GET", path, query=query)
    return read(_COMMIT, path, answer, service, reads=True)


class _Comparison(Model):
    total_commits: int
    commits: list[AuthoredCommit] | None = None


_COMPARISON, _COMMIT = TypeAdapter(_Comparison), TypeAdapter(AuthoredCommit)
