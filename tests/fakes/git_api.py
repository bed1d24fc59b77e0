"""A Git host's API in memory: comments, statuses, deployment objects, and differences."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import TypeVar

from bridge.core.errors import BridgeError, NotFound
from bridge.core.events import Commit, Repository
from bridge.core.people import Writer
from bridge.core.pulls import PullRequest
from bridge.ports.authors import Authored
from bridge.ports.githosts import ChangeSet, Comment, CommitState

T = TypeVar("T")


@dataclass
class FakeHostApi:
    """An API that stores what is written, and records every call.

    Attributes:
        pulls: pull requests by commit.
        written: comments by pull request, oldest first.
        statuses: by (commit, context).
        deployments: the state of each deployment object, by its id.
        transient: the ids of those that are of previews.
        differing: paths by (base, head); a missing pair is a NotFound, as for a fresh commit.
        hangs: calls that do not return until the event is set.
        by_number: repositories are found by their id, not by their name.
        known: pull requests by number, as `put` has left them.
        files: what they change; of others nothing.
        writers: logins of those who may write.
        hidden: repositories that the credential can't see.
        authored: who wrote what leads to a head; of others a stranger.
    """

    name: str = "github"
    reactivates: bool = True
    pulls: dict[str, list[PullRequest]] = field(default_factory=lambda: defaultdict(list))
    written: dict[int, list[Comment]] = field(default_factory=lambda: defaultdict(list))
    statuses: dict[tuple[str, str], tuple[CommitState, str]] = field(default_factory=dict)
    deployments: dict[str, list[object]] = field(default_factory=dict)
    transient: set[str] = field(default_factory=set)
    differing: dict[tuple[str, str], ChangeSet] = field(default_factory=dict)
    calls: list[tuple[object, ...]] = field(default_factory=list)
    scripted: dict[str, list[tuple[BridgeError, bool]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    hangs: asyncio.Event | None = None
    by_number: bool = False
    known: dict[int, PullRequest] = field(default_factory=dict)
    files: dict[int, ChangeSet] = field(default_factory=dict)
    writers: set[str] = field(default_factory=set)
    hidden: set[str] = field(default_factory=set)
    authored: dict[str, Authored] = field(default_factory=dict)

    def next(self, call: str, error: BridgeError, *, arrives: bool = False) -> None:
        """Let the next such call fail; `arrives`: it is still carried out."""
        self.scripted[call].append((error, arrives))

    def count(self, *names: str) -> int:
        return sum(call[0] in names for call in self.calls)

    def put(self, pull: PullRequest) -> PullRequest:
        """Have a pull request be like this."""
        self.known[pull.number] = pull
        return pull

    def ours(self, number: int) -> list[str]:
        """The comments that the bridge has on a pull request."""
        return [one.body for one in self.written[number] if one.ours]

    # the port

    def key(self, repository: Repository) -> str:
        return repository.id if self.by_number else repository.name

    async def repository(self, name: str) -> Repository:
        return await self._do(("repository", name), lambda: Repository(self.name, "4711", name))

    async def commit(self, repository: str, sha: str) -> Commit:
        return await self._do(("commit", repository, sha), lambda: Commit(sha, "feat: something"))

    async def authors(self, repository: str, base: str | None, head: str) -> Authored:
        stranger = Writer("somebody", "404", "somebody@example.com", head)
        found = self.authored.get(head, Authored(frozenset({stranger})))
        return await self._do(("authors", repository, base, head), lambda: found)

    async def pull_requests(self, repository: str, commit: str) -> list[PullRequest]:
        return await self._do(("pull_requests", repository, commit), lambda: [*self.pulls[commit]])

    async def pull_request(self, repository: str, number: int) -> PullRequest:
        def found() -> PullRequest:
            if number not in self.known:
                raise NotFound(f"{self.name} has no pull request {number}")
            return self.known[number]

        return await self._do(("pull_request", repository, number), found)

    async def open_pulls(self, repository: str) -> list[PullRequest]:
        def found() -> list[PullRequest]:
            return [one for one in self.known.values() if one.open]

        return await self._do(("open_pulls", repository), found)

    async def pulls_since(self, repository: str, since: float) -> list[PullRequest]:
        def found() -> list[PullRequest]:
            known = [one for one in self.known.values() if (one.updated_at or since) >= since]
            return sorted(known, key=lambda one: one.updated_at or since, reverse=True)

        return await self._do(("pulls_since", repository, since), found)

    async def pull_files(self, repository: str, number: int) -> ChangeSet:
        return await self._do(
            ("pull_files", repository, number), lambda: self.files.get(number, ChangeSet(()))
        )

    async def may_write(self, repository: str, login: str) -> bool:
        return await self._do(("may_write", repository, login), lambda: login in self.writers)

    async def comments(self, repository: str, number: int) -> AsyncIterator[Comment]:
        for one in await self._do(
            ("comments", repository, number), lambda: [*self.written[number]]
        ):
            yield one

    async def comment(self, repository: str, number: int, body: str) -> str:
        return await self._do(("comment", repository, number), lambda: self._post(number, body))

    async def edit_comment(self, repository: str, number: int, id_: str, body: str) -> None:
        await self._do(
            ("edit_comment", repository, number, id_), lambda: self._edit(number, id_, body)
        )

    async def set_status(
        self,
        repository: str,
        commit: str,
        context: str,
        state: CommitState,
        description: str,
        url: str | None = None,
    ) -> None:
        def set_() -> None:
            self.statuses[commit, context] = (state, description)

        await self._do(("set_status", repository, commit, context, state), set_)

    async def create_deployment(
        self,
        repository: str,
        commit: str,
        ref: str,
        environment: str,
        description: str,
        *,
        transient: bool = False,
    ) -> str:
        def create() -> str:
            id_ = str(len(self.deployments) + 1)
            self.deployments[id_] = [commit, environment, description, None]
            self.transient |= {id_} if transient else set()
            return id_

        return await self._do(("create_deployment", repository, commit, ref), create)

    async def find_deployment(
        self, repository: str, commit: str, environment: str, description: str
    ) -> str | None:
        wanted = [commit, environment, description]
        return await self._do(
            ("find_deployment", repository),
            lambda: next((i for i, one in self.deployments.items() if one[:3] == wanted), None),
        )

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
        def set_() -> None:
            self.deployments[id_][3] = state

        call = ("set_deployment", repository, id_, state, log_url, environment_url)
        await self._do(call, set_)

    async def end_deployment(self, repository: str, id_: str, why: str, *, replaced: bool) -> None:
        def end() -> None:
            if id_ not in self.deployments:
                raise NotFound(f"{self.name} has no deployment {id_}")
            self.deployments[id_][3] = "replaced" if replaced else "ended"

        await self._do(("end_deployment", repository, id_), end)

    async def compare(self, repository: str, base: str, head: str) -> ChangeSet:
        def differing() -> ChangeSet:
            if (base, head) not in self.differing:
                raise NotFound(f"{self.name} has no {head[:7]}")
            return self.differing[base, head]

        return await self._do(("compare", repository, base, head), differing)

    async def close(self) -> None:
        self.calls.append(("close",))

    # behind it

    async def _do(self, call: tuple[object, ...], action: Callable[[], T]) -> T:
        self.calls.append(call)
        await asyncio.sleep(0)
        if self.hangs is not None:
            await self.hangs.wait()
        if self.hidden & {*call[1:2]}:
            raise NotFound(f"{self.name} has no {call[1]}")
        if self.scripted[str(call[0])]:
            error, arrives = self.scripted[str(call[0])].pop(0)
            if arrives:
                action()
            raise error
        return action()

    def _post(self, number: int, body: str) -> str:
        id_ = str(1000 + sum(map(len, self.written.values())))
        self.written[number].append(Comment(id_, body, ours=True))
        return id_

    def _edit(self, number: int, id_: str, body: str) -> None:
        for at, one in enumerate(self.written[number]):
            if one.id == id_:
                self.written[number][at] = Comment(id_, body, ours=True)
                return
        raise NotFound(f"{self.name} has no comment {id_}")
