"""GitHub's REST API, of github.com and GitHub Enterprise Server from 3.9 on.

https://docs.github.com/en/rest
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Unpack

from pydantic import Field, SecretStr

from bridge.core.errors import NotFound, Refused, Rejected, Unreachable
from bridge.core.pulls import PullRequest
from bridge.githosts.base.api import PAGE_OF_RECENT, Query, Tip, check_moved, remedied
from bridge.githosts.base.commits import MOST_COMMITS, TOO_MANY, AuthoredCommit, authored
from bridge.githosts.base.http import cut, numeric, part
from bridge.githosts.base.pool import Bounds, Limits
from bridge.githosts.base.repos_api import (
    Contents,
    File,
    ListedPull,
    ReposApi,
    Tree,
    User,
    contents,
)
from bridge.githosts.base.webhook import Model
from bridge.githosts.github.access import (
    API_URL,
    AppCredential,
    Credential,
    GithubAccess,
    TokenCredential,
)
from bridge.githosts.github.ci import GithubReadsChecks
from bridge.githosts.github.hooks import GithubHooks
from bridge.githosts.github.webhooks import GitHub as Webhooks
from bridge.ports.authors import Authored
from bridge.ports.githosts import CommitState

if TYPE_CHECKING:
    from bridge.githosts.github.settings import Github as Settings

LISTED = 300
"""The most files that a comparison lists."""

_NO_REF, _NO_COMMIT, _IS_THERE = (
    "reference does not exist",
    "object does not exist",
    "reference already exists",
)

_DEPLOYMENT: Mapping[CommitState, str] = {
    **ReposApi.states,
    CommitState.PENDING: "queued",
    CommitState.RUNNING: "in_progress",
}


class _Compared(Model):
    status: Literal["ahead", "behind", "diverged", "identical"]
    files: list[File] = Field(default_factory=list)


class _ComparedCommits(Model):
    status: str
    total_commits: int
    commits: list[AuthoredCommit] = Field(default_factory=list)


class _Deployment(Model):
    id: int
    description: str | None = None


class _Ref(Model):
    object: Tip


class Github(ReposApi, GithubHooks, GithubReadsChecks):
    """GitHub's API, as far as the bridge uses it.

    A `HostApi` that also `HasDeployments`, `MovesBranches` and `TellsAuthors`.
    """

    access: GithubAccess
    title = "GitHub"
    reactivates = True
    longest_description = 140
    commit_query: ClassVar[Query] = {"per_page": 1}  # of its files, which are not needed
    too_many_files = "GitHub lists"
    most_files = 3000
    pull_form = ListedPull
    open_pulls_query: ClassVar[Query] = {"state": "open", "sort": "created", "direction": "asc"}
    recent_pulls_query: ClassVar[Query] = {
        "state": "all",
        "sort": "updated",
        "direction": "desc",
        "per_page": PAGE_OF_RECENT,
    }
    tells_writers = (
        "to see who may write to a repository, the bridge's token needs the right to write there; a"
        " GitHub App needs nothing more than *Metadata*: read"
    )
    moves = (
        "to move a branch of its own, the bridge's GitHub App or fine-grained token needs the"
        " permission *Contents*: write (a classic token: the scope `repo`), and no ruleset may"
        " cover `bridge/**`"
    )

    async def _is_us(self, user: User) -> bool:
        return user.login == await self.access.credential.login(self.access.client)

    async def number_of(self, repository: str, login: str) -> str | None:
        # Raise NotFound if it is the App's installation that is missing.
        await self.access.credential.token(self.access.client, repository)
        return await super().number_of(repository, login)

    async def pull_requests(self, repository: str, commit: str) -> list[PullRequest]:
        pulls = await self.access.of(repository).entries(f"/commits/{commit}/pulls", ListedPull)
        return [pull.meaning() for pull in pulls]

    # ── comparisons ─────────────────────────────────────────────────────────

    async def _compared(self, repository: str, base: str, head: str) -> set[str] | None:
        path = f"/compare/{part(base)}...{part(head)}"
        try:
            # The commits come in pages and are not needed; all files come with the first page.
            found = await self.access.of(repository).get(path, _Compared, {"per_page": 1})
        except NotFound:
            return None  # or there is no common ancestor; the trees decide
        except Refused as error:
            if error.status in (401, 403):
                raise
            return None
        except Unreachable as error:
            if error.retry_after is not None:
                raise
            # "this diff is taking too long to generate"; if GitHub is away, the next request
            # shows it
            return None
        if found.status not in ("ahead", "identical") or len(found.files) >= LISTED:
            return None
        return {name for file in found.files for name in file.names()}

    async def _tree(self, repository: str, commit: str) -> Contents | None:
        path = f"/git/trees/{part(commit)}"
        page = await self.access.of(repository).get(path, Tree, {"recursive": 1})
        return None if page.truncated else contents(page.tree)

    async def authors(self, repository: str, base: str | None, head: str) -> Authored:
        if base is None:
            return authored(Webhooks.private, [await self._commit(repository, head)])
        path, commits = f"/compare/{part(base)}...{part(head)}", list[AuthoredCommit]()
        try:
            async for page in self.access.of(repository).pages(path, _ComparedCommits):
                commits += page.commits
                if page.total_commits > MOST_COMMITS:
                    return Authored(None, f"{TOO_MANY}, more than are read from GitHub")
                if len(commits) >= page.total_commits:
                    onward = page.status in ("ahead", "identical")
                    return authored(Webhooks.private, commits, onward=onward)
        except NotFound:
            await self._commit(repository, head)  # raises NotFound if that is what is missing
            return Authored(None, f"GitHub can't compare it with {base[:7]}, which is live")
        return Authored(None, "GitHub has not listed them all")

    # ── deployments ─────────────────────────────────────────────────────────

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
            "description": cut(description, self.longest_description),
            # Without these GitHub merges the default branch into the ref, or refuses.
            "auto_merge": False,
            "required_contexts": [],
            "transient_environment": transient,
            # By default it is one if it is called "production".
            **({"production_environment": False} if transient else {}),
        }
        return await self.access.of(repository).make("/deployments", body)

    async def find_deployment(
        self, repository: str, commit: str, environment: str, description: str
    ) -> str | None:
        query = {"sha": commit, "environment": environment}
        said = cut(description, self.longest_description)
        place = self.access.of(repository)
        async for page in place.pages("/deployments", list[_Deployment], query):
            for deployment in page:
                if deployment.description == said:
                    return str(deployment.id)
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
            "auto_inactive": True,
            **({"environment_url": environment_url} if environment_url else {}),
            **({"log_url": log_url} if log_url else {}),
        }
        await self._say(repository, id_, description, body)

    async def end_deployment(
        self,
        repository: str,
        id_: str,
        why: str,
        *,
        replaced: bool,  # noqa: ARG002 - a newer success leaves earlier transient ones active
    ) -> None:
        await self._say(repository, id_, why, {"state": "inactive"})

    async def _say(
        self, repository: str, id_: str, description: str, body: Mapping[str, Any]
    ) -> None:
        path = f"/deployments/{numeric(self.name, id_)}/statuses"
        body = {**body, "description": cut(description, self.longest_description)}
        await self.access.of(repository).ask("POST", path, body=body)

    # ── branches, which can be moved back and sideways ──────────────────────

    async def move_branch(self, repository: str, branch: str, commit: str) -> None:
        """See `MovesBranches`. It is always sent: what a branch reads as may be a little old."""
        for put in (self._put_branch, self._make_branch, self._put_branch):
            if await put(repository, branch, commit):
                return
        raise Unreachable(self.name, f"somebody else makes and deletes {branch} meanwhile")

    async def _put_branch(self, repository: str, branch: str, commit: str) -> bool:
        """Put a branch elsewhere; return False if it is not there."""
        body = {"sha": commit, "force": True}
        return await self._moved(repository, branch, commit, "PATCH", _ref(branch), body)

    async def _make_branch(self, repository: str, branch: str, commit: str) -> bool:
        """Make a branch; return False if it is there already."""
        body = {"ref": f"refs/heads/{branch}", "sha": commit}
        return await self._moved(repository, branch, commit, "POST", "/git/refs", body)

    async def _moved(
        self,
        repository: str,
        branch: str,
        commit: str,
        method: str,
        path: str,
        body: Mapping[str, Any],
    ) -> bool:
        try:
            with remedied(self.moves):
                ref = await self.access.of(repository).change(method, path, _Ref, body)
        except NotFound:
            await self.repository(repository)  # raises NotFound if that is what is missing
            why = f"it has no {path} for us; {self.moves}"
            raise Refused(self.name, why, status=404) from None
        except Refused as error:
            if error.status == 403:  # once it is granted, a new token has it
                self.access.credential.forget(repository)
            if _says(error, _NO_COMMIT):
                raise NotFound(f"{self.name} has no commit {commit[:12]} in {repository}") from None
            if not _says(error, _NO_REF, _IS_THERE):
                raise
            return False
        check_moved(self.name, branch, ref.object.sha, commit)
        return True

    async def delete_branch(self, repository: str, branch: str) -> None:
        try:
            with remedied(self.moves):
                await self.access.of(repository).ask("DELETE", _ref(branch))
        except NotFound:
            await self.repository(repository)
        except Refused as error:
            if not _says(error, _NO_REF):
                raise


def _ref(branch: str) -> str:
    return f"/git/refs/{part(f'heads/{branch}')}"


def _says(error: Refused, *words: str) -> bool:
    return error.status == 422 and any(word in error.words.lower() for word in words)


def github_api(
    *,
    token: SecretStr | None = None,
    app_id: int | None = None,
    private_key: SecretStr | None = None,
    api_url: str = API_URL,
    **limits: Unpack[Limits],
) -> Github | None:
    """Return GitHub's API, with a token or as an App; None if neither is set.

    Raises:
        Rejected: a setting is unusable.
    """
    credential = credential_of(token, app_id, private_key)
    return (
        None if credential is None else Github(GithubAccess(credential, api_url=api_url, **limits))
    )


def api_of(settings: "Settings", bounds: Bounds | None = None) -> Github | None:
    """Return the API of the GitHub that the settings name; see `github_api`."""
    return github_api(
        token=settings.token,
        app_id=settings.app_id,
        private_key=settings.private_key,
        api_url=settings.api_url,
        ca=settings.ca,
        bounds=bounds,
    )


def credential_of(
    token: SecretStr | None, app_id: int | None, private_key: SecretStr | None
) -> Credential | None:
    """Return the credential that is set; None if there is none; raise Rejected for a half one."""
    if (app_id is None) != (private_key is None):
        missing = "PRIVATE_KEY" if private_key is None else "APP_ID"
        raise Rejected(f"a GitHub App needs both an id and a key: set BRIDGE_GITHUB_{missing}")
    if app_id is None or private_key is None:
        return None if token is None else TokenCredential(token)
    if token is not None:
        raise Rejected("a GitHub App and BRIDGE_GITHUB_TOKEN are both set: unset one of them")
    return AppCredential(app_id, private_key)
