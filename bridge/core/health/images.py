"""Prove by images which version runs. Pure.

A record of a deployment says what was asked for: a backend may call it done while the containers
of before go on serving.
"""

import re
from collections.abc import Collection, Iterable
from enum import StrEnum

from bridge.core.lifecycle import Deployment, Evidence, Verdict

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
        others: those of the app's other deployments.
        before: those of the deployment that was served before.
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
        history: the app's deployments.
    """
    if served.evidence is Evidence.IMAGE:
        return False
    after, until = old.live_at or 0.0, served.live_at or 0.0
    between = [one for one in history if one.served and after < (one.live_at or 0.0) < until]
    return all(_never_ran(one) for one in between)


def _never_ran(one: Deployment) -> bool:
    """Return whether it was found that the image of a deployment did not run."""
    unhealthy = one.verdict is Verdict.UNHEALTHY
    return unhealthy and bool(one.images) and one.evidence is not Evidence.IMAGE
