"""Check a new static site, before anything is created."""

import os
import posixpath
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from bridge.cli.context import found
from bridge.core.errors import Rejected
from bridge.core.matching.lint import lint
from bridge.core.refs import check_branch_name
from bridge.core.validation_errors import shortened

if TYPE_CHECKING:
    from bridge.core.apps import Rules
    from bridge.core.matching.watch_paths import Semantics


LONGEST_NAME = 63
"""The most characters of an app's or a project's name, as in a host name's label."""


@dataclass(frozen=True, slots=True)
class NewSite:
    """A static site to create.

    Attributes:
        repo: a clone address, or a folder with a Git repository.
        publish: a folder of the repository.
        rules: our own, for what its backend's record can't hold.
    """

    name: str
    repo: str
    branch: str
    publish: str
    watch: tuple[str, ...]
    project: str
    spa: bool = False
    rules: "Rules | None" = None


def checked(site: NewSite, semantics: "Semantics" = "exclude") -> NewSite:
    """Return the site with an address to clone; raise Rejected if it could never deploy."""
    _check_name("the name", site.name)
    _check_name("--project", site.project)
    check_branch_name(site.branch)
    wrong = [one for one in lint(site.watch, semantics) if one.level == "error"]
    if wrong:
        told = "; ".join(f"--watch {one.pattern!r}: {one.sentence} {one.remedy}" for one in wrong)
        raise Rejected(told)
    _check_publish(site.publish)
    return replace(site, repo=_address(site.repo))


def _check_name(what: str, name: str) -> None:
    plain = name.isprintable() and name == name.strip() and "/" not in name
    if not plain or not name.strip(".") or len(name) > LONGEST_NAME:
        raise Rejected(
            f"{what} can't be {name[:LONGEST_NAME]!r}: give 1 to {LONGEST_NAME} characters without"
            " a slash or a line break, e.g. web"
        )


def _check_publish(folder: str) -> None:
    from bridge.embedded.storage.paths import never_published

    parts = posixpath.normpath(folder.strip().lstrip("/") or ".").split("/")
    if parts[0] == "..":
        raise Rejected(
            f"--publish {folder!r} leads out of the repository; name a folder inside it, e.g."
            " --publish public"
        )
    if (hidden := never_published(parts)) is not None:
        raise Rejected(f"--publish {folder!r}: {hidden} is never published; name another folder")


def _address(repo: str) -> str:
    """Return a clone address; turn a local folder into one."""
    folder = _folder(repo)
    if folder is None:
        from bridge.embedded.building.sources import check_url
        from bridge.embedded.storage.paths import BuildFailed

        try:
            return check_url(repo)
        except BuildFailed as error:
            raise Rejected(f"--repo: {error}; or name a folder that exists") from None
    if not found(folder.is_dir):
        raise Rejected(
            f"--repo {shortened(repo)}: there is no folder {shortened(str(folder))}; name one, or"
            " an address"
        )
    if not found(lambda: _is_repository(folder)):
        raise Rejected(
            f"--repo {shortened(repo)}: {folder} is no Git repository; name its top folder, or"
            " make it one with `git init` and a commit"
        )
    return folder.as_uri()


def _folder(repo: str) -> Path | None:
    """Return the local folder; None if it is an address."""
    if repo.lower().startswith("file:"):
        try:
            return Path(unquote(urlsplit(repo).path))
        except ValueError:  # brackets that hold no IPv6 address
            raise Rejected(
                f"--repo {shortened(repo)} is no address; write file:///path/to/repository"
            ) from None
    try:
        path = Path(repo).expanduser()
        if repo.startswith(("/", ".", "~")) or found(path.is_dir):
            return path.resolve()
    except (RuntimeError, OSError, ValueError):  # ~nobody, or links in a circle
        return Path(repo)
    return None


def _is_repository(folder: Path) -> bool:
    return (folder / ".git").exists() or (
        (folder / "HEAD").is_file() and (folder / "objects").is_dir()
    )


# ── The content of a new app's repository: branches, folders, files ───────────────────────────────

PATIENCE = 5.0
"""Seconds for a remote repository to list its branches."""

_LOCAL_PATIENCE = 60.0
_MOST_NAMED = 6
_HEADS = "refs/heads/"
_SYMLINK, _SUBMODULE = "120000", "160000"


class _NoAnswer(Exception):
    """Git gave no answer; the message says why."""


def must_fit(
    site: "NewSite", semantics: "Semantics", authorities: Mapping[str, str] = MappingProxyType({})
) -> str | None:
    """Check a site against its repository; return the checks that were not possible.

    Args:
        authorities: PEM files by the addresses of the Git servers that have them.

    Raises:
        Rejected: it has no such branch or folder, or no file matches a watch path.
    """
    if shutil.which("git") is None:
        return "--branch was not checked: there is no git here"
    if site.repo.lower().startswith("file:"):
        _must_fit_locally(site, Path(unquote(urlsplit(site.repo).path)), semantics)
        return None
    from bridge.embedded.building.sources import split_credentials

    url, authorization = split_credentials(site.repo)  # read the way the backend clones it
    how = {"authorization": authorization, "authorities": authorities}
    try:
        listed = _said(["git", "ls-remote", "--heads", "--", url], PATIENCE, urls=(url,), **how)
    except _NoAnswer as error:
        return f"--branch {site.branch} was not checked: {error}"
    refs = (line.partition("\t")[2] for line in listed.splitlines())
    _must_have_branch(site.branch, [ref.removeprefix(_HEADS) for ref in refs])
    return None


def _must_fit_locally(site: "NewSite", folder: Path, semantics: "Semantics") -> None:
    ask = ["git", "-C", str(folder)]
    try:
        listed = _said([*ask, "for-each-ref", "--format=%(refname)", _HEADS])
        _must_have_branch(site.branch, [ref.removeprefix(_HEADS) for ref in listed.splitlines()])
        whole = _said([*ask, "ls-tree", "-r", "-t", "-z", f"{_HEADS}{site.branch}"])
    except _NoAnswer as error:
        raise Rejected(f"--repo: git can't read {folder}: {error}") from None
    rows = (line.partition("\t") for line in whole.split("\0") if line)
    tree = {path: about.split(" ", 1)[0] for about, _, path in rows}  # the mode of each path
    _must_have_folder(site.publish, tree)
    _must_match_something(site, semantics, tree)


def _must_have_branch(branch: str, there: Sequence[str]) -> None:
    if not there:
        raise Rejected("--repo: the repository has no branch yet; commit something to it first")
    if branch not in there:
        raise Rejected(f"--branch {branch}: the repository has no such branch, but {_few(there)}")


def _must_have_folder(publish: str, tree: dict[str, str]) -> None:
    """Raise Rejected if a folder is missing; links and submodules are not followed."""
    wanted = posixpath.normpath(publish.strip().strip("/") or ".")
    if wanted == ".":
        return
    above = ""
    for part in wanted.split("/"):
        path = f"{above}{part}"
        mode = tree.get(path)
        if mode in (_SYMLINK, _SUBMODULE):
            return
        if mode is None or not _is_folder(mode):
            why = "is a file" if mode else "is not there"
            beside = _folders(tree, above)
            there = f"; in {above or 'the repository'} there are {_few(beside)}" if beside else ""
            raise Rejected(
                f"--publish {publish!r}: {path} {why}{there}. Name a folder that is committed"
            )
        above = f"{path}/"


def _must_match_something(site: "NewSite", semantics: "Semantics", tree: dict[str, str]) -> None:
    from bridge.core.matching import GlobError
    from bridge.core.matching.watch_paths import WatchPaths

    files = [path for path, mode in tree.items() if not _is_folder(mode)]
    for pattern in site.watch:
        if pattern.startswith("!"):
            continue  # an exclusion without matches is harmless
        try:
            if WatchPaths.compile([pattern], semantics).first_match(files):
                continue
        except GlobError:
            continue  # a match can't be determined
        top = [path for path in files if "/" not in path]
        there = f"; in the repository there are {_few([*_folders(tree, ''), *top])}"
        if _is_folder(tree.get(pattern, "")):
            there = f"; for the folder write `{pattern}/**`"
        raise Rejected(f"--watch {pattern!r} matches no file of branch {site.branch}{there}")


def _folders(tree: dict[str, str], above: str) -> list[str]:
    return [
        path.removeprefix(above)
        for path, mode in tree.items()
        if _is_folder(mode) and path.startswith(above) and "/" not in path[len(above) :]
    ]


def _is_folder(mode: str) -> bool:
    return mode == "040000"


def _few(names: Sequence[str]) -> str:
    shown = ", ".join(sorted(names)[:_MOST_NAMED])
    more = len(names) - _MOST_NAMED
    return f"{shown} and {more} more" if more > 0 else shown


def _said(
    argv: Sequence[str],
    patience: float = _LOCAL_PATIENCE,
    *,
    urls: tuple[str, ...] = ("",),
    **how: Any,
) -> str:
    """Return git's output, run as the backend runs it.

    Raises:
        _NoAnswer: it fails or takes too long.
    """
    from bridge.embedded.building.checkout import git_environment
    from bridge.embedded.building.process import inherited
    from bridge.embedded.building.sources import Clone
    from bridge.embedded.storage.paths import BuildFailed

    source = Clone(urls, "", "/", submodules=False, shown="", **how)
    with tempfile.TemporaryDirectory() as home:
        try:
            environment = inherited() | git_environment(source, Path(home))
        except BuildFailed as error:
            raise _NoAnswer(str(error)) from None
        asked = subprocess.Popen(  # noqa: S603 - git, with checked arguments
            argv,
            env=environment | {"PATH": os.environ.get("PATH", os.defpath)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # so its helpers end with it
        )
        try:
            output, errors = asked.communicate(timeout=patience)
        except subprocess.TimeoutExpired:
            raise _NoAnswer(f"it did not answer within {patience:.0f} s") from None
        finally:
            if asked.poll() is None:  # end it and everything it started
                os.killpg(asked.pid, signal.SIGKILL)
                asked.communicate()
    if asked.returncode:
        words = errors.decode(errors="replace").strip().splitlines() or ["git failed"]
        raise _NoAnswer(words[0][:200])
    return output.decode(errors="surrogateescape")
