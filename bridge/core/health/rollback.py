"""Ways back: which earlier version to return to, and how. Pure.

Backends differ in what they keep, so the ways are tried from the exact to the costly one: what the
backend has kept of the earlier build; for an image, the earlier image; for a pinned app, the
earlier commit built again. If none is open, say what to switch on.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from bridge.core.apps import App, AppKind, SourceType
from bridge.core.errors import NotFound, Rejected
from bridge.core.events import Action
from bridge.core.gates.locks import Lock, next_reminder
from bridge.core.lifecycle import Deployment, State
from bridge.core.pins import pin_of


class Rung(StrEnum):
    """How an earlier version is brought back."""

    KEPT = "kept"  # the backend serves what it built then
    IMAGE = "image"  # the earlier image is deployed again
    PIN = "pin"  # the earlier commit is built again


@dataclass(frozen=True, slots=True)
class WayBack:
    """A way back to an earlier version.

    Attributes:
        to: the deployment that made it.
        point: what the backend calls what it kept; None on other rungs.
        image: the image to deploy; None on other rungs.
        commit: the commit to build; None on other rungs.
    """

    rung: Rung
    to: Deployment
    point: str | None = None
    image: str | None = None
    commit: str | None = None

    @property
    def says(self) -> str:
        """Which version comes back, and how."""
        how = {
            Rung.KEPT: "serve again what was built then, without a build",
            Rung.IMAGE: "deploy that image again",
            Rung.PIN: "build that commit again, from the pinned branch",
        }
        return f"{version_of(self.to)}: {how[self.rung]}"

    @property
    def warns(self) -> tuple[str, ...]:
        """What is not as it was, and what comes next; each a sentence."""
        match self.rung:
            case Rung.KEPT:
                first = "the service's environment is restored, too; the backend's own"
                first += " settings keep the newer one"
            case Rung.IMAGE:
                first = "the environment stays as it is now, and the app's image is changed"
            case Rung.PIN:
                first = "it is a rebuild: the environment stays as it is now, and what the build"
                first += " fetches may differ"
        return (first, "databases and volumes stay as they are: migrations are not undone")


def version_of(deployment: Deployment) -> str:
    """Return the version that a deployment made, for people."""
    commit = deployment.deployed_commit
    if commit is not None:
        return commit[:7]
    return deployment.image or f"deployment #{deployment.seq}"


def current_of(history: Sequence[Deployment]) -> Deployment | None:
    """Return the deployment whose version is served, as far as is known.

    Args:
        history: an app's deployments, newest first.
    """
    served = [one for one in history if one.served]
    return max(served, key=lambda one: (one.live_at or 0.0, one.seq), default=None)


def target_of(history: Sequence[Deployment], wanted: str | None = None) -> Deployment:
    """Return the deployment whose version to go back to.

    By default the newest healthy version before the one that is served. A rollback does not count
    as a version of its own: a second one goes further back.

    Args:
        history: an app's deployments, newest first.
        wanted: a commit, tag, image, or a deployment by id or number; None for the default.

    Raises:
        NotFound: there is none.
        Rejected: that version is served already, or several are meant.
    """
    served = current_of(history)
    if served is None:
        raise NotFound("nothing of it has been deployed yet, so there is nothing to go back to")
    made = [one for one in history if one.state is State.DONE and one.action is not Action.ROLLBACK]
    if wanted is not None:
        found = _named(made, history, wanted)
        if same_version(found, served):
            raise Rejected(f"{version_of(found)} is what is served already")
        return found
    bad = [one for one in history if one.state in (State.UNHEALTHY, State.VERIFYING)]
    position = next((one.seq for one in history if one.id == served.target), served.seq)
    for one in made:
        if one.seq < position and not any(same_version(one, other) for other in (served, *bad)):
            return one
    raise NotFound(
        f"no healthy version before {version_of(served)} is known, so there is nothing to go back"
        " to"
    )


def way_back(
    app: App,
    to: Deployment,
    kept: Mapping[str, str | None],
    history: Sequence[Deployment] = (),
) -> WayBack:
    """Return how to go back to a version.

    Args:
        to: the deployment that made it.
        kept: what the backend still has of its deployments: its ids, each with the point that it
            can restore, or None.
        history: an app's deployments, newest first, of which a refusal names those that are kept.

    Raises:
        Rejected: there is no way; the message says what to switch on.
    """
    if (point := kept.get(to.backend_id or "")) is not None:
        return WayBack(Rung.KEPT, to, point=point)
    image = app.source.image if app.source and app.source.type is SourceType.DOCKER else None
    if image is not None and to.image is not None:
        if to.image == image:
            raise Rejected(
                f"{to.image} is the image's name now as it was then, so deploying it again may"
                " bring the same version: give each version a tag of its own, or its digest"
            )
        return WayBack(Rung.IMAGE, to, image=to.image)
    if pin_of(app) is not None and to.deployed_commit is not None:
        return WayBack(Rung.PIN, to, commit=to.deployed_commit)
    raise Rejected(_closed(app, to, kept, history))


def _closed(
    app: App,
    to: Deployment,
    kept: Mapping[str, str | None],
    history: Sequence[Deployment],
) -> str:
    """Return why there is no way back, and what to do, or to switch on for the next time."""
    what = version_of(to)
    pinned = (
        f"pin the app (`dokploy-bridge pin {app.label}`): then an earlier commit can be built again"
    )
    if app.kind is AppKind.COMPOSE:
        return f"{app.label} is a compose stack, of which the backend keeps no earlier version"
    if any(kept.values()):
        others = _others_kept(kept, history)
        named = f"; name one that is kept: {', '.join(others)}" if others else ""
        return f"the backend has kept newer builds, and not that of {what}{named}. Or {pinned}"
    if to.backend_id not in kept:
        return f"the backend has no record of {what} any more, so it can't restore it"
    return (
        f"the backend has not kept what it built of {what}: switch on rollbacks for the app"
        f" in {app.backend}, with a registry if it wants one; it keeps what is built from then on."
        f" Or {pinned}"
    )


MOST_OTHERS = 5
"""How many versions a refusal names instead."""


def _others_kept(kept: Mapping[str, str | None], history: Sequence[Deployment]) -> list[str]:
    """Return the healthy versions that can be restored besides the served one, newest first."""
    served = current_of(history)
    found = [
        version_of(one)
        for one in history
        if one.state is State.DONE and one.action is not Action.ROLLBACK
        if kept.get(one.backend_id or "") and not (served and same_version(one, served))
    ]
    return list(dict.fromkeys(found))[:MOST_OTHERS]


def lock_after(rollback: Deployment, app: App, now: float) -> Lock:
    """Return the lock that a rollback takes, so the next push does not undo it.

    It belongs to the person who went back: what they ask for passes.
    """
    owner = rollback.person or f"rollback:{rollback.id}"
    name = rollback.trigger.partition(": ")[2] or rollback.trigger
    reason = f"rolled back by deployment #{rollback.seq}; unlock it once a fix is merged"
    lock = Lock(f"app/{app.id}", app.label, owner, name, reason, now)
    return replace(lock, remind_at=next_reminder(lock, now))


def _named(made: Sequence[Deployment], history: Sequence[Deployment], wanted: str) -> Deployment:
    """Return the healthy deployment that is meant; a rollback means the one that it went back to.

    Args:
        made: the healthy deployments that made a version, of the history.
    """
    meant = [one for one in history if _is_meant(one, wanted)]
    names = {one.id for one in meant} | {one.target for one in meant if one.state is State.DONE}
    found = [one for one in made if one.id in names]
    if not found:
        raise NotFound(_unnamed(history[0].app, meant, wanted))
    others = [one for one in found if not same_version(one, found[0])]
    if others:
        both = " and ".join(f"#{one.seq} ({version_of(one)})" for one in (found[0], others[0]))
        raise Rejected(
            f"{wanted!r} means the deployments {both}: name one of them, e.g. #{found[0].seq}"
        )
    return found[0]


def _unnamed(app: str, meant: Sequence[Deployment], wanted: str) -> str:
    """Return why a text names no version to go back to."""
    bad = next((one for one in meant if one.state is not State.DONE), None)
    if bad is not None:
        what = f" of {version_of(bad)}" if bad.deployed_commit or bad.image else ""
        return (
            f"deployment #{bad.seq}{what} is {bad.state}, and only one that was healthy can be"
            " rolled back to"
        )
    why = "" if not _SHORT(wanted) else "; of a commit, give at least seven digits"
    return (
        f"no healthy deployment of it has made {wanted!r}{why}: `dokploy-bridge deployments --app"
        f" {app}` lists what was deployed"
    )


_SHORT = re.compile(r"(?=.*[a-f])[0-9a-f]{1,6}", re.IGNORECASE).fullmatch
"""Whether a text looks like a commit that is cut too short; a mere number is a deployment."""


def _is_meant(one: Deployment, wanted: str) -> bool:
    commit = one.deployed_commit or ""
    by_commit = len(wanted) >= 7 and commit.startswith(wanted.lower())
    names = (one.id, str(one.seq), f"#{one.seq}", one.image)
    return by_commit or wanted in names or one.ref == f"refs/tags/{wanted}"


def same_version(one: Deployment, other: Deployment) -> bool:
    """Return whether two deployments have brought the same commit, or else the same image."""
    if one.deployed_commit is not None or other.deployed_commit is not None:
        return one.deployed_commit == other.deployed_commit
    if one.image is not None or other.image is not None:
        return one.image == other.image
    return one.id == other.id
