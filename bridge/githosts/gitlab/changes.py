"""Which files differ between two commits at GitLab, which compares them directly.

https://docs.gitlab.com/api/repositories/#compare-branches-tags-or-commits
"""

from pydantic import TypeAdapter

from bridge.core.errors import NotFound
from bridge.githosts.asking.access import AskAbout
from bridge.githosts.asking.client import part, read
from bridge.githosts.models import Model
from bridge.ports.host_api import ChangeSet


async def changes(ask: AskAbout, repository: str, base: str, head: str) -> ChangeSet:
    """Every path that differs, the old names of renamed files among them.

    Raises:
        NotFound: GitLab does not know `head` (yet). A `base` that it does not know any more
            makes the files unknown.
        Refused, Unreachable: as `HostApi` has it.
    """
    path, query = "/repository/compare", {"from": base, "to": head, "straight": "true"}
    try:
        answer = await ask(repository, "GET", path, query=query)
    except NotFound:
        # Which of the two? This raises NotFound for a head that is not there (yet).
        await ask(repository, "GET", f"/repository/commits/{part(head)}")
        return ChangeSet(None, f"GitLab does not know the commit {base[:12]} any more")
    found = read(_COMPARISON, path, answer, "gitlab", reads=True)
    if found.compare_timeout or found.overflow:
        return ChangeSet(None, "more has changed than GitLab compares")
    # Files whose text GitLab leaves out, as too large, are listed all the same.
    paths = {name for file in found.diffs for name in (file.old_path, file.new_path)}
    return ChangeSet(tuple(sorted(paths)), "compared by GitLab")


class _File(Model):
    old_path: str
    new_path: str


class _Comparison(Model):
    diffs: list[_File]
    compare_timeout: bool = False
    overflow: bool = False


_COMPARISON = TypeAdapter(_Comparison)
