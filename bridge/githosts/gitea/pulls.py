"""List pull requests and their files, and tell who may write.

https://docs.gitea.com/api
"""

from abc import ABC, abstractmethod

from pydantic import TypeAdapter

from bridge.core.errors import NotFound
from bridge.core.events import Commit, Repository
from bridge.core.pulls import PullRequest
from bridge.githosts.answers import read
from bridge.githosts.branches import remedied
from bridge.githosts.gitea.access import GiteaAccess
from bridge.githosts.gitea.events import Pull
from bridge.githosts.http import part
from bridge.githosts.pulls import PAGE_OF_RECENT, Listing, all_listed, changed_since
from bridge.githosts.webhook import Id, Model
from bridge.ports.githosts import ChangeSet

_WRITERS = frozenset({"owner", "admin", "write"})

REMEDY = (
    "to see who may write to a repository, make the account of the bridge's token its administrator"
)


class GiteaListsPulls(ABC):
    """Lists pull requests; a `ListsPulls` that `TellsWriters`.

    Gitea answers no conditional requests.
    """

    name: str
    _access: GiteaAccess

    @abstractmethod
    async def repository(self, name: str) -> Repository:
        """See `HostApi.repository`."""

    @abstractmethod
    async def commit(self, repository: str, sha: str) -> Commit:
        """See `HostApi.commit`."""

    async def pull_requests(self, repository: str, commit: str) -> list[PullRequest]:
        """Return the open ones whose head is the commit, and the one that it merged."""
        found = [
            one
            async for page in self._pulls_listed(repository, state="open")
            for one in page
            if one.head_sha == commit
        ]
        path = f"/commits/{part(commit)}/pull"
        try:
            answer = await self._access.ask(repository, "GET", path)
        except NotFound:
            if not found:
                await self.commit(repository, commit)  # raises NotFound for one that is not there
            return found
        merged = _meaning(read(_PULL, path, answer, self.name, reads=True))
        return [*found, *([] if merged in found else [merged])]

    async def pull_request(self, repository: str, number: int) -> PullRequest:
        path = f"/pulls/{number}"
        answer = await self._access.ask(repository, "GET", path)
        return _meaning(read(_PULL, path, answer, self.name, reads=True))

    async def open_pulls(self, repository: str) -> list[PullRequest]:
        def listed() -> Listing:
            return self._pulls_listed(repository, state="open", sort="oldest")

        return await all_listed(self.name, listed)

    async def pulls_since(self, repository: str, since: float) -> list[PullRequest]:
        listed = self._pulls_listed(
            repository, state="all", sort="recentupdate", limit=PAGE_OF_RECENT
        )
        return await changed_since(listed, since)

    async def _pulls_listed(self, repository: str, **query: str | int) -> Listing:
        path = "/pulls"
        async for answer in self._access.pages(repository, path, query=query):
            yield [_meaning(one) for one in read(_PULLS, path, answer, self.name, reads=True)]

    async def pull_files(self, repository: str, number: int) -> ChangeSet:
        path, files, told, names = f"/pulls/{number}/files", 0, "", set[str]()
        try:
            async for answer in self._access.pages(repository, path):
                page = read(_FILES, path, answer, self.name, reads=True) or []
                names.update(name for one in page for name in one.names())
                files += len(page)
                told = answer.headers.get("x-total-count", "")
        except NotFound:
            await self.pull_request(repository, number)  # raises NotFound if that is missing
            return ChangeSet(None, "this Gitea lists no files of pull requests, as before 1.18")
        if told.isdecimal() and int(told) != files:
            return ChangeSet(None, f"Gitea listed {files} of {told} files")
        return ChangeSet(tuple(sorted(names)), "listed by Gitea")

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
        return read(_PERMISSION, path, answer, self.name, reads=True).permission in _WRITERS


class _Listed(Pull):
    number: Id


class _File(Model):
    filename: str
    status: str = ""
    previous_filename: str | None = None

    def names(self) -> tuple[str, ...]:
        """Return a file's name, and its old name if it was renamed; a copy leaves the original."""
        if self.status == "renamed" and self.previous_filename:
            return self.filename, self.previous_filename
        return (self.filename,)


class _Permission(Model):
    permission: str


def _meaning(pull: _Listed) -> PullRequest:
    return pull.meaning(pull.number)


_PULL, _PULLS = TypeAdapter(_Listed), TypeAdapter(list[_Listed])
_FILES, _PERMISSION = TypeAdapter(list[_File] | None), TypeAdapter(_Permission)
