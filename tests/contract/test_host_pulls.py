"""Pull requests, at each Git host, over real HTTP: previews follow them."""

import re
from typing import Any

import pytest
from multidict import CIMultiDict

from bridge.core.errors import NotFound, Refused, Unreachable
from bridge.core.events import Ignored, PullRequestChanged
from bridge.core.pulls import PullRequest
from tests.fakes.gitea import FakeGitea
from tests.fakes.gitlab import FakeGitlab
from tests.fakes.host import FakeHook, Spoil
from tests.fakes.pulls import Change, FakePull
from tests.worlds.hosts import NAME, Host, webhooks_of

NOW = 1_800_000_000.0
SECRET = "a secret of the tests"


class Clock:
    """The host's time of day."""

    now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(host: Host) -> Clock:
    made = host.repository.clock = Clock()
    return made


def page_of(host: Host, number: int) -> str:
    paths = {
        "github": "https://github.com/{}/pull/{}",
        "gitlab": "https://gitlab.example.com/{}/-/merge_requests/{}",
        "gitea": "https://gitea.example.com/{}/pulls/{}",
    }
    return paths[host.fake.name].format(NAME, number)


def topic(host: Host, text: str = "two", branch: str = "topic") -> str:
    main = host.repository.branches["main"]
    return host.repository.commit({"web/index.html": text}, branch=branch, onto=main)


def numbers(pulls: list[PullRequest]) -> list[int]:
    return [one.number for one in pulls]


def expected(host: Host, pull: FakePull) -> PullRequest:
    """The pull request, as our client must read it."""
    drafts = {"github": "", "gitlab": "Draft: ", "gitea": "WIP: "}
    return PullRequest(
        number=pull.number,
        head=pull.head,
        head_sha=pull.head_sha,
        open=pull.state == "open",
        merge_sha=pull.merge_sha,
        own=pull.own,
        base=pull.base,
        title=(drafts[host.fake.name] if pull.draft else "") + pull.title,
        author=pull.author,
        draft=pull.draft,
        labels=frozenset(pull.labels),
        url=page_of(host, pull.number),
        updated_at=float(int(pull.updated_at)),
    )


# ── one by one, and by a commit ──────────────────────────────────────────────


async def test_the_pull_requests_of_a_commit_are_found(host: Host, clock: Clock) -> None:
    head = topic(host)
    own = host.repository.open_pull("topic")
    fork = host.repository.open_pull("topic", own=False, author="mallory")
    found = await host.api.pull_requests(NAME, head)
    assert sorted(found, key=lambda one: one.number) == [expected(host, own), expected(host, fork)]

    merge = host.repository.commit({"a": "1"}, message="Merge topic")
    host.repository.merge(own, merge)
    assert await host.api.pull_requests(NAME, merge) == [expected(host, own)]

    for _ in range(130):
        host.repository.open_pull("main")
    main = host.repository.branches["main"]
    many = await host.api.pull_requests(NAME, main)
    assert len([one for one in many if one.open]) == 130
    with pytest.raises(NotFound):
        await host.api.pull_requests(NAME, "d" * 40)


async def test_a_pull_request_is_read_by_its_number_in_any_state(host: Host, clock: Clock) -> None:
    topic(host)
    merged, closed = host.repository.open_pull("topic"), host.repository.open_pull("topic")
    shaped = host.repository.open_pull(
        "topic", title="Add \u202ea page", author="grace", draft=True, labels=("preview", "a b")
    )
    assert await host.api.pull_request(NAME, merged.number) == expected(host, merged)
    assert await host.api.pull_request(NAME, shaped.number) == expected(host, shaped)

    merge = host.repository.commit({"a": "1"}, message="Merge topic")
    host.repository.merge(merged, merge)
    host.repository.close(closed)

    found = [await host.api.pull_request(NAME, one.number) for one in (merged, closed)]
    assert found == [expected(host, merged), expected(host, closed)]
    assert [(one.open, one.merge_sha) for one in found] == [(False, merge), (False, None)]
    with pytest.raises(NotFound):
        await host.api.pull_request(NAME, 999)


async def test_a_draft_is_known_by_its_title_where_an_older_gitea_says_nothing(
    host: Host, clock: Clock
) -> None:
    topic(host)
    pull = host.repository.open_pull("topic", draft=True)
    if isinstance(host.fake, FakeGitea):
        host.fake.tells_drafts = False

    assert (await host.api.pull_request(NAME, pull.number)).draft
    host.repository.set_draft(pull, False)
    assert not (await host.api.pull_request(NAME, pull.number)).draft


# ── all open ones ────────────────────────────────────────────────────────────


async def test_all_open_ones_are_listed_own_and_forks(host: Host, clock: Clock) -> None:
    assert await host.api.open_pulls(NAME) == []
    topic(host)
    own = host.repository.open_pull("topic")
    fork = host.repository.open_pull("topic", own=False)
    closed, merged = host.repository.open_pull("topic"), host.repository.open_pull("topic")
    host.repository.close(closed)
    host.repository.merge(merged, host.repository.branches["main"])
    assert await host.api.open_pulls(NAME) == [expected(host, own), expected(host, fork)]

    more = [host.repository.open_pull("main").number for _ in range(120)]
    assert numbers(await host.api.open_pulls(NAME)) == [own.number, fork.number, *more]


async def test_a_list_that_never_settles_is_no_list(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(130):
        host.repository.open_pull("main")
    listed = host.repository.listed

    def opening(**how: bool) -> list[FakePull]:
        host.repository.open_pull("main")
        return listed(**how)

    monkeypatch.setattr(host.repository, "listed", opening)

    with pytest.raises(Unreachable, match="changed while they were listed"):
        await host.api.open_pulls(NAME)


# ── those that changed ───────────────────────────────────────────────────────


async def test_what_changed_since_is_listed_whatever_became_of_it(host: Host, clock: Clock) -> None:
    topic(host)
    pulls = [host.repository.open_pull("topic", own=False) for _ in range(6)]
    left, labelled, closed, merged, drafted, pushed = pulls
    clock.now += 100
    host.repository.label(labelled, "preview")
    host.repository.close(closed)
    host.repository.merge(merged, host.repository.branches["main"])
    clock.now += 100
    host.repository.set_draft(drafted, True)
    host.repository.push_to(pushed, {"web/index.html": "three"})

    found = await host.api.pulls_since(NAME, NOW + 1)

    assert {one.number: one for one in found} == {
        one.number: expected(host, one) for one in (labelled, closed, merged, drafted, pushed)
    }
    assert left.number not in numbers(found)
    assert [one.updated_at for one in found] == sorted(
        (one.updated_at or 0.0 for one in found), reverse=True
    )


async def test_a_second_counts_whole(host: Host, clock: Clock) -> None:
    """Hosts tell whole seconds: what changed later in the same one would be missed."""
    host.repository.open_pull("main")

    found = [bool(await host.api.pulls_since(NAME, NOW + after)) for after in (0.0, 0.4, 1.0)]

    assert found == [True, True, False]


async def test_nothing_new_costs_one_request_that_the_host_answers_in_short(
    host: Host, clock: Clock
) -> None:
    for _ in range(50):
        host.repository.open_pull("main")
    clock.now += 100
    pull = host.repository.open_pull("main")
    since = clock.now
    first = await host.api.pulls_since(NAME, since)
    host.fake.asked.clear()

    again = await host.api.pulls_since(NAME, since)

    assert first == again == [expected(host, pull)]
    (asked,) = host.fake.asked
    assert asked.status == (200 if host.fake.name == "gitea" else 304)
    clock.now += 1
    host.repository.close(pull)
    assert await host.api.pulls_since(NAME, since) == [expected(host, pull)]


async def test_a_list_that_is_not_answered_is_not_empty(host: Host) -> None:
    host.fake.spoil(Spoil(status=502), path="/(pulls|merge_requests)$", times=2)

    with pytest.raises(Unreachable):
        await host.api.pulls_since(NAME, 0.0)
    with pytest.raises(Unreachable):
        await host.api.open_pulls(NAME)
    for missing in (
        host.api.pulls_since("my-org/nothing", 0.0),
        host.api.open_pulls("my-org/nothing"),
        host.api.pull_files(NAME, 999),
        host.api.may_write("my-org/nothing", "ada"),
    ):
        with pytest.raises(NotFound):
            await missing


# ── its files ────────────────────────────────────────────────────────────────


async def test_the_files_are_all_those_since_it_left_its_base(host: Host) -> None:
    main = host.repository.branches["main"]
    many = {f"many/{n:04}": str(n) for n in range(300)}
    host.repository.commit({"a": "1", "ä b": "2", **many}, branch="topic", onto=main)
    host.repository.commit({"a": None, "README.md": None, "lies.md": "read me"}, branch="topic")
    pull = host.repository.open_pull("topic")
    host.repository.commit({"later.md": "on main"})

    found = await host.api.pull_files(NAME, pull.number)

    assert found.paths == tuple(sorted(["README.md", "lies.md", "ä b", *many]))
    assert found.note


async def test_files_that_are_not_all_listed_are_unknown(host: Host) -> None:
    many = {f"many/{n:04}": str(n) for n in range(3001)}
    host.repository.commit(many, branch="topic", onto=host.repository.branches["main"])
    pull = host.repository.open_pull("topic")
    if isinstance(host.fake, FakeGitlab):
        host.fake.diffs_at_most = 1000
    if isinstance(host.fake, FakeGitea):
        host.fake.lists_files = False

    found = await host.api.pull_files(NAME, pull.number)

    notes = {
        "github": "GitHub lists no more than 3000 files",
        "gitlab": "GitLab listed 1000 of 1000+ files",
        "gitea": "this Gitea lists no files of pull requests, as before 1.18",
    }
    assert (found.paths, found.note) == (None, notes[host.fake.name])


async def test_a_comparison_that_gitlab_has_not_made_yet_is_not_empty(host: Host) -> None:
    topic(host)
    pull = host.repository.open_pull("topic")
    if isinstance(host.fake, FakeGitlab):
        host.fake.compares_later = True

    found = await host.api.pull_files(NAME, pull.number)

    assert found.paths == (None if host.fake.name == "gitlab" else ("web/index.html",))


# ── who may write ────────────────────────────────────────────────────────────


async def test_a_writer_is_one_who_may_push(host: Host) -> None:
    for role, writes in (("owner", True), ("admin", True), ("write", True), ("read", False)):
        host.repository.roles["ada"] = role
        for login in ("ada", "ADA"):
            assert await host.api.may_write(NAME, login) is writes, role


async def test_anybody_else_is_no_writer(host: Host) -> None:
    """Nor an account whose name is the number of one that is, unless GitLab names it so."""
    host.repository.roles["ada"] = "owner"
    assert host.fake.people["ada"] == 21

    others = ("", "nobody", "grace", "../ada", "ada/permission", "21", "id:", "id:22")
    assert [login for login in others if await host.api.may_write(NAME, login)] == []
    assert await host.api.may_write(NAME, "id:21") is (host.fake.name == "gitlab")


async def test_a_login_is_that_of_one_account_or_of_none(host: Host) -> None:
    found = [await host.api.number_of(NAME, one) for one in ("ada", "ADA", "nobody")]

    assert found == ["21", "21", None]


async def test_a_blocked_member_is_no_writer(host: Host) -> None:
    if isinstance(host.fake, FakeGitlab):
        host.fake.people["blocked-ada"], host.repository.roles["blocked-ada"] = 31, "owner"

    assert await host.api.may_write(NAME, "blocked-ada") is False


async def test_that_nobody_may_see_rights_is_said_with_the_remedy(host: Host) -> None:
    host.repository.roles["ada"] = "owner"
    host.fake.sees_roles = False

    needs = {"github": "right to write there", "gitlab": "Guest", "gitea": "its administrator"}
    with pytest.raises(Refused, match=re.escape(needs[host.fake.name])):
        await host.api.may_write(NAME, "ada")


# ── what its webhooks tell ───────────────────────────────────────────────────


@pytest.fixture
def hook(host: Host) -> FakeHook:
    return host.fake.hook(host.repository, "http://127.0.0.1:9/hooks", SECRET)


async def told(host: Host, pull: FakePull, change: Change) -> PullRequestChanged | Ignored:
    """What the host's webhook means to us."""
    (sent,) = await host.fake.send_pull(host.repository, pull, change, lost=True)
    reader, body = webhooks_of(host.fake.name, SECRET), host.fake.body_of(sent)
    envelope = reader.open(CIMultiDict(sent.headers), sent.at)
    reader.verify(envelope, body)
    meaning = reader.parse(envelope.event, envelope.headers, body)
    assert isinstance(meaning, PullRequestChanged | Ignored)
    return meaning


@pytest.mark.parametrize("own", [True, False], ids=["own", "fork"])
async def test_a_webhook_tells_the_same_as_the_api(
    host: Host, clock: Clock, hook: FakeHook, own: bool
) -> None:
    topic(host)
    made: dict[Change, Any] = {
        Change.PUSHED: lambda pull: host.repository.push_to(pull, {"b": "2"}),
        Change.LABELLED: lambda pull: host.repository.label(pull, "one", "preview"),
        Change.UNLABELLED: host.repository.label,
        Change.RENAMED: lambda pull: host.repository.rename(pull, "Another page"),
        Change.RETARGETED: lambda pull: host.repository.retarget(pull, "topic"),
        Change.DRAFTED: lambda pull: host.repository.set_draft(pull, True),
        Change.MERGED: lambda pull: host.repository.merge(pull, "c" * 40),
        Change.CLOSED: host.repository.close,
    }
    for change in Change:
        pull = host.repository.open_pull("topic", own=own, title="A page", labels=("one",))
        clock.now += 10
        if change in made:
            made[change](pull)

        event = await told(host, pull, change)

        if change in (Change.ASSIGNED, Change.DESCRIBED):
            assert isinstance(event, Ignored)
            assert re.search(r"is not used|has the same", event.reason)
            continue
        assert isinstance(event, PullRequestChanged), change
        assert (event.repository.name, event.repository.id) == (NAME, str(host.repository.id))
        assert event.opened is (change in (Change.OPENED, Change.REOPENED)), change
        assert event.pull == expected(host, pull), change
        assert event.pull == await host.api.pull_request(NAME, pull.number), change
