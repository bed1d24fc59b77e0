"""`app create`: what could never deploy is refused, and two at once wait for each other."""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.conftest import Cli
from tests.unit.embedded.support import Repository, running_server

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--watch", "/web/**"), "Write `web/**`"),
        (("--watch", "web/"), "Write `web/**`"),
        (("--watch", "../x/**"), "no `.` and `..` segments"),
        (("--watch", "web/**", "--watch", "a//b"), "Write `a/b`"),
        (("--watch", "[b-a]"), "--watch '[b-a]'"),
        (("--watch", ""), "Remove the empty pattern"),
        (("--watch", " web/**"), "Write `web/**`"),
        (("--branch", "refs/heads/main"), "write 'main'"),
        (("--branch", "refs/tags/v1"), "name a branch"),
        (("--branch", "release/*"), "patterns of branches are for the rules"),
        (("--branch", "-main"), "can't be a branch"),
        (("--branch", "a..b"), "can't be a branch"),
        (("--branch", "a b"), "can't be a branch"),
        (("--branch", "main/"), "can't be a branch"),
        (("--branch", "main.lock"), "can't be a branch"),
        (("--branch", ""), "can't be a branch"),
        (("--branch", "HEAD"), "can't be a branch"),
        (("--publish", "../x"), "leads out of the repository"),
        (("--publish", "/a/../../x"), "leads out of the repository"),
        (("--publish", ".."), "leads out of the repository"),
        (("--publish", "a/.git"), ".git is never published"),
        (("--project", "a/b"), "--project can't be"),
        (("--project", ".."), "--project can't be"),
        (("--project", "a\nb"), "--project can't be"),
        (("--repo", "gone"), "no address of a Git repository"),
        (("--repo", "./gone"), "there is no folder"),
        (("--repo", "../gone"), "there is no folder"),
        (("--repo", "/gone/too"), "there is no folder"),
        (("--repo", "~/gone"), "there is no folder"),
        (("--repo", "file:///gone"), "there is no folder"),
        (("--repo", "plain"), "is no Git repository"),
        (("--repo", "ext::sh -c id"), "transport 'ext' is not allowed"),
        (("--repo", "--upload-pack=id"), "can't be used"),
    ],
)
def test_what_could_never_deploy_is_refused_and_nothing_is_made(
    cli: Cli, words: tuple[str, ...], said: str
) -> None:
    Repository.make(cli.folder / "mono")
    (cli.folder / "plain").mkdir()
    given = ["app", "create", "web", "--repo", "mono"]

    told = cli(*given, *words, code=2, BRIDGE_EMBEDDED_PORT="0").stderr

    assert said in " ".join(told.split())
    assert not cli.data.exists()


@pytest.mark.parametrize("name", ["../x", "..", " ", "a/b", "a\nb", "\x1b[31mx", "x" * 64, ""])
def test_a_name_that_could_be_read_as_something_else_is_refused(cli: Cli, name: str) -> None:
    Repository.make(cli.folder / "mono")

    told = cli("app", "create", "--repo", "mono", "--", name, code=2, BRIDGE_EMBEDDED_PORT="0")

    assert "the name can't be" in " ".join(told.stderr.split())
    assert not cli.data.exists()


def test_nobody_else_can_open_the_files_by_which_processes_take_turns(cli: Cli) -> None:
    Repository.make(cli.folder / "mono")

    cli("app", "create", "web", "--repo", "mono", BRIDGE_EMBEDDED_PORT="0")

    assert cli.data.stat().st_mode & 0o77 == 0
    locks = [*cli.data.glob("lock"), *cli.data.glob("*/*lock")]
    assert locks
    assert [lock.name for lock in locks if lock.stat().st_mode & 0o77] == []


@pytest.mark.parametrize("bare", [False, True])
def test_a_repository_beside_this_folder_is_taken(cli: Cli, bare: bool) -> None:
    repository = Repository.make(cli.folder / "mono")
    if bare:
        repository.git("clone", "-q", "--bare", ".", str(cli.folder / "bare"))
    (cli.folder / "inner").mkdir()
    os.chdir(cli.folder / "inner")
    words = (
        "--repo",
        "../bare" if bare else "../mono",
        "--branch",
        "release/1.2",
        "--publish",
        "/",
    )

    made = cli.json("app", "create", "web", *words, BRIDGE_EMBEDDED_PORT="0")

    assert made["branch"] == "release/1.2"


async def created(folder: Path, name: str, *words: str) -> tuple[int, Any, str]:
    """`app create` as a process of its own."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("BRIDGE_")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bridge", "app", "create", name, "--repo", "mono", "--json"),
        *words,
        cwd=folder,
        env=kept | {"PYTHONPATH": str(ROOT), "BRIDGE_EMBEDDED_PORT": "0"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(60):
        output, errors = await process.communicate()
    assert process.returncode is not None
    made = json.loads(output) if process.returncode == 0 else None
    return process.returncode, made, errors.decode()


@pytest.mark.parametrize("beside", ["no backend", "a running one"])
async def test_apps_that_are_made_at_once_are_all_there(
    tmp_path: Path, cli: Cli, beside: str
) -> None:
    Repository.make(tmp_path / "mono")
    names = ["a", "b", "c", "same", "same"]
    if beside == "no backend":
        done = await asyncio.gather(*(created(tmp_path, name) for name in names))
    else:
        async with running_server(tmp_path / ".bridge" / "embedded"):
            done = await asyncio.gather(*(created(tmp_path, name) for name in names))

    assert sorted(code for code, _, _ in done) == [0, 0, 0, 0, 2], done
    (refused,) = [errors for code, _, errors in done if code == 2]
    assert "there is an app default/same already" in " ".join(refused.split())
    async with running_server(tmp_path / ".bridge" / "embedded") as client:
        projects = await client.ask("GET", "project.all")
        listed = await asyncio.to_thread(cli.json, "apps")
    assert [one["name"] for one in projects] == ["default"]
    there = [app["name"] for app in projects[0]["environments"][0]["applications"]]
    assert sorted(there) == ["a", "b", "c", "same"]
    assert sorted(one["app"] for one in listed) == [f"default/{name}" for name in sorted(there)]
