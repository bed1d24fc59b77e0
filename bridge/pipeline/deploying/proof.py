"""Prove by the images of an app's containers which version runs, where the backend shows them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from bridge.core.apps import App
from bridge.core.errors import BridgeError
from bridge.core.failure import LOG_LINES
from bridge.core.health.containers import were_kept
from bridge.core.health.images import Proof, built_image, judge_images, owner, still_runs
from bridge.core.health.rollback import Rung
from bridge.core.lifecycle import Deployment, Evidence
from bridge.pipeline.deploying.outcome import Ending
from bridge.pipeline.deploying.serving import FAR_BACK
from bridge.ports.backends import Backend, ShowsContainers, ShowsImages
from bridge.ports.journal import Journal

HIDDEN = "the backend does not show which image runs"
UNNAMED = "it is not known which image it has built"
ANOTHER = "another image runs than the one it has built, or beside it"


@dataclass(frozen=True, slots=True)
class Finding:
    """What the images show of a deployment.

    Attributes:
        why: why it is not proven, for people.
        images: its own images, as far as they are known; never those of another one.
        runs: the images that the app runs.
        before: the deployment of which the image runs instead; None if that is not known.
        still: whether that one runs because nothing has replaced it.
        asked: whether the backend shows images at all.
        at: when they were read.
    """

    proof: Proof
    why: str = HIDDEN
    images: tuple[str, ...] = ()
    runs: tuple[str, ...] = ()
    before: Deployment | None = None
    still: bool = True
    asked: bool = True
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class Prover:
    """Looks at what runs, and compares it with what deployments have built."""

    journal: Journal
    ending: Ending

    async def look(self, deployment: Deployment, app: App) -> Finding:
        """Return what the images show now."""
        at = self.ending.clock()
        try:
            backend = self.ending.backend(app)
            if not isinstance(backend, ShowsImages):
                return Finding(Proof.UNTOLD, asked=False)
            if not (now := await backend.images(app)):
                return Finding(Proof.UNTOLD)
            built = await self._built(backend, deployment, app, now)
            kept = not built and await self._was_kept(backend, deployment, app)
        except BridgeError as error:
            return Finding(Proof.PENDING, str(error))
        history = await self.journal.deployments(limit=FAR_BACK, app_id=app.id, lived=True)
        return replace(_compared(deployment, now, built, history, kept=kept), at=at)

    async def _was_kept(self, backend: Backend, deployment: Deployment, app: App) -> bool:
        """Return whether what runs is older than the deployment; a log may name no image."""
        if not isinstance(backend, ShowsContainers):
            return False
        containers = await backend.containers(app)
        began = deployment.started_at or deployment.created_at
        return were_kept(containers or (), self.ending.clock() - began)

    async def _built(
        self, backend: Backend, deployment: Deployment, app: App, now: Sequence[str]
    ) -> tuple[str, ...]:
        """Return the ids of the images that a deployment has built, or goes back to; () if unknown.

        A site that runs in no container is called like its record.

        Raises:
            BridgeError: the backend can't be asked.
        """
        if deployment.evidence is Evidence.IMAGE and deployment.images:
            return deployment.images
        site, of = not any(one.startswith("sha256:") for one in now), deployment.backend_id
        if deployment.way == Rung.KEPT:
            to = await self.journal.deployment(deployment.target or "")
            if to is None or not site:
                return to.images or () if to is not None else ()
            of = to.backend_id
        if site:
            return (of,) if of is not None else ()
        records = await backend.deployments(app)
        record = next((one for one in records if one.id == of), None)
        image = record and built_image(await backend.log_tail(record, LOG_LINES))
        return (image,) if image else ()


def _compared(
    deployment: Deployment,
    now: tuple[str, ...],
    built: tuple[str, ...],
    history: Sequence[Deployment],
    *,
    kept: bool,
) -> Finding:
    """Return what the images that run show of a deployment."""
    others = [one for one in history if one.id != deployment.id]
    lived = [one for one in others if (one.live_at or 0.0) < (deployment.live_at or 0.0)]
    before = max(lived, key=lambda one: one.live_at or 0.0, default=None)
    earlier = before.images or () if before is not None else ()
    known = {image for one in others for image in one.images or ()}
    proof = judge_images(now, built, known, earlier, kept=kept)
    own = built
    if proof is Proof.PENDING and set(built).isdisjoint(now):
        own = ()  # an unknown one runs, so this one may never have
    elif not built and proof in (Proof.PROVEN, Proof.UNTOLD):
        own = now if known.isdisjoint({*now} - {*earlier}) else ()
    why = UNNAMED if proof is Proof.UNTOLD else ANOTHER
    instead = owner(now, others) if proof is Proof.OLD else None
    still = instead is None or still_runs(instead, deployment, others)
    return Finding(proof, why, own, now, instead, still)
