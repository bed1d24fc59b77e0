"""Requests that the APIs of all Git hosts have; each host's differences are attributes and methods.

What each method does is said by its port: `ports.githosts`, `ports.authors`, `ports.gates`.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, ClassVar, TypeVar

from pydantic import AliasChoices, Field

from bridge.core.errors import NotFound, Refused, Rejected, Unanswered, Unreachable
from bridge.core.events import Commit, Repository
from bridge.core.hooks import HostHook, Scope, ScopeKind
from bridge.core.pulls import PullRequest
from bridge.githosts.base.answers import Answer, list_of, read
from bridge.githosts.base.http import NOTHING, Access, Heads, Resource, cut, numeric, part
from bridge.githosts.base.webhook import Model
from bridge.ports.githosts import CommitState, Hook, TagAt, all_in

T = TypeVar("T")

Query = Mapping[str, str | int]
"""The query of a list."""

PAGE_OF_RECENT = 30
"""Entries per page of the recently changed: mostly the first page has all that are wanted."""

_READINGS = 4

Listing = AsyncIterator[Sequence[PullRequest]]
"""Pages of pull requests."""


class PullForm(Model, ABC):
    """A pull request as a host's API has it."""

    @abstractmethod
    def meaning(self) -> PullRequest:
        """Return the pull request."""


class HookForm(Model, ABC):
    """A webhook as a host's API has it."""

    id: int

    @abstractmethod
    def meaning(self, place: str) -> Hook:
        """Return it as one of its owner's."""

    @abstractmethod
    def managed(self, scope: Scope) -> HostHook:
        """Return it as one that the bridge may manage."""


class Tip(Model):
    """The commit of a branch or tag."""

    sha: str = Field(validation_alias=AliasChoices("sha", "id"))


class NamedRef(Model):
    """A branch or tag."""

    name: str
    commit: Tip


class _Owner(Model):
    id: int
    name: str = Field(validation_alias=AliasChoices("full_path", "login", "username", "name"))


class Api(ABC):
    """A host's API: a `HostApi` that `ListsRefs`, `ListsPulls` and `ManagesHooks`.

    Attributes:
        name: of the server, in repositories and errors.
        title: the product's, for people.
        owner: what owns repositories, for people, and `owners`, where these are in the API.
        new_hook: what is sent of a new webhook only, and `changes_hook`, how one is changed.
        states: the host's words for commit states.
        context: the field that tells one commit status of a commit from another.
        already: a host's words for a state that is set already, if it refuses that.
    """

    name: str
    title: ClassVar[str]
    access: Access
    hides_accounts = False

    owner: ClassVar[str] = "repositories or an organisation"
    owners: ClassVar[str] = "/orgs"
    owner_query: ClassVar[Query] = NOTHING
    hook_form: ClassVar[type[HookForm]]
    new_hook: ClassVar[Mapping[str, str]] = NOTHING
    changes_hook: ClassVar[str] = "PATCH"
    pulls: ClassVar[str] = "/pulls"
    pull_form: ClassVar[type[PullForm]]
    open_pulls_query: ClassVar[Query]
    recent_pulls_query: ClassVar[Query]
    branches: ClassVar[str] = "/branches"
    tags_path: ClassVar[str] = "/tags"
    tags_query: ClassVar[Query] = NOTHING
    states: ClassVar[Mapping[CommitState, str]]
    context: ClassVar[str] = "context"
    already: ClassVar[str] = ""
    longest_description: ClassVar[int] = 255

    def __init__(self, access: Access) -> None:
        self.name = access.client.service
        self.access = access
        self._heads = Heads(access.ask)

    @abstractmethod
    async def repository(self, name: str) -> Repository: ...

    @abstractmethod
    async def commit(self, repository: str, sha: str) -> Commit: ...

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
            "state": self.states[state],
            self.context: context,
            "description": cut(description, self.longest_description),
            **({"target_url": url} if url else {}),
        }
        try:
            await self.access.of(repository).ask("POST", f"/statuses/{part(commit)}", body=body)
        except Refused as error:
            if not self._is_set(error):
                raise

    def _is_set(self, error: Refused) -> bool:
        """Return whether a state was refused because it was set already."""
        words = error.words.lower()
        return error.status == 400 and bool(self.already) and self.already in words

    async def close(self) -> None:
        await self.access.client.close()

    # ── pull requests ───────────────────────────────────────────────────────

    async def pull_request(self, repository: str, number: int) -> PullRequest:
        path = f"{self.pulls}/{number}"
        return (await self.access.of(repository).get(path, self.pull_form)).meaning()

    async def open_pulls(self, repository: str) -> list[PullRequest]:
        return await all_listed(self.name, lambda: self._listed(repository, self.open_pulls_query))

    async def pulls_since(self, repository: str, since: float) -> list[PullRequest]:
        return await changed_since(self._listed(repository, self.recent_pulls_query), since)

    async def _listed(self, repository: str, query: Query) -> Listing:
        place, form = self.access.of(repository), list_of(self.pull_form)
        async for page in place.known_pages(self.pulls, form, query):
            yield [pull.meaning() for pull in page]

    # ── branches and tags ───────────────────────────────────────────────────

    async def head(self, repository: str, branch: str) -> str | None:
        def commit_of(answer: Answer) -> str | None:
            ref = read(NamedRef, answer, self.name)
            # A renamed repository: its host may redirect to another branch's new name.
            return ref.commit.sha if ref.name == branch else None

        path = f"{self.branches}/{part(branch)}"
        return await self._heads.head(repository, branch, path, commit_of)

    async def tags(self, repository: str, limit: int) -> list[TagAt]:
        tags, place = list[TagAt](), self.access.of(repository)
        async for page in place.pages(self.tags_path, list[NamedRef], self.tags_query):
            tags += [TagAt(tag.name, tag.commit.sha) for tag in page]
            if len(tags) >= limit:
                break
        return tags[:limit]

    # ── webhooks ────────────────────────────────────────────────────────────

    async def hooks(self, repository: str) -> list[Hook]:
        return all_in(await self.hooks_by_place(repository))

    async def hooks_by_place(self, repository: str) -> dict[str, list[Hook] | None]:
        return {repository: await self._hooks_of(repository)}

    async def _hooks_of(self, repository: str) -> list[Hook] | None:
        """Return a repository's webhooks; None if the credential may not see them."""
        asked = self.access.of(repository).entries("/hooks", self.hook_form)
        hooks = await if_seen(asked, missing=False)
        return None if hooks is None else [hook.meaning(repository) for hook in hooks]

    async def hook_scope(self, kind: ScopeKind, name: str) -> Scope:
        if kind is ScopeKind.APP:
            raise Rejected(f"{self.name}: there are no Apps; name {self.owner}")
        if kind is ScopeKind.OWNER:
            owner = await self._owner(name).get("", _Owner, self.owner_query)
            return Scope(kind, owner.name or name, str(owner.id))
        found = await self.repository(name)
        return Scope(kind, found.name, found.id)

    async def scopes_over(self, repository: str) -> list[Scope]:
        scopes = [await self.hook_scope(ScopeKind.REPOSITORY, repository)]
        above = scopes[0].name
        while above := above.rpartition("/")[0]:
            scopes.append(Scope(ScopeKind.OWNER, above))
        return scopes

    async def hooks_at(self, scope: Scope) -> list[HostHook] | None:
        hooks = await if_seen(self._scope(scope).entries("/hooks", self.hook_form))
        return None if hooks is None else [hook.managed(scope) for hook in hooks]

    async def create_hook(self, scope: Scope, url: str, secret: str) -> HostHook:
        body = {**self.new_hook, **self._hook(url, secret)}
        return (await self._scope(scope).change("POST", "/hooks", self.hook_form, body)).managed(
            scope
        )

    async def change_hook(self, hook: HostHook, url: str, secret: str) -> HostHook:
        return await self._change_hook(hook, self._hook(url, secret))

    async def _change_hook(self, hook: HostHook, body: Mapping[str, Any]) -> HostHook:
        place, path = self._scope(hook.scope), self._path(hook)
        changed = await place.change(self.changes_hook, path, self.hook_form, body)
        return changed.managed(hook.scope)

    async def delete_hook(self, hook: HostHook) -> None:
        with suppress(NotFound):
            await self._scope(hook.scope).ask("DELETE", self._path(hook))

    @abstractmethod
    def _hook(self, url: str, secret: str) -> Mapping[str, Any]:
        """Return a whole webhook."""

    def _owner(self, name: str) -> Resource:
        return self.access.at(f"{self.owners}/{part(name)}")

    def _scope(self, scope: Scope) -> Resource:
        owned = scope.kind is ScopeKind.OWNER
        return self._owner(scope.name) if owned else self.access.of(scope.name)

    def _path(self, hook: HostHook) -> str:
        return f"/hooks/{numeric(self.name, hook.id)}"


async def changed_since(listing: Listing, since: float) -> list[PullRequest]:
    """Return the pull requests that changed at or after a time.

    Args:
        listing: the most recently changed first; no page is read beyond the time.
        since: in seconds since 1970. Most hosts know whole seconds only, so its own counts whole.
    """
    since = math.floor(since)
    pulls: dict[int, PullRequest] = {}
    async for page in listing:
        for pull in page:
            if pull.updated_at is not None and pull.updated_at < since:
                return list(pulls.values())
            pulls.setdefault(pull.number, pull)  # a change meanwhile moves others to the next page
    return list(pulls.values())


async def all_listed(service: str, listed: Callable[[], Listing]) -> list[PullRequest]:
    """Return the pull requests of all pages.

    One that is closed meanwhile moves another to a page that has been read already. So several
    pages are read until two readings agree.

    Raises:
        Unreachable: they never do.
    """
    before: set[int] | None = None
    for _ in range(_READINGS):
        pulls, pages = dict[int, PullRequest](), 0
        async for page in listed():
            pulls |= {pull.number: pull for pull in page}
            pages += 1
        if pages <= 1 or before == pulls.keys():
            return list(pulls.values())
        before = set(pulls)
    raise Unreachable(service, "its pull requests changed while they were listed")


async def if_seen(asked: Awaitable[T], *, missing: bool = True) -> T | None:
    """Return what was asked for; None if the credential may not see it.

    Args:
        missing: return None as well if it is not there.
    """
    try:
        return await asked
    except NotFound:
        if not missing:
            raise
    except Refused as error:
        if error.status != 403:
            raise
    return None


@contextmanager
def remedied(remedy: str) -> Iterator[None]:
    """Add what to do to a refusal."""
    try:
        yield
    except Refused as error:
        raise Refused(error.service, f"{error.words}; {remedy}", status=error.status) from error


def check_moved(service: str, branch: str, found: str, commit: str) -> None:
    """Raise Unanswered if a host says that it has put a branch elsewhere."""
    if found != commit:
        why = f"it has put {branch} at {found[:12]}, and was asked for {commit[:12]}"
        raise Unanswered(service, why)


class _Made(Model):
    commit: Tip


class RecreatesBranches(Api):
    """Moves branches at a host that can only make and delete them; a `MovesBranches`.

    In between there is no branch. Its repository is not cloned meanwhile: the backend is asked
    afterwards. An interrupted move is completed by the next one.

    Attributes:
        moves: what the credential needs for it.
        new_branch: the fields of a new branch's name and commit.
    """

    moves: ClassVar[str]
    new_branch: ClassVar[tuple[str, str]]

    @abstractmethod
    def _is_there(self, error: Refused) -> bool:
        """Return whether a branch was refused because there is one of this name."""

    async def move_branch(self, repository: str, branch: str, commit: str) -> None:
        if (now := await self.head(repository, branch)) == commit:
            return
        await self.commit(repository, commit)  # raises NotFound before anything is deleted
        if now is not None:
            await self.delete_branch(repository, branch)
        try:
            with remedied(self.moves):
                made = await self._make_branch(repository, branch, commit)
        except Refused as error:
            if self._is_there(error):
                why = f"somebody else has made {branch} meanwhile"
                raise Unreachable(self.name, why) from error
            raise
        check_moved(self.name, branch, made, commit)

    async def _make_branch(self, repository: str, branch: str, commit: str) -> str:
        """Make a branch; return its commit."""
        body = dict(zip(self.new_branch, (branch, commit), strict=True))
        made = await self.access.of(repository).change("POST", self.branches, _Made, body)
        return made.commit.sha

    async def delete_branch(self, repository: str, branch: str) -> None:
        try:
            with remedied(self.moves):
                path = f"{self.branches}/{part(branch)}"
                await self.access.of(repository).ask("DELETE", path)
        except NotFound:
            await self.repository(repository)  # raises NotFound if that is what is missing
