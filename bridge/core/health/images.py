"""Prove by images which version runs. Pure.

A record of a deployment says what was asked for: a backend may call it done while the containers
of before go on serving.
"""

import re
from collections.abc import Sequence
from enum import StrEnum

_WRITTEN = re.compile(r"writing image (sha256:[0-9a-f]{64})\b")


class Proof(StrEnum):
    """What the images of an app's containers show of a deployment."""

    PROVEN = "proven"  # what it has built runs
    OLD = "old"  # another image runs than the one that it has built
    UNTOLD = "untold"  # they don't tell


def built_image(log: str) -> str | None:
    """Return the id of the image that a build has written last, by its log; None if it says none.

    Source: what Docker's BuildKit prints, e.g. "#9 writing image sha256:3f4e… done".
    """
    found = _WRITTEN.findall(log)
    return found[-1] if found else None


def judge_images(
    now: Sequence[str] | None, before: Sequence[str] | None, built: str | None
) -> Proof:
    """Return what images show of a deployment.

    The same image after another build may be right, where the build has changed nothing.

    Args:
        now: the ids of the images that the app's containers run; None if they can't be read.
        before: those of the deployment that was served before; None if they are not known.
        built: the image that the deployment has built, or goes back to; None if not known.
    """
    if not now:
        return Proof.UNTOLD
    if built is not None:
        return Proof.PROVEN if built in now else Proof.OLD
    if not before or not set(now).isdisjoint(before):
        return Proof.UNTOLD
    return Proof.PROVEN
