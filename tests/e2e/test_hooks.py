"""Webhooks that the bridge makes by itself: the commands, a running bridge, and a Git host."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bridge.app.wiring import NO_PUBLISHERS
from bridge.core.apps import App, Source, SourceType
from bridge.pipeline.deciding import hooks as hook_secrets
from bridge.pipeline.deploying import hosting
from tests.fakes.gitea import FakeGitea
from tests.fakes.host import FakeHook, FakeHost, FakeRepository, Spoil
from tests.worlds import console
from tests.worlds.bridge import World, running_world
from tests.worlds.cli import Cli
from tests.worlds.hosts import FAKES, NAME

pytestmark = pytest.mark.journey

EVENTS = {"github": "push", "gitlab": "Push Hook", "gitea": "push"}


EVERY_HOST = pytest.mark.parametrize("fake", ["github", "gitlab", "gitea"], indirect=True)


@pytest.fixture
async def fake(request: pytest.FixtureRequest) -> AsyncIterator[FakeHost]:
    """GitHub, where a test names no other host."""
    async with FAKES[getattr(request, "param", "github")]() as running:
        running.repository(NAME).commit({"web/index.html": "one"})
        running.repository("my-org/other", id=4712).commit({"web/index.html": "one"})
        yield running


@dataclass
class Shell:
    """The commands beside a running bridge, whose address they know."""

    cli: Cli
    world: World
    environment: dict[str, str]

    @property
    def url(self) -> str:
        return self.world.bridge.url

    async def run(self, *words: str, code: int = 0) -> str:
        """Run a command in a thread; return all that it says."""
        found = await asyncio.to_thread(partial(self.cli, *words, code=code, **self.environment))
        return found.stdout + found.stderr

    async def json(self, *words: str) -> Any:
        return await asyncio.to_thread(partial(self.cli.json, *words, **self.environment))


@pytest.fixture
async def shell(tmp_path: Path, fake: FakeHost, cli: Cli) -> AsyncIterator[Shell]:
    """A bridge without a secret set by hand."""
    data = tmp_path / "bridge"
    none = {"BRIDGE_GITHUB_WEBHOOK_SECRETS": "", "BRIDGE_GITLAB_WEBHOOK_TOKENS": ""}
    async with running_world(data, NO_PUBLISHERS, **fake.settings, **none) as world:
        known = {"BRIDGE_DATA": str(data), "BRIDGE_PUBLIC_URL": world.bridge.url}
        yield Shell(cli, world, {**fake.settings, **known})


def repository(fake: FakeHost, name: str = NAME) -> FakeRepository:
    return fake.repositories[name]


def push(fake: FakeHost, name: str = NAME, number: int = 0) -> dict[str, Any]:
    """Return a push as the host tells it; each number is another one."""
    one = repository(fake, name)
    before, after = one.branches["main"], f"{number:040x}"
    commit = {"id": after, "message": "x", "added": ["a"], "removed": [], "modified": []}
    web = fake.settings[f"BRIDGE_{fake.name.upper()}_WEB_URL"]
    shared = {"ref": "refs/heads/main", "before": before, "after": after, "commits": [commit]}
    if fake.name == "gitlab":
        project = {"id": one.id, "path_with_namespace": name, "web_url": f"{web}/{name}"}
        return shared | {
            "object_kind": "push",
            "project_id": one.id,
            "project": project,
            "total_commits_count": 1,
        }
    owner = {"id": 77, "login": name.partition("/")[0]}
    told = {"id": one.id, "name": name.rpartition("/")[2], "full_name": name, "owner": owner}
    return shared | {
        "head_commit": commit,
        "total_commits": 1,
        "repository": told | {"html_url": f"{web}/{name}", "clone_url": f"{web}/{name}.git"},
    }


async def sent(fake: FakeHost, name: str = NAME, of: str | None = None, number: int = 1) -> int:
    """Have the webhook of a repository send a push; return the answer."""
    (hook,) = repository(fake, of or name).hooks
    return (await fake.send(hook, EVENTS[fake.name], push(fake, name, number))).status


async def states(shell: Shell) -> list[str]:
    """Return how all deliveries ended."""
    found = await shell.world.stores.inbox.newest(1000)
    ended = [await shell.world.delivery(one.id, one.host) for one in found]
    return [f"{one.state} {one.error or ''}" for one in ended]


@EVERY_HOST
async def test_one_command_makes_a_webhook_that_works(shell: Shell, fake: FakeHost) -> None:
    told = await shell.run("hooks", "install", NAME, "--yes")

    assert f"create {fake.name} my-org/mono: no webhook reports it" in told
    assert f"made the webhook of my-org/mono at {fake.name}" in told
    (hook,) = repository(fake).hooks
    assert hook.url == f"{shell.url}/hooks/{fake.name}"
    assert await sent(fake) == 202
    listed = await shell.json("hooks", "list", NAME)
    assert [one["state"] for one in listed[0]["hooks"]] == ["live"]
    assert [one["faults"] for one in listed[0]["hooks"]] == [[]]
    assert hook.secret not in json.dumps(listed)
    assert "keep" in await shell.run("hooks", "install", NAME, "--yes")
    assert len(repository(fake).hooks) == 1  # there is never a second one


async def test_the_console_shows_the_steps_and_makes_it_once_they_were_seen(
    fake: FakeHost, tmp_path: Path
) -> None:
    known = {**fake.settings, "BRIDGE_PUBLIC_URL": "https://bridge.example.com"}
    async with (
        running_world(tmp_path / "bridge", NO_PUBLISHERS, **known) as world,
        console.ConsoleWorld(world).browsing() as web,
    ):
        asked = await web.post("/console/do/hooks install", data={"repositories": NAME})

        assert "no webhook reports it" in asked.text
        assert repository(fake).hooks == []
        done = await console.sent(web, asked, "Carry out</button>")
        assert done.status_code == 303
        (hook,) = repository(fake).hooks
        again = await console.sent(web, asked, "Carry out</button>")
        assert "something else would be done by now" in again.text.lower()
        assert hook.secret not in asked.text + done.headers["Location"] + again.text


async def test_what_is_wrong_with_one_is_said_and_corrected(shell: Shell, fake: FakeHost) -> None:
    hook = fake.hook(repository(fake), f"{shell.url}/webhook", "a secret by hand")
    (seen,) = await shell.json("hooks", "list", NAME)
    assert f"the wrong path, /webhook instead of /hooks/{fake.name}" in str(seen["hooks"])

    told = await shell.run("hooks", "install", NAME, "--yes")

    assert f"change {fake.name} my-org/mono: it sends to the wrong path" in told
    assert (len(repository(fake).hooks), hook.url) == (1, f"{shell.url}/hooks/{fake.name}")
    assert await sent(fake) == 202


@EVERY_HOST
async def test_a_removed_one_is_gone_and_its_secret_with_it(
    shell: Shell, fake: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hook_secrets, "EVERY", 0.5)
    await shell.run("hooks", "install", NAME, "--yes")
    (hook,) = repository(fake).hooks

    assert "removed" in await shell.run("hooks", "remove", NAME, "--yes")

    assert repository(fake).hooks == []
    await shell.run("hooks", "remove", NAME, "--yes", code=4)
    assert [(one["action"], one["app"]) for one in await shell.json("audit")] == [
        ("hooks remove", f"{fake.name} {NAME}"),
        ("hooks create", f"{fake.name} {NAME}"),
    ]
    for number in range(10_000):  # the running bridge reads the store now and then
        if (await fake.send(hook, EVENTS[fake.name], push(fake, NAME, number))).status != 202:
            break
    else:
        pytest.fail("its secret is still accepted")


@pytest.mark.parametrize("fake", ["github", "gitlab"], indirect=True)
async def test_an_organisation_takes_over_from_its_repositories(
    shell: Shell, fake: FakeHost
) -> None:
    fake.owners["my-org"] = 77
    await shell.run("hooks", "install", "--org", "my-org", "--yes")

    told = await shell.run("hooks", "install", NAME, "--yes")

    assert "keep" in told
    assert "the webhook of my-org/* reports it" in told
    assert repository(fake).hooks == []
    (hook,) = fake.owner_hooks["my-org"]
    for name in (NAME, "my-org/other"):
        one = await fake.send(hook, EVENTS[fake.name], push(fake, name, 7))
        assert one.status == 202
    assert not any("speaks for no other" in one for one in await states(shell))


@EVERY_HOST
async def test_a_rotation_under_load_loses_and_refuses_nothing(
    shell: Shell, fake: FakeHost
) -> None:
    await shell.run("hooks", "install", NAME, "--yes")
    (hook,) = repository(fake).hooks
    old, answers, dropped = hook.secret, list[int](), asyncio.Event()

    async def stream(worker: int) -> None:
        """Push until the old secret was dropped, and ten times more."""
        left, number = 10, worker * 10_000
        while left:
            left, number = left - dropped.is_set(), number + 1
            one = await fake.send(hook, EVENTS[fake.name], push(fake, NAME, number))
            answers.append(one.status)

    workers = [asyncio.create_task(stream(one)) for one in range(1, 5)]
    told = await shell.run("hooks", "rotate", "--all", "--yes")
    dropped.set()
    await asyncio.gather(*workers)

    assert f"rotated the secret of my-org/mono at {fake.name}" in told
    assert hook.secret != old
    assert len(answers) > 50
    assert set(answers) == {202}
    (seen,) = await shell.json("hooks", "list", NAME)
    assert seen["hooks"][0]["state"] == "live"
    assert (await shell.json("audit"))[0]["action"] == "hooks rotate"


async def test_a_rotation_mends_a_webhook_whose_secret_a_restored_copy_lacks(
    shell: Shell, fake: FakeHost
) -> None:
    await shell.run("hooks", "install", NAME, "--yes")
    (hook,) = repository(fake).hooks
    hook.secret = hook.signing = "whsec_c2luY2UgdGhlIGNvcHkgd2FzIG1hZGU="
    assert await sent(fake) == 401

    await shell.run("hooks", "rotate", "--all", "--yes")

    assert await sent(fake, number=2) == 202


@pytest.mark.parametrize("fake", ["gitea"], indirect=True)
async def test_a_host_that_keeps_the_old_secret_is_waited_for(
    shell: Shell, fake: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So an old Gitea does; then both secrets stay, and the next run goes on."""
    assert isinstance(fake, FakeGitea)
    await shell.run("hooks", "install", NAME, "--yes")
    fake.changes_secrets = False
    (hook,) = repository(fake).hooks
    monkeypatch.setattr(hosting, "ARRIVES", 0.5)

    told = await shell.run("hooks", "rotate", "--all", "--yes", code=1)

    assert "both secrets are accepted" in told
    assert await sent(fake) == 202
    fake.changes_secrets = True
    old = hook.secret
    await shell.run("hooks", "rotate", "--all", "--yes")
    assert hook.secret != old
    assert await sent(fake, number=2) == 202


async def test_without_an_answer_or_an_address_nothing_is_made(
    shell: Shell, fake: FakeHost
) -> None:
    told = await shell.run("hooks", "install", NAME, code=2)
    assert "give --yes" in told

    for does in ("install", "list", "remove"):
        words = ("hooks", does, "my-org/nothing", *(["--yes"] if does != "list" else []))
        told = await shell.run(*words, code=1)
        assert "no app deploys" not in told
        assert "has made no webhook: `" not in told
    assert "has made no webhook: `" in await shell.run("hooks", "remove", "--all", "--yes")
    assert "the App: " in await shell.run("hooks", "install", "--app", "--yes", code=1)
    del shell.environment["BRIDGE_PUBLIC_URL"]
    told = await shell.run("hooks", "install", NAME, "--yes", code=2)
    assert "BRIDGE_PUBLIC_URL" in told
    assert repository(fake).hooks == []


async def test_without_an_address_a_webhook_made_by_hand_is_listed_by_its_path(
    shell: Shell, fake: FakeHost
) -> None:
    del shell.environment["BRIDGE_PUBLIC_URL"]
    url = f"https://bridge.example.com/hooks/{fake.name}"
    repository(fake).hooks.append(FakeHook(7, f"repos/{NAME}", url, "a secret"))

    told = await shell.run("hooks", "list", NAME)

    assert f"{fake.name} {NAME} good - webhook 7, made by hand" in told
    assert "public_url is not set, so webhooks are told by their path" in told


async def test_a_repository_keeps_its_webhook_until_its_organisation_has_one(
    shell: Shell, fake: FakeHost
) -> None:
    fake.owners["my-org"] = 77
    await shell.run("hooks", "install", NAME, "--yes")
    source = Source(SourceType(fake.name), repository=NAME, branch="main")
    await shell.world.stores.journal.save_apps("x", [App("a", "web", "shop", "x", source=source)])
    fake.spoil(Spoil(403, body={"message": "no right"}), method="POST", path="(orgs|groups)/")

    told = await shell.run("hooks", "install", "--org", "my-org", "--yes", code=1)

    assert "create" in told
    assert "keep the webhook of my-org/mono" in told
    assert len(repository(fake).hooks) == 1
    assert await sent(fake) == 202
    await shell.run("hooks", "install", "--org", "my-org", "--yes")
    assert repository(fake).hooks == []


async def test_a_webhook_of_a_repository_that_is_gone_can_be_removed_and_stops_no_rotation(
    shell: Shell, fake: FakeHost
) -> None:
    await shell.run("hooks", "install", NAME, "--yes")
    del fake.repositories[NAME]

    told = await shell.run("hooks", "remove", "--all", "--yes")

    assert "removed the webhook of my-org/mono" in told
    assert "has made no webhook" in await shell.run("hooks", "rotate", "--all", "--yes")
