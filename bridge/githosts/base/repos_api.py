"""The API below `/repos/{owner}/{name}`: GitHub's, and Gitea's and Forgejo's, which is alike."""

import re
from abc import abstractmethod
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

from pydantic import Field

from bridge.core.errors import NotFound
from bridge.core.events import Commit, Repository
from bridge.core.hooks import HostHook, Scope
from bridge.core.pulls import PullRequest
from bridge.githosts.base.api import Api, HookForm, PullForm, Query, Tip, remedied
from bridge.githosts.base.commits import AuthoredCommit, Named
from bridge.githosts.base.http import NOTHING, Resource, numeric, part
from bridge.githosts.base.payloads import Pull, SentRepository
from bridge.githosts.base.webhook import Id, Model, address, web_url
from bridge.ports.githosts import ChangeSet, Comment, CommitState, Hook

_NAME = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII).fullmatch


def named(service: str, repository: str) -> str:
    """Return a repository's name, safe in a path; raise NotFound if it is invalid."""
    if not _NAME(repository) or {".", ".."} & set(repository.split("/")):
        raise NotFound(f"{service}: {repository[:200]!r} is no repository; write owner/name")
    return repository


class ListedPull(Pull, PullForm):
    """A pull request in a list of the API."""

    number: Id

    def meaning(self) -> PullRequest:
        return self.told(self.number)


class WholeCommit(AuthoredCommit):
    """A commit with its parents."""

    html_url: str | None = None
    parents: list[Tip] = Field(default_factory=list)


class File(Model):
    """A changed file, as pull requests and comparisons have it."""

    filename: str
    status: str = ""
    previous_filename: str | None = None

    def names(self) -> tuple[str, ...]:
        """Return a file's name, and its old name if it was renamed; a copy leaves the original."""
        if self.status == "renamed" and self.previous_filename:
            return self.filename, self.previous_filename
        return (self.filename,)


class Entry(Model):
    """A file, folder or submodule of a tree."""

    path: str
    mode: str
    type: str
    sha: str


class Tree(Model):
    """A page of a commit's tree."""

    tree: list[Entry]
    truncated: bool = False


Contents = Mapping[str, tuple[str, str]]
"""Mode and object of a commit's files and submodules, by path."""


def contents(entries: Sequence[Entry]) -> dict[str, tuple[str, str]]:
    """Return the files and submodules of a tree."""
    return {entry.path: (entry.mode, entry.sha) for entry in entries if entry.type != "tree"}


class Config(Model):
    """Where a webhook leads, and how."""

    url: str | None = None
    content_type: str | None = None
    insecure_ssl: str | float | int | None = None
    secret: str | None = None

    @property
    def checks_tls(self) -> bool:
        """Whether the host checks our certificate."""
        return str(self.insecure_ssl or "0") == "0"


class RepoHook(HookForm):
    """A webhook of a repository or an organisation.

    Attributes:
        needed: the events that the bridge needs.
        usually: the content type of one that names none.
    """

    needed: ClassVar[Sequence[str]]
    usually: ClassVar[str | None] = None
    title: ClassVar[str]

    active: bool = True
    events: list[str] | None = None
    config: Config

    def meaning(self, place: str) -> Hook:
        return Hook(
            place,
            str(self.id),
            self.config.url,
            trouble=None if self.active else f"it is switched off at {self.title}",
            events=None if self.events is None else frozenset(self.events),
            content_type=self.config.content_type or self.usually,
            verifies_tls=self.config.checks_tls,
        )

    def managed(self, scope: Scope) -> HostHook:
        sent = self.events or ()
        return HostHook(
            scope,
            str(self.id),
            self.config.url or "",
            active=self.active,
            missing=tuple(event for event in self.needed if event not in sent and "*" not in sent),
            as_json=(self.config.content_type or self.usually) != "form",
            checks_tls=self.config.checks_tls,
        )


class User(Model):
    """An account."""

    id: int
    login: str = ""


class IssueComment(Model):
    """A comment on an issue or a pull request."""

    id: int
    body: str | None = None
    user: User | None = None  # None for an account that was deleted


class _Permission(Model):
    permission: str  # custom roles are told as the nearest of these


class ReposApi(Api):
    """A `HostApi` that also `TellsWriters` and `TellsAccounts`.

    Attributes:
        tells_writers: what the credential needs to tell who may write.
        too_many_files: than what, for people.
        most_files: the most files of a pull request that the host lists.
    """

    commits: ClassVar[str] = "/commits"
    commit_query: ClassVar[Query] = NOTHING
    tells_writers: ClassVar[str]
    too_many_files: ClassVar[str]
    most_files: ClassVar[int | None] = None
    states: ClassVar[Mapping[CommitState, str]] = {
        CommitState.PENDING: "pending",
        CommitState.RUNNING: "pending",
        CommitState.SUCCESS: "success",
        CommitState.FAILURE: "failure",
        CommitState.CANCELLED: "error",
    }

    def key(self, repository: Repository) -> str:
        return repository.name  # its only key in the API

    async def repository(self, name: str) -> Repository:
        sent = await self.access.of(name).get("", SentRepository)
        return replace(sent.meaning(self.name), owner_id="")

    async def commit(self, repository: str, sha: str) -> Commit:
        sent = await self._commit(repository, sha)
        author = sent.commit.author
        return Commit(
            sent.sha,
            sent.commit.message,
            (author.name if author else None) or "",
            web_url(sent.html_url),
            address(author.email if author else None),
            tuple(parent.sha for parent in sent.parents),
        )

    async def _commit(self, repository: str, sha: str) -> WholeCommit:
        path = f"{self.commits}/{part(sha)}"
        return await self.access.of(repository).get(path, WholeCommit, self.commit_query)

    async def number_of(self, repository: str, login: str) -> str | None:
        try:
            user = await self.access.at("/users", repository).get(f"/{part(login)}", Named)
        except NotFound:
            return None
        return user.number_if(login)

    # ── comments ────────────────────────────────────────────────────────────

    async def comments(self, repository: str, number: int) -> AsyncIterator[Comment]:
        async for page in self._comments(self.access.of(repository), f"/issues/{number}/comments"):
            for comment in page:
                ours = comment.user is not None and await self._is_us(comment.user)
                yield Comment(str(comment.id), comment.body or "", ours)

    def _comments(self, place: Resource, path: str) -> AsyncIterator[list[IssueComment]]:
        return place.pages(path, list[IssueComment])

    @abstractmethod
    async def _is_us(self, user: User) -> bool:
        """Return whether that is the account of our credential."""

    async def comment(self, repository: str, number: int, body: str) -> str:
        return await self.access.of(repository).make(f"/issues/{number}/comments", {"body": body})

    async def edit_comment(
        self,
        repository: str,
        number: int,  # noqa: ARG002 - comments are found by their id alone
        id_: str,
        body: str,
    ) -> None:
        path = f"/issues/comments/{numeric(self.name, id_)}"
        answer = await self.access.of(repository).ask("PATCH", path, body={"body": body})
        if answer.status == 204:  # it is there, but is no comment that can be edited
            raise NotFound(f"{self.name} has no comment {id_} that can be edited")

    # ── files ───────────────────────────────────────────────────────────────

    async def compare(self, repository: str, base: str, head: str) -> ChangeSet:
        """Return every path that differs, the old names of renamed files among them.

        A comparison lists all that differs if `head` is ahead of `base`; else the trees are
        compared.

        Raises:
            NotFound: the host does not know `head` (yet). A `base` that it does not know any more
                makes the files unknown.
        """
        if (listed := await self._compared(repository, base, head)) is not None:
            return ChangeSet(tuple(sorted(listed)), f"compared by {self.title}")
        new = await self._tree(repository, head)
        try:
            old = await self._tree(repository, base)
        except NotFound:
            return ChangeSet(None, f"{self.title} does not know the commit {base[:12]} any more")
        if new is None or old is None:
            return ChangeSet(None, f"the repository has more files than {self.too_many_files}")
        differing = (path for path in old.keys() | new.keys() if old.get(path) != new.get(path))
        return ChangeSet(tuple(sorted(differing)), "the trees of both commits were compared")

    @abstractmethod
    async def _compared(self, repository: str, base: str, head: str) -> set[str] | None:
        """Return the paths in the host's comparison; None if it may not list all of them."""

    @abstractmethod
    async def _tree(self, repository: str, commit: str) -> Contents | None:
        """Return a commit's files; None if there are too many; NotFound without the commit."""

    async def pull_files(self, repository: str, number: int) -> ChangeSet:
        place, path = self.access.of(repository), f"{self.pulls}/{number}/files"
        files, total = await place.counted(path, File, null=True)
        if self.most_files is not None and len(files) >= self.most_files:
            return ChangeSet(None, f"{self.title} lists no more than {self.most_files} files")
        if total not in (None, len(files)):
            return ChangeSet(None, f"{self.title} listed {len(files)} of {total} files")
        names = {name for file in files for name in file.names()}
        return ChangeSet(tuple(sorted(names)), f"listed by {self.title}")

    # ── people ──────────────────────────────────────────────────────────────

    async def may_write(self, repository: str, login: str) -> bool:
        if not login:
            return False
        place, path = self.access.of(repository), f"/collaborators/{part(login)}/permission"
        try:
            with remedied(self.tells_writers):
                permission = (await place.get(path, _Permission)).permission
        except NotFound:
            await self.repository(repository)  # raises NotFound if that is what is missing
            return False
        return permission in ("owner", "admin", "write")
