"""Static sites: a folder of the repository becomes what is served, all at once."""

import json
import os
import shutil
import threading
from dataclasses import dataclass, field
from pathlib import Path

from bridge.backends.embedded.building.builders.work import Work
from bridge.backends.embedded.building.errors import BuildFailed
from bridge.backends.embedded.places import inside
from bridge.backends.embedded.undivided import undivided

RELEASES_KEPT = 2
"""The served one and the one before, which a request may still be reading."""


class StaticSite:
    """Publishes `publishDirectory` of the build path; nothing is run."""

    async def build(self, work: Work) -> None:
        """Copy it to a release of its own, then turn the link that is served."""
        wanted = work.application["publishDirectory"]
        is_spa = bool(work.application["isStaticSpa"])
        log = work.runner.log
        await log.say(f"Publishing {wanted or '/'}")
        copied = _Copy(work.checkout, work.runner.limits.site_bytes)
        await undivided(
            lambda: _publish(copied, work, wanted, is_spa=is_spa), on_cancel=copied.stop.set
        )
        files = "1 file" if copied.files == 1 else f"{copied.files} files"
        await log.say(f"Published {files}, {copied.size} bytes: ✅")


@dataclass(slots=True)
class _Copy:
    """A copy in the making."""

    root: Path
    limit: int
    stop: threading.Event = field(default_factory=threading.Event)
    files: int = 0
    size: int = 0
    above: list[Path] = field(default_factory=list)

    def folder(self, source: Path, target: Path) -> None:
        if source in self.above:
            raise BuildFailed(f"symbolic link to {self._name(source)!r} goes in a circle")
        self.above.append(source)
        target.mkdir(parents=True)
        for entry in sorted(os.scandir(source), key=lambda one: one.name):
            if entry.name != ".git":
                self._entry(Path(entry.path), target / entry.name)
        self.above.pop()

    def _entry(self, path: Path, target: Path) -> None:
        real = self._real(path) if path.is_symlink() else path
        if real.is_dir():
            self.folder(real, target)
        elif real.is_file():
            self._file(real, target)
        else:
            raise BuildFailed(f"{self._name(path)!r} is neither a file nor a folder")

    def check_wanted(self) -> None:
        """Raise where the deployment was cancelled meanwhile."""
        if self.stop.is_set():
            raise BuildFailed("the deployment was cancelled")

    def _file(self, real: Path, target: Path) -> None:
        self.check_wanted()
        self.size += real.stat().st_size
        self.files += 1
        if self.size > self.limit:
            raise BuildFailed(f"the site is larger than its limit of {self.limit} bytes")
        shutil.copyfile(real, target, follow_symlinks=False)

    def _real(self, link: Path) -> Path:
        try:
            real = link.resolve(strict=True)
        except (OSError, RuntimeError) as error:
            raise BuildFailed(f"symbolic link {self._name(link)!r} leads nowhere") from error
        if not real.is_relative_to(self.root) or ".git" in real.relative_to(self.root).parts:
            raise BuildFailed(f"symbolic link {self._name(link)!r} leads outside of the repository")
        return real

    def _name(self, path: Path) -> str:
        return str(path.relative_to(self.root))


def _publish(copy: _Copy, work: Work, wanted: str | None, *, is_spa: bool) -> None:
    copy.root = work.checkout.resolve()
    source = inside(work.folder, wanted, what="publish directory")
    if not source.is_dir():
        raise BuildFailed(f"publish directory {wanted!r} is not a folder")
    release = work.site / "releases" / work.deployment_id
    try:
        copy.folder(source, release / "files")
        (release / "release.json").write_text(json.dumps({"spa": is_spa}))
        copy.check_wanted()
        _turn(work.site, release)
    except BaseException:  # whatever it is: half a release is of no use to anybody
        shutil.rmtree(release, ignore_errors=True)
        raise
    _forget_old(work.site, release)


def _turn(site: Path, release: Path) -> None:
    """Serve another release; whoever asks gets either the old one or the new one."""
    link = site / f"current.{release.name}"
    link.symlink_to(Path("releases", release.name))
    link.replace(site / "current")


def _forget_old(site: Path, serving: Path) -> None:
    others = [one for one in (site / "releases").iterdir() if one != serving]
    others.sort(key=lambda one: one.stat().st_mtime, reverse=True)
    for old in others[RELEASES_KEPT - 1 :]:
        shutil.rmtree(old, ignore_errors=True)
