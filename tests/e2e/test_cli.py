"""The command line as a person uses it: processes beside a running bridge."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.worlds.embedded import Repository
from tests.worlds.shell import PATIENCE, ROOT, Shell, deliver, event, serving, told


@pytest.fixture
async def shell(tmp_path: Path) -> AsyncIterator[Shell]:
    """A bridge that serves, and a shell beside it."""
    async with serving(Shell(tmp_path)) as running:
        yield running


async def test_a_newcomer_makes_an_app_deploys_it_and_asks_why(
    shell: Shell, tmp_path: Path
) -> None:
    repository = Repository.make(tmp_path / "mono", {"web/index.html": "first"})

    made = await shell.run(
        *("app", "create", "web", "--repo", str(repository.path)),
        *("--publish", "web", "--watch", "web/**", "--project", "shop"),
    )
    followed = await shell.run("deploy", "shop/web", "--follow")

    assert made.startswith("made shop/web")
    assert followed.splitlines()[0].startswith("deploy shop/web: asked (cli: ")
    assert followed.splitlines()[-1].split()[1] == "done"
    async with httpx.AsyncClient(trust_env=False) as http:
        page = await http.get(made.split()[-1])
    assert page.text == "first"

    before = repository.git("rev-parse", "HEAD")
    repository.commit("docs", {"docs/a.md": "a"})
    skipped = await deliver(shell, repository, before, "docs/a.md")
    decided = await shell.until(
        "deliveries", fits=lambda found: found[0]["id"] == skipped and found[0]["decisions"]
    )
    assert decided[0]["decisions"][0]["reason"] == "no_path_hit"
    assert "skip shop/web: no_path_hit" in await shell.run("why", "web")

    replayed = await shell.run("replay", skipped, "--follow")
    assert replayed.startswith("skip shop/web: no_path_hit")
    rebuilt = await shell.run("redeploy", "web", "--follow")
    assert "fetches nothing" in rebuilt.splitlines()[0]
    states = [one["state"] for one in await shell.json("deployments", "--app", "web")]
    assert states == ["done", "done"]

    assert await shell.run("app", "delete", "web", "--yes") == "deleted shop/web\n"
    await shell.run("deploy", "web", code=4)
    states = [one["state"] for one in await shell.json("deployments", "--app", "shop/web")]
    assert states == ["done", "done"]


async def test_what_is_asked_while_nobody_serves_is_done_afterwards(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    repository = Repository.make(tmp_path / "mono", {"index.html": "first"})
    await shell.run("app", "create", "web", "--repo", str(repository.path))

    waits = await shell.run("deploy", "web")
    await shell.run("app", "create", "old", "--repo", str(repository.path))
    await shell.run("app", "delete", "old", "--yes")
    assert [(one["action"], one["app"]) for one in await shell.json("audit")] == [
        ("app delete", "default/old"),
        ("app create", "default/old"),
        ("app create", "default/web"),
    ]

    assert "no bridge is running" in waits
    async with serving(shell):
        done = await shell.until(
            "deployments", fits=lambda found: found and found[0]["state"] == "done"
        )
        assert done[0]["trigger"].startswith("cli: ")


async def test_a_part_that_dies_ends_it_with_a_code_to_restart_after(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    process = await shell.start("serve")
    await event(process, "serving")

    process.send_signal(signal.SIGUSR1)
    async with asyncio.timeout(PATIENCE):
        await process.communicate()

    assert process.returncode == 1


async def test_a_second_bridge_on_the_same_data_is_refused(shell: Shell) -> None:
    (shell.folder / "port").unlink()

    process = await shell.start("serve")
    _, errors = await process.communicate()

    assert process.returncode == 2
    assert b"error: another bridge is running" in errors
    assert b"for several processes on the same data set DATABASE_URL" in errors


async def test_a_worker_beside_one_process_that_does_it_all_stands_aside(shell: Shell) -> None:
    """Ending with an error it would take the others of its Procfile with it."""
    await stands_aside(shell)


async def test_the_worker_of_a_procfile_stands_aside_where_one_process_does_it_all(
    tmp_path: Path,
) -> None:
    """It may start before the one that does it all."""
    await stands_aside(Shell(tmp_path, more={"DYNO": "worker.1"}))

    assert not (tmp_path / "data").exists()


async def stands_aside(shell: Shell) -> None:
    process = await shell.start("serve", "--role", "worker")
    said = await told(process, "this worker has nothing to do")
    assert "set DATABASE_URL" in said

    assert process.returncode is None
    process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(PATIENCE):
        assert await process.wait() == 0


async def test_a_procfile_starts_and_one_of_its_processes_serves(tmp_path: Path) -> None:
    """Each line of the Procfile, at once, as whoever runs one does it."""
    shell = Shell(tmp_path, more={"PS": "any.1"})
    lines = (ROOT / "Procfile").read_text().splitlines()
    processes = [
        await shell.start(*line.partition(" -m bridge ")[2].replace("0.0.0.0", "127.0.0.1").split())
        for line in lines
    ]
    try:
        started, _ = await asyncio.gather(
            event(processes[0], "serving"), told(processes[1], "this worker has nothing to do")
        )
        async with httpx.AsyncClient(trust_env=False) as http:
            assert (await http.get(f"{started['url']}/readyz")).status_code == 200
        assert [one.returncode for one in processes] == [None, None]
    finally:
        for one in processes:
            one.send_signal(signal.SIGTERM)
        await asyncio.gather(*(one.communicate() for one in processes))


async def test_a_taken_port_is_one_line(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    taken = await asyncio.start_server(lambda _r, w: w.close(), "127.0.0.1", 0)
    async with taken:
        port = str(taken.sockets[0].getsockname()[1])
        serve = await shell.start("serve", "--port", port)
        _, errors = await serve.communicate()
        assert (serve.returncode, b"can't listen on" in errors) == (2, True)

        backend = await shell.start("backend", "--port", port)
        _, errors = await backend.communicate()
        assert (backend.returncode, b"BRIDGE_EMBEDDED_PORT" in errors) == (2, True)


async def test_the_backend_alone_keeps_its_key_to_itself_in_a_pipe(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    process = await shell.start("backend", "--port", "0")

    told = await event(process, "backend serves")
    key = Path(told["key_in"]).read_text().strip()
    async with httpx.AsyncClient(trust_env=False, headers={"x-api-key": key}) as http:
        answer = await http.get(f"{told['url']}/project.all")
    process.send_signal(signal.SIGINT)
    output, errors = await process.communicate()

    assert answer.status_code == 200
    assert process.returncode == 130
    assert key not in (output + errors).decode() + json.dumps(told)
