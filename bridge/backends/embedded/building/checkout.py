"""Gets the code: a real `git clone`, kept from running anything that the repository brings."""

import asyncio
import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from bridge.backends.embedded.building.errors import BuildFailed
from bridge.backends.embedded.building.process import Command, Runner
from bridge.backends.embedded.building.sources import TRANSPORTS, Clone
from bridge.backends.embedded.building.trees import check_out, fetch_submodules
from bridge.backends.embedded.places import Places
from bridge.backends.embedded.removing import remove
from bridge.backends.embedded.undivided import undivided

_MESSAGE_LIMIT = 16 * 1024

_NO_CLONE = "git clone did not work; its own words are in the log"
_NO_REDIRECT = (
    ". Where they tell of error 301, 302, 307 or 308, the repository has moved: a credential does"
    " not follow it, so save the address that it has now"
)

# No hooks, no helper programs, no other repository's object store: cloning only reads.
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
    """What was checked out.

    Attributes:
        sha: 40 hex digits (64 in a repository with SHA-256).
        message: the whole commit message.
    """

    sha: str
    message: str


async def clone(source: Clone, into: Path, runner: Runner, scratch: Path) -> Head:
    """Clone the head of a branch, one commit deep, into a folder that does not exist yet.

    Args:
        scratch: an empty folder that stands for the user's home, so that no configuration
            of the machine's users plays a part.

    Raises:
        BuildFailed: Git says no.
    """
    await runner.require("git")
    env = git_environment(source, scratch)
    for url in await _candidates(source.urls):
        await runner.log.say(f"Cloning Repo {source.shown} {url}, branch {source.branch}: ✅")
        argv = ["git", "clone", f"--branch={source.branch}", "--depth=1", "--single-branch"]
        argv += ["--no-tags", "--template=", "--no-checkout", "--progress", "--", url, into.name]
        # A relative name, so that the log does not tell where on the machine it lies.
        code, _ = await runner.attempt(Command(argv, cwd=into.parent, env=env))
        if code == 0:
            break
        await asyncio.to_thread(remove, into)
    else:
        raise BuildFailed(_NO_CLONE if source.authorization is None else _NO_CLONE + _NO_REDIRECT)
    await check_out(into, "HEAD", runner, env)
    if source.submodules:
        await fetch_submodules(into, runner, _for_submodules(source, scratch))
    return await _head(into, runner, env)


async def swap(fresh: Path, places: Places, application_id: str) -> Path:
    """Make a fresh checkout the application's code; the one before goes to its place."""
    code = places.code(application_id)
    old = fresh.with_name(fresh.name + ".old")
    await undivided(lambda: _swap(fresh, code, old))
    return code


def _swap(fresh: Path, code: Path, old: Path) -> None:
    if code.exists():
        code.rename(old)
    fresh.rename(code)


def _for_submodules(source: Clone, scratch: Path) -> dict[str, str]:
    """The environment without the repository's credential, and without ways that only it has.

    Who may write to one repository could otherwise read others: those that the credential or the
    machine's SSH keys open, and those on this machine's disk.
    """
    own = _transport(source.urls[0])
    allowed = [one for one in TRANSPORTS if one not in ("file", "ssh") or one == own]
    return git_environment(replace(source, authorization=None), scratch, allowed)


async def _head(into: Path, runner: Runner, env: dict[str, str]) -> Head:
    sha = await runner.run(Command(["git", "rev-parse", "HEAD"], into, env, quiet=True))
    argv = ["git", "log", "-1", "--format=%B", "--no-show-signature"]
    message = await runner.run(Command(argv, into, env, quiet=True))
    return Head(sha.strip(), message.strip()[:_MESSAGE_LIMIT])


def git_environment(
    source: Clone, scratch: Path, transports: Iterable[str] = TRANSPORTS
) -> dict[str, str]:
    """Return the environment in which Git reads a source, and runs nothing that it brings."""
    config = dict(_HARMLESS)
    config["http.followRedirects"] = "initial"
    if source.authorization is not None:
        # Git would send it on to where a redirect leads, also to another host.
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
        "GIT_CONFIG_COUNT": str(len(config)),
    }
    for number, (key, value) in enumerate(config.items()):
        env |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return env


async def _candidates(urls: tuple[str, ...]) -> tuple[str, ...]:
    """Of local addresses only those that exist; of others all, to be tried in turn."""
    if not _is_local(urls[0]) or len(urls) == 1:
        return urls
    found = await asyncio.to_thread(
        lambda: tuple(url for url in urls if Path(urlsplit(url).path).exists())
    )
    return found or urls


def _is_local(url: str) -> bool:
    return _transport(url) == "file"


def _transport(url: str) -> str:
    """E.g. "https"; an address without one, as `git@host:path`, is SSH's."""
    scheme, separator, _ = url.partition("://")
    return scheme.lower() if separator else "ssh"
