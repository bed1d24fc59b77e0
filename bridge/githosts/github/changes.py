"""Which files differ between two commits at GitHub.

GitHub's comparison starts at the common ancestor, so of a rollback it shows nothing, and it lists
300 files at most. Where the older commit is no ancestor of the newer one, or more has changed,
the trees of both are compared instead: up to 100,000 files each.

https://docs.github.com/en/rest/commits/commits#compare-two-commits
https://docs.github.com/en/rest/git/trees#get-a-tree
"""

from typing import Literal

from pydantic import Field, TypeAdapter

from bridge.core.errors import NotFound, Refused, Unreachable
from bridge.githosts.asking.access import AskAbout
from bridge.githosts.asking.client import part, read
from bridge.githosts.models import Model
from bridge.ports.host_api import ChangeSet

LISTED = 300
"""Files that a comparison lists at most."""


async def changes(ask: AskAbout, repository: str, base: str, head: str) -> ChangeSet:
    """Every path that differs, the old names of renamed files among them.

    Raises:
        NotFound: GitHub does not know `head` (yet). A `base` that it does not know any more
            makes the files unknown.
        Refused, Unreachable: as `HostApi` has it.
    """
    listed = await _compared(ask, repository, base, head)
    if listed is not None:
        return ChangeSet(listed, "compared by GitHub")
    new = await _tree(ask, repository, head)
    try:
        old = await _tree(ask, repository, base)
    except NotFound:
        return ChangeSet(None, f"GitHub does not know the commit {base[:12]} any more")
    if new is None or old is None:
        return ChangeSet(None, "the repository has more files than GitHub lists")
    differing = (path for path in old.keys() | new.keys() if old.get(path) != new.get(path))
    return ChangeSet(tuple(sorted(differing)), "the trees of both commits were compared")


async def _compared(ask: AskAbout, repository: str, base: str, head: str) -> tuple[str, ...] | None:
    """What GitHub's comparison says, where that is all."""
    path = f"/compare/{part(base)}...{part(head)}"
    try:
        # The commits are not wanted, and come in pages; the files come with the first page.
        answer = await ask(repository, "GET", path, query={"per_page": 1})
    except NotFound:
        return None  # or no common ancestor; the trees tell
    except Refused as error:
        if error.status in (401, 403):
            raise
        return None
    except Unreachable as error:
        if error.retry_after is not None:
            raise
        return None  # "this diff is taking too long to generate"; if it is away, that shows next
    found = read(_COMPARISON, path, answer, "github", reads=True)
    if found.status not in ("ahead", "identical") or len(found.files) >= LISTED:
        return None
    return tuple(sorted({name for file in found.files for name in file.names()}))


async def _tree(ask: AskAbout, repository: str, commit: str) -> dict[str, tuple[str, str]] | None:
    """Mode and object by path, of files and submodules; None where there are too many."""
    path = f"/git/trees/{part(commit)}"
    answer = await ask(repository, "GET", path, query={"recursive": 1})
    found = read(_TREE, path, answer, "github", reads=True)
    if found.truncated:
        return None
    return {one.path: (one.mode, one.sha) for one in found.tree if one.type != "tree"}


class _File(Model):
    filename: str
    status: str
    previous_filename: str | None = None

    def names(self) -> tuple[str, ...]:
        """Its name, and for a renamed one the old name, too; a copy leaves the old one be."""
        if self.status == "renamed" and self.previous_filename:
            return self.filename, self.previous_filename
        return (self.filename,)


class _Comparison(Model):
    status: Literal["ahead", "behind", "diverged", "identical"]
    files: list[_File] = Field(default_factory=list)


class _Entry(Model):
    path: str
    mode: str
    type: str
    sha: str


class _Tree(Model):
    tree: list[_Entry]
    truncated: bool = False


_COMPARISON, _TREE = TypeAdapter(_Comparison), TypeAdapter(_Tree)
