"""What may stand in a path of a host's API, and the conditional look at a branch."""

from collections.abc import Mapping
from typing import Any

import pytest

from bridge.core.errors import NotFound
from bridge.githosts.base.answers import Answer
from bridge.githosts.base.http import Heads, cut, numeric, part
from bridge.githosts.base.repos_api import named
from tests.worlds.rows import each_row


@pytest.mark.parametrize("name", ["my-org/mono", "a.b/c_d.e", "O/R", "x/..y"])
def test_a_repository_is_named_with_its_owner(name: str) -> None:
    assert named("github", name) == name


@each_row(
    "name",
    ["", "mono", "a/b/c", "../user", "a/..", "./b", "a/b?x=1", "a/b#c", "a b/c", "a/b\n", "ä/b"],
)
def test_what_would_lead_elsewhere_is_no_repository(name: str) -> None:
    with pytest.raises(NotFound, match="owner/name"):
        named("github", name)


@pytest.mark.parametrize("id_", ["", "1/../2", "-1", "1?x", "٣"])
def test_what_is_no_number_is_no_id(id_: str) -> None:
    with pytest.raises(NotFound):
        numeric("github", id_)


def test_a_branch_is_one_part_of_a_path() -> None:
    assert part("feat/a?b#c%d ä") == "feat%2Fa%3Fb%23c%25d%20%C3%A4"


@pytest.mark.parametrize("text", ["", ".", ".."])
def test_what_leads_elsewhere_is_no_part_of_a_path(text: str) -> None:
    with pytest.raises(NotFound):
        part(text)


def test_a_text_is_cut_with_a_sign() -> None:
    assert (cut("four", 4), cut("fives", 4)) == ("four", "fiv…")


class Branches:
    """A host's branches by name, each with its commit and the tag of that answer."""

    def __init__(self, **at: tuple[str, str | None]) -> None:
        self.at = at
        self.told: list[int] = []
        self.heads = Heads(self.ask)

    async def ask(
        self, _repository: str, _method: str, path: str, *, headers: Mapping[str, str]
    ) -> Answer:
        if path not in self.at:
            raise NotFound("github: Branch not found")
        commit, tag = self.at[path]
        known = tag is not None and headers.get("If-None-Match") == tag
        self.told.append(304 if known else 200)
        return Answer(self.told[-1], {"etag": tag} if tag else {}, None if known else commit)

    async def head(self, branch: str) -> str | None:
        return await self.heads.head("o/r", branch, branch, lambda answer: answer.body)


async def test_a_branch_is_asked_for_what_is_new_only() -> None:
    host = Branches(main=("a", "1"), other=("b", "1"))

    found = [await host.head(branch) for branch in ("main", "main", "other")]

    assert (found, host.told) == (["a", "a", "b"], [200, 304, 200])
    host.at["main"] = "c", "2"
    assert (await host.head("main"), await host.head("main")) == ("c", "c")
    assert host.told[3:] == [200, 304]


async def test_an_answer_without_a_tag_is_asked_for_anew() -> None:
    host = Branches(main=("a", "1"))
    await host.head("main")
    host.at["main"] = "b", None

    assert [await host.head("main") for _ in range(2)] == ["b", "b"]

    host.at["main"] = "a", "1"  # the tag of the first answer, which is forgotten by now
    assert (await host.head("main"), host.told) == ("a", [200, 200, 200, 200])


async def test_a_branch_that_is_not_there_is_at_nothing() -> None:
    assert await Branches().head("main") is None


async def test_a_repository_that_is_not_there_is_said() -> None:
    async def ask(*_: Any, **__: Any) -> Answer:
        raise NotFound("github: Not Found")

    with pytest.raises(NotFound):
        await Heads(ask).head("o/r", "main", "main", lambda _: "a")


async def test_only_so_many_branches_are_remembered() -> None:
    host = Branches(**{str(number): ("a", "1") for number in range(5000)})
    for branch in host.at:
        await host.head(branch)

    await host.head("4999")
    await host.head("0")

    assert host.told[-2:] == [304, 200]
