"""GitLab's REST API, GitLab.com and servers of one's own: what people see there.

https://docs.gitlab.com/api/rest/
"""

import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

from pydantic import SecretStr, TypeAdapter

from bridge.core.errors import NotFound, Refused
from bridge.core.events import Commit, Repository
from bridge.githosts.answers import NOTHING, Answer
from bridge.githosts.client import Client, checked_base, checked_token, part, read
from bridge.githosts.payload import Model, clone_urls, web_url
from bridge.githosts.pool import Bounds
from bridge.ports import ChangeSet, Clock, Comment, CommitState, PullRequest

SERVICE = "gitlab"

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
_DEPLOYMENT = _STATUS | {CommitState.PENDING: "running"}  # it knows none that waits


class GitlabAccess:
    """Requests about projects, with one token."""

    def __init__(
        self,
        token: SecretStr,
        *,
        url: str = "https://gitlab.com",
        ca: str | None = None,
        bounds: Bounds | None = None,
        clock: Clock = time.time,
    ) -> None:
        base, bounds = checked_base(SERVICE, url), bounds or Bounds()
        self._token = SecretStr(checked_token(SERVICE, token.get_secret_value()))

        def wire() -> Any:
            from bridge.githosts.gitlab_wire import GitlabWire

            secret = self._token.get_secret_value()
            return GitlabWire(base, secret, ca=ca, silence=bounds.silence)

        remedy = "set BRIDGE_GITLAB_TOKEN to one that is valid"
        api = f"{base}/api/v4"
        self.client = Client(SERVICE, api, wire, remedy=remedy, bounds=bounds, clock=clock)
        self._me: int | None = None

    async def me(self) -> int:
        """The id of the account that we write as; of a project token that is a bot."""
        if self._me is None:
            answer = await self.client.ask(self._token.get_secret_value(), "GET", "/user")
            self._me = read(_USER, "/user", answer, SERVICE, reads=True).id
        return self._me

    async def ask(
        self,
        repository: str,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] = NOTHING,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] = NOTHING,
    ) -> Answer:
        """Send one request about a project; `path` is under it, e.g. "/hooks"."""
        whole = f"/projects/{part(repository)}{path}"
        return await self.client.ask(
            self._token.get_secret_value(), method, whole, query=query, body=body, headers=headers
        )

    async def pages(
        self, repository: str, path: str, *, query: Mapping[str, Any] = NOTHING
    ) -> AsyncIterator[Answer]:
        """The pages of a list of a project."""
        token, whole = self._token.get_secret_value(), f"/projects/{part(repository)}{path}"
        async for answer in self.client.pages(token, whole, query=query):
            yield answer


class GitlabApi:
    """What the bridge asks of GitLab, and writes there; a `HostApi`."""

    name = SERVICE

    def __init__(self, access: GitlabAccess) -> None:
        self._access = access

    async def repository(self, name: str) -> Repository:
        found = read(_WHOLE, "", await self._access.ask(name, "GET", ""), SERVICE, reads=True)
        return Repository(
            SERVICE,
            str(found.id),
            found.path_with_namespace,
            clone_urls(found.http_url_to_repo, found.ssh_url_to_repo),
            web_url(found.web_url),
        )

    async def commit(self, repository: str, sha: str) -> Commit:
        path = f"/repository/commits/{part(sha)}"
        answer = await self._access.ask(repository, "GET", path)
        found = read(_COMMIT, path, answer, SERVICE, reads=True)
        return Commit(found.id, found.message, found.author_name, web_url(found.web_url))

    async def pull_requests(self, repository: str, commit: str) -> list[PullRequest]:
        path, found = f"/repository/commits/{part(commit)}/merge_requests", list[PullRequest]()
        async for answer in self._access.pages(repository, path):
            merges = read(_MERGES, path, answer, SERVICE, reads=True)
            found += [_pull_request(merge) for merge in merges]
        return found

    async def comments(self, repository: str, number: int) -> AsyncIterator[Comment]:
        path, me = f"/merge_requests/{number}/notes", await self._access.me()
        query = {"sort": "asc", "order_by": "created_at"}
        async for answer in self._access.pages(repository, path, query=query):
            for one in read(_NOTES, path, answer, SERVICE, reads=True):
                if not one.system:
                    yield Comment(str(one.id), one.body, one.author.id == me)

    async def comment(self, repository: str, number: int, body: str) -> str:
        path = f"/merge_requests/{number}/notes"
        answer = await self._access.ask(repository, "POST", path, body={"body": body})
        return str(read(_MADE, path, answer, SERVICE, reads=False).id)

    async def edit_comment(self, repository: str, number: int, id_: str, body: str) -> None:
        path = f"/merge_requests/{number}/notes/{_number(id_)}"
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
            "description": _cut(description),
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
        description: str,  # noqa: ARG002 - GitLab has no place for it
    ) -> str:
        body = {
            "environment": environment,
            "sha": commit,
            "ref": ref.removeprefix(_TAGS).removeprefix(_BRANCHES),
            "tag": ref.startswith(_TAGS),
            "status": "running",
        }
        answer = await self._access.ask(repository, "POST", "/deployments", body=body)
        return str(read(_MADE, "/deployments", answer, SERVICE, reads=False).id)

    async def find_deployment(
        self,
        repository: str,
        commit: str,
        environment: str,
        description: str,  # noqa: ARG002 - GitLab has no place for it
    ) -> str | None:
        query = {"environment": environment, "order_by": "id", "sort": "desc"}
        answer = await self._access.ask(repository, "GET", "/deployments", query=query)
        found = read(_DEPLOYMENTS, "/deployments", answer, SERVICE, reads=True)
        return next((str(one.id) for one in found if one.sha == commit), None)

    async def set_deployment(
        self,
        repository: str,
        id_: str,
        state: CommitState,
        description: str,  # noqa: ARG002 - GitLab has no place for it
        *,
        environment_url: str | None = None,
        log_url: str | None = None,  # noqa: ARG002 - the same
    ) -> None:
        path = f"/deployments/{_number(id_)}"
        try:
            await self._access.ask(repository, "PUT", path, body={"status": _DEPLOYMENT[state]})
        except Refused as error:
            if not _stands_there(error):
                raise
        if environment_url and state is CommitState.SUCCESS:
            await self._show_url(repository, path, environment_url)

    async def compare(self, repository: str, base: str, head: str) -> ChangeSet:
        path = "/repository/compare"
        query = {"from": base, "to": head, "straight": "true"}
        try:
            answer = await self._access.ask(repository, "GET", path, query=query)
        except NotFound:
            # Which of the two? Raises NotFound for one that is not there (yet).
            await self._access.ask(repository, "GET", f"/repository/commits/{part(head)}")
            return ChangeSet(None, f"GitLab does not know the commit {base[:12]} any more")
        found = read(_COMPARISON, path, answer, SERVICE, reads=True)
        if found.compare_timeout or found.overflow:
            return ChangeSet(None, "more has changed than GitLab compares")
        # Files whose text GitLab leaves out, as too large, are listed all the same.
        paths = {name for file in found.diffs for name in (file.old_path, file.new_path)}
        return ChangeSet(tuple(sorted(paths)), "compared by GitLab")

    async def close(self) -> None:
        await self._access.client.close()

    async def _show_url(self, repository: str, path: str, url: str) -> None:
        """Have the environment of a deployment link to where it is served."""
        answer = await self._access.ask(repository, "GET", path)
        environment = read(_DEPLOYED, path, answer, SERVICE, reads=True).environment
        if environment.external_url != url:
            where = f"/environments/{environment.id}"
            await self._access.ask(repository, "PUT", where, body={"external_url": url})


def _stands_there(error: Refused) -> bool:
    """GitLab refuses to set the state that is set: "Cannot transition status via :run from
    :running"."""
    return error.status == 400 and "cannot transition" in error.words.lower()


def _cut(text: str) -> str:
    return text if len(text) <= _DESCRIPTION else text[: _DESCRIPTION - 1].rstrip() + "…"


def _number(id_: str) -> str:
    if not id_.isdecimal():
        raise NotFound(f"gitlab: {id_[:50]!r} is no id of GitLab's")
    return id_


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
    web_url: str | None = None


class _Merge(Model):
    iid: int
    state: str
    source_branch: str
    sha: str | None = None
    merge_commit_sha: str | None = None
    squash_commit_sha: str | None = None
    source_project_id: int | None = None  # a fork that was deleted
    target_project_id: int


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


class _Made(Model):
    id: int


class _File(Model):
    old_path: str
    new_path: str


class _Comparison(Model):
    diffs: list[_File]
    compare_timeout: bool = False
    overflow: bool = False


_WHOLE, _COMMIT = TypeAdapter(_Whole), TypeAdapter(_Commit)
_USER, _MADE = TypeAdapter(_User), TypeAdapter(_Made)
_MERGES, _NOTES = TypeAdapter(list[_Merge]), TypeAdapter(list[_Note])
_DEPLOYMENTS, _DEPLOYED = TypeAdapter(list[_Deployment]), TypeAdapter(_Deployed)
_COMPARISON = TypeAdapter(_Comparison)


def _pull_request(merge: _Merge) -> PullRequest:
    # A merge without a commit of its own, a fast-forward, made the branch's head the target's.
    made = merge.merge_commit_sha or merge.squash_commit_sha or merge.sha
    return PullRequest(
        number=merge.iid,
        head=merge.source_branch,
        head_sha=merge.sha or "",
        open=merge.state == "opened",
        merge_sha=made if merge.state == "merged" else None,
        own=merge.source_project_id == merge.target_project_id,
    )
