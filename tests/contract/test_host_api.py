"""One promise, four roads: GitHub with a token and as an App, GitLab and Gitea, over real HTTP."""

import asyncio
import time
from contextlib import nullcontext, suppress
from dataclasses import replace

import pytest

from bridge.core.errors import BridgeError, NotFound, Refused, Unanswered, Unreachable
from bridge.ports.authors import TellsAuthors
from bridge.ports.githosts import Comment, CommitState
from tests.fakes.gitea import FakeGitea
from tests.fakes.github import FakeGithub
from tests.fakes.gitlab import FakeGitlab
from tests.fakes.host import FakeDeployment, Spoil
from tests.fakes.pulls import FakeComment
from tests.worlds.hosts import FEW, NAME, Host, client_of, with_deployments

STATUS = "dokploy/shop/web"


# ── what people see ──────────────────────────────────────────────────────────


async def test_a_commit_says_what_it_is_and_what_it_was_made_on(host: Host) -> None:
    before = host.repository.branches["main"]
    sha = host.repository.commit({"a": "1"}, message="feat: a [skip ci]")

    found = await host.api.commit(NAME, sha)

    assert (found.sha, found.message) == (sha, "feat: a [skip ci]")
    assert (found.author, found.email) == ("Ada", "ada@example.com")
    assert found.parents == (before,)
    by_name = await host.api.repository(NAME)
    assert await host.api.repository(host.api.key(by_name)) == by_name


async def test_comments_are_written_edited_known_as_ours_and_read_only_as_far_as_wanted(
    host: Host,
) -> None:
    pull = host.repository.open_pull("main")
    numbers = range(1001, 1251)
    pull.comments += [FakeComment(n, "somebody", f"comment {n}") for n in numbers]

    id_ = await host.api.comment(NAME, pull.number, "waits")
    await host.api.edit_comment(NAME, pull.number, id_, "done")
    found = [comment async for comment in host.api.comments(NAME, pull.number)]
    before = len(host.fake.asked)
    async for comment in host.api.comments(NAME, pull.number):
        assert comment.body == "comment 1001"
        break

    theirs = [Comment(str(n), f"comment {n}", ours=False) for n in numbers]
    assert found == [*theirs, Comment(id_, "done", ours=True)]
    assert pull.comments[-1].history == ["waits", "done"]
    assert len(host.fake.asked) == before + 1
    with pytest.raises(NotFound):
        await host.api.edit_comment(NAME, pull.number, "99999", "deleted meanwhile")


async def test_a_status_is_set_in_the_hosts_words_and_may_be_set_again(host: Host) -> None:
    sha, gitlab = host.repository.branches["main"], host.fake.name == "gitlab"
    words = "pending running success failed canceled" if gitlab else "pending success failure error"
    limit = 140 if host.fake.name == "github" else 255

    for state in CommitState:
        host.repository.statuses.clear()
        await host.api.set_status(NAME, sha, STATUS, state, "x" * 1000, "https://example.com/log")
        status = host.repository.statuses[0]
        await host.api.set_status(NAME, sha, STATUS, state, "again")

        assert status["state"] in words.split()
        assert status["description"] == "x" * (limit - 1) + "…"
        assert status["target_url"] == "https://example.com/log"


async def test_a_deployment_goes_through_its_states_and_is_found_again(host: Host) -> None:
    api, sha = with_deployments(host), host.repository.branches["main"]
    assert await api.find_deployment(NAME, sha, "shop/web", "deployment 1") is None
    with pytest.raises(NotFound):
        await api.end_deployment(NAME, "999", "it has ended", replaced=False)

    id_ = await api.create_deployment(NAME, sha, "refs/heads/main", "shop/web", "deployment 1")
    await api.create_deployment(NAME, sha, "refs/heads/main", "shop/api", "deployment 2")
    await api.set_deployment(NAME, id_, CommitState.RUNNING, "builds")
    await api.set_deployment(NAME, id_, CommitState.RUNNING, "builds still")
    await api.set_deployment(NAME, id_, CommitState.SUCCESS, "is live", environment_url=SHOP)

    assert await api.find_deployment(NAME, sha, "shop/web", "deployment 1") == id_
    made = next(iter(host.repository.deployments.values()))
    assert (str(made.id), made.sha, made.environment) == (id_, sha, "shop/web")
    assert made.states[-1]["state"] == "success"
    if host.fake.name == "github":
        assert made.states[-1]["environment_url"] == SHOP
    else:
        assert host.repository.environments["shop/web"]["external_url"] == SHOP


async def test_the_deployments_of_a_preview_end_with_it(host: Host) -> None:
    api, first = with_deployments(host), host.repository.branches["main"]
    made = []
    for sha in (first, host.repository.commit({"web/index.html": "two"})):
        where = "review/shop/web/pr-12"
        id_ = await api.create_deployment(
            NAME, sha, "refs/heads/main", where, f"deployment of {sha}", transient=True
        )
        await api.set_deployment(NAME, id_, CommitState.SUCCESS, "is live", environment_url=SHOP)
        made.append(id_)
    old, new = host.repository.deployments.values()

    await api.end_deployment(NAME, made[0], "a newer one is", replaced=True)
    assert stands(host, old) == (False, host.fake.name == "gitlab")
    assert stands(host, new) == (True, True)
    for _ in range(2):
        await api.end_deployment(NAME, made[1], "it has ended", replaced=False)
    assert [stands(host, one) for one in (old, new)] == [(False, False)] * 2

    await api.create_deployment(
        NAME, first, "refs/heads/main", "review/shop/web/pr-12", "again", transient=True
    )
    if host.fake.name == "github":
        assert {(one.transient, one.production) for one in (old, new)} == {(True, False)}
    else:
        (kept,) = host.repository.environments.values()
        assert kept["tier"] == "development"


SHOP = "https://pr-12.example.com"


def stands(host: Host, one: FakeDeployment) -> tuple[bool, bool]:
    """Whether a deployment is the one that is served, and whether its environment is there."""
    if host.fake.name == "github":
        there = one.states[-1]["state"] == "success"
        return there, there
    newest = max(host.repository.deployments)
    there = host.repository.environments[one.environment]["state"] == "available"
    return there and one.id == newest, there


# ── what has changed ─────────────────────────────────────────────────────────


async def test_all_that_has_changed_between_two_commits_is_told(host: Host) -> None:
    root = host.repository.branches["main"]
    removed = host.repository.commit({"web/index.html": None, "docs a/ä.md": "a"})
    added = host.repository.commit({"api/x.py": "x"})
    forced = host.repository.commit({"put/instead.py": "y"}, onto=removed)
    many = host.repository.commit({f"many/{n:04}": "x" for n in range(1000)}, onto=added)

    for since, until, paths in (
        (root, added, ("api/x.py", "docs a/ä.md", "web/index.html")),
        (added, removed, ("api/x.py",)),  # a rollback
        (added, forced, ("api/x.py", "put/instead.py")),
        (added, added, ()),
        (added, many, tuple(f"many/{n:04}" for n in range(1000))),
    ):
        found = await host.api.compare(NAME, since, until)
        assert found.paths == paths
        assert found.note or not paths
    gone = await host.api.compare(NAME, "d" * 40, added)
    assert gone.paths is None
    assert "does not know the commit dddddddddddd" in gone.note
    with pytest.raises(NotFound):
        await host.api.compare(NAME, added, "d" * 40)


async def test_who_wrote_all_commits_since_another_is_told_by_account_where_the_host_links_one(
    host: Host,
) -> None:
    base, alias = host.repository.branches["main"], "ada@home.example"
    for number in range(130):
        head = host.repository.commit({"a": str(number)})
        author = ("ada@example.com", alias)[number % 2]
        host.repository.commits[head] = replace(host.repository.commits[head], author=author)
    assert isinstance(host.api, TellsAuthors)

    found = await host.api.authors(NAME, base, head)
    assert {(one.login, bool(one.number), one.email) for one in found.writers or ()} == {
        ("ada", True, "ada@example.com"), ("", False, alias),
    }  # fmt: skip
    assert all(one.commit for one in found.writers or ())
    alone = await host.api.authors(NAME, None, head)
    assert {one.email for one in alone.writers or ()} == {alias}
    assert (await host.api.authors(NAME, "e" * 40, head)).writers is None
    with pytest.raises(NotFound if host.fake.name != "github" else BridgeError):
        await host.api.authors(NAME, base, "d" * 40)


async def test_it_is_told_whether_a_head_is_built_on_a_base(host: Host) -> None:
    first = host.repository.branches["main"]
    second, third = (host.repository.commit({"a": number}) for number in "12")
    aside = host.repository.commit({"b": "1"}, onto=second)
    assert isinstance(host.api, TellsAuthors)

    for base, head, onward in (
        (first, third, True), (third, first, False), (third, aside, False), (second, aside, True),
    ):  # fmt: skip
        assert (await host.api.authors(NAME, base, head)).onward is onward


async def test_commits_that_name_too_many_people_are_not_told(host: Host) -> None:
    base = host.repository.branches["main"]
    head = host.repository.commit({"a": "1"})
    lines = "\n".join(f"Co-authored-by: <{number}@x.example>" for number in range(1000))
    made = replace(host.repository.commits[head], message=f"feat: all\n\n{lines}")
    host.repository.commits[head] = made
    assert isinstance(host.api, TellsAuthors)

    for since in (base, None):
        found = await host.api.authors(NAME, since, head)
        assert (found.writers, found.note) == (None, "they name more than 1000 people")


LINKED: dict[str, tuple[Spoil | None, type[BridgeError] | None]] = {
    "it does": (None, None),
    "it is too old": (None, None),
    "the token may not": (Spoil(status=403), None),
    "there is no GraphQL": (Spoil(status=404), None),
    "it is away": (Spoil(status=502), Unreachable),
}


@pytest.mark.parametrize("why", LINKED)
async def test_gitlab_is_asked_in_graphql_to_whom_it_links_the_addresses_of_authors(
    why: str,
) -> None:
    spoil, error = LINKED[why]
    people = {f"dev{n}@example.com": (f"dev{n}", 200 + n) for n in range(70)}
    committers = ("dev1@example.com", "noreply@gitlab.example.com", alias := "ada@home.example")
    async with FakeGitlab() as fake:
        api, repository = client_of(fake), fake.repository(NAME)
        base = repository.commit({"a": ""})
        for number, author in enumerate(people):
            head, by = repository.commit({"a": author}), committers[number % 3]
            made = replace(repository.commits[head], author=author, committer=by)
            repository.commits[head] = made
        fake.linked, fake.links_authors = people, why != "it is too old"
        if spoil is not None:
            fake.spoil(spoil, path="/graphql$", times=9)

        with pytest.raises(error) if error is not None else nullcontext():
            told = (await api.authors("4711", base, head)).writers or ()
            linked = {one.login: int(one.number) for one in told if one.login}
            assert linked == (dict(people.values()) if why == "it does" else {})
            others = {one.email for one in told if not one.login}
            assert others == {alias, *(() if linked else people)}
        await api.close()


@pytest.mark.parametrize("compares", [True, False])
async def test_what_a_merge_takes_back_is_told_by_gitea_as_well(compares: bool) -> None:
    """Such a merge lists no file: what it has is what one of its parents had."""
    async with FakeGitea() as fake:
        api, repository = client_of(fake), fake.repository(NAME)
        fake.compares, fake.tree_page = compares, 2
        root = repository.commit({f"{n}.txt": "1" for n in range(5)})
        base = repository.commit({"web/new.html": "1"})
        topic = repository.commit({"docs/a.md": "1"}, branch="topic", onto=root)
        merge = repository.commit({"web/new.html": None}, message="Merge -s ours topic")
        made = repository.commits[merge]
        made.parents = (base, topic)
        made.files = dict(repository.commits[topic].files)

        found = await api.compare(NAME, base, merge)

        assert found.paths == ("docs/a.md", "web/new.html")
        await api.close()


# ── what goes wrong ──────────────────────────────────────────────────────────


async def test_a_repository_that_is_not_there_is_not_found(host: Host) -> None:
    with pytest.raises(NotFound):
        await host.api.comment("my-org/nothing", 1, "hello")
    with pytest.raises(NotFound):
        await host.api.repository("my-org/nothing")
    with pytest.raises(NotFound):
        await host.api.compare("my-org/nothing", "a" * 40, "b" * 40)


LIMITS = {
    "a time": lambda: Spoil(status=429, headers={"Retry-After": "7"}),
    "no time": lambda: Spoil(status=429, body={"message": "secondary rate limit"}),
    "none left": lambda: Spoil(
        headers={"x-ratelimit-remaining": "0", "ratelimit-remaining": "0"} | {
            name: str(int(time.time()) + 90) for name in ("x-ratelimit-reset", "ratelimit-reset")
        },
        lose=False, status=200, body=[],
    ),
}  # fmt: skip


@pytest.mark.parametrize("limit", LIMITS)
async def test_a_rate_limit_pauses_all_that_its_credential_asks(
    host: Host, limit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = host.repository.branches["main"]
    pull = host.repository.open_pull("main")
    host.fake.spoil(LIMITS[limit](), path="/(comments|notes)")
    with suppress(Unreachable):
        [one async for one in host.api.comments(NAME, pull.number)]
    asked = len(host.fake.asked)

    for ask in (
        host.api.repository(NAME),
        host.api.head(NAME, "main"),
        host.api.tags(NAME, 5),
        host.api.pull_requests(NAME, head),
        host.api.compare(NAME, head, head),
        host.api.comment(NAME, pull.number, "hello"),
    ):
        with pytest.raises(Unreachable, match="rate limit") as caught:
            await ask
        assert caught.value.retry_after is not None
        assert caught.value.retry_after > 5.0
    assert len(host.fake.asked) == asked

    pauses = host.api.access.client._pauses
    monkeypatch.setattr(pauses, "_ticks", lambda: time.monotonic() + 100.0)
    assert await host.api.head(NAME, "main") == head


async def test_a_rate_limit_pauses_also_what_waits_for_its_turn(host: Host) -> None:
    """As when a start catches up: of thirty requests two are under way, the others wait."""
    limited = Spoil(status=429, headers={"Retry-After": "7"})
    await host.api.repository(NAME)
    head = host.repository.branches["main"]
    host.fake.spoil(limited, times=100)
    asked = len(host.fake.asked)

    many = (host.api.compare(NAME, head, head) for _ in range(30))
    ended = await asyncio.gather(*many, return_exceptions=True)

    assert all(isinstance(one, Unreachable) for one in ended), ended
    assert all(one.retry_after is not None for one in ended if isinstance(one, Unreachable))
    assert len(host.fake.asked) - asked <= FEW.size


async def test_an_error_says_whether_a_write_may_have_happened_and_tells_no_secret(
    host: Host,
) -> None:
    pull = host.repository.open_pull("main")
    where, sha = "/(comments|notes)", host.repository.branches["main"]
    said = f"Resource not accessible, {FakeGithub.token} {FakeGitlab.token} {FakeGitea.token}"
    grants = {"X-Accepted-GitHub-Permissions": "statuses=write"}

    host.fake.spoil(Spoil(status=502, body="<html>Bad Gateway</html>"), path=where, times=2)
    with pytest.raises(Unreachable):
        [comment async for comment in host.api.comments(NAME, pull.number)]
    with pytest.raises(Unanswered):
        await host.api.comment(NAME, pull.number, "hello")
    host.fake.spoil(Spoil(lose=True), method="POST", path=where)
    with pytest.raises(Unanswered):
        await host.api.comment(NAME, pull.number, "hello")
    assert len(pull.comments) == 1, "it is not sent again, either"

    refusal = Spoil(status=403, headers=grants, body={"message": said})
    host.fake.spoil(refusal, path="/statuses/")
    with pytest.raises(Refused, match="Resource not accessible") as caught:
        await host.api.set_status(NAME, sha, STATUS, CommitState.SUCCESS, "deployed")
    sent = host.fake.asked[-1].authorization.rpartition(" ")[2]
    assert sent
    assert sent not in str(caught.value)
    github = isinstance(host.fake, FakeGithub)
    assert str(caught.value).endswith("(it needs statuses=write)") is github


async def test_a_host_that_hangs_delays_nobody_else(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = host.api.access.client._pool
    monkeypatch.setattr(calls, "_bounds", replace(FEW, deadline=1.0))
    pull = host.repository.open_pull("main")
    sha = host.repository.branches["main"]
    host.fake.spoil(Spoil(hang=True), method="POST", path="/(comments|notes)", times=5)

    several = [host.api.comment(NAME, pull.number, "hello") for _ in range(FEW.size + 1)]
    ended = await asyncio.gather(*several, return_exceptions=True)
    assert [type(error) for error in ended] == [Unanswered] * len(several)

    monkeypatch.setattr(calls, "_bounds", FEW)
    await host.api.set_status(NAME, sha, STATUS, CommitState.SUCCESS, "is live")
    host.fake.let_go()


async def test_a_host_that_is_away_is_unreachable(host: Host) -> None:
    sha = host.repository.branches["main"]
    await host.api.pull_requests(NAME, sha)  # it has a token by now
    await host.fake.away()

    with pytest.raises(Unreachable):
        await host.api.pull_requests(NAME, sha)
    with pytest.raises(Unreachable):
        await host.api.set_status(NAME, sha, STATUS, CommitState.SUCCESS, "is live")


async def test_nothing_is_asked_once_it_is_closed(host: Host) -> None:
    await host.api.close()

    with pytest.raises(Unreachable, match="closed"):
        await host.api.pull_requests(NAME, host.repository.branches["main"])
