"""Webhooks that the bridge makes by itself: real processes, and a Git host that sends to them."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.gitea import FakeGitea
from tests.fakes.host import FakeHost, FakeRepository
from tests.worlds.hosts import FAKES, NAME
from tests.worlds.shell import Shell, serving

EVENTS = {"github": "push", "gitlab": "Push Hook", "gitea": "push"}


@pytest.fixture(params=["github", "gitlab", "gitea"])
async def fake(request: pytest.FixtureRequest) -> AsyncIterator[FakeHost]:
    async with FAKES[request.param]() as running:
        running.repository(NAME).commit({"web/index.html": "one"})
        running.repository("my-org/other", id=4712).commit({"web/index.html": "one"})
        yield running


@pytest.fixture
async def shell(tmp_path: Path, fake: FakeHost) -> AsyncIterator[Shell]:
    """A bridge without a secret set by hand, and commands that know its address."""
    more = {**fake.settings, "BRIDGE_GITHUB_WEBHOOK_SECRETS": "", "BRIDGE_CATCHUP_SWEEP": "false"}
    async with serving(Shell(tmp_path, more=more)) as running:
        running.more["BRIDGE_PUBLIC_URL"] = running.url
        yield running


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
    found = await shell.until(
        "deliveries", fits=lambda those: all(one["state"] != "kept" for one in those)
    )
    return [f"{one['state']} {one['error'] or ''}" for one in found]


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


async def test_there_is_never_a_second_one(shell: Shell, fake: FakeHost) -> None:
    await shell.run("hooks", "install", NAME, "--yes")

    told = await shell.run("hooks", "install", NAME, "--yes")

    assert "keep" in told
    assert len(repository(fake).hooks) == 1
    assert await sent(fake) == 202


async def test_its_secret_does_not_speak_for_another_repository(
    shell: Shell, fake: FakeHost
) -> None:
    await shell.run("hooks", "install", NAME, "--yes")

    assert await sent(fake, "my-org/other", of=NAME) == 202

    assert any("which speaks for no other repository" in one for one in await states(shell))


async def test_what_is_wrong_with_one_is_said_and_corrected(shell: Shell, fake: FakeHost) -> None:
    hook = fake.hook(repository(fake), f"{shell.url}/webhook", "a secret by hand")
    (seen,) = await shell.json("hooks", "list", NAME)
    assert f"the wrong path, /webhook instead of /hooks/{fake.name}" in str(seen["hooks"])

    told = await shell.run("hooks", "install", NAME, "--yes")

    assert f"change {fake.name} my-org/mono: it sends to the wrong path" in told
    assert (len(repository(fake).hooks), hook.url) == (1, f"{shell.url}/hooks/{fake.name}")
    assert await sent(fake) == 202


async def test_a_removed_one_is_gone_and_its_secret_with_it(shell: Shell, fake: FakeHost) -> None:
    await shell.run("hooks", "install", NAME, "--yes")
    (hook,) = repository(fake).hooks

    assert "removed" in await shell.run("hooks", "remove", NAME, "--yes")

    assert repository(fake).hooks == []
    await shell.run("hooks", "remove", NAME, "--yes", code=4)
    async with asyncio.timeout(20):  # the running bridge reads the store now and then
        while (await fake.send(hook, EVENTS[fake.name], push(fake))).status == 202:
            await asyncio.sleep(0.5)


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


async def test_a_rotation_under_load_loses_and_refuses_nothing(
    shell: Shell, fake: FakeHost
) -> None:
    await shell.run("hooks", "install", NAME, "--yes")
    (hook,) = repository(fake).hooks
    old, answers, stopped = hook.secret, list[int](), asyncio.Event()

    async def stream(worker: int) -> None:
        number = worker * 10_000
        while not stopped.is_set():
            number += 1
            one = await fake.send(hook, EVENTS[fake.name], push(fake, NAME, number))
            answers.append(one.status)

    workers = [asyncio.create_task(stream(one)) for one in range(1, 5)]
    told = await shell.run("hooks", "rotate", "--all", "--yes")
    before = len(answers)
    while len(answers) < before + 40:  # also after the old one was dropped
        await asyncio.sleep(0.01)
    stopped.set()
    await asyncio.gather(*workers)

    assert f"rotated the secret of my-org/mono at {fake.name}" in told
    assert hook.secret != old
    assert len(answers) > 50
    assert set(answers) == {202}
    (seen,) = await shell.json("hooks", "list", NAME)
    assert seen["hooks"][0]["state"] == "live"


async def test_a_host_that_keeps_the_old_secret_is_waited_for(shell: Shell, fake: FakeHost) -> None:
    """So an old Gitea does; then both secrets stay, and the next run goes on."""
    if not isinstance(fake, FakeGitea):
        pytest.skip("only an old Gitea does so")
    await shell.run("hooks", "install", NAME, "--yes")
    fake.changes_secrets = False
    (hook,) = repository(fake).hooks
    process = await shell.start("hooks", "rotate", "--all", "--yes")
    output, errors = await process.communicate()

    assert process.returncode == 1, output
    assert b"both secrets are accepted" in errors
    assert await sent(fake) == 202
    fake.changes_secrets = True
    old = hook.secret
    await shell.run("hooks", "rotate", "--all", "--yes")
    assert hook.secret != old
    assert await sent(fake, number=2) == 202


async def test_without_an_answer_or_an_address_nothing_is_made(
    shell: Shell, fake: FakeHost
) -> None:
    process = await shell.start("hooks", "install", NAME, stdin=asyncio.subprocess.DEVNULL)
    _, errors = await process.communicate()
    assert (process.returncode, b"give --yes" in errors) == (2, True)

    del shell.more["BRIDGE_PUBLIC_URL"]
    process = await shell.start("hooks", "install", NAME, "--yes")
    _, errors = await process.communicate()
    assert (process.returncode, b"BRIDGE_PUBLIC_URL" in errors) == (2, True)

    await shell.run("hooks", "install", "my-org/nothing", "--yes", code=1)
    assert repository(fake).hooks == []
