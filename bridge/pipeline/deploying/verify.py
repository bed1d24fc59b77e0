"""One look at what an app serves: at its address, and at its containers.

What could not be looked at is never called unhealthy.
"""

import asyncio
import logging
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from bridge.core.apps import App
from bridge.core.errors import BridgeError
from bridge.core.health.containers import judge_containers
from bridge.core.health.verdict import OUTPUT_LINES, Sighting, evidence_of
from bridge.core.lifecycle import Deployment
from bridge.core.log_text import shorten
from bridge.core.masking import Mask, redact
from bridge.core.policies import VerifyPolicy, statuses_text
from bridge.pipeline.deploying.build_log import UNREAD
from bridge.pipeline.deploying.outcome import Ending
from bridge.ports.backends import ReachesSites, ShowsContainers, mask_for
from bridge.ports.clock import Clock
from bridge.ports.probes import Answer, Probes, Silent, Unprobed

log = logging.getLogger(__name__)

LATELY = 60.0
"""Seconds for which an address's last answer, or silence, tells whether anything answers."""


@dataclass(frozen=True, slots=True)
class Evidence:
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

    async def evidence(self, app: App, why: str, body: str) -> Evidence:
        """Return why it is unhealthy, and what was seen, without the values of its variables."""
        try:
            mask = await mask_for(self.ending.backend(app), app)
        except BridgeError as error:
            words = (
                f"{redact(why)}; what it answered is not shown: its variables {UNREAD} ({error})"
            )
            return Evidence(words, words)
        output = await self._output(app)
        # In a thread, because no output of an app may block the event loop.
        return await asyncio.to_thread(_evidence, why, body, output, mask)

    async def _output(self, app: App) -> str:
        """Return the last lines that its container printed; "" if they can't be read."""
        try:
            backend = self.ending.backend(app)
            if not isinstance(backend, ShowsContainers):
                return ""
            return await backend.output(app, OUTPUT_LINES)
        except BridgeError:  # there is evidence without it
            return ""


def _evidence(why: str, body: str, output: str, mask: Mask) -> Evidence:
    why = redact(why, mask)
    return Evidence(why, evidence_of(why, body, output, mask))


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
