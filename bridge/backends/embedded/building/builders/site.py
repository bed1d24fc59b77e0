"""Static sites: a folder of the repository becomes what is served, all at once."""

import json
from pathlib import Path

from bridge.backends.embedded.building.builders.release import Release
from bridge.backends.embedded.building.builders.work import Work
from bridge.backends.embedded.building.errors import BuildFailed
from bridge.backends.embedded.places import inside
from bridge.backends.embedded.undivided import undivided

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
