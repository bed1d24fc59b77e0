"""Ways back: which earlier version to return to, and how. Pure.

Backends differ in what they keep, so the ways are tried from the exact to the costly one: what the
backend has kept of the earlier build; for an image, the earlier image; for a pinned app, the
earlier commit built again. If none is open, say what to switch on.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from bridge.core.apps import App, AppKind, SourceType
from bridge.core.errors import NotFound, Rejected
from bridge.core.events import Action
from bridge.core.gates.locks import Lock, next_reminder
from bridge.core.lifecycle import Deployment, State, Verdict
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


@dataclass(frozen=True, slots=True)
class Version:
    """A version that an app serves.

    Attributes:
        id: of the deployment or the record that made it, which tells versions apart where neither
            commit nor image is known.
        ours: our deployment that brought it; None if somebody else did.
    """

    commit: str | None
    image: str | None
    id: str
    ours: Deployment | None = None

    @classmethod
    def of(cls, deployment: Deployment) -> "Version":
        """Return the version that one of our deployments has brought."""
        return cls(deployment.deployed_commit, deployment.image, deployment.id, deployment)

    def __str__(self) -> str:
        """Return it for people."""
        unnamed = f"deployment #{self.ours.seq}" if self.ours is not None else "an unknown version"
        return (self.commit or "")[:7] or self.image or unnamed

    def same_as(self, other: "Version") -> bool:
        """Return whether both are the same commit, or else the same image."""
        if self.commit is not None or other.commit is not None:
            return self.commit == other.commit
        if self.image is not None or other.image is not None:
            return self.image == other.image
        return self.id == other.id


def target_of(
    history: Sequence[Deployment],
    served: Version | None,
    wanted: str | None = None,
    *,
    verified_only: bool = False,
) -> Deployment:
    """Return the deployment whose version to go back to.

    By default the newest verified version before the one that is served; where none is, the newest
    that looked healthy, or else that nothing is known against. A rollback does not count as a
    version of its own: a second one goes further back.

    Args:
        history: an app's deployments, newest first.
        served: the version that is served; None if that is not known.
        wanted: a commit, tag, image, or a deployment by id or number; None for the default.
        verified_only: take no version that was never looked at.

    Raises:
        NotFound: there is none.
        Rejected: that version is served already, or several are meant.
    """
    if not any(one.served for one in history):
        raise NotFound("nothing of it has been deployed yet, so there is nothing to go back to")
    made = [one for one in history if one.state is State.DONE and one.action is not Action.ROLLBACK]
    if wanted is not None:
        found = _named(made, history, wanted)
        if served is not None and Version.of(found).same_as(served):
            raise Rejected(f"{version_of(found)} is what is served already")
        return found
    candidates = _candidates(made, history, served)
    good = [one for one in candidates if _judged(one, history, Verdict.VERIFIED)]
    good += [one for one in candidates if looked_well(one, history)]
    for one in good if verified_only else (*good, *candidates):
        return one
    which = "verified" if verified_only else "healthy"
    before = f" before {served}" if served is not None else ""
    raise NotFound(f"no {which} version{before} is known, so there is nothing to go back to")


def _candidates(
    made: Sequence[Deployment], history: Sequence[Deployment], served: Version | None
) -> list[Deployment]:
    """Return the versions before the served one that nothing is known against, newest first."""
    bad = [one for one in history if one.state in (State.UNHEALTHY, State.VERIFYING)]
    others = [Version.of(one) for one in bad] + ([served] if served is not None else [])
    ours = served.ours if served is not None else None
    position = math.inf if ours is None else _position(ours, history)
    return [
        one
        for one in made
        if one.seq < position and not any(Version.of(one).same_as(other) for other in others)
    ]


def _position(ours: Deployment, history: Sequence[Deployment]) -> int:
    """Return the place of a deployment's version in the history; of a rollback, its target's."""
    return next((one.seq for one in history if one.id == ours.target), ours.seq)


def looked_well(one: Deployment, history: Sequence[Deployment]) -> bool:
    """Return whether a version was found to work, when it was made or when it was gone back to."""
    return _judged(one, history, Verdict.VERIFIED, Verdict.HEALTHY)


def _judged(one: Deployment, history: Sequence[Deployment], *verdicts: Verdict) -> bool:
    again = [other for other in history if other.target == one.id and other.app_id == one.app_id]
    return any(each.verdict in verdicts for each in (one, *again))


def way_back(
    app: App,
    to: Deployment,
    kept: Mapping[str, str | None],
    history: Sequence[Deployment] = (),
    served: Version | None = None,
) -> WayBack:
    """Return how to go back to a version.

    Args:
        to: the deployment that made it.
        kept: what the backend still has of its deployments: its ids, each with the point that it
            can restore, or None.
        history: an app's deployments, newest first, of which a refusal names those that are kept.
        served: the version that is served, which it does not name.

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
    raise Rejected(_closed(app, to, kept, history, served))


def _closed(
    app: App,
    to: Deployment,
    kept: Mapping[str, str | None],
    history: Sequence[Deployment],
    served: Version | None,
) -> str:
    """Return why there is no way back, and what to do, or to switch on for the next time."""
    what = version_of(to)
    pinned = (
        f"pin the app (`dokploy-bridge pin {app.label}`): then an earlier commit can be built again"
    )
    if app.kind is AppKind.COMPOSE:
        return f"{app.label} is a compose stack, of which the backend keeps no earlier version"
    if any(kept.values()):
        others = _others_kept(kept, history, served)
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


def _others_kept(
    kept: Mapping[str, str | None], history: Sequence[Deployment], served: Version | None
) -> list[str]:
    """Return the healthy versions that can be restored besides the served one, newest first."""
    found = [
        version_of(one)
        for one in history
        if one.state is State.DONE and one.action is not Action.ROLLBACK
        if kept.get(one.backend_id or "") and not (served and Version.of(one).same_as(served))
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
    first = Version.of(found[0])
    others = [one for one in found if not Version.of(one).same_as(first)]
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
