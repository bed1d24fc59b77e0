"""Promote: bring the version that runs in one app to another, e.g. to production. Pure.

An image is deployed as it is. A commit is built again for the other app, with that one's own
environment; only a pinned app can build exactly that commit.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from bridge.core.apps import App, Source, SourceType
from bridge.core.errors import NotFound, Rejected
from bridge.core.events import Action
from bridge.core.gates.gates import will_hold
from bridge.core.health.rollback import Rung, Version, version_of
from bridge.core.health.serving import Serving, Works
from bridge.core.holds import Hold
from bridge.core.lifecycle import Deployment, State
from bridge.core.pins import pin_of
from bridge.core.words import many

MOST_NEWS = 50
"""The most pushes that are listed as new."""

_MOVING = ("latest", "stable", "main", "master", "edge", "nightly", "dev")
"""Tags of images that usually move."""


@dataclass(frozen=True, slots=True)
class Promotion:
    """A promotion that can be asked for.

    Attributes:
        from_: the app whose version is promoted; to: the app that gets it.
        version: the deployment that made that version there.
        rung: an image is deployed, or a commit is built again.
        served: what the second app has; None if that is not known.
        news: what the first app has deployed since the version that the second one has, newest
            first; None if the second one's version was never deployed in the first.
        holds: the locks and freezes that would hold it now.
    """

    from_: App
    to: App
    version: Deployment
    rung: Rung
    served: Version | None
    news: tuple[Deployment, ...] | None
    holds: tuple[Hold, ...] = ()

    @property
    def says(self) -> str:
        """The plan for people, in one sentence."""
        what = version_of(self.version)
        if self.rung is Rung.IMAGE:
            return f"deploy {what} to {self.to.label}, as it runs in {self.from_.label}"
        return f"build {what} again for {self.to.label}, as it was built for {self.from_.label}"

    @property
    def warns(self) -> tuple[str, ...]:
        """Warnings to read beforehand, each a sentence."""
        return (*will_hold(self.holds), *self._wanted, *self._of_its_version)

    @property
    def _wanted(self) -> tuple[str, ...]:
        """Return a sentence for each thing that checks, approvals and order require."""
        rules, wanted = self.to.rules, []
        if rules.checks is not None:
            wanted.append("green checks")
        if rules.approvals:
            wanted.append(many(rules.approvals, "approval"))
        if rules.after:
            wanted.append(f"that it is live in {' and '.join(rules.after)}")
        if not wanted:
            return ()
        return (f"{self.to.label} requires for {version_of(self.version)}: {', '.join(wanted)}",)

    @property
    def _of_its_version(self) -> tuple[str, ...]:
        kept = f"environment and volumes of {self.to.label} stay its own"
        if self.rung is Rung.PIN:
            return (f"it is a rebuild, so what the build fetches may differ; {kept}",)
        tag = (self.version.image or "").rpartition("/")[2].partition(":")[2]
        if "@" in (self.version.image or ""):
            return (kept,)
        if not tag or tag in _MOVING:
            moves = "the image's tag may have moved since: a digest would name exactly one image"
            return (moves, kept)
        return (kept,)


def promotion_of(
    from_: App, to: App, there: Serving | None, here: Serving | None, history: Sequence[Deployment]
) -> Promotion:
    """Return how to promote what one app runs to another.

    Args:
        there, here: what the first and the second app serve.
        history: the deployments of the first app, newest first.

    Raises:
        NotFound: nothing is known to run in the first app.
        Rejected: it is unhealthy or stopped there, or it can't be brought to the second one; the
            message says what to change.
    """
    if from_.id == to.id:
        raise Rejected(f"{to.label} can't be promoted from itself: name two apps")
    version = _promoted(from_, there)
    rung = _rung(from_, to, version)
    served = here.version_served if here is not None else None
    if served is not None and str(served) == version_of(version):
        raise Rejected(f"{to.label} runs {version_of(version)} already")
    return Promotion(from_, to, version, rung, served, _news(history, version, served))


def _promoted(from_: App, there: Serving | None) -> Deployment:
    """Return the deployment whose version the first app serves."""
    if there is None:
        raise NotFound(f"nothing of {from_.label} is known to run, so there is nothing to promote")
    if not there.known:
        raise Rejected(
            f"what runs in {from_.label} is not known: the outcome of a newer deployment is unknown"
        )
    if there.ours is None:
        raise Rejected(
            f"what runs in {from_.label} was not deployed by the bridge ({there.notes[0]}): deploy"
            " it from here first"
        )
    if there.stopped:
        raise Rejected(f"{from_.label} is {there.stopped}, so nothing runs there: start it first")
    if there.works in (Works.UNHEALTHY, Works.VERIFYING):
        raise Rejected(f"{version_of(there.ours)} is {there.works} in {from_.label}")
    return there.ours


def _rung(from_: App, to: App, version: Deployment) -> Rung:
    if from_.source is None or to.source is None:
        raise Rejected(f"{(to if to.source is None else from_).label} has no source")
    docker = [
        one.source is not None and one.source.type is SourceType.DOCKER for one in (from_, to)
    ]
    if all(docker):
        if version.image is None:
            raise Rejected(f"the image that runs in {from_.label} is not known")
        if _name_of(version.image) != _name_of(to.source.image or ""):
            raise Rejected(
                f"{to.label} runs images of {_name_of(to.source.image or '') or 'no name'}, not of"
                f" {_name_of(version.image)}"
            )
        return Rung.IMAGE
    if any(docker):
        raise Rejected(f"{from_.label} and {to.label} have sources of different kinds")
    if not _same_repository(from_.source, to.source):
        raise Rejected(f"{from_.label} and {to.label} are built from different repositories")
    if version.deployed_commit is None:
        raise Rejected(f"the commit that runs in {from_.label} is not known")
    if pin_of(to) is None:
        raise Rejected(
            f"{to.backend} builds the head of {to.label}'s branch, whatever that is then: run"
            f" `dokploy-bridge pin {to.label}` once, and exactly that commit can be built"
        )
    return Rung.PIN


def _news(
    there: Sequence[Deployment], version: Deployment, served: Version | None
) -> tuple[Deployment, ...] | None:
    """Return what was deployed there after the version that the other app has."""
    made = next((one for one in there if one.id == version.target), version)  # by a rollback
    found: list[Deployment] = []
    for one in there:
        if served is not None and version_of(one) == str(served) and one.state is State.DONE:
            return tuple(found)
        new = one.state is State.DONE and one.action is not Action.ROLLBACK
        if new and one.seq <= made.seq and len(found) < MOST_NEWS:
            found.append(one)
    return None


def _name_of(image: str) -> str:
    """Return an image's name without tag and digest."""
    name = image.partition("@")[0]
    head, slash, last = name.rpartition("/")
    return f"{head}{slash}{last.partition(':')[0]}"


def _same_repository(one: Source, other: Source) -> bool:
    if one.type is not other.type:
        return one.url is not None and one.url == other.url
    return (one.repository, one.url) == (other.repository, other.url)
