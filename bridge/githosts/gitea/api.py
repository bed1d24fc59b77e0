"""Gitea's REST API, which Forgejo shares: changed files, comments, statuses, refs and hooks.

https://docs.gitea.com/api
"""

from collections.abc import AsyncIterator

from pydantic import Field, SecretStr, TypeAdapter

from bridge.core.errors import NotFound, Refused
from bridge.core.events import Commit, Repository
from bridge.githosts.access import AskAbout
from bridge.githosts.answers import read
from bridge.githosts.gitea.access import GiteaAccess
from bridge.githosts.gitea.authors import authors, number_of
from bridge.githosts.gitea.branches import GiteaMovesBranches
from bridge.githosts.gitea.ci import GiteaReadsChecks
from bridge.githosts.gitea.hooks import GiteaMakesHooks
from bridge.githosts.gitea.pulls import GiteaListsPulls
from bridge.githosts.http import cut, numeric, part
from bridge.githosts.pool import Bounds
from bridge.githosts.webhook import Model, address, clone_urls, web_url
from bridge.ports.authors import Authored
from bridge.ports.githosts import ChangeSet, Comment, CommitState, Hook, TagAt

_MOST_PAGES = 100
"""The most pages of a tree to read; each has 1,000 entries by default."""


async def changes(ask: AskAbout, service: str, repository: str, base: str, head: str) -> ChangeSet:
    """Return every path that differs, the old names of renamed files among them.

    A comparison lists the files of each commit, of a rename both names. That is all that differs if
    `head` is ahead and no commit is a merge, since a merge may revert files. Otherwise, and on
    servers without a comparison (before 1.22), both trees are compared.

    Raises:
        NotFound: the server does not know `head` (yet). A `base` that it does not know any more
            makes the files unknown.
        Refused, Unreachable: as `HostApi` has it.
    """
    if (listed := await _compared(ask, service, repository, base, head)) is not None:
        return ChangeSet(listed, "compared by Gitea")
    new = await _tree(ask, service, repository, head)
    try:
        old = await _tree(ask, service, repository, base)
    except NotFound:
        return ChangeSet(None, f"Gitea does not know the commit {base[:12]} any more")
    if new is None or old is None:
        return ChangeSet(None, "the repository has more files than are read from Gitea")
    differing = (path for path in old.keys() | new.keys() if old.get(path) != new.get(path))
    return ChangeSet(tuple(sorted(differing)), "the trees of both commits were compared")


async def _compared(
    ask: AskAbout, service: str, repository: str, base: str, head: str
) -> tuple[str, ...] | None:
    """Return the paths in the comparison, or None if it may not list all of them."""
    path = f"/compare/{part(base)}...{part(head)}"
    try:
        answer = await ask(repository, "GET", path)
    except NotFound:
        return None  # or no such operation; the trees tell
    found = read(_COMPARISON, path, answer, service, reads=True)
    commits = found.commits
    if not commits or found.total_commits != len(commits):
        return None
    if any(one.files is None or len(one.parents) != 1 for one in commits):
        return None
    if {one.parents[0].sha for one in commits} - {one.sha for one in commits} != {base}:
        return None  # `base` is on another branch, or was taken back
    return tuple(sorted({file.filename for one in commits for file in one.files or ()}))


async def _tree(
    ask: AskAbout, service: str, repository: str, commit: str
) -> dict[str, tuple[str, str]] | None:
    """Return mode and object of files and submodules, by path; None if there are too many.

    Raises:
        NotFound: the server does not know the commit, to which it says 400.
    """
    path, found = f"/git/trees/{part(commit)}", dict[str, tuple[str, str]]()
    for number in range(1, _MOST_PAGES + 1):
        query = {"recursive": True, "page": number}
        try:
            answer = await ask(repository, "GET", path, query=query)
        except Refused as error:
            if error.status == 400:
                raise NotFound(f"{service} has no {path}: {error.words}") from error
            raise
        page = read(_TREE, path, answer, service, reads=True)
        found |= {one.path: (one.mode, one.sha) for one in page.tree if one.type != "tree"}
        if not page.truncated:
            return found
    return None


class _File(Model):
    filename: str


class _Parent(Model):
    sha: str


class _Compared(Model):
    sha: str
    parents: list[_Parent] = Field(default_factory=list)
    files: list[_File] | None = None


class _Comparison(Model):
    total_commits: int
    commits: list[_Compared] | None = None


class _Entry(Model):
    path: str
    mode: str
    type: str
    sha: str


class _Tree(Model):
    tree: list[_Entry]
    truncated: bool = False


_COMPARISON, _TREE = TypeAdapter(_Comparison), TypeAdapter(_Tree)


# ── Comments, statuses, refs and hooks ────────────────────────────────────────────────────────────

_DESCRIPTION = 255

_STATUS = {
    CommitState.PENDING: "pending",
    CommitState.RUNNING: "pending",
    CommitState.SUCCESS: "success",
    CommitState.FAILURE: "failure",
    CommitState.CANCELLED: "error",
}


class Gitea(GiteaListsPulls, GiteaMakesHooks, GiteaReadsChecks, GiteaMovesBranches):
    """The API of a Gitea or Forgejo, as far as the bridge uses it.

    A `HostApi` that `ListsPulls`, `TellsWriters`, `ListsRefs`, `MovesBranches`, `ListsHooks`,
    `ManagesHooks`, `ReadsChecks` and `TellsAuthors`.
    It has no deployment objects, and does not list the deliveries of its webhooks.
    """

    def __init__(self, name: str, access: GiteaAccess) -> None:
        """Take the server's name, unique among all servers."""
        self.name = name
        GiteaMakesHooks.__init__(self, access)
        self.access = access

    def key(self, repository: Repository) -> str:
        """Return the repository's name, its only key in the API."""
        return repository.name

    async def account(self) -> str:
        return (await self._access.me()).login

    async def repository(self, name: str) -> Repository:
        found = read(_WHOLE, "", await self._access.ask(name, "GET", ""), self.name, reads=True)
        return Repository(
            self.name,
            str(found.id),
            found.full_name,
            clone_urls(found.clone_url, found.ssh_url, found.html_url),
            web_url(found.html_url),
        )

    async def commit(self, repository: str, sha: str) -> Commit:
        path = f"/git/commits/{part(sha)}"
        query = {"stat": False, "verification": False, "files": False}
        answer = await self._access.ask(repository, "GET", path, query=query)
        found = read(_COMMIT, path, answer, self.name, reads=True)
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
        """Yield all comments; Gitea lists them on one page."""
        path, me = f"/issues/{number}/comments", (await self._access.me()).id
        answer = await self._access.ask(repository, "GET", path)
        for one in read(_COMMENTS, path, answer, self.name, reads=True):
            ours = one.user is not None and one.user.id == me
            yield Comment(str(one.id), one.body or "", ours)

    async def comment(self, repository: str, number: int, body: str) -> str:
        return await self._access.make(repository, f"/issues/{number}/comments", {"body": body})

    async def edit_comment(
        self,
        repository: str,
        number: int,  # noqa: ARG002 - Gitea's comments are found by their id alone
        id_: str,
        body: str,
    ) -> None:
        path = f"/issues/comments/{numeric(self.name, id_)}"
        answer = await self._access.ask(repository, "PATCH", path, body={"body": body})
        if answer.status == 204:  # it is there, but is no comment that can be edited
            raise NotFound(f"{self.name} has no comment {id_} that can be edited")

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
        await self._access.ask(repository, "POST", f"/statuses/{part(commit)}", body=body)

    async def compare(self, repository: str, base: str, head: str) -> ChangeSet:
        return await changes(self._access.ask, self.name, repository, base, head)

    async def authors(self, repository: str, base: str | None, head: str) -> Authored:
        return await authors(self._access, self.name, repository, base, head)

    hides_accounts = True  # whoever has a private profile

    async def number_of(self, repository: str, login: str) -> str | None:  # noqa: ARG002 - one token serves all
        return await number_of(self._access, self.name, login)

    async def head(self, repository: str, branch: str) -> str | None:
        path = f"/branches/{part(branch)}"
        try:
            answer = await self._access.ask(repository, "GET", path)
        except NotFound:
            await self.repository(repository)  # raises NotFound where that is what is missing
            return None
        return read(_BRANCH, path, answer, self.name, reads=True).commit.id

    async def tags(self, repository: str, limit: int) -> list[TagAt]:
        found: list[TagAt] = []
        async for answer in self._access.pages(repository, "/tags"):
            tags = read(_TAGS, "/tags", answer, self.name, reads=True)
            found += [TagAt(tag.name, tag.commit.sha) for tag in tags]
            if len(found) >= limit:
                break
        return found[:limit]

    async def hooks(self, repository: str) -> list[Hook]:
        """Return a repository's webhooks; none if the credential may not list them."""
        return await self._listed(repository) or []

    async def hooks_by_place(self, repository: str) -> dict[str, list[Hook] | None]:
        """Return the webhooks of a repository; its organisation's are seen by its owners alone."""
        return {repository: await self._listed(repository)}

    async def _listed(self, repository: str) -> list[Hook] | None:
        found: list[Hook] = []
        try:
            async for answer in self._access.pages(repository, "/hooks"):
                hooks = read(_HOOKS, "/hooks", answer, self.name, reads=True)
                found += [one.meaning(repository) for one in hooks]
        except Refused as error:
            if error.status != 403:
                raise
            return None
        return found

    async def close(self) -> None:
        await self._access.client.close()


class _User(Model):
    id: int


class _Whole(Model):
    id: int
    full_name: str
    html_url: str | None = None
    clone_url: str | None = None
    ssh_url: str | None = None


class _Author(Model):
    name: str | None = None
    email: str | None = None


class _Written(Model):
    message: str = ""
    author: _Author | None = None


class _Commit(Model):
    sha: str
    html_url: str | None = None
    commit: _Written
    parents: list[_Parent] = Field(default_factory=list)


class _Comment(Model):
    id: int
    body: str | None = None
    user: _User | None = None


class _Tip(Model):
    id: str


class _Branch(Model):
    commit: _Tip


class _Tag(Model):
    name: str
    commit: _Parent


class _Config(Model):
    url: str | None = None
    content_type: str | None = None


class _Hook(Model):
    id: int
    active: bool = True
    events: list[str] = Field(default_factory=list)
    config: _Config

    def meaning(self, place: str) -> Hook:
        return Hook(
            place,
            str(self.id),
            self.config.url,
            self._trouble(),
            events=frozenset(self.events),
            content_type=self.config.content_type,
        )

    def _trouble(self) -> str | None:
        if not self.active:
            return "it is switched off at Gitea"
        return None if "push" in self.events else "it sends no pushes: choose its push events"


_WHOLE, _COMMIT, _BRANCH = TypeAdapter(_Whole), TypeAdapter(_Commit), TypeAdapter(_Branch)
_COMMENTS, _TAGS, _HOOKS = (
    TypeAdapter(list[_Comment]),
    TypeAdapter(list[_Tag]),
    TypeAdapter(list[_Hook]),
)


def gitea_api(
    name: str = "gitea",
    *,
    token: SecretStr | None = None,
    url: str,
    ca: str | None = None,
    bounds: Bounds | None = None,
) -> Gitea | None:
    """Return the API of a Gitea or Forgejo; None if no token is set.

    Raises:
        Rejected: a setting can't be used.
    """
    if token is None:
        return None
    return Gitea(name, GiteaAccess(name, token, url=url, ca=ca, bounds=bounds))
