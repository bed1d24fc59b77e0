"""What is refused of a new static site, before anything is made."""

import posixpath
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from bridge.core.errors import Rejected
from bridge.core.refs import check_branch_name
from bridge.core.watch_paths.lint import lint

if TYPE_CHECKING:
    from bridge.core.watch import Rules
    from bridge.core.watch_paths.patterns import Semantics


LONGEST_NAME = 63
"""Characters of an app's or a project's name; that of a host may have as many."""


@dataclass(frozen=True, slots=True)
class NewSite:
    """A static site that is to be made.

    Attributes:
        repo: a clone address, or a folder with a Git repository.
        publish: a folder of the repository.
        rules: our own, where its backend's record can't hold them.
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
    """The site with the address that can be cloned; raises Rejected where it could never deploy."""
    _check_name("the name", site.name)
    _check_name("--project", site.project)
    check_branch_name(site.branch)
    _check_watch(site.watch, semantics)
    _check_publish(site.publish)
    return replace(site, repo=_address(site.repo))


def _check_name(what: str, name: str) -> None:
    plain = name.isprintable() and name == name.strip() and "/" not in name
    if not plain or not name.strip(".") or len(name) > LONGEST_NAME:
        raise Rejected(
            f"{what} can't be {name[:LONGEST_NAME]!r}: give 1 to {LONGEST_NAME} characters without"
            " a slash or a line break, e.g. web"
        )


def _check_watch(patterns: tuple[str, ...], semantics: "Semantics") -> None:
    wrong = [one for one in lint(patterns, semantics) if one.level == "error"]
    if wrong:
        told = "; ".join(f"--watch {one.pattern!r}: {one.sentence} {one.remedy}" for one in wrong)
        raise Rejected(told)


def _check_publish(folder: str) -> None:
    from bridge.backends.embedded.places import never_published

    parts = posixpath.normpath(folder.strip().lstrip("/") or ".").split("/")
    if parts[0] == "..":
        raise Rejected(
            f"--publish {folder!r} leads out of the repository; name a folder inside of it, e.g."
            " --publish public"
        )
    if (hidden := never_published(parts)) is not None:
        raise Rejected(f"--publish {folder!r}: {hidden} is never published; name another folder")


def _address(repo: str) -> str:
    """A clone address; a folder on this machine becomes one."""
    folder = _folder(repo)
    if folder is None:
        return _checked_address(repo)
    if not folder.is_dir():
        raise Rejected(f"--repo {repo!r}: there is no folder {folder}; name one, or an address")
    if not _is_repository(folder):
        raise Rejected(
            f"--repo {repo!r}: {folder} is no Git repository; name its top folder, or make it one"
            " with `git init` and a commit"
        )
    return folder.as_uri()


def _folder(repo: str) -> Path | None:
    """The folder that is meant; None where it is an address."""
    if repo.lower().startswith("file:"):
        return Path(unquote(urlsplit(repo).path))
    path = Path(repo).expanduser()
    if repo.startswith(("/", ".", "~")) or path.is_dir():
        return path.resolve()
    return None


def _is_repository(folder: Path) -> bool:
    """Whether it is one with a checkout, or a bare one."""
    return (folder / ".git").exists() or (
        (folder / "HEAD").is_file() and (folder / "objects").is_dir()
    )


def _checked_address(repo: str) -> str:
    from bridge.backends.embedded.building.errors import BuildFailed
    from bridge.backends.embedded.building.sources import check_url

    try:
        return check_url(repo)
    except BuildFailed as error:
        raise Rejected(f"--repo: {error}; or name a folder that exists") from None
