"""List merge requests and their files, and tell who may write.

https://docs.gitlab.com/api/merge_requests/, https://docs.gitlab.com/api/project_members/
"""

from typing import Any

from pydantic import Field, TypeAdapter

from bridge.core.errors import NotFound
from bridge.core.pulls import PullRequest
from bridge.githosts.access import KnownPages
from bridge.githosts.answers import read
from bridge.githosts.branches import remedied
from bridge.githosts.gitlab.access import SERVICE, GitlabAccess
from bridge.githosts.gitlab.merges import OPEN, number_in
from bridge.githosts.http import part
from bridge.githosts.pulls import PAGE_OF_RECENT, Listing, all_listed, changed_since, seconds_of
from bridge.githosts.webhook import Model, web_url
from bridge.ports.githosts import ChangeSet

DEVELOPER = 30
"""The role from which on one may push."""

REMEDY = (
    "to see who may write to a project, the bridge's token needs a role there, at least *Guest*"
)


class GitlabListsPulls:
    """Lists merge requests; a `ListsPulls` that `TellsWriters`."""

    def __init__(self, access: GitlabAccess) -> None:
        self._access = access
        self._lists = KnownPages(access)

    async def pull_requests(self, repository: str, commit: str) -> list[PullRequest]:
        path, found = f"/repository/commits/{part(commit)}/merge_requests", list[PullRequest]()
        async for answer in self._access.pages(repository, path):
            merges = read(_MERGES, path, answer, SERVICE, reads=True)
            found += [merge.meaning() for merge in merges]
        return found

    async def pull_request(self, repository: str, number: int) -> PullRequest:
        return (await self._merge(repository, number)).meaning()

    async def open_pulls(self, repository: str) -> list[PullRequest]:
        def listed() -> Listing:
            return self._pulls_listed(repository, state="opened", order_by="created_at", sort="asc")

        return await all_listed(SERVICE, listed)

    async def pulls_since(self, repository: str, since: float) -> list[PullRequest]:
        by_update: dict[str, str | int] = {
            "order_by": "updated_at",
            "sort": "desc",
            "per_page": PAGE_OF_RECENT,
        }
        return await changed_since(self._pulls_listed(repository, state="all", **by_update), since)

    async def _pulls_listed(self, repository: str, **query: str | int) -> Listing:
        async for page in self._lists.pages(repository, "/merge_requests", _MERGES, query=query):
            yield [one.meaning() for one in page]

    async def pull_files(self, repository: str, number: int) -> ChangeSet:
        path, files, names = f"/merge_requests/{number}/diffs", 0, set[str]()
        async for answer in self._access.pages(repository, path):
            page = read(_FILES, path, answer, SERVICE, reads=True)
            names.update(name for one in page for name in (one.old_path, one.new_path))
            files += len(page)
        # GitLab lists files up to a limit of the server without a word: only the number tells.
        told = (await self._merge(repository, number)).changes_count
        if told is None:
            return ChangeSet(None, "GitLab has not compared the merge request yet")
        if told != str(files):
            return ChangeSet(None, f"GitLab listed {files} of {told} files")
        return ChangeSet(tuple(sorted(names)), "listed by GitLab")

    async def may_write(self, repository: str, login: str) -> bool:
        account = number_in(login)
        if account is None:
            account = await self._account(login)
        if account is None:
            return False
        path = f"/members/all/{account}"
        try:
            with remedied(REMEDY):
                answer = await self._access.ask(repository, "GET", path)
        except NotFound:
            await self._access.ask(repository, "GET", "")  # raises NotFound if that is missing
            return False
        member = read(_MEMBER, path, answer, SERVICE, reads=True)
        return member.id == account and member.state == "active" and member.level >= DEVELOPER

    hides_accounts = False

    async def number_of(self, repository: str, login: str) -> str | None:  # noqa: ARG002 - one token serves all
        """See `TellsAccounts`."""
        found = await self._account(login)
        return None if found is None else str(found)

    async def _account(self, username: str) -> int | None:
        """Return an account's number; None if there is none of exactly this name."""
        if not username:
            return None
        query = {"username": username}
        answer = await self._access.asker("")("GET", "/users", query=query)
        users = read(_USERS, "/users", answer, SERVICE, reads=True)
        named = [one.id for one in users if one.username.lower() == username.lower()]
        return named[0] if len(named) == 1 else None

    async def _merge(self, repository: str, number: int) -> "_Merge":
        path = f"/merge_requests/{number}"
        answer = await self._access.ask(repository, "GET", path)
        return read(_MERGE, path, answer, SERVICE, reads=True)


class _User(Model):
    id: int
    username: str


class _Author(Model):
    username: str = ""


class _Merge(Model):
    iid: int
    state: str
    source_branch: str
    target_branch: str = ""
    sha: str | None = None
    merge_commit_sha: str | None = None
    squash_commit_sha: str | None = None
    source_project_id: int | None = None  # a fork that was deleted
    target_project_id: int
    title: str = ""
    author: _Author | None = None
    draft: bool | None = None
    work_in_progress: bool | None = None
    labels: list[str] = Field(default_factory=list)
    web_url: str | None = None
    updated_at: Any = None
    changes_count: str | None = None

    def meaning(self) -> PullRequest:
        # A fast-forward merge makes no commit of its own: the target's head is the branch's.
        made = self.merge_commit_sha or self.squash_commit_sha or self.sha
        return PullRequest(
            number=self.iid,
            head=self.source_branch,
            head_sha=self.sha or "",
            open=self.state in OPEN,
            merge_sha=made if self.state == "merged" else None,
            own=self.source_project_id == self.target_project_id,
            base=self.target_branch,
            title=self.title,
            author=self.author.username if self.author else "",
            draft=bool(self.work_in_progress if self.draft is None else self.draft),
            labels=frozenset(self.labels),
            url=web_url(self.web_url),
            updated_at=seconds_of(self.updated_at),
        )


class _File(Model):
    old_path: str
    new_path: str


class _Member(Model):
    id: int
    state: str = "active"
    level: int = Field(alias="access_level")


_MERGE, _MERGES = TypeAdapter(_Merge), TypeAdapter(list[_Merge])
_FILES, _USERS, _MEMBER = (
    TypeAdapter(list[_File]),
    TypeAdapter(list[_User]),
    TypeAdapter(_Member),
)
