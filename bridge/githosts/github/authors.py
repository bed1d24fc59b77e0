"""Tell who wrote commits, with the accounts that GitHub links to them.

https://docs.github.com/en/rest/commits/commits#compare-two-commits
"""

from pydantic import Field, TypeAdapter

from bridge.core.errors import NotFound
from bridge.githosts.access import Access
from bridge.githosts.answers import read
from bridge.githosts.authors import MOST_COMMITS, NAMED, TOO_MANY, AuthoredCommit, authored
from bridge.githosts.github.access import SERVICE, GithubAccess
from bridge.githosts.github.webhooks import PRIVATE
from bridge.githosts.http import part
from bridge.githosts.webhook import Model
from bridge.ports.authors import Authored


async def authors(access: Access, repository: str, base: str | None, head: str) -> Authored:
    """Return who wrote what `head` contains and `base` does not; see `TellsAuthors`."""
    if base is None:
        return authored(PRIVATE, [await _commit(access, repository, head)])
    path, found = f"/compare/{part(base)}...{part(head)}", list[AuthoredCommit]()
    try:
        async for answer in access.pages(repository, path):
            page = read(_COMPARISON, path, answer, SERVICE, reads=True)
            found += page.commits
            if page.total_commits > MOST_COMMITS:
                return Authored(None, f"{TOO_MANY}, more than are read from GitHub")
            if len(found) >= page.total_commits:
                return authored(PRIVATE, found, onward=page.status in ("ahead", "identical"))
    except NotFound:
        await _commit(access, repository, head)  # raises NotFound if that is what is missing
        return Authored(None, f"GitHub can't compare it with {base[:7]}, which is live")
    return Authored(None, "GitHub has not listed them all")


async def number_of(access: GithubAccess, repository: str, login: str) -> str | None:
    """Return an account's number; see `TellsAccounts`."""
    path, ask = f"/users/{part(login)}", access.asker(repository)
    # Raise NotFound if it is the App's installation that is missing.
    await access.credential.token(access.client, repository)
    try:
        answer = await ask("GET", path)
    except NotFound:
        return None
    return read(NAMED, path, answer, SERVICE, reads=True).number_if(login)


async def _commit(access: Access, repository: str, sha: str) -> AuthoredCommit:
    path, query = f"/commits/{part(sha)}", {"per_page": 1}  # of its files, which are not needed
    return read(
        _COMMIT, path, await access.ask(repository, "GET", path, query=query), SERVICE, reads=True
    )


class _Comparison(Model):
    status: str
    total_commits: int
    commits: list[AuthoredCommit] = Field(default_factory=list)


_COMPARISON, _COMMIT = TypeAdapter(_Comparison), TypeAdapter(AuthoredCommit)
