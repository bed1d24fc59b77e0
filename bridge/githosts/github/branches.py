"""Move and delete branches at GitHub.

https://docs.github.com/en/rest/git/refs
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter

from bridge.core.errors import NotFound, Refused, Unreachable
from bridge.core.events import Repository
from bridge.githosts.answers import read
from bridge.githosts.branches import check_moved, remedied
from bridge.githosts.github.access import SERVICE, GithubAccess
from bridge.githosts.http import part
from bridge.githosts.webhook import Model

REMEDY = (
    "to move a branch of its own, the bridge's GitHub App or fine-grained token needs the"
    " permission *Contents*: write (a classic token: the scope `repo`), and no ruleset may cover"
    " `bridge/**`"
)

_NO_REF, _NO_COMMIT, _IS_THERE = (
    "reference does not exist",
    "object does not exist",
    "reference already exists",
)


class GithubMovesBranches(ABC):
    """Moves branches, also back and sideways; a `MovesBranches`."""

    def __init__(self, access: GithubAccess) -> None:
        self._access = access

    @abstractmethod
    async def repository(self, name: str) -> Repository:
        """See `HostApi.repository`."""

    async def move_branch(self, repository: str, branch: str, commit: str) -> None:
        """See `MovesBranches.move_branch`.

        It is always sent: what a branch reads as may be a little old.
        """
        for put in (self._put_branch, self._make_branch, self._put_branch):
            if await put(repository, branch, commit):
                return
        raise Unreachable(SERVICE, f"somebody else makes and deletes {branch} meanwhile")

    async def _put_branch(self, repository: str, branch: str, commit: str) -> bool:
        """Put a branch elsewhere; return False if it is not there."""
        body = {"sha": commit, "force": True}
        return await self._written(repository, branch, commit, "PATCH", _path(branch), body)

    async def _make_branch(self, repository: str, branch: str, commit: str) -> bool:
        """Make a branch; return False if it is there already."""
        body = {"ref": f"refs/heads/{branch}", "sha": commit}
        return await self._written(repository, branch, commit, "POST", "/git/refs", body)

    async def _written(
        self,
        repository: str,
        branch: str,
        commit: str,
        method: str,
        path: str,
        body: Mapping[str, Any],
    ) -> bool:
        try:
            with remedied(REMEDY):
                answer = await self._access.ask(repository, method, path, body=body)
        except NotFound:
            await self.repository(repository)  # raises NotFound if that is what is missing
            raise Refused(SERVICE, f"it has no {path} for us; {REMEDY}", status=404) from None
        except Refused as error:
            if error.status == 403:  # once it is granted, a new token has it
                self._access.credential.forget(repository)
            if _says(error, _NO_COMMIT):
                raise NotFound(f"{SERVICE} has no commit {commit[:12]} in {repository}") from None
            if not _says(error, _NO_REF, _IS_THERE):
                raise
            return False
        found = read(_REF, path, answer, SERVICE, reads=False)
        check_moved(SERVICE, branch, found.object.sha, commit)
        return True

    async def delete_branch(self, repository: str, branch: str) -> None:
        """See `MovesBranches.delete_branch`."""
        try:
            with remedied(REMEDY):
                await self._access.ask(repository, "DELETE", _path(branch))
        except NotFound:
            await self.repository(repository)
        except Refused as error:
            if not _says(error, _NO_REF):
                raise


def _path(branch: str) -> str:
    return f"/git/refs/{part(f'heads/{branch}')}"


def _says(error: Refused, *words: str) -> bool:
    return error.status == 422 and any(one in error.words.lower() for one in words)


class _Object(Model):
    sha: str


class _Ref(Model):
    object: _Object


_REF = TypeAdapter(_Ref)
