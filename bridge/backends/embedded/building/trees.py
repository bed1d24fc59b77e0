"""Writes commits to disk, the repository's own and its submodules', once their size is known.

Ten lines of a tree can each name the same tree, and so on: a few objects stand for any number of
files. Git would list them all in memory before it writes the first one, so they are counted first.
"""

import asyncio
from collections.abc import Mapping
from pathlib import Path

from bridge.backends.embedded.building.errors import BuildFailed
from bridge.backends.embedded.building.process import Command, Runner

_WANTED = "refs/bridge/wanted"
_MOST_SUBMODULES = 200
_MOST_LISTED = 60_000
"""Characters of a list of submodules; a longer one holds more of them than anybody has."""


async def check_out(folder: Path, commit: str, runner: Runner, env: Mapping[str, str]) -> None:
    """Write a commit's files into its repository's folder.

    Raises:
        BuildFailed: it has more of them than it may, or Git can't write them.
    """
    await _count(folder, commit, runner, env)
    argv = ["git", "checkout", "--force", "--progress"]
    argv += [] if commit == "HEAD" else ["--detach", commit]
    await runner.run(Command(argv, folder, env))


async def fetch_submodules(folder: Path, runner: Runner, env: Mapping[str, str]) -> None:
    """Get all submodules, also those of submodules, each as large as the code may be.

    Raises:
        BuildFailed: one can't be had, or there are too many.
    """
    await runner.log.say("Getting submodules")
    waiting, count = [await asyncio.to_thread(folder.resolve)], 0
    while waiting:
        parent = waiting.pop()
        for path in await _submodules(parent, runner, env):
            count += 1
            if count > _MOST_SUBMODULES:
                raise BuildFailed(f"there are more than {_MOST_SUBMODULES} submodules")
            if await _is_fetched(path, runner, env):
                await check_out(path, _WANTED, runner, env)
                waiting.append(path)


async def _submodules(parent: Path, runner: Runner, env: Mapping[str, str]) -> list[Path]:
    """Fetch the submodules of one repository, and write none of their files yet."""
    if not await asyncio.to_thread(_is_plain, parent / ".gitmodules"):
        return []
    await runner.run(Command(["git", "submodule", "init"], parent, env))
    updates = await _listed(parent, runner, env, [r"^submodule\..*\.update$"])
    for key in await _listed(parent, runner, env, [r"^submodule\..*\.url$"]):
        name = key.removesuffix(".url") + ".update"
        if updates.get(name) == "none":  # the repository itself leaves it out
            continue
        command = f"!git update-ref {_WANTED}"  # instead of a checkout; Git adds the commit
        await runner.run(Command(["git", "config", name, command], parent, env))
    argv = ["git", "submodule", "update", "--depth=1", "--progress"]
    await runner.run(Command(argv, parent, env))
    wanted = ["--file=.gitmodules", r"^submodule\..*\.path$"]
    paths = (await _listed(parent, runner, env, wanted)).values()
    return [parent / path for path in sorted(set(paths))]


async def _listed(
    parent: Path, runner: Runner, env: Mapping[str, str], wanted: list[str]
) -> dict[str, str]:
    *where, pattern = wanted
    argv = ["git", "config", *where, "--null", "--get-regexp", pattern]
    code, said = await runner.attempt(Command(argv, parent, env, quiet=True))
    if code == 1:  # Git's way to say that there are none
        return {}
    if code != 0:
        raise BuildFailed("Git can't read the list of submodules")
    if len(said) > _MOST_LISTED:
        raise BuildFailed(f"there are more than {_MOST_SUBMODULES} submodules")
    pairs = (one.partition("\n") for one in said.split("\0") if one)
    return {key: value for key, _, value in pairs}


async def _is_fetched(path: Path, runner: Runner, env: Mapping[str, str]) -> bool:
    """Return whether Git has made a repository there, and not behind a link."""
    if not await asyncio.to_thread(lambda: path.resolve() == path and _is_plain(path / ".git")):
        return False
    argv = ["git", "rev-parse", "--verify", "--quiet", _WANTED]
    return (await runner.attempt(Command(argv, path, env, quiet=True)))[0] == 0


def _is_plain(file: Path) -> bool:
    return file.is_file() and not file.is_symlink()


async def _count(folder: Path, commit: str, runner: Runner, env: Mapping[str, str]) -> None:
    limit, entries = runner.limits.checkout_entries, 0

    def hear(chunk: bytes) -> None:
        nonlocal entries
        entries += chunk.count(b"\0")
        if entries > limit:
            raise BuildFailed(f"the code has more than its limit of {limit} files and folders")

    argv = ["git", "ls-tree", "-r", "-t", "-z", "--full-tree", "--name-only", commit]
    await runner.run(Command(argv, folder, env, hear=hear))
