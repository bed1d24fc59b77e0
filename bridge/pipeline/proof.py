"""Prove by the images of an app's containers which version runs, where the backend shows them."""

from collections.abc import Sequence
from dataclasses import dataclass

from bridge.core.apps import App
from bridge.core.errors import BridgeError
from bridge.core.failure import LOG_LINES
from bridge.core.health.containers import were_kept
from bridge.core.health.images import Proof, built_image, judge_images
from bridge.core.health.rollback import Rung
from bridge.core.lifecycle import Deployment
from bridge.pipeline.outcome import Ending
from bridge.ports.backends import Backend, ShowsContainers, ShowsImages
from bridge.ports.journal import Journal


@dataclass(frozen=True, slots=True)
class Finding:
    """What the images show of a deployment.

    Attributes:
        images: those that the app runs; () if they are not known.
        before: the deployment whose version still runs; None if that is not known.
        asked: whether the backend shows images at all.
    """

    proof: Proof
    images: tuple[str, ...] = ()
    before: Deployment | None = None
    asked: bool = True


@dataclass(frozen=True, slots=True)
class Prover:
    """Looks at what runs, and compares it with what deployments have built."""

    journal: Journal
    ending: Ending

    async def look(self, deployment: Deployment, app: App) -> Finding:
        """Return what the images show now; what can't be read shows nothing."""
        try:
            backend = self.ending.backend(app)
            if not isinstance(backend, ShowsImages):
                return Finding(Proof.UNTOLD, asked=False)
            now = await backend.images(app)
            if not now:
                return Finding(Proof.UNTOLD)
            made = await self._made(backend, deployment, app)
        except BridgeError:
            return Finding(Proof.UNTOLD)
        serving = (await self.journal.serving([app])).get(app.id)
        before = serving.before if serving is not None else None
        earlier = (before.images if before is not None else None) or ()
        proof = judge_images(now, earlier, next((one for one in made if one in now), made[-1]))
        same = not set(now).isdisjoint(earlier)
        if same and proof is Proof.UNTOLD and await self._was_kept(backend, deployment, app):
            proof = Proof.OLD
        return Finding(proof, now, before if same and proof is Proof.OLD else None)

    async def _was_kept(self, backend: Backend, deployment: Deployment, app: App) -> bool:
        """Return whether what runs is older than the deployment; a log may name no image."""
        if not isinstance(backend, ShowsContainers):
            return False
        try:
            containers = await backend.containers(app)
        except BridgeError:
            return False
        began = deployment.started_at or deployment.created_at
        return were_kept(containers or (), self.ending.clock() - began)

    async def _made(
        self, backend: Backend, deployment: Deployment, app: App
    ) -> Sequence[str | None]:
        """Return what the image of a deployment may be called; the last may not be known.

        A site that runs in no container is called like its record.

        Raises:
            BridgeError: the backend can't be asked.
        """
        if deployment.way == Rung.KEPT:
            to = await self.journal.deployment(deployment.target or "")
            return (None,) if to is None else (to.backend_id, *(to.images or (None,)))
        records = await backend.deployments(app)
        record = next((one for one in records if one.id == deployment.backend_id), None)
        if record is None:
            return (None,)
        return (record.id, built_image(await backend.log_tail(record, LOG_LINES)))
