"""Ways back: which earlier version to return to, and how. Pure.

Backends differ in what they keep, so the ways are tried from the exact to the costly one: what the
backend has kept of the earlier build; for an image, the earlier image; for a pinned app, the
earlier commit built again. If none is open, say what to switch on.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from bridge.core.apps import App, AppKind, SourceType
from bridge.core.errors import NotFound, Rejected
from bridge.core.events import Action
from bridge.core.lifecycle import Deployment, State, Verdict
from bridge.core.pins import pin_of


class Rung(StrEnum):
    """How an earlier version is brought back."""

    KEPT = "kept"  # the backend serves what it built then
    IMAGE = "image"  # the earlier image is deployed again
    PIN = "pin"  # the earlier commit is built again


class Kept(Protocol):
    """A backend's record of a deployment; see `ports.backends.BackendDeployment`."""

    @property
    def id(self) -> str: ...
    @property
    def commit(self) -> str | None: ...
    @property
    def restores(self) -> str | None: ...


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
    def how(self) -> str:
        match self.rung:
            case Rung.KEPT:
                return "serve again what was built then, without a build"
            case Rung.IMAGE:
                return "deploy that image again"
            case Rung.PIN:
                return "build that commit again, from the pinned branch"

    @property
    def says(self) -> str:
        """Which version comes back, and how."""
        return f"{version_of(self.to)}: {self.how}"

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
    return str(Version.of(deployment))


@dataclass(frozen=True, slots=True)
class Version:
    """A version that an app serves.

    Attributes:
        id: of the deployment or the record that brought it, which tells versions apart where
            neither commit nor image is known.
        ours: our deployment that brought it; None if somebody else did.
        built: the ids of the images that it runs, which tell two builds of the same name apart; ()
            if they are not known.
    """

    commit: str | None
    image: str | None
    id: str
    ours: Deployment | None = None
    built: tuple[str, ...] = ()

    @classmethod
    def of(cls, deployment: Deployment) -> "Version":
        """Return the version that one of our deployments has brought."""
        images = deployment.images or ()
        return cls(deployment.deployed_commit, deployment.image, deployment.id, deployment, images)

    @property
    def named(self) -> bool:
        """Return whether it has a name that outlives the deployment: a commit or an image."""
        return bool(self.commit or self.image)

    def __str__(self) -> str:
        unnamed = f"deployment #{self.ours.seq}" if self.ours is not None else "an unknown version"
        return (self.commit or "")[:7] or self.image or unnamed

    def same_as(self, other: "Version") -> bool:
        """Return whether both are the same build, or, where that is not known, of the same name."""
        if self.made_by == other.made_by:
            return True
        if self.built and other.built:
            return not set(self.built).isdisjoint(other.built)
        return self.named_as(other)

    def named_as(self, other: "Version") -> bool:
        """Return whether both are of the same commit, or else of the same image's name."""
        if self.commit is not None or other.commit is not None:
            return self.commit == other.commit
        if self.image is not None or other.image is not None:
            return self.image == other.image
        return self.made_by == other.made_by

    @property
    def made_by(self) -> str:
        """The id of what made it; a rollback makes none of its own."""
        one = self.ours
        back = one is not None and one.action is Action.ROLLBACK
        return (one.target or self.id) if one is not None and back else self.id


def targets_of(
    history: Sequence[Deployment],
    served: Version | None,
    wanted: str | None = None,
    *,
    verified_only: bool = False,
) -> list[Deployment]:
    """Return the deployments to whose versions to go back, the best one first; at least one.

    By default the verified versions that were served before the one that is, the last one first;
    then those that looked healthy, then those that nothing is known against. A rollback does not
    count as a version of its own: a second one goes further back.

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
    if wanted is not None:
        return _not_served(_named(history, wanted), served)
    candidates = _candidates(_turns(history), served)
    verified = [one for one in candidates if _judged(one, history, Verdict.VERIFIED)]
    well = [one for one in candidates if looked_well(one, history)]
    found = {one.id: one for one in (*verified, *well, *(() if verified_only else candidates))}
    if not found:
        which = "verified" if verified_only else "healthy"
        before = f" before {served}" if served is not None else ""
        raise NotFound(f"no {which} version{before} is known, so there is nothing to go back to")
    return list(found.values())


def default_target(
    app: App, history: Sequence[Deployment], served: Version | None
) -> Deployment | None:
    """Return the deployment to whose version to go back by default; None if none is known."""
    if app.kind is AppKind.COMPOSE and pin_of(app) is None:
        return None  # no backend keeps a stack's earlier version
    try:
        return targets_of(history, served)[0]
    except NotFound:
        return None


def _not_served(found: Sequence[Deployment], served: Version | None) -> list[Deployment]:
    """Return what was named, which has one name; raise Rejected if that is served already."""
    others = [one for one in found if served is None or not Version.of(one).same_as(served)]
    if len(others) == len(found):
        return others
    named = "; name an earlier build of it by its number: " if others else ""
    numbers = ", ".join(f"#{one.seq}" for one in others[:MOST_OTHERS])
    raise Rejected(f"{version_of(found[0])} is what is served already{named}{numbers}")


@dataclass(frozen=True, slots=True)
class _Turn:
    """A time in which a version was served.

    Attributes:
        by: what brought it up.
        made: what had made it; of a rollback, the deployment to which that went back.
        left: whether a person has gone back from it to an earlier version.
    """

    by: Deployment
    made: Deployment
    version: Version
    left: bool

    @property
    def says(self) -> bool | None:
        """Return whether it showed that the version works; None if it showed nothing."""
        if self.by.state in (State.UNHEALTHY, State.VERIFYING):
            return False
        return True if self.by.verdict is Verdict.VERIFIED else None


def _turns(history: Sequence[Deployment]) -> list[_Turn]:
    """Return what an app has served in turn, the last first."""
    by_id = {one.id: one for one in history}
    lived = [one for one in history if one.served]
    lived.sort(key=lambda one: (one.live_at or 0.0, one.seq), reverse=True)
    turns: list[_Turn] = []
    after: Deployment | None = None
    for by in lived:
        made = by_id.get(by.target or "", by) if by.action is Action.ROLLBACK else by
        left = after is not None and _leads_away(after, made)
        turns.append(_Turn(by, made, Version.of(made), left))
        after = by
    return turns


def _leads_away(after: Deployment, made: Deployment) -> bool:
    """Return whether a person's rollback has led from a version to one that was made earlier."""
    back = after.action is Action.ROLLBACK and after.back_from is None and after.target is not None
    return back and (after.target or "") < made.id


def _candidates(turns: Sequence[_Turn], served: Version | None) -> list[Deployment]:
    """Return the versions served before the one that is and not known to be bad, the last first."""
    ours = served.ours if served is not None else None
    began = next((n for n, one in enumerate(turns) if ours and one.by.id == ours.id), -1)
    return [
        one.made
        for one in turns[began + 1 :]
        if one.made.state is State.DONE and one.made.action is not Action.ROLLBACK
        if served is None or not one.version.same_as(served)
        if not _is_bad(one.version, turns)
    ]


def _is_bad(version: Version, turns: Sequence[_Turn]) -> bool:
    """Return whether a person has left a version, or it was unhealthy and not verified since."""
    own = [one for one in turns if one.version.same_as(version)]
    shown = next((one.says for one in own if one.says is not None), True)
    return own[0].left or not shown


def looked_well(one: Deployment, history: Sequence[Deployment]) -> bool:
    """Return whether a version was found to work, when it was made or when it was gone back to."""
    return _judged(one, history, Verdict.VERIFIED, Verdict.HEALTHY)


def _judged(one: Deployment, history: Sequence[Deployment], *verdicts: Verdict) -> bool:
    again = [other for other in history if other.target == one.id and other.app_id == one.app_id]
    return any(each.verdict in verdicts for each in (one, *again))


def first_way_back(
    app: App,
    targets: Sequence[Deployment],
    records: Sequence[Kept],
    history: Sequence[Deployment],
    served: Version | None,
    fits: Callable[[Deployment], None] = lambda _to: None,
) -> WayBack:
    """Return how to go back to the first of some versions that fits, and to which there is a way.

    Args:
        fits: raises Rejected for a version that does not.

    Raises:
        Rejected: there is none; the message tells why not to the first, and what to switch on.
    """
    refusals = []
    for to in targets:
        try:
            way = way_back(app, to, records, history, served)
            fits(to)
        except Rejected as error:
            refusals.append(error)
        else:
            return way
    raise refusals[0]


def way_back(
    app: App,
    to: Deployment,
    records: Sequence[Kept],
    history: Sequence[Deployment] = (),
    served: Version | None = None,
) -> WayBack:
    """Return how to go back to a version.

    Args:
        to: the deployment that made it.
        records: what the backend still has of its deployments.
        history: an app's deployments, newest first, of which a refusal names those that are kept.
        served: the version that is served, which it does not name.

    Raises:
        Rejected: there is no way; the message says what to switch on.
    """
    record = _record_of(to, records)
    if record is not None and record.restores is not None:
        return WayBack(Rung.KEPT, to, point=record.restores)
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
    raise Rejected(_closed(app, to, records, history, served))


def _record_of(one: Deployment, records: Sequence[Kept]) -> Kept | None:
    """Return the record of what a deployment brought up; None if there is none.

    Where the backend did not say which record was its own, that is the only one of its commit.
    """
    if one.backend_id is not None:
        return next((record for record in records if record.id == one.backend_id), None)
    same = [record for record in records if record.commit == one.deployed_commit]
    return same[0] if len(same) == 1 and one.deployed_commit is not None else None


def _closed(
    app: App,
    to: Deployment,
    records: Sequence[Kept],
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
    if any(one.restores for one in records):
        others = _others_kept(records, history, served)
        named = f"; name one that is kept: {', '.join(others)}" if others else ""
        return f"the backend has kept newer builds, and not that of {what}{named}. Or {pinned}"
    if _record_of(to, records) is None:
        return f"the backend has no record of {what} any more, so it can't restore it"
    return (
        f"the backend has not kept what it built of {what}: switch on rollbacks for the app"
        f" in {app.backend}, with a registry if it wants one; it keeps what is built from then on."
        f" Or {pinned}"
    )


MOST_OTHERS = 5
"""How many versions a refusal names instead."""


def _others_kept(
    records: Sequence[Kept], history: Sequence[Deployment], served: Version | None
) -> list[str]:
    """Return the healthy versions that can be restored besides the served one, newest first."""
    found = [
        version_of(one) if version_of(one) != str(served) else f"#{one.seq}"
        for one in history
        if one.state is State.DONE and one.action is not Action.ROLLBACK
        if (record := _record_of(one, records)) is not None and record.restores
        if not (served and Version.of(one).same_as(served))
    ]
    return list(dict.fromkeys(found))[:MOST_OTHERS]


def _named(history: Sequence[Deployment], wanted: str) -> list[Deployment]:
    """Return the healthy deployments that are meant, newest first; all have made one version.

    A rollback means the one that it went back to.
    """
    meant = [one for one in history if _is_meant(one, wanted)]
    names = {one.id for one in meant} | {one.target for one in meant if one.state is State.DONE}
    made = [one for one in history if one.state is State.DONE and one.action is not Action.ROLLBACK]
    found = [one for one in made if one.id in names]
    if not found:
        raise NotFound(_unnamed(history[0].app, meant, wanted))
    first = Version.of(found[0])
    others = [one for one in found if not Version.of(one).named_as(first)]
    if others:
        both = " and ".join(f"#{one.seq} ({version_of(one)})" for one in (found[0], others[0]))
        raise Rejected(
            f"{wanted!r} means the deployments {both}: name one of them, e.g. #{found[0].seq}"
        )
    return found


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
