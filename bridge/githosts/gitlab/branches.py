"""Make and delete branches at GitLab, which can't move them.

https://docs.gitlab.com/api/branches/
"""

from abc import ABC

from pydantic import TypeAdapter

from bridge.core.errors import NotFound, Refused
from bridge.githosts.answers import read
from bridge.githosts.branches import RecreatesBranches
from bridge.githosts.gitlab.access import SERVICE, GitlabAccess
from bridge.githosts.http import part
from bridge.githosts.webhook import Model


class GitlabMovesBranches(RecreatesBranches, ABC):
    """Moves branches; a `MovesBranches`."""

    remedy = (
        "to move a branch of its own, the bridge's token needs the role *Developer* and the scope"
        " `api`, and `bridge/*` may not be a protected branch"
    )
    _access: GitlabAccess

    async def _make_branch(self, repository: str, branch: str, commit: str) -> str | None:
        path, body = "/repository/branches", {"branch": branch, "ref": commit}
        try:
            answer = await self._access.ask(repository, "POST", path, body=body)
        except Refused as error:
            if error.status == 400 and "already exists" in error.words.lower():
                return None
            raise
        return read(_BRANCH, path, answer, SERVICE, reads=False).commit.id

    async def _drop_branch(self, repository: str, branch: str) -> None:
        path = f"/repository/branches/{part(branch)}"
        try:
            await self._access.ask(repository, "DELETE", path)
        except NotFound as error:
            if "branch not found" not in str(error).lower():
                raise


class _Commit(Model):
    id: str


class _Branch(Model):
    commit: _Commit


_BRANCH = TypeAdapter(_Branch)
