"""Gates beside a running bridge, which is killed and started again meanwhile."""

import asyncio
import signal
from pathlib import Path
from typing import Any

import pytest

from bridge.core.lifecycle import State
from tests.worlds.embedded import Repository
from tests.worlds.shell import PATIENCE, Shell, deliver, event, serving

pytestmark = pytest.mark.journey


async def a_site(shell: Shell, folder: Path) -> Repository:
    repository = Repository.make(folder / "mono", {"web/index.html": "first"})
    await shell.run(
        *("app", "create", "web", "--repo", str(repository.path)),
        *("--publish", "web", "--project", "shop"),
    )
    return repository


async def pushed(shell: Shell, repository: Repository, text: str) -> str:
    before = repository.git("rev-parse", "HEAD")
    repository.commit(text, {"web/index.html": text})
    return await deliver(shell, repository, before, "web/index.html")


async def newest(shell: Shell, state: State, delivery: str = "") -> dict[str, Any]:
    """Wait until the newest deployment is in a state, and is of a delivery, if one is named."""

    def fits(them: list[dict[str, Any]]) -> bool:
        is_it = bool(them) and delivery in ("", them[0]["delivery"])
        return is_it and them[0]["state"] == state

    return dict((await shell.until("deployments", fits=fits))[0])


async def test_a_lock_holds_a_push_until_it_is_released_or_lifted(tmp_path: Path) -> None:
    async with serving(Shell(tmp_path)) as shell:
        repository = await a_site(shell, tmp_path)
        await shell.run("lock", "shop", "-m", "a migration runs")
        await pushed(shell, repository, "second")
        held = await newest(shell, State.HELD)
        assert held["note"].startswith("held: project shop is locked by ")
        (listed,) = await shell.json("held")
        assert [one["gate"] for one in listed["holds"]] == ["lock"]
        assert "held" in await shell.run("why", "shop/web")

        await newest(shell, State.HELD, await pushed(shell, repository, "third"))
        await shell.run("override", "web", "-m", "the fix of the outage")
        done = await newest(shell, State.DONE)
        assert done["deployed_commit"] == repository.git("rev-parse", "HEAD")

        await newest(shell, State.HELD, await pushed(shell, repository, "fourth"))
        await shell.run("unlock", "shop")
        await newest(shell, State.DONE)

        states = [one["state"] for one in await shell.json("deployments")]
        assert states == ["done", "done", "superseded"]
        found = await shell.json("audit")
        said = [(one["action"], one["app"]) for one in found if one["action"] != "app create"]
        assert said == [
            ("unlock", "project shop"),
            ("override", "shop/web"),
            ("lock", "project shop"),
        ]


async def test_what_is_held_outlives_a_kill(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    process = await shell.start("serve")
    started = await event(process, "serving")
    shell.url = started["url"]
    (shell.folder / "port").write_text(started["backend"].rpartition(":")[2])
    repository = await a_site(shell, tmp_path)
    await shell.run("freeze", "all", "-m", "an incident")
    await pushed(shell, repository, "second")
    await newest(shell, State.HELD)
    process.send_signal(signal.SIGKILL)
    async with asyncio.timeout(PATIENCE):
        await process.communicate()

    await shell.run("unfreeze", "all")
    async with serving(shell):
        done = await newest(shell, State.DONE)

    assert done["deployed_commit"] == repository.git("rev-parse", "HEAD")


async def test_what_is_held_ends_with_its_app(tmp_path: Path) -> None:
    async with serving(Shell(tmp_path)) as shell:
        repository = await a_site(shell, tmp_path)
        await shell.run("lock", "all", "-m", "a migration runs")
        await pushed(shell, repository, "second")
        await newest(shell, State.HELD)
        await shell.run("app", "delete", "web", "--yes")

        ended = await newest(shell, State.CANCELLED)

    assert ended["note"] == "the app is gone from its backend, so there is nothing to deploy"
