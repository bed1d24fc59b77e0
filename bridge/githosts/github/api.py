"""GitHub's REST API, of github.com and GitHub Enterprise Server from 3.9 on.

https://docs.github.com/en/rest
"""

from collections.abc import AsyncIterator
from typing import Literal

from pydantic import Field, TypeAdapter

from bridge.core.errors import NotFound, Refused, Unreachable
from bridge.core.events import Commit, Repository
from bridge.githosts.access import AskAbout
from bridge.githosts.answers import read
from bridge.githosts.github.access import SERVICE
from bridge.githosts.github.authors import authors, number_of
from bridge.githosts.github.pulls import File, GithubListsPulls
from bridge.githosts.http import cut, numeric, part
from bridge.githosts.webhook import Model, address, clone_urls, web_url
from bridge.ports.authors import Authored
from bridge.ports.githosts import ChangeSet, Comment, CommitState

LISTED = 300
"""The most files that a comparison lists."""


async def changes(ask: AskAbout, repository: str, base: str, head: str) -> ChangeSet:
    """Return every path that differs, the old names of renamed files among them.

    Raises:
        NotFound: GitHub does not know `head` (yet). If it no longer knows `base`, the
            files are unknown.
        Refused, Unreachable: see `HostApi`.
    """
    listed = await _compared(ask, repository, base, head)
    if listed is not None:
        return ChangeSet(listed, "compared by GitHub")
    new = await _tree(ask, repository, head)
    try:
        old = await _tree(ask, repository, base)
    except NotFound:
        return ChangeSet(None, f"GitHub does not know the commit {base[:12]} any more")
    if new is None or old is None:
        return ChangeSet(None, "the repository has more files than GitHub lists")
    differing = (path for path in old.keys() | new.keys() if old.get(path) != new.get(path))
    return ChangeSet(tuple(sorted(differing)), "the trees of both commits were compared")


async def _compared(ask: AskAbout, repository: str, base: str, head: str) -> tuple[str, ...] | None:
    """Return the files in GitHub's comparison, if it is complete."""
    path = f"/compare/{part(base)}...{part(head)}"
    try:
        # The commits come in pages and are not needed; all files come with the first page.
        answer = await ask(repository, "GET", path, query={"per_page": 1})
    except NotFound:
        return None  # or there is no common ancestor; the trees decide
    except Refused as error:
        if error.status in (401, 403):
            raise
        return None
    except Unreachable as error:
        if error.retry_after is not None:
            raise
        # "this diff is taking too long to generate"; if GitHub is away, the next request shows it
        return None
    found = read(_COMPARISON, path, answer, "github", reads=True)
    if found.status not in ("ahead", "identical") or len(found.files) >= LISTED:
        return None
    return tuple(sorted({name for file in found.files for name in file.names()}))


async def _tree(ask: AskAbout, repository: str, commit: str) -> dict[str, tuple[str, str]] | None:
    """Return mode and object of files and submodules by path; None if there are too many."""
    path = f"/git/trees/{part(commit)}"
    answer = await ask(repository, "GET", path, query={"recursive": 1})
    found = read(_TREE, path, answer, "github", reads=True)
    if found.truncated:
        return None
    return {one.path: (one.mode, one.sha) for one in found.tree if one.type != "tree"}


class _Comparison(Model):
    status: Literal["ahead", "behind", "diverged", "identical"]
    files: list[File] = Field(default_factory=list)


class _Entry(Model):
    path: str
    mode: str
    type: str
    sha: str


class _Tree(Model):
    tree: list[_Entry]
    truncated: bool = False


_COMPARISON, _TREE = TypeAdapter(_Comparison), TypeAdapter(_Tree)


# ── GitHub's REST API ─────────────────────────────────────────────────────────────────────────────

_DESCRIPTION = 140

_STATUS = {
    CommitState.PENDING: "pending",
    CommitState.RUNNING: "pending",
    CommitState.SUCCESS: "success",
    CommitState.FAILURE: "failure",
    CommitState.CANCELLED: "error",
}
_DEPLOYMENT = _STATUS | {CommitState.PENDING: "queued", CommitState.RUNNING: "in_progress"}


class GithubApi(GithubListsPulls):
    """The bridge's requests to GitHub.

    A `HostApi` that `ListsPulls`, `TellsWriters`, `TellsAuthors` and `TellsAccounts`.
    """

    name = SERVICE
    reactivates = True

    def key(self, repository: Repository) -> str:
        """Return the repository's name, the only key in GitHub's API."""
        return repository.name

    async def repository(self, name: str) -> Repository:
        found = read(_WHOLE, "", await self._access.ask(name, "GET", ""), SERVICE, reads=True)
        return Repository(
            SERVICE,
            str(found.id),
            found.full_name,
            clone_urls(found.clone_url, found.ssh_url, found.git_url),
            web_url(found.html_url),
        )

    async def commit(self, repository: str, sha: str) -> Commit:
        path = f"/commits/{sha}"
        query = {"per_page": 1}  # a page of its files, which are not needed here
        answer = await self._access.ask(repository, "GET", path, query=query)
        found = read(_COMMIT, path, answer, SERVICE, reads=True)
        author = found.commit.author or _Author()
        return Commit(
            found.sha,
            found.commit.message,
            author.name or "",
            web_url(found.html_url),
            address(author.email),
            tuple(parent.sha for parent in found.parents),
        )

    async def comments(self, repository: str, number: int) -> AsyncIterator[Comment]:
        path = f"/issues/{number}/comments"
        login = await self._access.credential.login(self._access.client)
        async for answer in self._access.pages(repository, path):
            for one in read(_COMMENTS, path, answer, SERVICE, reads=True):
                ours = one.user is not None and one.user.login == login
                yield Comment(str(one.id), one.body or "", ours)

    async def comment(self, repository: str, number: int, body: str) -> str:
        return await self._access.make(repository, f"/issues/{number}/comments", {"body": body})

    async def edit_comment(
        self,
        repository: str,
        number: int,  # noqa: ARG002 - GitHub finds comments by their id alone
        id_: str,
        body: str,
    ) -> None:
        path = f"/issues/comments/{numeric(SERVICE, id_)}"
        await self._access.ask(repository, "PATCH", path, body={"body": body})

    async def set_status(
        self,
        repository: str,
        commit: str,
        context: str,
        state: CommitState,
        description: str,
        url: str | None = None,
    ) -> None:
        body = {
            "state": _STATUS[state],
            "context": context,
            "description": cut(description, _DESCRIPTION),
            **({"target_url": url} if url else {}),
        }
        await self._access.ask(repository, "POST", f"/statuses/{commit}", body=body)

    async def create_deployment(
        self,
        repository: str,
        commit: str,
        ref: str,  # noqa: ARG002 - the commit is deployed, even if the branch has moved on
        environment: str,
        description: str,
        *,
        transient: bool = False,
    ) -> str:
        body = {
            "ref": commit,
            "environment": environment,
            "description": cut(description, _DESCRIPTION),
            # Without these GitHub merges the default branch into the ref, or refuses.
            "auto_merge": False,
            "required_contexts": [],
            "transient_environment": transient,
            # By default it is one if it is called "production".
            **({"production_environment": False} if transient else {}),
        }
        return await self._access.make(repository, "/deployments", body)

    async def find_deployment(
        self, repository: str, commit: str, environment: str, description: str
    ) -> str | None:
        query = {"sha": commit, "environment": environment}
        said = cut(description, _DESCRIPTION)
        async for answer in self._access.pages(repository, "/deployments", query=query):
            for one in read(_DEPLOYMENTS, "/deployments", answer, SERVICE, reads=True):
                if one.description == said:
                    return str(one.id)
        return None

    async def set_deployment(
        self,
        repository: str,
        id_: str,
        state: CommitState,
        description: str,
        *,
        environment_url: str | None = None,
        log_url: str | None = None,
    ) -> None:
        body = {
            "state": _DEPLOYMENT[state],
            "description": cut(description, _DESCRIPTION),
            "auto_inactive": True,
            **({"environment_url": environment_url} if environment_url else {}),
            **({"log_url": log_url} if log_url else {}),
        }
        path = f"/deployments/{numeric(SERVICE, id_)}/statuses"
        await self._access.ask(repository, "POST", path, body=body)

    async def end_deployment(
        self,
        repository: str,
        id_: str,
        why: str,
        *,
        replaced: bool,  # noqa: ARG002 - a newer success leaves earlier transient ones active
    ) -> None:
        body = {"state": "inactive", "description": cut(why, _DESCRIPTION)}
        path = f"/deployments/{numeric(SERVICE, id_)}/statuses"
        await self._access.ask(repository, "POST", path, body=body)

    async def compare(self, repository: str, base: str, head: str) -> ChangeSet:
        return await changes(self._access.ask, repository, base, head)

    async def authors(self, repository: str, base: str | None, head: str) -> Authored:
        return await authors(self._access, repository, base, head)

    hides_accounts = False

    async def number_of(self, repository: str, login: str) -> str | None:
        return await number_of(self._access, repository, login)

    async def close(self) -> None:
        await self._access.client.close()


class _Whole(Model):
    id: int
    full_name: str
    html_url: str | None = None
    clone_url: str | None = None
    ssh_url: str | None = None
    git_url: str | None = None


class _Author(Model):
    name: str | None = None
    email: str | None = None


class _Written(Model):
    message: str = ""
    author: _Author | None = None


class _Parent(Model):
    sha: str


class _Commit(Model):
    sha: str
    html_url: str | None = None
    commit: _Written
    parents: list[_Parent] = Field(default_factory=list)


class _User(Model):
    login: str


class _Comment(Model):
    id: int
    body: str | None = None
    user: _User | None = None  # an account that was deleted


class _Deployment(Model):
    id: int
    description: str | None = None


_WHOLE, _COMMIT = TypeAdapter(_Whole), TypeAdapter(_Commit)
_COMMENTS = TypeAdapter(list[_Comment])
_DEPLOYMENTS = TypeAdapter(list[_Deployment])
