"""Small words of the command line: empty options, and questions that nobody can answer."""

from pathlib import Path

import pytest

from tests.worlds.embedded import Repository
from tests.worlds.shell import ROOT, Shell


@pytest.fixture
async def shell(tmp_path: Path) -> Shell:
    repository = Repository.make(tmp_path / "mono", {"index.html": "first"})
    shell = Shell(tmp_path)
    await shell.run("app", "create", "web", "--repo", str(repository.path))
    return shell


async def said(shell: Shell, *words: str, code: int) -> str:
    process = await shell.start(*words)
    output, errors = await process.communicate()
    assert process.returncode == code, (output, errors)
    assert output == b""
    return errors.decode()


async def test_what_can_not_be_meant_is_said_and_changes_nothing(shell: Shell) -> None:
    made = await said(
        shell, "app", "create", "b", "--repo", str(shell.folder / "mono"), "--branch", "", code=2
    )
    changed = await said(shell, "provider", "set", "git", "web", "--branch", "", "--yes", code=2)
    empty = await said(shell, "explain", "push.json", "--tag-pattern", "", code=2)
    unanswered = await said(shell, "clear", "web", code=2)

    assert made.startswith("error: '' can't be a branch, so no push would ever match it: name one")
    assert changed.startswith("error: branch of the git source can't be empty: the branch to build")
    assert empty == "error: --tag-pattern is empty; give a value, or leave it out\n"
    assert unanswered == (
        "this deletes the whole log folder of default/web, the logs of all its deployments\n"
        "error: nothing was changed: this asks before it goes on, and nobody can answer here;"
        " give --yes to go on without being asked\n"
    )
    assert [one["app"] for one in await shell.json("apps")] == ["default/web"]


async def test_an_output_without_an_arrow_gets_a_question_mark(shell: Shell) -> None:
    shell.more["PYTHONIOENCODING"] = "latin-1"
    shell.release = str(ROOT)  # a forked process would write as this one does
    process = await shell.start("provider", "set", "git", "web", "--branch", "b", "--yes")
    output, errors = await process.communicate()

    assert b"branch: main ? b" in output
    assert errors == b""
