"""Pull requests, at each Git host, over real HTTP: previews follow them."""

import re
from pathlib import Path

import pytest
from multidict import CIMultiDict

from bridge.core.errors import NotFound, Refused, Unreachable
from bridge.core.events import Ignored, PullRequestChanged
from bridge.core.pulls import PullRequest
from bridge.ports.githosts import ListsPulls, ReadsPulls, TellsWriters
from tests.fakes.gitea import FakeGitea
from tests.fakes.github import FakeGithub
from tests.fakes.gitlab import FakeGitlab
from tests.fakes.host import FakeHook, Spoil
from tests.fakes.pulls import Change, FakePull
from tests.worlds.embedded import Repository
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


async def test_a_host_lists_pulls_and_tells_writers(host: Host) -> None:
    assert isinstance(host.api, ReadsPulls)
    assert isinstance(host.api, ListsPulls)
    assert isinstance(host.api, TellsWriters)


# ── one by one, and by a commit ──────────────────────────────────────────────


async def test_the_pull_requests_of_a_commit_are_found(host: Host, clock: Clock) -> None:
    head = topic(host)
    pull = host.repository.open_pull("topic")

    assert await host.api.pull_requests(NAME, head) == [expected(host, pull)]


async def test_a_merge_is_found_by_the_commit_it_made(host: Host, clock: Clock) -> None:
    topic(host)
    pull = host.repository.open_pull("topic")
    merge = host.repository.commit({"a": "1"}, message="Merge topic")
    host.repository.merge(pull, merge)

    assert await host.api.pull_requests(NAME, merge) == [expected(host, pull)]


async def test_a_pull_request_is_read_by_its_number_in_any_state(host: Host, clock: Clock) -> None:
    topic(host)
    merged, closed = host.repository.open_pull("topic"), host.repository.open_pull("topic")
    assert await host.api.pull_request(NAME, merged.number) == expected(host, merged)

    merge = host.repository.commit({"a": "1"}, message="Merge topic")
    host.repository.merge(merged, merge)
    host.repository.close(closed)

    found = [await host.api.pull_request(NAME, one.number) for one in (merged, closed)]
    assert found == [expected(host, merged), expected(host, closed)]
    assert [(one.open, one.merge_sha) for one in found] == [(False, merge), (False, None)]
    with pytest.raises(NotFound):
        await host.api.pull_request(NAME, 999)


async def test_one_from_a_fork_is_not_our_own(host: Host, clock: Clock) -> None:
    sha = host.repository.branches["main"]
    pull = host.repository.open_pull("main", own=False, author="mallory")

    assert await host.api.pull_requests(NAME, sha) == [expected(host, pull)]


async def test_everything_that_previews_ask_for_is_read(host: Host, clock: Clock) -> None:
    topic(host)
    pull = host.repository.open_pull(
        "topic", title="Add \u202ea page", author="grace", draft=True, labels=("preview", "a b")
    )

    assert await host.api.pull_request(NAME, pull.number) == expected(host, pull)


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


async def test_open_ones_are_listed_own_and_forks(host: Host, clock: Clock) -> None:
    topic(host)
    own = host.repository.open_pull("topic")
    fork = host.repository.open_pull("topic", own=False)
    closed, merged = host.repository.open_pull("topic"), host.repository.open_pull("topic")
    host.repository.close(closed)
    host.repository.merge(merged, host.repository.branches["main"])

    assert await host.api.open_pulls(NAME) == [expected(host, own), expected(host, fork)]


async def test_nothing_open_is_an_empty_list_and_no_repository_an_error(host: Host) -> None:
    assert await host.api.open_pulls(NAME) == []
    with pytest.raises(NotFound):
        await host.api.open_pulls("my-org/nothing")


async def test_more_open_ones_than_a_page_holds_are_all_listed(host: Host) -> None:
    pulls = [host.repository.open_pull("main") for _ in range(230)]

    assert numbers(await host.api.open_pulls(NAME)) == numbers(
        [expected(host, one) for one in pulls]
    )


async def test_one_that_closes_while_pages_are_read_hides_no_other(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It moves the first of the next page to the one that was read already."""
    pulls = [host.repository.open_pull("main") for _ in range(130)]
    listed, closes = host.repository.listed, [pulls[0], pulls[3]]

    def closing(**how: bool) -> list[FakePull]:
        found = listed(**how)
        if closes:
            host.repository.close(closes.pop(0))
        return found

    monkeypatch.setattr(host.repository, "listed", closing)

    found = numbers(await host.api.open_pulls(NAME))

    assert found == [one.number for one in pulls if one.state == "open"]


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


@pytest.mark.parametrize(("after", "listed"), [(0.0, True), (0.4, True), (1.0, False)])
async def test_a_second_counts_whole(host: Host, clock: Clock, after: float, listed: bool) -> None:
    """Hosts tell whole seconds: what changed later in the same one would be missed."""
    host.repository.open_pull("main")

    assert bool(await host.api.pulls_since(NAME, NOW + after)) is listed


async def test_only_the_pages_that_are_needed_are_read(host: Host, clock: Clock) -> None:
    for _ in range(150):
        clock.now += 1
        host.repository.open_pull("main")
    await host.api.repository(NAME)  # by now it has a token
    host.fake.asked.clear()

    last = numbers(await host.api.pulls_since(NAME, clock.now - 9))
    assert (len(last), len(host.fake.asked)) == (10, 1)
    every = numbers(await host.api.pulls_since(NAME, NOW))
    assert (len(every), len(set(every))) == (150, 150)
    assert len(host.fake.asked) == 1 + 5


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


async def test_what_changed_is_seen_although_the_list_is_known(host: Host, clock: Clock) -> None:
    pull = host.repository.open_pull("main")
    await host.api.pulls_since(NAME, NOW)
    clock.now += 1
    host.repository.close(pull)

    (found,) = await host.api.pulls_since(NAME, NOW)

    assert found == expected(host, pull)


async def test_a_list_that_is_not_answered_is_not_empty(host: Host) -> None:
    host.fake.spoil(Spoil(status=502), path="/(pulls|merge_requests)$", times=2)

    with pytest.raises(Unreachable):
        await host.api.pulls_since(NAME, 0.0)
    with pytest.raises(Unreachable):
        await host.api.open_pulls(NAME)
    with pytest.raises(NotFound):
        await host.api.pulls_since("my-org/nothing", 0.0)


async def test_pull_requests_of_a_real_repository_are_followed(host: Host, tmp_path: Path) -> None:
    git = Repository.make(tmp_path / "git", {"a.txt": "1"})
    theirs = host.fake.repository("my-org/other", id=2, git=git.path)
    theirs.commit({"b.txt": "2"}, branch="topic", onto=theirs.branches["main"])
    own = theirs.open_pull("topic")
    fork = theirs.open_pull("topic", own=False, sha=theirs.fork_commit({"a.txt": None}))
    theirs.push_to(own, {"c.txt": "3"})
    theirs.push_to(fork, {"ä d.txt": "4"})
    git.git("checkout", "-q", "topic")
    git.commit("feat: by hand", {"e.txt": "5"})

    heads = {one.number: one.head_sha for one in await host.api.open_pulls("my-org/other")}
    files = [(await host.api.pull_files("my-org/other", one.number)).paths for one in (own, fork)]

    assert heads == {own.number: git.git("rev-parse", "topic"), fork.number: fork.head_sha}
    assert git.git("rev-parse", f"refs/pull/{fork.number}/head") == fork.head_sha
    assert files == [("b.txt", "c.txt", "e.txt"), ("a.txt", "ä d.txt")]


# ── its files ────────────────────────────────────────────────────────────────


async def test_the_files_are_those_since_it_left_its_base(host: Host) -> None:
    main = host.repository.branches["main"]
    host.repository.commit({"a": "1", "b": "2"}, branch="topic", onto=main)
    host.repository.commit({"a": None, "README.md": None, "lies.md": "read me"}, branch="topic")
    pull = host.repository.open_pull("topic")
    host.repository.commit({"later.md": "on main"})

    found = await host.api.pull_files(NAME, pull.number)

    assert found.paths == ("README.md", "b", "lies.md")
    assert found.note


async def test_more_files_than_a_page_holds_are_all_listed(host: Host) -> None:
    many = {f"many/{n:04}": str(n) for n in range(1000)}
    host.repository.commit(many, branch="topic", onto=host.repository.branches["main"])
    pull = host.repository.open_pull("topic")

    assert (await host.api.pull_files(NAME, pull.number)).paths == tuple(sorted(many))


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


async def test_the_files_of_a_missing_one_are_not_found(host: Host) -> None:
    with pytest.raises(NotFound):
        await host.api.pull_files(NAME, 999)


# ── who may write ────────────────────────────────────────────────────────────

ROLES = {"owner": True, "admin": True, "write": True, "read": False}


@pytest.mark.parametrize("role", ROLES)
async def test_a_writer_is_one_who_may_push(host: Host, role: str) -> None:
    host.repository.roles["ada"] = role

    assert await host.api.may_write(NAME, "ada") is ROLES[role]
    assert await host.api.may_write(NAME, "ADA") is ROLES[role]


@pytest.mark.parametrize("login", ["", "nobody", "grace", "../ada", "ada/permission", "21", "id:"])
async def test_anybody_else_is_no_writer(host: Host, login: str) -> None:
    """Nor an account whose name is the number of one that is."""
    host.repository.roles["ada"] = "owner"
    assert host.fake.people["ada"] == 21

    assert await host.api.may_write(NAME, login) is False


async def test_gitlab_knows_an_account_by_its_number_as_well(host: Host) -> None:
    host.repository.roles["ada"] = "write"

    found = [await host.api.may_write(NAME, one) for one in ("id:21", "id:22")]

    assert found == [host.fake.name == "gitlab", False]


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


async def test_a_missing_repository_is_no_answer_about_a_person(host: Host) -> None:
    with pytest.raises(NotFound):
        await host.api.may_write("my-org/nothing", "ada")


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


OF_A_BRANCH = pytest.mark.parametrize("own", [True, False], ids=["own", "fork"])


@OF_A_BRANCH
@pytest.mark.parametrize("change", [one for one in Change if one not in ("assigned", "described")])
async def test_a_webhook_tells_the_same_as_the_api(
    host: Host, clock: Clock, hook: FakeHook, change: Change, own: bool
) -> None:
    topic(host)
    pull = host.repository.open_pull("topic", own=own, title="A page", labels=("one",))
    clock.now += 10
    made: dict[Change, object] = {
        Change.PUSHED: lambda: host.repository.push_to(pull, {"b": "2"}),
        Change.LABELLED: lambda: host.repository.label(pull, "one", "preview"),
        Change.UNLABELLED: lambda: host.repository.label(pull),
        Change.RENAMED: lambda: host.repository.rename(pull, "Another page"),
        Change.RETARGETED: lambda: host.repository.retarget(pull, "topic"),
        Change.DRAFTED: lambda: host.repository.set_draft(pull, True),
        Change.MERGED: lambda: host.repository.merge(pull, "c" * 40),
        Change.CLOSED: lambda: host.repository.close(pull),
    }
    if change in made:
        made[change]()  # type: ignore[operator]

    event = await told(host, pull, change)

    opened = change in (Change.OPENED, Change.REOPENED)
    assert isinstance(event, PullRequestChanged)
    assert (event.repository.name, event.repository.id) == (NAME, str(host.repository.id))
    assert event.opened is opened
    assert event.pull == expected(host, pull) == await host.api.pull_request(NAME, pull.number)


@pytest.mark.parametrize("change", [Change.ASSIGNED, Change.DESCRIBED])
async def test_what_changes_nothing_that_matters_is_ignored_with_a_reason(
    host: Host, hook: FakeHook, change: Change
) -> None:
    event = await told(host, host.repository.open_pull("main"), change)

    assert isinstance(event, Ignored)
    assert re.search(r"is not used|has the same", event.reason)


async def test_gitlab_names_an_author_who_did_not_act_by_number(host: Host, hook: FakeHook) -> None:
    """The number is enough to ask for their rights."""
    host.repository.roles["ada"] = "write"
    pull = host.repository.open_pull("main")
    if isinstance(host.fake, FakeGitlab):
        host.fake.acts = "grace"

    event = await told(host, pull, Change.LABELLED)

    assert isinstance(event, PullRequestChanged)
    assert event.pull.author == ("id:21" if host.fake.name == "gitlab" else "ada")
    assert await host.api.may_write(NAME, event.pull.author)


async def test_a_webhook_sends_what_it_is_subscribed_to(host: Host, hook: FakeHook) -> None:
    pull = host.repository.open_pull("main")
    hook.events = ("push", "push_events")

    assert await host.fake.send_pull(host.repository, pull, Change.OPENED, lost=True) == []


async def test_an_app_hears_of_pull_requests_as_well() -> None:
    async with FakeGithub() as fake:
        repository = fake.repository(NAME)
        repository.commit({"a": "1"})
        fake.app_hook("http://127.0.0.1:9/hooks", SECRET)
        pull = repository.open_pull("main")

        (sent,) = await fake.send_pull(repository, pull, Change.PUSHED, lost=True)

        assert (sent.event, sent.payload["action"]) == ("pull_request", "synchronize")
