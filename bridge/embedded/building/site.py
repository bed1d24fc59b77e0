"""Static sites: a folder of the repository becomes what is served, all at once."""

import json
import os
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from bridge.embedded.building.process import Limits
from bridge.embedded.building.work import Work
from bridge.embedded.places import BuildFailed, inside, never_published, undivided

_CHUNK = 1024 * 1024

_Entry: TypeAlias = tuple[Path, str, bool]
"""The real path of what is in a folder, its name there, and whether it is a folder."""


@dataclass(slots=True)
class Release:
    """A copy of a folder of the checkout: first planned within its limits, then made.

    Links are followed inside of the repository, so a few of them can stand for more folders than
    any disk holds. That is why everything is counted before anything is written.

    Attributes:
        root: the checkout's real path; no link may lead out of it.
        stop: set by whoever cancels; looked at for each entry and each piece of a file.
        left_out: what is never published, by its name in the site.
    """

    root: Path
    limits: Limits
    stop: threading.Event = field(default_factory=threading.Event)
    files: int = 0
    size: int = 0
    left_out: list[str] = field(default_factory=list)
    _entries: int = 0
    _above: dict[Path, None] = field(default_factory=dict)
    _read: dict[Path, list[_Entry]] = field(default_factory=dict)
    _folders: list[str] = field(default_factory=list)
    _sources: list[tuple[Path, str]] = field(default_factory=list)

    def plan(self, source: Path) -> None:
        """Find everything below a folder; raises BuildFailed for what can't be published."""
        self._plan(source, "")

    def copy(self, target: Path) -> None:
        """Make the copy in a new folder; raises BuildFailed once it is cancelled."""
        target.mkdir(parents=True)
        for name in self._folders:
            self.check_wanted()
            (target / name).mkdir()
        for source, name in self._sources:
            self._copy(source, target / name)
        self.files = len(self._sources)

    def check_wanted(self) -> None:
        """Raise where the deployment was cancelled meanwhile."""
        if self.stop.is_set():
            raise BuildFailed("the deployment was cancelled")

    def _plan(self, source: Path, name: str) -> None:
        if len(self._above) >= self.limits.site_depth:
            limit = self.limits.site_depth
            raise BuildFailed(f"the site is deeper than its limit of {limit} folders")
        if source in self._above:
            raise BuildFailed(f"symbolic link to {self._name(source)!r} goes in a circle")
        self._above[source] = None
        for real, own_name, is_folder in self._inside(source):
            self._count()
            if never_published((own_name,)):
                self._leave_out(name + own_name)
            elif is_folder:
                self._folders.append(name + own_name)
                self._plan(real, f"{name}{own_name}/")
            else:
                self._sources.append((real, name + own_name))
        del self._above[source]

    def _leave_out(self, name: str) -> None:
        if not name.endswith(".git"):  # nobody expects that one
            self.left_out.append(name)

    def _count(self) -> None:
        self.check_wanted()
        self._entries += 1
        if self._entries > self.limits.site_entries:
            limit = self.limits.site_entries
            raise BuildFailed(
                f"the site has more than its limit of {limit} files and folders; links to"
                " folders count as what they lead to"
            )

    def _inside(self, folder: Path) -> list[_Entry]:
        """List a folder; the list is cached, since links may lead to the folder many times."""
        if folder not in self._read:
            with os.scandir(folder) as entries:
                self._read[folder] = [self._entry(one) for one in entries]
        return self._read[folder]

    def _entry(self, found: "os.DirEntry[str]") -> _Entry:
        self.check_wanted()
        path = Path(found.path)
        if never_published((found.name,)):
            return path, found.name, False
        real = self._real(path) if found.is_symlink() else path
        is_folder = real.is_dir()
        if not is_folder and not real.is_file():
            raise BuildFailed(f"{self._name(path)!r} is neither a file nor a folder")
        return real, found.name, is_folder

    def _copy(self, source: Path, target: Path) -> None:
        handle = os.open(source, os.O_RDONLY | os.O_NOFOLLOW)
        with os.fdopen(handle, "rb") as file, target.open("xb") as out:
            while chunk := file.read(_CHUNK):
                self.check_wanted()
                self.size += len(chunk)
                if self.size > self.limits.site_bytes:
                    limit = self.limits.site_bytes
                    raise BuildFailed(f"the site is larger than its limit of {limit} bytes")
                out.write(chunk)
        self.check_wanted()

    def _real(self, link: Path) -> Path:
        try:
            real = link.resolve(strict=True)
        except (OSError, RuntimeError) as error:
            raise BuildFailed(f"symbolic link {self._name(link)!r} leads nowhere") from error
        if not real.is_relative_to(self.root):
            raise BuildFailed(f"symbolic link {self._name(link)!r} leads outside of the repository")
        if (hidden := never_published(real.relative_to(self.root).parts)) is not None:
            raise BuildFailed(
                f"symbolic link {self._name(link)!r} leads to {hidden!r}, which is never published"
            )
        return real

    def _name(self, path: Path) -> str:
        return str(path.relative_to(self.root))


# ── Static sites: a folder of the repository becomes what is served, all at once ────────────────

RELEASES_KEPT = 2
"""The served one and the one before, which a request may still be reading."""

_NAMED = 5


class StaticSite:
    """Publishes `publishDirectory` of the build path; nothing is run."""

    async def build(self, work: Work) -> None:
        """Copy it to a release of its own, then turn the link that is served."""
        wanted = work.application["publishDirectory"]
        is_spa = bool(work.application["isStaticSpa"])
        log = work.runner.log
        await log.say(f"Publishing {wanted or '/'}")
        release = Release(work.checkout, work.runner.limits)
        folder = work.site / "releases" / work.deployment_id
        try:
            old = await undivided(
                lambda: _publish(release, folder, work, is_spa=is_spa), on_cancel=release.stop.set
            )
        except BaseException:  # whatever it is: half a release is of no use to anybody
            work.remover.later(folder)
            raise
        for one in old:
            work.remover.later(one)
        if release.left_out:
            await log.say(f"Left out: {_some(release.left_out)}; never published")
        files = "1 file" if release.files == 1 else f"{release.files} files"
        await log.say(f"Published {files}, {release.size} bytes: ✅")


def _some(names: list[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(sorted(names)[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _publish(release: Release, folder: Path, work: Work, *, is_spa: bool) -> list[Path]:
    """Make a release and serve it; returns those that are no longer needed."""
    wanted = work.application["publishDirectory"]
    release.root = work.checkout.resolve()
    source = inside(work.folder, wanted, what="publish directory")
    if not source.is_dir():
        raise BuildFailed(f"publish directory {wanted!r} is not a folder")
    release.plan(source)
    release.copy(folder / "files")
    (folder / "release.json").write_text(json.dumps({"spa": is_spa}))
    release.check_wanted()
    _turn(work.site, folder)
    return _old(work.site, folder)


def _turn(site: Path, release: Path) -> None:
    """Serve another release; whoever asks gets either the old one or the new one."""
    link = site / f"current.{release.name}"
    link.symlink_to(Path("releases", release.name))
    link.replace(site / "current")


def _old(site: Path, serving: Path) -> list[Path]:
    others = [one for one in (site / "releases").iterdir() if one != serving]
    others.sort(key=lambda one: one.stat().st_mtime, reverse=True)
    return others[RELEASES_KEPT - 1 :]
