"""Make and delete branches at Gitea and Forgejo, most of which can't move them.

https://docs.gitea.com/api
"""

from abc import ABC, abstractmethod

from pydantic import TypeAdapter

from bridge.core.errors import NotFound, Refused
from bridge.core.events import Repository
from bridge.githosts.answers import read
from bridge.githosts.branches import RecreatesBranches
from bridge.githosts.gitea.access import GiteaAccess
from bridge.githosts.http import part
from bridge.githosts.webhook import Model


class GiteaMovesBranches(RecreatesBranches, ABC):
    """Moves branches; a `MovesBranches`."""

    remedy = (
        "to move a branch of its own, the account of the bridge's token needs the right to write"
        " to the repository (the token: `write:repository`), and no protection may cover"
        " `bridge/**`"
    )
    _access: GiteaAccess

    @abstractmethod
    async def repository(self, name: str) -> Repository:
        """See `HostApi.repository`."""

    async def _make_branch(self, repository: str, branch: str, commit: str) -> str | None:
        path, body = "/branches", {"new_branch_name": branch, "old_ref_name": commit}
        try:
            answer = await self._access.ask(repository, "POST", path, body=body)
        except Refused as error:
            if error.status == 409:
                return None
            raise
        return read(_BRANCH, path, answer, self.name, reads=False).commit.id

    async def _drop_branch(self, repository: str, branch: str) -> None:
        try:
            await self._access.ask(repository, "DELETE", f"/branches/{part(branch)}")
        except NotFound:
            await self.repository(repository)  # raises NotFound if that is what is missing


class _Commit(Model):
    id: str


class _Branch(Model):
    commit: _Commit


_BRANCH = TypeAdapter(_Branch)
