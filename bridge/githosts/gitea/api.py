"""Gitea's REST API, which Forgejo shares.

https://docs.gitea.com/api
"""

import re
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from fnmatch import translate
from functools import lru_cache, partial
from typing import Any, ClassVar, Unpack

from pydantic import SecretStr
from requests import PreparedRequest
from requests.auth import AuthBase

from bridge.core.checks import Check, Required
from bridge.core.errors import NotFound, Refused
from bridge.core.hooks import HostHook, ScopeKind
from bridge.core.pulls import PullRequest
from bridge.githosts.base.answers import Answer, Request, answer_in
from bridge.githosts.base.api import PAGE_OF_RECENT, NamedRef, Query, RecreatesBranches, if_seen
from bridge.githosts.base.commits import (
    MOST_COMMITS,
    TOO_MANY,
    all_there,
    authored,
    is_ours,
    newest,
)
from bridge.githosts.base.http import (
    NOTHING,
    Access,
    Ask,
    Client,
    Resource,
    checked_base,
    checked_token,
    part,
)
from bridge.githosts.base.payloads import CommitStatus
from bridge.githosts.base.pool import Bounds, Limits, OwnHostSession
from bridge.githosts.base.repos_api import (
    Contents,
    File,
    IssueComment,
    ListedPull,
    RepoHook,
    ReposApi,
    Tree,
    User,
    WholeCommit,
    contents,
    named,
)
from bridge.githosts.base.webhook import Model
from bridge.githosts.gitea.webhooks import Gitea as Webhooks
from bridge.githosts.gitea.webhooks import GiteaPull
from bridge.ports.authors import Authored
from bridge.ports.clock import Clock
from bridge.ports.githosts import ChangeSet, Hook

# ── Requests, with one token for all of a server ──────────────────────────────────────────────────

PAGE = 50
"""Requested entries per page; a server may be configured to return fewer."""

_MOST_PAGES = 1000


class GiteaWire:
    """One session, for one thread at a time."""

    def __init__(self, base: str, *, ca: str | None, silence: float) -> None:
        self._base = base
        self._silence = silence
        self._session = OwnHostSession(base, ca)
        self._session.headers["Accept"] = "application/json"

    def ask(self, request: Request) -> Answer:
        response = self._session.request(
            request.method,
            self._base + request.path,
            params={
                name: str(value).lower() if isinstance(value, bool) else value
                for name, value in request.query.items()
            },
            json=None if request.body is None else dict(request.body),
            headers=dict(request.headers),
            auth=_Token(request.token),
            timeout=self._silence,
        )
        return answer_in(response)

    def close(self) -> None:
        self._session.close()


class _Token(AuthBase):
    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, r: PreparedRequest) -> PreparedRequest:
        r.headers["Authorization"] = f"token {self._token}"
        return r


class _NumberedPages(Client):
    """Reads lists until a header's number of entries is reached."""

    async def pages(
        self, ask: Ask, path: str, *, query: Mapping[str, Any] = NOTHING
    ) -> AsyncIterator[Answer]:
        seen = 0
        for number in range(1, _MOST_PAGES + 1):
            answer = await ask("GET", path, query={"limit": PAGE, **query, "page": number})
            yield answer
            count = len(answer.body) if isinstance(answer.body, list) else 0
            seen += count
            total = answer.headers.get("x-total-count", "")
            if not count or (total.isdecimal() and seen >= int(total)):
                return


class GiteaAccess(Access):
    """Requests to one server, with one token."""

    def __init__(
        self,
        name: str,
        token: SecretStr,
        *,
        url: str,
        ca: str | None = None,
        bounds: Bounds | None = None,
        clock: Clock = time.time,
    ) -> None:
        """Take the server's name, shown in errors, and its address.

        Raises:
            Rejected: a setting can't be used.
        """
        base, bounds = f"{checked_base(name, url)}/api/v1", bounds or Bounds()
        self._token = SecretStr(checked_token(name, token.get_secret_value()))

        def wire() -> GiteaWire:
            return GiteaWire(base, ca=ca, silence=bounds.silence)

        remedy = f"set the token of {name} to one that is valid"
        client = _NumberedPages(name, base, wire, remedy=remedy, bounds=bounds, clock=clock)
        super().__init__(client)

    def place(self, repository: str) -> str:
        return f"/repos/{named(self.client.service, repository)}"

    def asker(self, repository: str) -> Ask:  # noqa: ARG002 - one token is good for all
        return partial(self.client.ask, self._token.get_secret_value())


# ── The API ───────────────────────────────────────────────────────────────────────────────────────

PULLS = ("pull_request_label", "pull_request_sync")
"""Those that tell of the labels of pull requests, and of pushes to them."""

EVENTS = ("push", "delete", "pull_request", *PULLS)
"""The events that the bridge needs, as webhooks list them."""

CHECKS = ("status", "action_run_success", "action_run_failure")
"""Those that tell of checks: Gitea has the first from 1.24 on, Forgejo the others. A server ignores
what it does not know, so a webhook without them lacks nothing that could be corrected."""

_ASKED = ("push", "delete", "pull_request_only", *PULLS, *CHECKS)
"""All as the server takes them: `pull_request` would add reviews, assignees and comments."""

_MOST_TREES = 100
"""The most pages of a tree to read; each has 1,000 entries by default."""


class _Pull(GiteaPull, ListedPull):
    pass


class _Hook(RepoHook):
    needed = EVENTS
    title = "Gitea"

    def meaning(self, place: str) -> Hook:
        hook = super().meaning(place)
        if hook.trouble is None and "push" not in (self.events or ()):
            return replace(hook, trouble="it sends no pushes: choose its push events")
        return hook


class _ComparedCommit(WholeCommit):
    files: list[File] | None = None


class _Comparison(Model):
    total_commits: int
    commits: list[_ComparedCommit] | None = None


class _Branch(Model):
    enable_status_check: bool = False
    status_check_contexts: list[str] | None = None


class Gitea(ReposApi, RecreatesBranches):
    """The API of a Gitea or Forgejo, as far as the bridge uses it.

    A `HostApi` that is also `MovesBranches`, `ReadsChecks` and `TellsAuthors`. It has no
    deployment objects, and does not list the deliveries of its webhooks. It answers no conditional
    requests.
    """

    access: GiteaAccess
    title = "Gitea"
    hides_accounts = True  # whoever has a private profile
    commits = "/git/commits"
    commit_query: ClassVar[Query] = {"stat": False, "verification": False, "files": False}
    too_many_files = "are read from Gitea"
    pull_form = _Pull
    open_pulls_query: ClassVar[Query] = {"state": "open", "sort": "oldest"}
    recent_pulls_query: ClassVar[Query] = {
        "state": "all",
        "sort": "recentupdate",
        "limit": PAGE_OF_RECENT,
    }
    hook_form = _Hook
    new_hook: ClassVar[Mapping[str, str]] = {"type": "gitea"}
    new_branch = ("new_branch_name", "old_ref_name")
    tells_writers = (
        "to see who may write to a repository, make the account of the bridge's token its"
        " administrator"
    )
    moves = (
        "to move a branch of its own, the account of the bridge's token needs the right to write"
        " to the repository (the token: `write:repository`), and no protection may cover"
        " `bridge/**`"
    )

    async def _is_us(self, user: User) -> bool:
        return user.id == await self.access.me()

    async def _comments(self, place: Resource, path: str) -> AsyncIterator[list[IssueComment]]:
        yield await place.get(path, list[IssueComment])  # all on one page

    async def head(self, repository: str, branch: str) -> str | None:
        try:
            path = f"{self.branches}/{part(branch)}"
            return (await self.access.of(repository).get(path, NamedRef)).commit.sha
        except NotFound:
            await self.repository(repository)  # raises NotFound where that is what is missing
            return None

    def _is_there(self, error: Refused) -> bool:
        return error.status == 409

    async def pull_requests(self, repository: str, commit: str) -> list[PullRequest]:
        """Return the open ones whose head is the commit, and the one that it merged."""
        pulls = [
            pull
            async for page in self._listed(repository, {"state": "open"})
            for pull in page
            if pull.head_sha == commit
        ]
        try:
            path = f"/commits/{part(commit)}/pull"
            merged = (await self.access.of(repository).get(path, _Pull)).meaning()
        except NotFound:
            if not pulls:
                await self.commit(repository, commit)  # raises NotFound for one that is not there
            return pulls
        return pulls if merged in pulls else [*pulls, merged]

    async def pull_files(self, repository: str, number: int) -> ChangeSet:
        try:
            return await super().pull_files(repository, number)
        except NotFound:
            await self.pull_request(repository, number)  # raises NotFound if that is missing
            return ChangeSet(None, "this Gitea lists no files of pull requests, as before 1.18")

    # ── comparisons ─────────────────────────────────────────────────────────

    async def _comparison(self, repository: str, base: str, head: str) -> _Comparison:
        path = f"/compare/{part(base)}...{part(head)}"
        return await self.access.of(repository).get(path, _Comparison)

    async def _compared(self, repository: str, base: str, head: str) -> set[str] | None:
        """Return the files of each commit, of a rename both names.

        That is all that differs if no commit is a merge, since a merge may revert files.
        """
        try:
            compared = await self._comparison(repository, base, head)
        except NotFound:
            return None  # or no such operation (before 1.22); the trees tell
        commits = compared.commits
        if not commits or compared.total_commits != len(commits):
            return None
        if any(commit.files is None or len(commit.parents) != 1 for commit in commits):
            return None
        own = {commit.sha for commit in commits}
        if {commit.parents[0].sha for commit in commits} - own != {base}:
            return None  # `base` is on another branch, or was taken back
        return {name for commit in commits for file in commit.files or () for name in file.names()}

    async def _tree(self, repository: str, commit: str) -> Contents | None:
        path, files = f"/git/trees/{part(commit)}", dict[str, tuple[str, str]]()
        for number in range(1, _MOST_TREES + 1):
            query = {"recursive": True, "page": number}
            try:
                page = await self.access.of(repository).get(path, Tree, query)
            except Refused as error:
                if error.status == 400:  # it does not know the commit
                    raise NotFound(f"{self.name} has no {path}: {error.words}") from error
                raise
            files |= contents(page.tree)
            if not page.truncated:
                return files
        return None

    async def authors(self, repository: str, base: str | None, head: str) -> Authored:
        if base is None:
            return authored(Webhooks.private, [await self._commit(repository, head)])
        try:
            ahead = await self._comparison(repository, base, head)
        except NotFound:
            await self._commit(repository, head)  # raises NotFound if that is missing
            why = "which is live (it can from Gitea 1.22)"
            return Authored(None, f"{self.name} can't compare it with {base[:7]}, {why}")
        if ahead.total_commits > MOST_COMMITS:
            return Authored(None, TOO_MANY)
        if ahead.total_commits != len(ahead.commits or ()):
            return Authored(None, f"{self.name} has not listed them all")
        back = await self._comparison(repository, head, base)
        return authored(Webhooks.private, ahead.commits or [], onward=not back.total_commits)

    # ── webhooks ────────────────────────────────────────────────────────────

    def _hook(self, url: str, secret: str) -> Mapping[str, Any]:
        """Return a whole webhook: the server resets the events that are not named."""
        config = {"url": url, "content_type": "json", "secret": secret}
        return {"active": True, "events": [*_ASKED], "config": config}

    async def test_hook(self, hook: HostHook) -> bool:
        """Have the server send the head of the default branch, as a push that moves nothing."""
        if hook.scope.kind is ScopeKind.OWNER:
            return False
        await self._scope(hook.scope).ask("POST", f"{self._path(hook)}/tests")
        return True

    # ── checks ──────────────────────────────────────────────────────────────

    async def checks(self, repository: str, commit: str) -> list[Check]:
        """Return the newest status of each context; Gitea lists all that were ever set."""
        place, path = self.access.of(repository), f"/commits/{part(commit)}/statuses"
        statuses, total = await place.counted(path, CommitStatus, null=True)
        all_there(self.name, "statuses", len(statuses), total)
        theirs = [status for status in statuses if not is_ours(status.context)]
        return newest((status.id, status.meaning()) for status in theirs)

    async def required_checks(self, repository: str, branch: str) -> tuple[Required, ...] | None:
        """Return the contexts that the branch's protection requires; see `fits`."""
        path = f"{self.branches}/{part(branch)}"
        seen = await if_seen(self.access.of(repository).get(path, _Branch))
        if seen is None:
            return None
        if not seen.enable_status_check:
            return ()
        names = [name for name in seen.status_check_contexts or () if not is_ours(name)]
        return tuple(map(Required, dict.fromkeys(names)))

    def fits(self, required: str, name: str) -> bool:
        """Return whether a context is one that the protection requires, by Gitea's globs.

        `*` matches any text, also a slash, `?` any character; there are `[a-c]`, `[!a-c]`,
        `{a,b}`, and a backslash. https://pkg.go.dev/github.com/gobwas/glob
        """
        return required == name or any(glob.fullmatch(name) for glob in _compiled(required))


_MOST_ALTERNATIVES = 256


@lru_cache(maxsize=1024)
def _compiled(glob: str) -> tuple[re.Pattern[str], ...]:
    """Return a glob as expressions, none of which backtracks; () if it is invalid or too large."""
    try:
        plain, _ = _expanded(glob, 0, nested=False)
    except ValueError:
        return ()
    return tuple(re.compile(translate(pattern)) for pattern in plain)


def _expanded(glob: str, at: int, *, nested: bool) -> tuple[list[str], int]:
    """Return the patterns without braces, as `fnmatch` has them, and where they end.

    Raises:
        ValueError: a brace or bracket is not closed, or they are too many.
    """
    done, now = list[str](), [""]
    while at < len(glob):
        char, at = glob[at], at + 1
        if nested and char == "}":
            return done + now, at
        if nested and char == ",":
            done, now, inner = done + now, [""], [""]
        elif char == "{":
            inner, at = _expanded(glob, at, nested=True)
        elif char == "[":
            begins, at = at - 1, glob.index("]", at + 1) + 1
            inner = [glob[begins:at]]
        elif char == "\\":
            char, at = glob[at : at + 1] or char, at + 1
            inner = [f"[{char}]" if char in "*?[" else char]
        else:
            inner = [char]
        now = [begun + more for begun in now for more in inner]
        if len(done) + len(now) > _MOST_ALTERNATIVES:
            raise ValueError("too many alternatives")
    if nested:
        raise ValueError("a brace is not closed")
    return now, at


def gitea_api(
    name: str = "gitea", *, token: SecretStr | None, url: str, **limits: Unpack[Limits]
) -> Gitea | None:
    """Return the API of a Gitea or Forgejo; None if no token is set; else see `GiteaAccess`."""
    return None if token is None else Gitea(GiteaAccess(name, token, url=url, **limits))
