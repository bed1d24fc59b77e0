"""List pull requests and their files, and tell who may write.

https://docs.github.com/en/rest/pulls/pulls, https://docs.github.com/en/rest/collaborators
"""

from abc import ABC, abstractmethod

from pydantic import TypeAdapter

from bridge.core.errors import NotFound
from bridge.core.events import Repository
from bridge.core.pulls import PullRequest
from bridge.githosts.access import KnownPages
from bridge.githosts.answers import read
from bridge.githosts.branches import remedied
from bridge.githosts.github.access import SERVICE, GithubAccess
from bridge.githosts.github.webhooks import Pull
from bridge.githosts.http import part
from bridge.githosts.pulls import PAGE_OF_RECENT, Listing, all_listed, changed_since
from bridge.githosts.webhook import Id, Model
from bridge.ports.githosts import ChangeSet

MOST_FILES = 3000
"""The most files of a pull request that GitHub lists."""

_WRITERS = frozenset({"admin", "write"})

REMEDY = (
    "to see who may write to a repository, the bridge's token needs the right to write there; a"
    " GitHub App needs nothing more than *Metadata*: read"
)


class GithubListsPulls(ABC):
    """Lists pull requests; a `ListsPulls` that `TellsWriters`."""

    def __init__(self, access: GithubAccess) -> None:
        self._access = access
        self._lists = KnownPages(access)

    @abstractmethod
    async def repository(self, name: str) -> Repository:
        """See `HostApi.repository`."""

    async def pull_requests(self, repository: str, commit: str) -> list[PullRequest]:
        path, found = f"/commits/{commit}/pulls", list[PullRequest]()
        async for answer in self._access.pages(repository, path):
            pulls = read(_PULLS, path, answer, SERVICE, reads=True)
            found += [pull.meaning(pull.number) for pull in pulls]
        return found

    async def pull_request(self, repository: str, number: int) -> PullRequest:
        path = f"/pulls/{number}"
        answer = await self._access.ask(repository, "GET", path)
        return read(_PULL, path, answer, SERVICE, reads=True).meaning(number)

    async def open_pulls(self, repository: str) -> list[PullRequest]:
        def listed() -> Listing:
            return self._pulls_listed(repository, state="open", sort="created", direction="asc")

        return await all_listed(SERVICE, listed)

    async def pulls_since(self, repository: str, since: float) -> list[PullRequest]:
        by_update: dict[str, str | int] = {
            "sort": "updated",
            "direction": "desc",
            "per_page": PAGE_OF_RECENT,
        }
        return await changed_since(self._pulls_listed(repository, state="all", **by_update), since)

    async def _pulls_listed(self, repository: str, **query: str | int) -> Listing:
        async for page in self._lists.pages(repository, "/pulls", _PULLS, query=query):
            yield [one.meaning(one.number) for one in page]

    async def pull_files(self, repository: str, number: int) -> ChangeSet:
        path, files, names = f"/pulls/{number}/files", 0, set[str]()
        async for answer in self._access.pages(repository, path):
            page = read(_FILES, path, answer, SERVICE, reads=True)
            names.update(name for one in page for name in one.names())
            files += len(page)
        if files >= MOST_FILES:
            return ChangeSet(None, f"GitHub lists no more than {MOST_FILES} files")
        return ChangeSet(tuple(sorted(names)), "listed by GitHub")

    async def may_write(self, repository: str, login: str) -> bool:
        if not login:
            return False
        path = f"/collaborators/{part(login)}/permission"
        try:
            with remedied(REMEDY):
                answer = await self._access.ask(repository, "GET", path)
        except NotFound:
            await self.repository(repository)  # raises NotFound if that is what is missing
            return False
        return read(_PERMISSION, path, answer, SERVICE, reads=True).permission in _WRITERS


class _Listed(Pull):
    number: Id


class File(Model):
    """A changed file, as pull requests and comparisons have it."""

    filename: str
    status: str
    previous_filename: str | None = None

    def names(self) -> tuple[str, ...]:
        """Return a file's name, and its old name if it was renamed; a copy leaves the original."""
        if self.status == "renamed" and self.previous_filename:
            return self.filename, self.previous_filename
        return (self.filename,)


class _Permission(Model):
    permission: str  # custom roles are told as the nearest of these


_PULL, _PULLS = TypeAdapter(_Listed), TypeAdapter(list[_Listed])
_FILES, _PERMISSION = TypeAdapter(list[File]), TypeAdapter(_Permission)
