"""Moving branches, at each Git host, over real HTTP: pinned apps are built from them."""

import re

import pytest

from bridge.core.errors import NotFound, Refused, Unanswered, Unreachable
from bridge.githosts import HOSTS
from bridge.ports.checks import Checked
from tests.fakes.github import FakeGithub
from tests.fakes.host import Spoil
from tests.worlds.hosts import NAME, Host

PIN = "bridge/web-app1"


@pytest.fixture(autouse=True)
def _granted(host: Host) -> None:
    """Grant the App what pinned apps need; the manifest does not ask for it."""
    if isinstance(host.fake, FakeGithub):
        host.fake.permissions["contents"] = "write"


async def test_a_branch_is_made_and_moves_on_back_and_sideways(host: Host) -> None:
    first = host.repository.branches["main"]
    second = host.repository.commit({"a": "1"})
    aside = host.repository.commit({"b": "2"}, branch="other", onto=first)
    host.repository.commit({"c": "3"})
    pin = f"{PIN}/ünï"

    for commit in (second, first, aside, second):
        await host.api.move_branch(NAME, pin, commit)
        assert host.repository.branches[pin] == commit
    host.fake.asked.clear()
    await host.api.move_branch(NAME, pin, second)
    assert host.fake.writes("DELETE", ".") == host.fake.writes("POST", ".") == 0
    with pytest.raises(NotFound, match="f" * 12):
        await host.api.move_branch(NAME, pin, "f" * 40)
    with pytest.raises(NotFound):
        await host.api.move_branch("my-org/nothing", pin, "f" * 40)
    with pytest.raises(NotFound):
        await host.api.delete_branch("my-org/nothing", pin)
    assert await host.api.head(NAME, pin) == second


async def test_a_branch_is_deleted_once_and_again(host: Host) -> None:
    commit = host.repository.branches["main"]
    await host.api.move_branch(NAME, PIN, commit)

    await host.api.delete_branch(NAME, PIN)
    await host.api.delete_branch(NAME, PIN)

    assert host.repository.branches == {"main": commit}


async def test_no_right_to_write_names_what_to_grant(host: Host) -> None:
    commit = host.repository.branches["main"]
    host.fake.may_write = False
    if isinstance(host.fake, FakeGithub):
        host.fake.permissions["contents"] = "read"  # as the App's manifest has it
    needs = {"github": "write", "gitlab": "Developer", "gitea": "right to write"}

    with pytest.raises(Refused, match=needs[host.fake.name]):
        await host.api.move_branch(NAME, PIN, commit)

    assert PIN not in host.repository.branches
    host.fake.may_write = True
    if isinstance(host.fake, FakeGithub):  # granted: no restart is needed
        host.fake.permissions["contents"] = "write"
    await host.api.move_branch(NAME, PIN, commit)
    assert host.repository.branches[PIN] == commit


@pytest.mark.parametrize("host", ["github as an app"], indirect=True)
async def test_doctor_misses_the_permission_only_where_an_app_is_pinned(
    host: Host, pem: str
) -> None:
    assert isinstance(host.fake, FakeGithub)
    host.fake.app_hook("https://bridge.example.com/hooks/github", "a secret of the App")
    provider = HOSTS["github"]
    assert provider.checks is not None
    settings = provider.settings()(app_id=host.fake.app_id, private_key=pem, api_url=host.fake.url)
    for granted, pinned in (("read", [NAME]), ("read", []), ("write", [NAME])):
        host.fake.permissions["contents"] = granted
        checked = Checked("github", settings, repositories=[NAME], pinned=pinned)

        found = [one async for one in provider.checks(checked) if one.check == "host.permissions"]

        lacks = [one.says for one in found if "contents: write" in one.says]
        assert bool(lacks) is (bool(pinned) and granted == "read")


async def test_a_lost_answer_is_completed_by_the_next_move(host: Host) -> None:
    first = host.repository.branches["main"]
    await host.api.move_branch(NAME, PIN, first)
    second = host.repository.commit({"a": "1"})
    writes = {"github": ["PATCH"]}.get(host.fake.name, ["DELETE", "POST"])

    for method in writes:
        host.fake.spoil(Spoil(lose=True), method=method, path=r"branches|refs")
        with pytest.raises(Unanswered):
            await host.api.move_branch(NAME, PIN, second)
    await host.api.move_branch(NAME, PIN, second)

    assert host.repository.branches[PIN] == second


async def test_a_branch_of_somebody_elses_making_is_no_success(host: Host) -> None:
    """Between our look and our write, somebody has made it at another commit."""
    first = host.repository.branches["main"]
    second = host.repository.commit({"a": "1"})
    missing = {
        "github": Spoil(status=422, body={"message": "Reference does not exist"}),
        "gitlab": Spoil(status=404, body={"message": "404 Branch Not Found"}),
        "gitea": Spoil(status=404, body={"message": "The target couldn't be found."}),
    }[host.fake.name]
    host.repository.put_branch(PIN, first)
    method = "PATCH" if host.fake.name == "github" else "GET"
    host.fake.spoil(missing, method=method, path=re.escape(PIN.partition("/")[2]))

    if host.fake.name == "github":  # which can move it after all
        await host.api.move_branch(NAME, PIN, second)
        assert host.repository.branches[PIN] == second
        return
    with pytest.raises(Unreachable, match="somebody else"):
        await host.api.move_branch(NAME, PIN, second)
    await host.api.move_branch(NAME, PIN, second)
    assert host.repository.branches[PIN] == second
