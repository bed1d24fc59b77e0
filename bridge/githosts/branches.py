"""Move branches to exact commits, as all Git hosts have it: pinned apps are built from them."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager

from bridge.core.errors import Refused, Unanswered, Unreachable
from bridge.core.events import Commit


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


class RecreatesBranches(ABC):
    """Moves branches at a host that can only make and delete them; a `MovesBranches`.

    In between there is no branch. Its repository is not cloned meanwhile: the backend is asked
    afterwards. An interrupted move is completed by the next one.
    """

    name: str
    remedy = ""
    """What a credential needs for it."""

    @abstractmethod
    async def head(self, repository: str, branch: str) -> str | None:
        """See `ListsRefs.head`."""

    @abstractmethod
    async def commit(self, repository: str, sha: str) -> Commit:
        """See `HostApi.commit`."""

    @abstractmethod
    async def _make_branch(self, repository: str, branch: str, commit: str) -> str | None:
        """Make a branch; return its commit, or None if there is one already."""

    @abstractmethod
    async def _drop_branch(self, repository: str, branch: str) -> None:
        """Delete a branch, if it is there."""

    async def move_branch(self, repository: str, branch: str, commit: str) -> None:
        """See `MovesBranches.move_branch`."""
        if (now := await self.head(repository, branch)) == commit:
            return
        await self.commit(repository, commit)  # raises NotFound before anything is deleted
        if now is not None:
            await self.delete_branch(repository, branch)
        with remedied(self.remedy):
            made = await self._make_branch(repository, branch, commit)
        if made is None:
            raise Unreachable(self.name, f"somebody else has made {branch} meanwhile")
        check_moved(self.name, branch, made, commit)

    async def delete_branch(self, repository: str, branch: str) -> None:
        """See `MovesBranches.delete_branch`."""
        with remedied(self.remedy):
            await self._drop_branch(repository, branch)
