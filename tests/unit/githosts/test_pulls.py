"""What all hosts share about pull requests: times, what changed, and walking back."""

from collections.abc import AsyncIterator, Sequence

import pytest

from bridge.core.pulls import LONGEST_LOGIN, LONGEST_TITLE, PullRequest
from bridge.githosts.base.api import changed_since
from bridge.githosts.base.payloads import Pull
from bridge.githosts.base.webhook import seconds_of, touches
from bridge.githosts.gitlab.merges import number_in
from tests.worlds.rows import each_row


@each_row(
    ("sent", "seconds"),
    [
        ("1970-01-01T00:01:00Z", 60.0),
        ("1970-01-01T02:01:00+02:00", 60.0),
        ("1970-01-01T00:01:00.500Z", 60.5),
        ("1970-01-01 00:01:00 UTC", 60.0),
        ("1970-01-01T00:01:00", 60.0),
        ("yesterday", None),
        (" UTC", None),
        ("", None),
        ("1970-01-01T00:01:00Z" + " " * 100, None),
        (60, None),
        (None, None),
        ({}, None),
    ],
)
def test_a_time_is_seconds_since_1970(sent: object, seconds: float | None) -> None:
    assert seconds_of(sent) == seconds


@each_row(
    ("login", "number"),
    [
        ("id:21", 21),
        ("id:", None),
        ("id:-1", None),
        ("id:2 1", None),
        ("id:²", None),
        ("21", None),
        ("ada", None),
        ("", None),
    ],
)
def test_only_a_marked_number_is_an_accounts(login: str, number: int | None) -> None:
    """A name may consist of digits: somebody else's number would be theirs."""
    assert number_in(login) == number


def test_changes_that_are_not_told_may_be_any() -> None:
    assert touches(None, ["title"])
    assert touches({"title": {}, "body": {}}, ["base", "title"])
    assert not touches({"body": {}}, ["base", "title"])
    assert not touches({}, ["base", "title"])


def test_one_from_a_fork_that_was_deleted_is_not_our_own() -> None:
    head = {"ref": "topic", "sha": "a" * 40, "repo": None}
    sent = {"number": 12, "head": head, "base": {"ref": "main", "repo": {"id": 4711}}}

    assert not Pull.model_validate(sent).told(12, 4711).own


def pull(number: int, at: float | None) -> PullRequest:
    return PullRequest(number, "topic", "a" * 40, open=True, updated_at=at)


@pytest.mark.parametrize(
    ("since", "numbers", "read"), [(5.0, [3, 2], 2), (4.2, [3, 2, 1], 3), (0.0, [3, 2, 1, 0], 3)]
)
async def test_pages_are_read_back_to_the_time_and_no_further(
    since: float, numbers: list[int], read: int
) -> None:
    """A change meanwhile moves the last of a page to the next: it is listed once."""
    pages, seen = [[pull(3, 9.0), pull(2, 5.0)], [pull(2, 5.0), pull(1, 4.0)], [pull(0, 3.0)]], 0

    async def listed() -> AsyncIterator[Sequence[PullRequest]]:
        nonlocal seen
        for page in pages:
            seen += 1
            yield page

    assert [one.number for one in await changed_since(listed(), since)] == numbers
    assert seen == read


async def test_one_without_a_time_may_have_changed() -> None:
    async def listed() -> AsyncIterator[Sequence[PullRequest]]:
        yield [pull(2, None), pull(1, 1.0)]

    assert [one.number for one in await changed_since(listed(), 5.0)] == [2]


def test_names_that_nobody_would_read_are_cut() -> None:
    long = "x" * 1000
    made = PullRequest(1, "topic", "a" * 40, open=True, title=long, author=long)

    assert made.title == "x" * (LONGEST_TITLE - 1) + "…"
    assert made.author == "x" * (LONGEST_LOGIN - 1) + "…"
