"""Tell who wrote commits; GitLab's commits have addresses, and no accounts.

https://docs.gitlab.com/api/repositories/#compare-branches-tags-or-commits
"""

from collections.abc import Iterator

from pydantic import Field, TypeAdapter

from bridge.core.errors import NotFound
from bridge.core.people import Writer
from bridge.githosts.access import Access
from bridge.githosts.answers import read
from bridge.githosts.authors import MOST_COMMITS, TOO_MANY, distinct, named_in, writer
from bridge.githosts.gitlab.access import SERVICE
from bridge.githosts.gitlab.webhooks import PRIVATE
from bridge.githosts.http import part
from bridge.githosts.webhook import Model, address
from bridge.ports.authors import Authored


async def authors(access: Access, repository: str, base: str | None, head: str) -> Authored:
    """Return who wrote what `head` contains and `base` does not; see `TellsAuthors`."""
    if base is None:
        return _told([await _commit(access, repository, head)])
    path, query = "/repository/compare", {"from": base, "to": head, "straight": "true"}
    try:
        answer = await access.ask(repository, "GET", path, query=query)
    except NotFound:
        await _commit(access, repository, head)  # raises NotFound if that is what is missing
        return Authored(None, f"GitLab does not know {base[:7]}, which is live, any more")
    found = read(_COMPARISON, path, answer, SERVICE, reads=True)
    if len(found.commits) > MOST_COMMITS:
        return Authored(None, TOO_MANY)
    return _told(found.commits)


async def _commit(access: Access, repository: str, sha: str) -> "_Commit":
    path = f"/repository/commits/{part(sha)}"
    answer = await access.ask(repository, "GET", path)
    return read(_COMMIT, path, answer, SERVICE, reads=True)


def _told(commits: "list[_Commit]") -> Authored:
    return Authored(distinct(one.writers() for one in commits))


class _Commit(Model):
    id: str
    message: str = ""
    author_email: str | None = None
    committer_email: str | None = None

    def writers(self) -> Iterator[Writer]:
        yield writer(PRIVATE, address(self.author_email), commit=self.id)
        if self.committer_email:
            yield writer(PRIVATE, address(self.committer_email), commit=self.id)
        yield from named_in(PRIVATE, self.message)


class _Comparison(Model):
    commits: list[_Commit] = Field(default_factory=list)


_COMPARISON, _COMMIT = TypeAdapter(_Comparison), TypeAdapter(_Commit)
