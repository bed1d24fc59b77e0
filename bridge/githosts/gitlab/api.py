"""GitLab's REST API, of GitLab.com and self-managed servers.

https://docs.gitlab.com/api/rest/
"""

from collections.abc import AsyncIterator

from pydantic import Field, TypeAdapter

from bridge.core.errors import NotFound, Refused
from bridge.core.events import Commit, Repository
from bridge.githosts.access import AskAbout
from bridge.githosts.answers import read
from bridge.githosts.gitlab.access import SERVICE
from bridge.githosts.gitlab.authors import authors
from bridge.githosts.gitlab.pulls import GitlabListsPulls
from bridge.githosts.http import PAGE, cut, numeric, part
from bridge.githosts.webhook import Model, address, clone_urls, web_url
from bridge.ports.authors import Authored
from bridge.ports.githosts import ChangeSet, Comment, CommitState


async def changes(ask: AskAbout, repository: str, base: str, head: str) -> ChangeSet:
    """Return every path that differs, the old names of renamed files among them.

    Raises:
        NotFound: GitLab does not know `head` (yet). If it no longer knows `base`, the
            files are unknown.
        Refused, Unreachable: see `HostApi`.
    """
    path, query = "/repository/compare", {"from": base, "to": head, "straight": "true"}
    try:
        answer = await ask(repository, "GET", path, query=query)
    except NotFound:
        # Which commit is unknown? This raises NotFound if it is the head.
        await ask(repository, "GET", f"/repository/commits/{part(head)}")
        return ChangeSet(None, f"GitLab does not know the commit {base[:12]} any more")
    found = read(_COMPARISON, path, answer, "gitlab", reads=True)
    if found.compare_timeout or found.overflow:
        return ChangeSet(None, "the change is too large for GitLab to compare")
    # GitLab also lists files whose text it omits as too large.
    paths = {name for file in found.diffs for name in (file.old_path, file.new_path)}
    return ChangeSet(tuple(sorted(paths)), "compared by GitLab")


class _File(Model):
    old_path: str
    new_path: str


class _Comparison(Model):
    diffs: list[_File]
    compare_timeout: bool = False
    overflow: bool = False


_COMPARISON = TypeAdapter(_Comparison)


# ── GitLab's REST API ─────────────────────────────────────────────────────────────────────────────

_DESCRIPTION = 255
_TAGS = "refs/tags/"
_BRANCHES = "refs/heads/"

_STATUS = {
    CommitState.PENDING: "pending",
    CommitState.RUNNING: "running",
    CommitState.SUCCESS: "success",
    CommitState.FAILURE: "failed",
    CommitState.CANCELLED: "canceled",
}
_DEPLOYMENT = _STATUS | {CommitState.PENDING: "running"}  # GitLab has no state for waiting


class GitlabApi(GitlabListsPulls):
    """The bridge's requests to GitLab.

    A `HostApi` that `ListsPulls`, `TellsWriters` and `TellsAuthors`.
    """

    name = SERVICE
    reactivates = False  # the newest success stays what its environment shows

    def key(self, repository: Repository) -> str:
        """Return the project's number, which survives renames."""
        return repository.id

    async def repository(self, name: str) -> Repository:
        found = read(_WHOLE, "", await self._access.ask(name, "GET", ""), SERVICE, reads=True)
        return Repository(
            SERVICE,
            str(found.id),
            found.path_with_namespace,
            clone_urls(found.http_url_to_repo, found.ssh_url_to_repo, found.web_url),
            web_url(found.web_url),
        )

    async def commit(self, repository: str, sha: str) -> Commit:
        path = f"/repository/commits/{part(sha)}"
        answer = await self._access.ask(repository, "GET", path)
        found = read(_COMMIT, path, answer, SERVICE, reads=True)
        return Commit(
            found.id,
            found.message,
            found.author_name,
            web_url(found.web_url),
            address(found.author_email),
            tuple(found.parent_ids),
        )

    async def comments(self, repository: str, number: int) -> AsyncIterator[Comment]:
        path, me = f"/merge_requests/{number}/notes", await self._access.me()
        query = {"sort": "asc", "order_by": "created_at"}
        async for answer in self._access.pages(repository, path, query=query):
            for one in read(_NOTES, path, answer, SERVICE, reads=True):
                if not one.system:
                    yield Comment(str(one.id), one.body, one.author.id == me)

    async def comment(self, repository: str, number: int, body: str) -> str:
        path = f"/merge_requests/{number}/notes"
        return await self._access.make(repository, path, {"body": body})

    async def edit_comment(self, repository: str, number: int, id_: str, body: str) -> None:
        path = f"/merge_requests/{number}/notes/{numeric(SERVICE, id_)}"
        await self._access.ask(repository, "PUT", path, body={"body": body})

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
            "name": context,
            "description": cut(description, _DESCRIPTION),
            **({"target_url": url} if url else {}),
        }
        try:
            await self._access.ask(repository, "POST", f"/statuses/{part(commit)}", body=body)
        except Refused as error:
            if not _stands_there(error):
                raise

    async def create_deployment(
        self,
        repository: str,
        commit: str,
        ref: str,
        environment: str,
        description: str,  # noqa: ARG002 - GitLab has no field for it
        *,
        transient: bool = False,  # noqa: ARG002 - its tier follows from its name, `review/…`
    ) -> str:
        body = {
            "environment": environment,
            "sha": commit,
            "ref": ref.removeprefix(_TAGS).removeprefix(_BRANCHES),
            "tag": ref.startswith(_TAGS),
            "status": "running",
        }
        return await self._access.make(repository, "/deployments", body)

    async def find_deployment(
        self,
        repository: str,
        commit: str,
        environment: str,
        description: str,  # noqa: ARG002 - GitLab has no field for it
    ) -> str | None:
        query = {"environment": environment, "order_by": "id", "sort": "desc", "per_page": PAGE}
        answer = await self._access.ask(repository, "GET", "/deployments", query=query)
        found = read(_DEPLOYMENTS, "/deployments", answer, SERVICE, reads=True)
        return next((str(one.id) for one in found if one.sha == commit), None)

    async def set_deployment(
        self,
        repository: str,
        id_: str,
        state: CommitState,
        description: str,  # noqa: ARG002 - GitLab has no field for it
        *,
        environment_url: str | None = None,
        log_url: str | None = None,  # noqa: ARG002 - the same
    ) -> None:
        path = f"/deployments/{numeric(SERVICE, id_)}"
        try:
            await self._access.ask(repository, "PUT", path, body={"status": _DEPLOYMENT[state]})
        except Refused as error:
            if not _stands_there(error):
                raise
        if environment_url and state is CommitState.SUCCESS:
            await self._show_url(repository, path, environment_url)

    async def end_deployment(
        self,
        repository: str,
        id_: str,
        why: str,  # noqa: ARG002 - GitLab has no field for it
        *,
        replaced: bool,
    ) -> None:
        if replaced:  # a deployment that succeeds takes the place of all earlier ones
            return
        path = f"/deployments/{numeric(SERVICE, id_)}"
        answer = await self._access.ask(repository, "GET", path)
        environment = read(_DEPLOYED, path, answer, SERVICE, reads=True).environment
        # Nobody's job is to run: what the environment stands for is removed by us.
        stop = f"/environments/{environment.id}/stop"
        await self._access.ask(repository, "POST", stop, body={"force": True})

    async def compare(self, repository: str, base: str, head: str) -> ChangeSet:
        return await changes(self._access.ask, repository, base, head)

    async def authors(self, repository: str, base: str | None, head: str) -> Authored:
        return await authors(self._access, repository, base, head)

    async def close(self) -> None:
        await self._access.client.close()

    async def _show_url(self, repository: str, path: str, url: str) -> None:
        """Set the external URL of a deployment's environment."""
        answer = await self._access.ask(repository, "GET", path)
        environment = read(_DEPLOYED, path, answer, SERVICE, reads=True).environment
        if environment.external_url != url:
            where = f"/environments/{environment.id}"
            await self._access.ask(repository, "PUT", where, body={"external_url": url})


def _stands_there(error: Refused) -> bool:
    """Return whether GitLab refused a state that was already set ("Cannot transition status …")."""
    return error.status == 400 and "cannot transition" in error.words.lower()


class _User(Model):
    id: int


class _Whole(Model):
    id: int
    path_with_namespace: str
    web_url: str | None = None
    http_url_to_repo: str | None = None
    ssh_url_to_repo: str | None = None


class _Commit(Model):
    id: str
    message: str = ""
    author_name: str = ""
    author_email: str | None = None
    web_url: str | None = None
    parent_ids: list[str] = Field(default_factory=list)


class _Note(Model):
    id: int
    body: str
    author: _User
    system: bool = False


class _Environment(Model):
    id: int
    external_url: str | None = None


class _Deployment(Model):
    id: int
    sha: str


class _Deployed(Model):
    environment: _Environment


_WHOLE, _COMMIT = TypeAdapter(_Whole), TypeAdapter(_Commit)
_NOTES = TypeAdapter(list[_Note])
_DEPLOYMENTS, _DEPLOYED = TypeAdapter(list[_Deployment]), TypeAdapter(_Deployed)
