"""Judge a deployment by its containers, as `docker ps` describes them.

Docker gives no times here, only words such as "Up 2 minutes" (docs/dokploy.md, "Domains,
containers"). A container that has been up for longer than the deployment took is an older one: that
is how a rollback of Swarm shows, which Dokploy does not report.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from bridge.core.lifecycle import Deployment, Evidence, Verdict

_UP = re.compile(r"Up (?P<age>.+?)(?: \((?P<health>[^)]*)\))?", re.IGNORECASE)
_EXITED = re.compile(r"Exited \((?P<code>\d+)\) (?P<age>.+) ago", re.IGNORECASE)
_COUNTED = re.compile(r"(\d+) (second|minute|hour|day|week|month|year)s?", re.IGNORECASE)
_SECONDS = {
    "second": 1.0,
    "minute": 60.0,
    "hour": 3600.0,
    "day": 86400.0,
    "week": 7 * 86400.0,
    "month": 30 * 86400.0,
    "year": 365 * 86400.0,
}
_ABOUT = {"less than a second": 0.0, "about a minute": 60.0, "about an hour": 3600.0}

STOPPED = ("0", "137", "143")
"""The exit codes of containers that were stopped, by a signal or without an error."""

DELAY = 5.0
"""Seconds by which a container may seem older than it is, since our question took its time."""


@dataclass(frozen=True, slots=True)
class Container:
    """One container of an app, in Docker's own words.

    Attributes:
        state: e.g. "running", "exited" or "created".
        status: e.g. "Up 2 minutes (healthy)" or "Exited (1) 3 minutes ago".
    """

    name: str
    state: str
    status: str


def least_age(words: str) -> float | None:
    """Return the least seconds that Docker's words for an age can mean; None if unreadable."""
    if (about := _ABOUT.get(words.lower())) is not None:
        return about
    found = _COUNTED.fullmatch(words)
    if found is None:
        return None
    count, unit = int(found[1]), found[2].lower()
    rounded = 0.0 if unit in ("second", "minute") else _SECONDS["hour"] / 2
    return count * _SECONDS[unit] - rounded


def judge_containers(
    containers: Sequence[Container], since_begin: float
) -> tuple[bool | None, str]:
    """Return whether the containers are those of a deployment and run, and why.

    None means that they tell neither, e.g. because one of them has ended and another one runs: it
    may be the new version after a first failure, or the old one again.

    Args:
        since_begin: seconds since the backend began the deployment.
    """
    running = [one for one in containers if one.state == "running"]
    if not running:
        crashed = _newest_exit(one for one in _young(containers, since_begin) if _crashed(one))
        if crashed is None:  # it may run on another node, which the backend does not show
            return None, "the backend shows no container of it that runs"
        return False, f"no container runs: one has {crashed}"
    if any(_health(one) == "unhealthy" for one in running):
        return False, "Docker's health check of a container fails"
    if any((_health(one) or "").startswith("health: starting") for one in running):
        return False, "Docker's health check of a container has not passed yet"
    ages = [least_age(_age(one)) for one in running]
    known = [age for age in ages if age is not None]
    if len(known) < len(ages):
        words = running[ages.index(None)].status
        return (
            None,
            f"a container {f'is {words!r}' if words else 'does not say since when it runs'}",
        )
    if were_kept(containers, since_begin):
        return False, (
            f"what runs has been up since before this deployment ({running[0].status}): the old"
            " version was kept or restored"
        )
    if any(age > since_begin + DELAY for age in known):
        return False, "a container of an older version still runs"
    if (ended := _newest_exit(_young(containers, since_begin))) is not None:
        return None, f"a container runs, and one has {ended} since"
    return True, f"{len(running)} container{'s run' if len(running) > 1 else ' runs'}"


def were_kept(containers: Sequence[Container], since_begin: float) -> bool:
    """Return whether all containers that run have surely been up since before a deployment.

    Args:
        since_begin: seconds since the backend began the deployment.
    """
    ages = [least_age(_age(one)) for one in containers if one.state == "running"]
    return bool(ages) and all(age is not None and age > since_begin + DELAY for age in ages)


def _young(containers: Iterable[Container], since_begin: float) -> list[Container]:
    """Return the ended containers that may have ended since the deployment began."""
    found = []
    for one in containers:
        exited = _EXITED.fullmatch(one.status)
        age = None if exited is None else least_age(exited["age"])
        if _crashed(one) and (age is None or age <= since_begin):
            found.append(one)
    return found


def _crashed(one: Container) -> bool:
    """Return whether a container ended by itself with an error, and was not stopped."""
    exited = _EXITED.fullmatch(one.status)
    return exited is not None and exited["code"] not in STOPPED


def _newest_exit(containers: Iterable[Container]) -> str | None:
    """Return how the newest ended container ended, e.g. "exited with code 1, 3 minutes ago"."""
    exits = [found for one in containers if (found := _EXITED.fullmatch(one.status))]
    if not exits:
        return None
    newest = min(exits, key=lambda found: least_age(found["age"]) or 0.0)
    return f"exited with code {newest['code']}, {newest['age']} ago"


def _age(one: Container) -> str:
    found = _UP.fullmatch(one.status)
    return found["age"] if found else one.status


def _health(one: Container) -> str | None:
    found = _UP.fullmatch(one.status)
    return found["health"] if found else None


# ── the images that ran ──────────────────────────────────────────────────────────────────────────

_WRITTEN = re.compile(r"writing image (sha256:[0-9a-f]{64})\b")


class Proof(StrEnum):
    """What the images of an app's containers show of a deployment."""

    PROVEN = "proven"  # what it has built runs, and nothing else
    OLD = "old"  # what another deployment has built runs
    PENDING = "pending"  # something else runs, or runs beside it: it may be replaced yet
    UNTOLD = "untold"  # they don't tell


def built_image(log: str) -> str | None:
    """Return the id of the image that a build has written last, by its log; None if it says none.

    Source: what Docker's BuildKit prints, e.g. "#9 writing image sha256:3f4e… done".
    """
    found = _WRITTEN.findall(log)
    return found[-1] if found else None


def judge_images(
    now: Collection[str],
    built: Collection[str],
    others: Collection[str] = (),
    before: Collection[str] = (),
    *,
    kept: bool = False,
) -> Proof:
    """Return what images show of a deployment.

    Where it is not known what it has built, only one that no other deployment had can be its own.
    The same image after another build may be right, where the build has changed nothing.

    Args:
        now: the ids of the images that the app's containers run.
        built: those that the deployment has built, or goes back to; none if they are not known.
        kept: whether the containers have been up since before the deployment.
    """
    runs, foreign = set(now), not set(now).isdisjoint(others)
    if not runs:
        return Proof.UNTOLD
    if built:
        if runs <= set(built):
            return Proof.PROVEN
        return Proof.OLD if foreign and runs.isdisjoint(built) else Proof.PENDING
    if kept:
        return Proof.OLD if foreign else Proof.PENDING
    if foreign:
        return Proof.UNTOLD if runs <= set(others) else Proof.PENDING
    return Proof.PROVEN if before else Proof.UNTOLD


def owner(now: Collection[str], history: Iterable[Deployment]) -> Deployment | None:
    """Return the first of some deployments of which an image runs; None if there is none."""
    return next((one for one in history if not set(now).isdisjoint(one.images or ())), None)


def still_runs(old: Deployment, served: Deployment, history: Iterable[Deployment]) -> bool:
    """Return whether an older deployment's image runs because nothing has replaced it since.

    Otherwise somebody has put it back at the backend.

    Args:
        served: the deployment that is served by its record, and whose image does not run.
    """
    if served.evidence is Evidence.IMAGE:
        return False
    after, until = old.live_at or 0.0, served.live_at or 0.0
    between = [one for one in history if one.served and after < (one.live_at or 0.0) < until]
    return all(  # it was found that their images did not run
        one.verdict is Verdict.UNHEALTHY and one.images and one.evidence is not Evidence.IMAGE
        for one in between
    )
