"""One look at what an app serves: at its address, at its containers, and which version they run.

What could not be looked at is never called unhealthy, and nothing is proven by what is not shown.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from bridge.core.apps import App
from bridge.core.errors import BridgeError
from bridge.core.failure import LOG_LINES
from bridge.core.health.containers import (
    Proof,
    built_image,
    judge_containers,
    judge_images,
    owner,
    still_runs,
    were_kept,
)
from bridge.core.health.rollback import Rung
from bridge.core.health.verdict import OUTPUT_LINES, Sighting, evidence_of
from bridge.core.lifecycle import Deployment, Evidence
from bridge.core.log_text import shorten
from bridge.core.masking import redact
from bridge.core.policies import VerifyPolicy, statuses_text
from bridge.pipeline.deploying.built import UNREAD
from bridge.pipeline.deploying.outcome import Ending
from bridge.pipeline.deploying.serving import FAR_BACK
from bridge.ports.backends import Backend, ReachesSites, ShowsContainers, ShowsImages, mask_for
from bridge.ports.clock import Clock
from bridge.ports.deployments import Deployments
from bridge.ports.probes import Answer, Probes, Silent, Unprobed

log = logging.getLogger(__name__)

LATELY = 60.0
"""Seconds for which an address's last answer, or silence, tells whether anything answers."""


@dataclass(frozen=True, slots=True)
class Symptoms:
    """Why an app is unhealthy, in one line, and all that was seen of it."""

    why: str
    seen: str


@dataclass(frozen=True, slots=True)
class Verifier:
    """Looks at deployments.

    Attributes:
        probes: asks the addresses of apps; None asks none.
        heard: when each host was asked last, and whether it answered.
    """

    probes: Probes | None
    ending: Ending
    clock: Clock
    heard: dict[str, tuple[float, bool]] = field(default_factory=dict, kw_only=True)

    def hears_nothing(self) -> bool:
        """Return whether none of several hosts has answered lately; the fault may be our own."""
        now = self.clock()
        lately = [answered for at, answered in self.heard.values() if now - at < LATELY]
        return len(lately) > 1 and not any(lately)

    async def look(self, deployment: Deployment, app: App, policy: VerifyPolicy) -> Sighting:
        """Look at its address and its containers; one that is unhealthy decides."""
        page = await self._ask(deployment, app, policy)
        answers = page is not None and page.healthy is True
        looks = [page, await self._count(deployment, app, policy, answers=answers)]
        seen = [one for one in looks if one is not None]
        bad = [one for one in seen if one.healthy is False]
        well = [one for one in seen if one.healthy]
        return next(
            iter(bad + well + seen),
            Sighting(
                None,
                "there is nothing to look at: "
                "the app has no address, and its backend shows no containers",
            ),
        )

    async def _ask(self, deployment: Deployment, app: App, policy: VerifyPolicy) -> Sighting | None:
        if self.probes is None:
            return None
        try:
            url = await self._address(app, policy)
        except BridgeError as error:
            return Sighting(None, f"its address can't be read: {error}")
        if url is None:
            return None
        wanted = policy.wanted(deployment.deployed_commit)
        asked = f"GET {_without_secrets(url)}"
        try:
            answer = await self.probes.get(url, body=wanted is not None)
        except Unprobed as error:
            return Sighting(None, f"{asked}: {error}")
        except Silent as error:
            self.heard[urlsplit(url).netloc] = self.clock(), False
            return Sighting(False, f"{asked}: {error}")
        self.heard[urlsplit(url).netloc] = self.clock(), True
        return _judge_answer(policy, wanted, asked, answer)

    async def _address(self, app: App, policy: VerifyPolicy) -> str | None:
        """Return what to ask; a path is one below the app's own address, if that is known."""
        if not policy.url.startswith("/"):
            return policy.url
        own = app.url
        if own is None and isinstance(backend := self.ending.backend(app), ReachesSites):
            own = await backend.local_url(app)
        return None if own is None else own.rstrip("/") + policy.url

    async def _count(
        self, deployment: Deployment, app: App, policy: VerifyPolicy, *, answers: bool
    ) -> Sighting | None:
        """Judge its containers; if its page answers and none runs here, it runs on another node."""
        try:
            backend = self.ending.backend(app)
            if not policy.containers or not isinstance(backend, ShowsContainers):
                return None
            containers = await backend.containers(app)
        except BridgeError as error:
            return Sighting(None, f"its containers can't be read: {error}")
        if containers is None:
            return None
        if answers and not any(one.state == "running" for one in containers):
            return None
        began = deployment.started_at or deployment.created_at
        return Sighting(*judge_containers(containers, self.clock() - began))

    async def evidence(self, app: App, why: str, body: str) -> Symptoms:
        """Return why it is unhealthy, and what was seen, without the values of its variables."""
        try:
            mask = await mask_for(self.ending.backend(app), app)
        except BridgeError as error:
            words = (
                f"{redact(why)}; what it answered is not shown: its variables {UNREAD} ({error})"
            )
            return Symptoms(words, words)
        output = await self._output(app)
        # In threads, because no output of an app may block the event loop.
        why = await asyncio.to_thread(redact, why, mask)
        return Symptoms(why, await asyncio.to_thread(evidence_of, why, body, output, mask))

    async def _output(self, app: App) -> str:
        """Return the last lines that its container printed; "" if they can't be read."""
        try:
            backend = self.ending.backend(app)
            if not isinstance(backend, ShowsContainers):
                return ""
            return await backend.output(app, OUTPUT_LINES)
        except BridgeError:  # there is evidence without it
            return ""


def _judge_answer(policy: VerifyPolicy, wanted: str | None, asked: str, answer: Answer) -> Sighting:
    came = f"{asked}: {answer.status} {shorten(redact(answer.reason), 60)}".strip()
    if not any(low <= answer.status <= high for low, high in policy.status):
        came += f", expected {statuses_text(policy.status)}"
        if answer.leads_to is not None:
            host = shorten(answer.leads_to, 100)
            came += f"; it redirects to {host}, and redirects to other hosts are not followed"
        return Sighting(False, came, answer.body)
    if wanted is None or wanted in answer.body:
        return Sighting(True, came)
    without = f"{came}, without the text {shorten(wanted, 60)!r}"
    if answer.cut:
        return Sighting(None, f"{without} at its beginning, and more of it is not read")
    return Sighting(False, without, answer.body)


def _without_secrets(url: str) -> str:
    """Return an address without its login and query, which may be secret."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


# ── which version runs, by the images of its containers ───────────────────────────────────────────

HIDDEN = "the backend does not show which image runs"
UNNAMED = "it is not known which image it has built"
ANOTHER = "another image runs than the one it has built, or beside it"


@dataclass(frozen=True, slots=True)
class Finding:
    """What the images show of a deployment.

    Attributes:
        images: its own images, as far as they are known; never those of another one.
        runs: the images that the app runs.
        before: the deployment of which the image runs instead; None if that is not known.
        still: whether that one runs because nothing has replaced it.
        asked: whether the backend shows images at all.
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

    journal: Deployments
    ending: Ending

    async def look(self, deployment: Deployment, app: App) -> Finding:
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
