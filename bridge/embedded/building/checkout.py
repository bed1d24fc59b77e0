"""Get the code with `git clone`, within limits, without running anything from the repository."""

import asyncio
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote, unquote_to_bytes

from bridge.connecting import CannotConnect
from bridge.connecting.git import git_settings
from bridge.embedded.building.large_files import configured, fetch_large_files
from bridge.embedded.building.process import Command, Runner
from bridge.embedded.building.sources import TRANSPORTS, Clone, check_url
from bridge.embedded.storage.paths import BuildFailed, remove, undivided

_WANTED = "refs/bridge/wanted"
_MOST_SUBMODULES = 200
_MOST_LISTED = 60_000
"""Characters of a list of submodules; more than any real repository needs."""


async def check_out(folder: Path, commit: str, runner: Runner, env: Mapping[str, str]) -> None:
    """Write the files of a commit into the folder of its repository, those of Git LFS as well.

    Raises:
        BuildFailed: there are too many of them, or Git can't write them.
    """
    await _count(folder, commit, runner, env)
    argv = ["git", "checkout", "--force", "--progress"]
    argv += [] if commit == "HEAD" else ["--detach", commit]
    await runner.run(Command(argv, folder, env))
    await fetch_large_files(folder, runner, env)


async def fetch_submodules(
    folder: Path, runner: Runner, env: Mapping[str, str], beside: Path | None = None
) -> None:
    """Fetch all submodules recursively, each within the limits of the code.

    Args:
        beside: the folder that must contain submodules on this machine's disk.

    Raises:
        BuildFailed: one can't be fetched, or there are too many.
    """
    await runner.log.say("Getting submodules")
    waiting, count = [await asyncio.to_thread(folder.resolve)], 0
    while waiting:
        parent = waiting.pop()
        for path in await _submodules(parent, runner, env, beside):
            count += 1
            if count > _MOST_SUBMODULES:
                raise BuildFailed(f"there are more than {_MOST_SUBMODULES} submodules")
            if await _is_fetched(path, runner, env):
                await check_out(path, _WANTED, runner, env)
                waiting.append(path)


async def _submodules(
    parent: Path, runner: Runner, env: Mapping[str, str], beside: Path | None
) -> list[Path]:
    """Fetch the submodules of one repository without writing their files; return their folders."""
    if not await asyncio.to_thread(_is_plain, parent / ".gitmodules"):
        return []
    if beside is not None:
        await asyncio.to_thread(_must_have_no_addresses, parent)
    await runner.run(Command(["git", "submodule", "init"], parent, env))
    updates = await _listed(parent, runner, env, [r"^submodule\..*\.update$"])
    for key, url in (await _listed(parent, runner, env, [r"^submodule\..*\.url$"])).items():
        allowed = env["GIT_ALLOW_PROTOCOL"].split(":")
        address = await asyncio.to_thread(_checked_address, url, beside, allowed)
        await runner.run(Command(["git", "config", key, address], parent, env))
        name = key.removesuffix(".url") + ".update"
        if updates.get(name) == "none":  # the repository excludes it
            continue
        command = f"!git update-ref {_WANTED}"  # in place of a checkout; Git appends the commit
        await runner.run(Command(["git", "config", name, command], parent, env))
    argv = ["git", "submodule", "update", "--depth=1", "--progress"]
    await runner.run(Command(argv, parent, env))
    wanted = ["--file=.gitmodules", r"^submodule\..*\.path$"]
    paths = (await _listed(parent, runner, env, wanted)).values()
    inside = (parent / path for path in sorted(set(paths)))
    return [path for path in inside if path.is_relative_to(parent)]


async def _listed(
    parent: Path, runner: Runner, env: Mapping[str, str], wanted: list[str]
) -> dict[str, str]:
    *where, pattern = wanted
    argv = ["git", "config", *where, "--null", "--get-regexp", pattern]
    code, said = await runner.attempt(Command(argv, parent, env, quiet=True))
    if code == 1:  # Git found none
        return {}
    if code != 0:
        raise BuildFailed("Git can't read the list of submodules")
    if len(said) > _MOST_LISTED:
        raise BuildFailed(f"there are more than {_MOST_SUBMODULES} submodules")
    pairs = (one.partition("\n") for one in said.split("\0") if one)
    return {key: value for key, _, value in pairs}


async def _is_fetched(path: Path, runner: Runner, env: Mapping[str, str]) -> bool:
    """Return whether Git created a repository there, and not behind a link."""
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


# ── Addresses of submodules ─────────────────────────────────────────────────────────────────────

# Otherwise anyone who may write to one repository could read all others on this disk.
_ELSEWHERE = (
    "a submodule is a repository on this machine outside the folder of the"
    " app's own; move it there, or serve it over HTTPS or SSH"
)


_NOT_FOR_IT = {
    "file": (
        "a submodule is a repository on this machine, and the app's own is not; serve it over"
        " HTTPS or SSH"
    ),
    "ssh": (
        "a submodule is fetched over SSH, with the keys of this machine, and the app's own"
        " repository is not; give both addresses over SSH, or that of the submodule over HTTPS"
    ),
}


def _must_have_no_addresses(parent: Path) -> None:
    """Raise BuildFailed if Git could find a submodule's address as a path in the code.

    It even takes `https://host/path` for a path if there is a folder named `https:`.
    """
    name = next((one.name for one in parent.iterdir() if ":" in one.name), None)
    if name is not None:
        raise BuildFailed(
            f"{name[:80]!r} is a name in the code that Git could take for a submodule's address;"
            " rename it without a colon"
        )


def _checked_address(url: str, beside: Path | None, allowed: Sequence[str]) -> str:
    """Return a submodule's address in a form that Git can read only as it was checked here.

    `git@host:owner/repo` stays unchanged, since `ssh://host/owner/repo` would start at the root.
    Git could at most take it for a path, but has no transport for paths while SSH is allowed.

    Args:
        beside: see `fetch_submodules`.
        allowed: the transports that Git may use for it.

    Raises:
        BuildFailed: it may not be fetched.
    """
    try:
        url = check_url(url)
    except BuildFailed as error:
        raise BuildFailed(f"a submodule can't be fetched: {error}") from None
    if (transport := _transport(url)) not in allowed:
        raise BuildFailed(_NOT_FOR_IT[transport])
    if not _is_local(url) or beside is None:  # without it Git has no transport for local ones
        return url
    try:
        path = _repository_beside(beside, _path_of(url))
    except (OSError, RuntimeError) as error:  # before Python 3.13, the latter for links in a circle
        why = getattr(error, "strerror", None) or "its links lead in a circle"
        raise BuildFailed(f"the repository of a submodule can't be read ({why})") from None
    return "file://" + quote(os.fsencode(path))


def _path_of(url: str) -> Path:
    """Return the path of a `file:` address as Git reads it, including `?`, `#` and a host."""
    raw = unquote_to_bytes(url.partition("://")[2])
    if b"\0" in raw:
        raise BuildFailed("the address of a repository contains NUL, which no path may contain")
    return Path("/", os.fsdecode(raw).lstrip("/"))


def _repository_beside(beside: Path, path: Path) -> Path:
    """Return the real path of a repository; raise BuildFailed if it is not in that folder.

    Nor may it be inside another repository: people who write to that one could have faked it,
    with the objects of any other.
    """
    top, found = beside.resolve(), _found(path)
    within = [one for one in found.parents if one.is_relative_to(top) and one != top]
    if not found.is_relative_to(top) or any(map(_is_repository, within)):
        raise BuildFailed(_ELSEWHERE)
    if top == Path(top.anchor) and found.parent != top:
        raise BuildFailed(_ELSEWHERE)
    return found


def _found(path: Path) -> Path:
    """Return the real path of the repository that Git finds at a path, links followed."""
    for one in (path, path.with_name(path.name + ".git") if path.name else path):
        if (one / ".git").is_file() or one.is_file():
            raise BuildFailed(_ELSEWHERE)  # it only points to the repository
        if _is_repository(one):
            inside = _is_git_folder(one / ".git")
            real = (one / ".git" if inside else one).resolve()
            return real.parent if inside and real.name == ".git" else real
    return path.resolve()


def _is_repository(folder: Path) -> bool:
    return _is_git_folder(folder / ".git") or _is_git_folder(folder)


def _is_git_folder(folder: Path) -> bool:
    return os.path.lexists(folder / "HEAD") and (folder / "objects").is_dir()


# ── Cloning ─────────────────────────────────────────────────────────────────────────────────────

_MESSAGE_LIMIT = 16 * 1024

_NO_CLONE = "git clone did not work; its own words are in the log"
_NO_REDIRECT = (
    ". If they name error 301, 302, 307 or 308, the repository has moved: credentials do not"
    " follow, so save its new address"
)

# No hooks, no helper programs: cloning only reads.
_HARMLESS = {
    "protocol.ext.allow": "never",
    "core.hooksPath": "/dev/null",
    "core.fsmonitor": "false",
    "credential.helper": "",
    "transfer.fsckObjects": "false",
    "submodule.recurse": "false",
    "advice.detachedHead": "false",
}


@dataclass(frozen=True, slots=True)
class Head:
    """The commit that was checked out.

    Attributes:
        sha: 40 hex digits (64 in a repository with SHA-256).
        message: the whole commit message.
    """

    sha: str
    message: str


async def clone(source: Clone, into: Path, runner: Runner, scratch: Path) -> Head:
    """Clone the head of a branch, or a commit, one deep, into a folder that does not exist yet.

    Args:
        scratch: an empty folder to use as home folder, so no user's configuration takes effect.

    Raises:
        BuildFailed: Git fails.
    """
    await runner.require("git")
    env = git_environment(source, scratch)
    urls = source.urls
    if _is_local(urls[0]) and len(urls) > 1:  # try local ones only if they exist
        urls = await asyncio.to_thread(
            lambda: tuple(url for url in source.urls if _path_of(url).exists()) or source.urls
        )
    for url in urls:
        what = "commit" if source.is_commit else "branch"
        await runner.log.say(f"Cloning Repo {source.shown} {url}, {what} {source.ref}: ✅")
        if await _cloned(source, url, into, runner, env):
            break
        await asyncio.to_thread(remove, into)
    else:
        raise BuildFailed(_NO_CLONE if source.authorization is None else _NO_CLONE + _NO_REDIRECT)
    await check_out(into, "HEAD", runner, env)
    if source.submodules:
        beside = _beside(source.urls[0])
        await fetch_submodules(into, runner, _for_submodules(source, scratch), beside)
    sha = await runner.run(Command(["git", "rev-parse", "HEAD"], into, env, quiet=True))
    argv = ["git", "log", "-1", "--format=%B", "--no-show-signature"]
    message = await runner.run(Command(argv, into, env, quiet=True))
    return Head(sha.strip(), message.strip()[:_MESSAGE_LIMIT])


async def _cloned(
    source: Clone, url: str, into: Path, runner: Runner, env: Mapping[str, str]
) -> bool:
    """Clone from one address, without writing files; return False if Git can't."""
    if source.is_commit:
        steps = [
            (["git", "init", "--quiet", "--template=", "--", into.name], into.parent),
            (["git", "config", "remote.origin.url", url], into),
            (["git", "fetch", "--depth=1", "--no-tags", "--progress", "origin", source.ref], into),
            (["git", "update-ref", "--no-deref", "HEAD", source.ref], into),
        ]
    else:
        argv = ["git", "clone", f"--branch={source.ref}", "--depth=1", "--single-branch"]
        argv += ["--no-tags", "--template=", "--no-checkout", "--progress", "--", url, into.name]
        steps = [(argv, into.parent)]
    # A relative name keeps the path on this machine out of the log.
    for argv, where in steps:
        if (await runner.attempt(Command(argv, cwd=where, env=env)))[0] != 0:
            return False
    return True


async def swap(fresh: Path, code: Path) -> None:
    """Replace a checkout by a fresh one."""

    def replaced() -> None:
        if code.exists():
            code.rename(fresh.with_name(fresh.name + ".old"))
        fresh.rename(code)

    await undivided(replaced)


def _for_submodules(source: Clone, scratch: Path) -> dict[str, str]:
    """Return the environment for submodules, without credentials.

    Otherwise an author of this repository could read others: those that its credential or the
    machine's SSH keys open, and those on the machine's disk. So `file` and `ssh` are allowed only
    if the repository itself uses them.
    """
    own = _transport(source.urls[0])
    allowed = [one for one in TRANSPORTS if one not in ("file", "ssh") or one == own]
    return git_environment(replace(source, authorization=None), scratch, allowed)


def git_environment(
    source: Clone, scratch: Path, transports: Iterable[str] = TRANSPORTS
) -> dict[str, str]:
    """Return the environment in which Git reads a source without running anything from it.

    Raises:
        BuildFailed: a file with authorities can't be read.
    """
    try:
        config = _HARMLESS | git_settings(scratch, source.authorities)
    except CannotConnect as error:
        raise BuildFailed(str(error)) from None
    config["http.followRedirects"] = "initial"
    if source.authorization is not None:
        # Git would send the credential to the target of a redirect, even on another host.
        config["http.followRedirects"] = "false"
        config |= {f"http.{url}.extraHeader": source.authorization for url in source.urls}
    env = {
        "HOME": str(scratch),
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "/bin/false",
        "SSH_ASKPASS": "/bin/false",
        "GIT_SSH_COMMAND": "ssh -o BatchMode=yes -o StrictHostKeyChecking=accept-new",
        "GIT_ALLOW_PROTOCOL": ":".join(transports),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_LFS_SKIP_SMUDGE": "1",
    }
    return configured(env, config)


def _beside(url: str) -> Path | None:
    """Return the folder that contains a repository on this machine's disk; None for others."""
    if not _is_local(url):
        return None
    path = _path_of(url)
    return path.parent.parent if path.name == ".git" else path.parent


def _is_local(url: str) -> bool:
    return _transport(url) == "file"


def _transport(url: str) -> str:
    """Return e.g. "https"; an address without a scheme, such as `git@host:path`, uses SSH."""
    scheme, separator, _ = url.partition("://")
    return scheme.lower() if separator else "ssh"
