"""What may stand in a path of a host's API, and the conditional look at a branch."""

import pytest

from bridge.core.errors import NotFound
from bridge.githosts.asking.answers import Answer
from bridge.githosts.asking.client import cut, numeric, part
from bridge.githosts.asking.heads import Heads
from bridge.githosts.github.access import named


@pytest.mark.parametrize("name", ["my-org/mono", "a.b/c_d.e", "O/R", "x/..y"])
def test_a_repository_is_named_with_its_owner(name: str) -> None:
    assert named(name) == name


@pytest.mark.parametrize(
    "name",
    ["", "mono", "a/b/c", "../user", "a/..", "./b", "a/b?x=1", "a/b#c", "a b/c", "a/b\n", "ä/b"],
)
def test_what_would_lead_elsewhere_is_no_repository(name: str) -> None:
    with pytest.raises(NotFound, match="owner/name"):
        named(name)


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


def test_a_branch_is_asked_for_what_is_new_only() -> None:
    heads = Heads()
    assert heads.condition("o/r", "main") == {}

    heads.keep("o/r", "main", Answer(200, {"etag": '"1"'}, None), "a" * 40)

    assert heads.condition("o/r", "main") == {"If-None-Match": '"1"'}
    assert heads.condition("o/r", "other") == {}
    assert heads.kept("o/r", "main") == "a" * 40


def test_an_answer_without_a_tag_is_asked_for_anew() -> None:
    heads = Heads()
    heads.keep("o/r", "main", Answer(200, {"etag": '"1"'}, None), "a" * 40)
    heads.keep("o/r", "main", Answer(200, {}, None), "b" * 40)

    assert heads.condition("o/r", "main") == {}


def test_only_so_many_branches_are_remembered() -> None:
    heads = Heads()
    for number in range(5000):
        heads.keep("o/r", str(number), Answer(200, {"etag": "x"}, None), "a" * 40)

    assert heads.condition("o/r", "0") == {}
    assert heads.condition("o/r", "4999") == {"If-None-Match": "x"}
