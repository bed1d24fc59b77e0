"""Which files differ: exact where the host can tell, unknown with the reason where it can't."""

from typing import Any
from unittest.mock import Mock

import pytest

from bridge.core.errors import BridgeError, NotFound, Refused, Unreachable
from bridge.githosts.base.answers import Answer
from bridge.githosts.base.http import Access, Ask, Client
from bridge.githosts.gitea.api import Gitea
from bridge.githosts.github.api import Github
from bridge.githosts.gitlab.api import Gitlab
from bridge.ports.githosts import ChangeSet

OLD, NEW = "a" * 40, "b" * 40


class Asking(Access):
    """Answers by the first word of the path; an error is raised."""

    def __init__(self, host: str, answers: dict[str, Any]) -> None:
        super().__init__(Client(host, "http://127.0.0.1:1", Mock, remedy=""))
        self.asked: list[str] = []
        self._answers = answers

    def place(self, repository: str) -> str:
        return ""

    def asker(self, repository: str) -> Ask:
        return self._answer

    async def _answer(self, method: str, path: str, *, query: Any = None) -> Answer:
        self.asked.append(path)
        kind = path.split("/")[1] if "trees" not in path else f"tree_{path[-1]}"
        kind = "commits" if "/commits/" in path else kind
        said = self._answers[kind]
        if isinstance(said, BridgeError):
            raise said
        return Answer(200, {}, said)


def github(status: str, *files: Any) -> dict[str, Any]:
    shown = [{"filename": f, "status": "modified"} if isinstance(f, str) else f for f in files]
    return {"status": status, "files": shown}


def tree(*, truncated: bool = False, **files: str) -> dict[str, Any]:
    entries = [{"path": p, "mode": "100644", "type": "blob", "sha": s} for p, s in files.items()]
    entries.append({"path": "dir", "mode": "040000", "type": "tree", "sha": f"{files}"})
    return {"tree": entries, "truncated": truncated}


async def of_github(**answers: Any) -> tuple[ChangeSet, list[str]]:
    access = Asking("github", answers)
    return await Github(access).compare("o/r", OLD, NEW), access.asked


async def test_a_renamed_file_counts_by_both_names_and_a_copied_one_by_its_own() -> None:
    renamed = {"filename": "new", "status": "renamed", "previous_filename": "old"}
    copied = {"filename": "copy", "status": "copied", "previous_filename": "original"}

    found, _ = await of_github(compare=github("ahead", renamed, copied))

    assert found.paths == ("copy", "new", "old")


@pytest.mark.parametrize(
    "compared",
    [
        github("behind"),
        github("diverged", "x"),
        github("ahead", *map(str, range(300))),
        NotFound("No common ancestor"),
        Refused("github", "Sorry, this diff is taking too long to generate", status=422),
        Unreachable("github", "HTTP 500: this diff is temporarily unavailable"),
    ],
    ids=["rollback", "forced", "more than it lists", "unrelated", "too large", "too slow"],
)
async def test_else_the_trees_are_compared(compared: Any) -> None:
    found, _ = await of_github(
        compare=compared,
        tree_a=tree(same="1", gone="1", changed="1"),
        tree_b=tree(same="1", fresh="1", changed="2"),
    )

    assert found == ChangeSet(
        ("changed", "fresh", "gone"), "the trees of both commits were compared"
    )


@pytest.mark.parametrize("side", ["tree_a", "tree_b"])
async def test_a_tree_that_is_cut_short_makes_the_files_unknown(side: str) -> None:
    trees = {"tree_a": tree(x="1"), "tree_b": tree(x="2"), side: tree(truncated=True, x="1")}

    found, _ = await of_github(compare=github("diverged"), **trees)

    assert found == ChangeSet(None, "the repository has more files than GitHub lists")


async def test_a_base_that_github_has_forgotten_makes_the_files_unknown() -> None:
    found, _ = await of_github(compare=NotFound("no"), tree_a=NotFound("no"), tree_b=tree(x="1"))

    assert found == ChangeSet(None, f"GitHub does not know the commit {OLD[:12]} any more")


@pytest.mark.parametrize(
    "error",
    [
        Refused("github", "Bad credentials", status=401),
        Refused("github", "Resource not accessible", status=403),
        Unreachable("github", "rate limit", retry_after=60),
    ],
)
async def test_what_the_trees_would_not_help_is_raised(error: BridgeError) -> None:
    with pytest.raises(type(error)):
        await of_github(compare=error)


async def test_a_head_that_has_not_arrived_is_not_found() -> None:
    with pytest.raises(NotFound):
        await of_github(compare=NotFound("no"), tree_a=tree(x="1"), tree_b=NotFound("no"))


def gitlab(*files: tuple[str, str], **flags: bool) -> dict[str, Any]:
    diffs = [
        {"old_path": old, "new_path": new, "collapsed": True, "too_large": True}
        for old, new in files
    ]
    return {"diffs": diffs, **flags}


async def of_gitlab(**answers: Any) -> ChangeSet:
    return await Gitlab(Asking("gitlab", answers)).compare("g/p", OLD, NEW)


async def test_gitlabs_comparison_names_both_sides_also_of_what_it_does_not_show() -> None:
    found = await of_gitlab(repository=gitlab(("old", "new"), ("same", "same")))

    assert found.paths == ("new", "old", "same")


@pytest.mark.parametrize("flag", ["compare_timeout", "overflow"])
async def test_a_comparison_that_gitlab_has_cut_short_is_unknown(flag: str) -> None:
    found = await of_gitlab(repository=gitlab(("x", "x"), **{flag: True}))

    assert found == ChangeSet(None, "the change is too large for GitLab to compare")


async def test_a_base_that_gitlab_has_forgotten_makes_the_files_unknown() -> None:
    found = await of_gitlab(repository=NotFound("no"), commits={"id": NEW})

    assert found == ChangeSet(None, f"GitLab does not know the commit {OLD[:12]} any more")


async def test_a_head_that_gitlab_does_not_know_is_not_found() -> None:
    with pytest.raises(NotFound):
        await of_gitlab(repository=NotFound("no"), commits=NotFound("no"))


def gitea(*commits: tuple[str, list[str], str | None], total: int | None = None) -> dict[str, Any]:
    """A comparison of commits: each with its parents, and a file (None: not listed)."""
    shown = [
        {
            "sha": sha,
            "parents": [{"sha": parent} for parent in parents],
            "files": None if file is None else [{"filename": file}],
        }
        for sha, parents, file in commits
    ]
    return {"total_commits": len(shown) if total is None else total, "commits": shown}


async def of_gitea(compared: Any) -> ChangeSet:
    answers = {"compare": compared, "tree_a": tree(x="1", y="1"), "tree_b": tree(x="2", y="1")}
    return await Gitea(Asking("gitea", answers)).compare("o/r", OLD, NEW)


async def test_giteas_comparison_is_enough_where_the_older_is_an_ancestor() -> None:
    found = await of_gitea(gitea((NEW, ["c" * 40], "b"), ("c" * 40, [OLD], "a")))

    assert found == ChangeSet(("a", "b"), "compared by Gitea")


@pytest.mark.parametrize(
    "compared",
    [
        gitea((NEW, [OLD], "a"), total=2),
        gitea((NEW, [OLD, "c" * 40], "a")),
        gitea((NEW, ["c" * 40], "a")),
        gitea((NEW, [OLD], None)),
        gitea(),
        {"total_commits": 0, "commits": None},
        NotFound("no"),
    ],
    ids=["cut short", "merge", "elsewhere", "no files", "none", "null", "unknown"],
)
async def test_else_giteas_trees_are_compared(compared: Any) -> None:
    found = await of_gitea(compared)

    assert found == ChangeSet(("x",), "the trees of both commits were compared")
