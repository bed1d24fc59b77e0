"""What all hosts share: paths of an API, looks at branches, pull requests, and webhooks."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import pytest

from bridge.core.errors import NotFound
from bridge.core.pulls import LONGEST_LOGIN, LONGEST_TITLE, PullRequest
from bridge.githosts.base.answers import Answer
from bridge.githosts.base.api import changed_since
from bridge.githosts.base.checks import Aim, Events, HookCheck
from bridge.githosts.base.http import Heads, cut, numeric, part
from bridge.githosts.base.payloads import Pull
from bridge.githosts.base.repos_api import named
from bridge.githosts.base.webhook import seconds_of, touches
from bridge.githosts.gitlab.merges import number_in
from bridge.ports.checks import Checked
from bridge.ports.githosts import Hook
from tests.worlds.rows import each_row


@each_row(
    "name",
    ["", "mono", "a/b/c", "../user", "a/..", "./b", "a/b?x=1", "a/b#c", "a b/c", "a/b\n", "ä/b"],
)
def test_what_would_lead_elsewhere_is_no_repository(name: str) -> None:
    with pytest.raises(NotFound, match="owner/name"):
        named("github", name)


@each_row("id_", ["", "1/../2", "-1", "1?x", "٣"])
def test_what_is_no_number_is_no_id(id_: str) -> None:
    with pytest.raises(NotFound):
        numeric("github", id_)


@each_row("text", ["", ".", ".."])
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


async def test_an_answer_without_a_tag_is_asked_for_anew() -> None:
    host = Branches(main=("a", "1"))
    await host.head("main")
    host.at["main"] = "b", None

    assert [await host.head("main") for _ in range(2)] == ["b", "b"]

    host.at["main"] = "a", "1"  # the tag of the first answer, which is forgotten by now
    assert (await host.head("main"), host.told) == ("a", [200, 200, 200, 200])


async def test_only_so_many_branches_are_remembered() -> None:
    host = Branches(**{str(number): ("a", "1") for number in range(5000)})
    for branch in host.at:
        await host.head(branch)

    await host.head("4999")
    await host.head("0")

    assert host.told[-2:] == [304, 200]


# ── what all hosts share about pull requests ───────────────────────────────────


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


# ── where a webhook leads ──────────────────────────────────────────────────────


ROOT, BELOW = "https://bridge.example.com", "https://example.com:8443/bridge/"
BACKEND = "https://dokploy.example.com"


@each_row(
    ("public_url", "url", "aim"),
    [
        (ROOT, "https://bridge.example.com/hooks/github", Aim.HERE),
        (ROOT, "https://Bridge.Example.com:443/hooks/github?x=1", Aim.HERE),
        (f"{ROOT}/", "https://bridge.example.com/hooks/github", Aim.HERE),
        (ROOT, "http://bridge.example.com/hooks/github", Aim.IN_CLEAR),
        (ROOT, "https://bridge.example.com/hooks/gitlab", Aim.ASTRAY),
        (ROOT, "https://bridge.example.com/hooks/github/", Aim.ASTRAY),
        (ROOT, "https://bridge.example.com/webhook", Aim.ASTRAY),
        (ROOT, "https://bridge.example.com:8443/hooks/github", Aim.ELSEWHERE),
        (ROOT, "https://ci.example.com/hooks/github", Aim.ELSEWHERE),
        (ROOT, "https://dokploy.example.com/api/deploy/github", Aim.BACKEND),
        (BACKEND, "https://dokploy.example.com/api/deploy/github", Aim.BACKEND),
        (BACKEND, "https://dokploy.example.com/hooks/github", Aim.HERE),
        (BELOW, "https://example.com:8443/bridge/hooks/github", Aim.HERE),
        (BELOW, "https://example.com:8443/bridge/webhook", Aim.ASTRAY),
        (BELOW, "https://example.com:8443/jenkins/", Aim.ELSEWHERE),
        (BELOW, "https://example.com:8443/hooks/github", Aim.ELSEWHERE),
        (None, "https://anything.example.com/hooks/github", Aim.HERE),
        (None, "https://anything.example.com/other", Aim.ELSEWHERE),
        (ROOT, "https://[broken/hooks/github", Aim.ELSEWHERE),
        (ROOT, "https://bridge.example.com:port/hooks/github", Aim.ELSEWHERE),
        (ROOT, "mailto:bridge@example.com", Aim.ELSEWHERE),
        (ROOT, "", Aim.ELSEWHERE),
        (ROOT, None, Aim.ELSEWHERE),
    ],
)
def test_where_a_webhook_leads(public_url: str | None, url: str | None, aim: Aim) -> None:
    nothing: Any = None
    checked = Checked("github", nothing, public_url, backends=[BACKEND])
    check = HookCheck(checked, nothing, "GitHub", Events("push", {}), "", nothing)

    assert check.aim(Hook("repos/o/r", "1", url)) is aim


def test_one_from_a_fork_that_was_deleted_is_not_our_own() -> None:
    head = {"ref": "topic", "sha": "a" * 40, "repo": None}
    sent = {"number": 12, "head": head, "base": {"ref": "main", "repo": {"id": 4711}}}

    assert not Pull.model_validate(sent).told(12, 4711).own
