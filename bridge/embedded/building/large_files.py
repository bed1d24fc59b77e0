"""Get the files that a repository keeps in Git LFS, in whose place a clone has only pointers.

git-lfs downloads them, from the repository's own server and with its credential: another server
that `.lfsconfig` names, or a folder of this machine, is not used. They are put in place here, since
git-lfs itself may write through links that lead out of the checkout (CVE-2025-26625).
"""

import os
import re
import shutil
import stat
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bridge.embedded.building.process import Command, Limits, Runner
from bridge.embedded.storage.paths import BuildFailed, MissingTool, remove, undivided

_BEGINNING = b"version https://git-lfs.github.com/spec/v1"
_POINTER = re.compile(
    re.escape(_BEGINNING) + rb"\r?\noid sha256:([0-9a-f]{64})\r?\nsize ([0-9]{1,18})(?:\r?\n)?"
)
_LARGEST = 1024  # bytes of a pointer, by the specification of Git LFS
_MOST_NAMES = 64 * 1024**2  # bytes of the list of files; more than any real repository needs
_RETRIES = "2"  # git-lfs would try a file eight times

_USES = "the repository uses Git LFS, e.g. for"


@dataclass(frozen=True, slots=True)
class Pointer:
    """A file of a checkout that stands for another content.

    Attributes:
        name: its path in the repository.
        oid: the SHA-256 of the content.
        size: of the content, in bytes.
    """

    name: str
    path: Path
    oid: str
    size: int


async def fetch_large_files(folder: Path, runner: Runner, env: Mapping[str, str]) -> None:
    """Replace the pointers in the checkout of a repository by what they stand for.

    Raises:
        BuildFailed: git-lfs is not installed or can't get a file, or the files are too large.
    """
    names = await _names(folder, runner, env)
    pointers = await undivided(lambda: list(_pointers(folder, names)))
    if not pointers:
        return
    _must_fit(pointers, runner.limits)
    try:
        await runner.require("git-lfs")
    except MissingTool as error:
        raise BuildFailed(f"{_USES} {pointers[0].name}; {error}") from None
    await runner.log.say(f"Getting {len(pointers)} files from Git LFS")
    address = await _said(folder, runner, env, "config", "--get", "remote.origin.url")
    settings = {"lfs.url": _endpoint(address), "lfs.transfer.maxretries": _RETRIES}
    # Empty lists, so that the repository can't exclude a file. What is missing is found below.
    argv = ["git", "lfs", "fetch", "--include=", "--exclude=", "origin", "HEAD"]
    await runner.attempt(Command(argv, folder, configured(env, settings)))
    fetched = Path(await _said(folder, runner, env, "rev-parse", "--absolute-git-dir"), "lfs")
    await undivided(lambda: _put_in_place(pointers, fetched / "objects"))
    await undivided(lambda: remove(fetched))


async def _names(folder: Path, runner: Runner, env: Mapping[str, str]) -> bytes:
    """Return the names of the files that `.gitattributes` gives to Git LFS, each before a NUL."""
    found = bytearray()

    def hear(chunk: bytes) -> None:
        found.extend(chunk)
        if len(found) > _MOST_NAMES:
            raise BuildFailed("the repository has too many files in Git LFS")

    argv = ["git", "ls-files", "-z", "--", ":(attr:filter=lfs)"]
    await runner.run(Command(argv, folder, env, hear=hear))
    return bytes(found)


async def _said(folder: Path, runner: Runner, env: Mapping[str, str], *words: str) -> str:
    return (await runner.run(Command(["git", *words], folder, env, quiet=True))).strip()


def _pointers(folder: Path, names: bytes) -> Iterator[Pointer]:
    """Yield the pointers among the named files; a file may also have its content as it is."""
    top = folder.resolve()
    for raw in names.split(b"\0"):
        name = os.fsdecode(raw)
        path = top / name
        if not name or not _may_be_pointer(path):
            continue
        text = path.read_bytes()
        if not text.startswith(_BEGINNING):
            continue
        match = _POINTER.fullmatch(text)
        if match is None or path.parent.resolve() != path.parent:
            raise BuildFailed(f"{_shown(name)} is a pointer of Git LFS that can't be used")
        yield Pointer(_shown(name), path, match[1].decode(), int(match[2]))


def _may_be_pointer(path: Path) -> bool:
    try:
        found = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return stat.S_ISREG(found.st_mode) and len(_BEGINNING) < found.st_size < _LARGEST


def _shown(name: str) -> str:
    return name[:80] if name.isprintable() else repr(name[:80])


def _must_fit(pointers: Sequence[Pointer], limits: Limits) -> None:
    """Raise BuildFailed if the files would exceed the limits, before any of them is fetched."""
    for one in pointers:
        if one.size > limits.file_bytes:
            most = limits.file_bytes
            raise BuildFailed(f"{one.name} in Git LFS is larger than the limit of {most} bytes")
    if sum(one.size for one in pointers) > limits.checkout_bytes:
        most = limits.checkout_bytes
        raise BuildFailed(f"with Git LFS the code is larger than its limit of {most} bytes")


def _endpoint(address: str) -> str:
    """Return the address at which a repository's own server answers Git LFS."""
    scheme, separator, rest = address.partition("://")
    if not separator or scheme.lower() in ("ssh", "file"):  # git-lfs asks there what to do
        return address
    secure = "https" if scheme.lower() == "git" else scheme  # as git-lfs does it
    return f"{secure}://{rest.rstrip('/').removesuffix('.git')}.git/info/lfs"


def configured(env: Mapping[str, str], settings: Mapping[str, str]) -> dict[str, str]:
    """Return an environment with more of Git's settings, which precede all files."""
    first = int(env.get("GIT_CONFIG_COUNT", "0"))
    added = {"GIT_CONFIG_COUNT": str(first + len(settings))}
    for number, (key, value) in enumerate(settings.items(), first):
        added |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return {**env, **added}


def _put_in_place(pointers: Sequence[Pointer], objects: Path) -> None:
    """Replace each pointer by its content, without a copy where only one has that content.

    Raises:
        BuildFailed: a content was not fetched.
    """
    left = Counter(one.oid for one in pointers)
    for one in pointers:
        mode = stat.S_IMODE(one.path.stat().st_mode)
        one.path.unlink()
        left[one.oid] -= 1
        stored = objects / one.oid[:2] / one.oid[2:4] / one.oid
        if one.size == 0:
            one.path.touch()
        elif not stored.is_file() or stored.stat().st_size != one.size:
            raise BuildFailed(
                f"{_USES} {one.name}, which can't be fetched; the words of git-lfs are in the log,"
                " and `git lfs push --all` sends what is missing"
            )
        elif left[one.oid] or stored.stat().st_nlink > 1:  # also another repository's own file
            shutil.copyfile(stored, one.path)
        else:
            stored.replace(one.path)
        one.path.chmod(mode)
