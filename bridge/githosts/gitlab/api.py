"""GitLab's REST API, of GitLab.com and self-managed servers.

https://docs.gitlab.com/api/rest/
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import ClassVar, Unpack

from pydantic import AliasPath, Field, SecretStr

from bridge.core.errors import NotFound, Refused
from bridge.core.events import Commit, Repository
from bridge.core.pulls import PullRequest
from bridge.githosts.base.api import PAGE_OF_RECENT, PullForm, Query, RecreatesBranches, remedied
from bridge.githosts.base.http import PAGE, numeric, part
from bridge.githosts.base.pool import Limits
from bridge.githosts.base.webhook import Model, address, clone_urls, web_url
from bridge.githosts.gitlab.access import WEB_URL, GitlabAccess
from bridge.githosts.gitlab.commits import GitlabReadsChecks, authors, commit_at
from bridge.githosts.gitlab.hooks import GitlabHooks
from bridge.githosts.gitlab.merges import OPEN, Merge, number_in
from bridge.ports.authors import Authored
from bridge.ports.githosts import ChangeSet, Comment, CommitState

DEVELOPER = 30
"""The role from which on one may push."""

_TAGS = "refs/tags/"
_BRANCHES = "refs/heads/"

_STATUS: Mapping[CommitState, str] = {
    CommitState.PENDING: "pending",
    CommitState.RUNNING: "running",
    CommitState.SUCCESS: "success",
    CommitState.FAILURE: "failed",
    CommitState.CANCELLED: "canceled",
}
_DEPLOYMENT = {**_STATUS, CommitState.PENDING: "running"}  # GitLab has no state for waiting


class _Whole(Model):
    id: int
    path_with_namespace: str
    web_url: str | None = None
    http_url_to_repo: str | None = None
    ssh_url_to_repo: str | None = None


class _Note(Model):
    id: int
    body: str
    author: int = Field(validation_alias=AliasPath("author", "id"))
    system: bool = False


class _Environment(Model):
    id: int
    external_url: str | None = None


class _Deployment(Model):
    id: int
    sha: str


class _Deployed(Model):
    environment: _Environment


class _File(Model):
    old_path: str
    new_path: str


class _Comparison(Model):
    diffs: list[_File]
    compare_timeout: bool = False
    overflow: bool = False


class _User(Model):
    id: int
    username: str


class _Member(Model):
    id: int
    state: str = "active"
    level: int = Field(alias="access_level")


class _Merge(Merge, PullForm):
    state: str
    sha: str | None = None
    author: str = Field("", validation_alias=AliasPath("author", "username"))
    labels: list[str] = Field(default_factory=list)
    web_url: str | None = None
    changes_count: str | None = None

    def meaning(self) -> PullRequest:
        return self.told(
            head_sha=self.sha or "",
            is_open=self.state in OPEN,
            merged=self.state == "merged",
            author=self.author,
            labels=self.labels,
            url=self.web_url,
        )


class Gitlab(GitlabHooks, GitlabReadsChecks, RecreatesBranches):
    """GitLab's API, as far as the bridge uses it.

    A `HostApi` that also `HasDeployments`, `TellsWriters`, `TellsAuthors` and `TellsAccounts`.
    """

    access: GitlabAccess
    title = "GitLab"
    reactivates = False  # the newest success stays what its environment shows
    states = _STATUS
    context = "name"
    already = "cannot transition"
    pulls = "/merge_requests"
    pull_form = _Merge
    open_pulls_query: ClassVar[Query] = {"state": "opened", "order_by": "created_at", "sort": "asc"}
    recent_pulls_query: ClassVar[Query] = {
        "state": "all",
        "order_by": "updated_at",
        "sort": "desc",
        "per_page": PAGE_OF_RECENT,
    }
    branches = "/repository/branches"
    new_branch = ("branch", "ref")
    tags_path = "/repository/tags"
    tags_query: ClassVar[Query] = {"order_by": "updated", "sort": "desc"}
    moves = (
        "to move a branch of its own, the bridge's token needs the role *Developer* and the scope"
        " `api`, and `bridge/*` may not be a protected branch"
    )
    tells_writers = (
        "to see who may write to a project, the bridge's token needs a role there, at least *Guest*"
    )

    def key(self, repository: Repository) -> str:
        return repository.id  # it survives renames

    async def repository(self, name: str) -> Repository:
        project = await self.access.of(name).get("", _Whole)
        return Repository(
            self.name,
            str(project.id),
            project.path_with_namespace,
            clone_urls(project.http_url_to_repo, project.ssh_url_to_repo, project.web_url),
            web_url(project.web_url),
        )

    async def commit(self, repository: str, sha: str) -> Commit:
        listed = await commit_at(self.access, repository, sha)
        return Commit(
            listed.id,
            listed.message,
            listed.author_name,
            web_url(listed.web_url),
            address(listed.author_email),
            tuple(listed.parent_ids),
        )

    def _is_there(self, error: Refused) -> bool:
        return error.status == 400 and "already exists" in error.words.lower()

    async def authors(self, repository: str, base: str | None, head: str) -> Authored:
        return await authors(self.access, repository, base, head)

    # ── comments ────────────────────────────────────────────────────────────

    async def comments(self, repository: str, number: int) -> AsyncIterator[Comment]:
        place, me = self.access.of(repository), await self.access.me()
        path, query = f"/merge_requests/{number}/notes", {"sort": "asc", "order_by": "created_at"}
        async for page in place.pages(path, list[_Note], query):
            for note in page:
                if not note.system:
                    yield Comment(str(note.id), note.body, note.author == me)

    async def comment(self, repository: str, number: int, body: str) -> str:
        path = f"/merge_requests/{number}/notes"
        return await self.access.of(repository).make(path, {"body": body})

    async def edit_comment(self, repository: str, number: int, id_: str, body: str) -> None:
        path = f"/merge_requests/{number}/notes/{numeric(self.name, id_)}"
        await self.access.of(repository).ask("PUT", path, body={"body": body})

    # ── files and merge requests ────────────────────────────────────────────

    async def compare(self, repository: str, base: str, head: str) -> ChangeSet:
        """Return every path that differs, the old names of renamed files among them.

        Raises:
            NotFound: GitLab does not know `head` (yet). If it no longer knows `base`, the
                files are unknown.
        """
        place, query = self.access.of(repository), {"from": base, "to": head, "straight": "true"}
        try:
            compared = await place.get("/repository/compare", _Comparison, query)
        except NotFound:
            # Which commit is unknown? This raises NotFound if it is the head.
            await place.ask("GET", f"/repository/commits/{part(head)}")
            return ChangeSet(None, f"GitLab does not know the commit {base[:12]} any more")
        if compared.compare_timeout or compared.overflow:
            return ChangeSet(None, "the change is too large for GitLab to compare")
        # GitLab also lists files whose text it omits as too large.
        return ChangeSet(_paths(compared.diffs), "compared by GitLab")

    async def pull_requests(self, repository: str, commit: str) -> list[PullRequest]:
        path = f"/repository/commits/{part(commit)}/merge_requests"
        merges = await self.access.of(repository).entries(path, _Merge)
        return [merge.meaning() for merge in merges]

    async def pull_files(self, repository: str, number: int) -> ChangeSet:
        place, path = self.access.of(repository), f"/merge_requests/{number}"
        files = await place.entries(f"{path}/diffs", _File)
        # GitLab lists files up to a limit of the server without a word: only the number tells.
        total = (await place.get(path, _Merge)).changes_count
        if total is None:
            return ChangeSet(None, "GitLab has not compared the merge request yet")
        if total != str(len(files)):
            return ChangeSet(None, f"GitLab listed {len(files)} of {total} files")
        return ChangeSet(_paths(files), "listed by GitLab")

    # ── people ──────────────────────────────────────────────────────────────

    async def may_write(self, repository: str, login: str) -> bool:
        account = number_in(login)
        if account is None:
            account = await self._account(login)
        if account is None:
            return False
        place = self.access.of(repository)
        try:
            with remedied(self.tells_writers):
                member = await place.get(f"/members/all/{account}", _Member)
        except NotFound:
            await place.ask("GET")  # raises NotFound if that is missing
            return False
        return member.id == account and member.state == "active" and member.level >= DEVELOPER

    async def number_of(self, repository: str, login: str) -> str | None:  # noqa: ARG002 - one token serves all
        account = await self._account(login)
        return None if account is None else str(account)

    async def _account(self, username: str) -> int | None:
        """Return an account's number; None if there is none of exactly this name."""
        if not username:
            return None
        users = await self.access.at("/users").get("", list[_User], {"username": username})
        named = [user.id for user in users if user.username.lower() == username.lower()]
        return named[0] if len(named) == 1 else None

    # ── deployments ─────────────────────────────────────────────────────────

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
        return await self.access.of(repository).make("/deployments", body)

    async def find_deployment(
        self,
        repository: str,
        commit: str,
        environment: str,
        description: str,  # noqa: ARG002 - GitLab has no field for it
    ) -> str | None:
        query = {"environment": environment, "order_by": "id", "sort": "desc", "per_page": PAGE}
        place = self.access.of(repository)
        deployments = await place.get("/deployments", list[_Deployment], query)
        return next((str(made.id) for made in deployments if made.sha == commit), None)

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
        place, path = self.access.of(repository), f"/deployments/{numeric(self.name, id_)}"
        try:
            await place.ask("PUT", path, body={"status": _DEPLOYMENT[state]})
        except Refused as error:
            if not self._is_set(error):
                raise
        if environment_url and state is CommitState.SUCCESS:
            environment = (await place.get(path, _Deployed)).environment
            if environment.external_url != environment_url:
                body = {"external_url": environment_url}
                await place.ask("PUT", f"/environments/{environment.id}", body=body)

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
        place, path = self.access.of(repository), f"/deployments/{numeric(self.name, id_)}"
        environment = (await place.get(path, _Deployed)).environment
        # Nobody's job is to run: what the environment stands for is removed by us.
        await place.ask("POST", f"/environments/{environment.id}/stop", body={"force": True})


def _paths(files: Sequence[_File]) -> tuple[str, ...]:
    """Return both names of each file, sorted."""
    return tuple(sorted({name for file in files for name in (file.old_path, file.new_path)}))


def gitlab_api(
    token: SecretStr | None, url: str = WEB_URL, **limits: Unpack[Limits]
) -> Gitlab | None:
    """Return GitLab's API; None if no token is set; else see `GitlabAccess`."""
    return None if token is None else Gitlab(GitlabAccess(token, url=url, **limits))
