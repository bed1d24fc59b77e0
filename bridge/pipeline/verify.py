"""Step 4: verify what the backend calls done, where an app's rules ask for it.

Look at the app's address and its containers until they are healthy, or the time is over. What could
not be looked at is never called unhealthy.
"""

import asyncio
import logging
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from bridge.core.apps import App
from bridge.core.backoff import Backoff
from bridge.core.errors import BridgeError, Unanswered, Unreachable
from bridge.core.events import Action
from bridge.core.gates.gates import Facts, open_gates
from bridge.core.gates.holds import Gate
from bridge.core.gates.locks import scopes_of
from bridge.core.health.containers import judge_containers
from bridge.core.health.policy import VerifyPolicy, statuses_text
from bridge.core.health.rollback import Rung
from bridge.core.health.verdict import Health, Sighting, Tally, judge_health
from bridge.core.lifecycle import VERIFIED, Deployment, State
from bridge.core.log_text import lines_of, redact, shorten
from bridge.pipeline.auto_rollback import GOES_BACK, GoingBack
from bridge.pipeline.outcome import Ending
from bridge.ports.backends import ReachesSites, ShowsContainers
from bridge.ports.clock import Clock, Sleep
from bridge.ports.journal import Journal
from bridge.ports.probes import Answer, Probes, Silent, Unprobed

log = logging.getLogger(__name__)

ANY_ANSWER = VerifyPolicy(status=((200, 499),))
"""How a rollback of an app without a rule of its own is verified."""

LATELY = 20
"""How many of an app's newest deployments are looked at for one that waits."""

AGAIN = Backoff(2.0, 60.0)
"""Pauses while the backend is away before an announced rollback can be asked for."""

OUTPUT_LINES = 20
"""Lines of a container's output that are shown."""


@dataclass(frozen=True, slots=True)
class Verifier:
    """Verifies deployments.

    Attributes:
        going_back: rolls back by itself where rules say so.
    """

    probes: Probes | None
    journal: Journal
    ending: Ending
    clock: Clock
    going_back: GoingBack | None = field(default=None, kw_only=True)
    sleep: Sleep = field(default=asyncio.sleep, kw_only=True)

    async def verify(self, id_: str) -> None:
        """Verify a deployment if that is its state; return when it has ended."""
        deployment = await self.journal.deployment(id_)
        if deployment is None or deployment.state not in (State.VERIFYING, State.UNHEALTHY):
            return None
        app = await self.ending.app(deployment.app_id)
        if deployment.state is State.UNHEALTHY:  # the process died before it went back
            return await self._go_back_late(deployment, app)
        rolled_back = deployment.action is Action.ROLLBACK
        policy = app.verify or (ANY_ANSWER if rolled_back else None)
        if policy is None:
            return await self._unverified(deployment, "its rule was removed")
        since, tally = self.clock(), Tally()
        while True:
            if await self._is_outdated(deployment, app):
                return await self._unverified(deployment, "a newer deployment has come")
            tally = tally.after(await self._look(deployment, app, policy))
            health, why = judge_health(policy, tally, self.clock() - since)
            if health is not Health.UNDECIDED:
                return await self._judged(deployment, app, health, why)
            await self.sleep(policy.every)

    async def _is_outdated(self, deployment: Deployment, app: App) -> bool:
        """Return whether a newer deployment of the app waits for its turn, and no lock holds it."""
        lately = await self.journal.deployments(limit=LATELY, app_id=deployment.app_id)
        waiting = [one for one in lately if one.seq > deployment.seq and one.state is State.WAITING]
        if not waiting:
            return False
        locks = [one for one in await self.journal.locks() if one.scope in scopes_of(app)]
        facts, now = Facts(locks=locks), self.clock()
        return not all(
            any(hold.gate is Gate.LOCK for hold in open_gates(one, app, facts, now))
            for one in waiting
        )

    async def _judged(self, deployment: Deployment, app: App, health: Health, why: str) -> None:
        if health is Health.HEALTHY:
            await self._end(deployment, State.DONE, VERIFIED)
        elif health is Health.UNTOLD:
            await self._unverified(deployment, why)
        else:
            await self._unhealthy(deployment, app, why)

    async def _unhealthy(self, deployment: Deployment, app: App, why: str) -> None:
        """End it, and go back to the version before if the rules say so."""
        output, note = await self._output(app), f"{deployment.note}, but {why}"
        back, plan = self.going_back, None
        if back is not None and app.verify is not None and app.verify.rollback:
            verdict = await back.decide(deployment, app)
            note, plan = f"{note}; {verdict.says}", verdict.plan
        await self.ending.end(deployment.id, State.UNHEALTHY, note, log_tail=output)
        if back is not None and plan is not None:
            await back.ask(deployment, plan)

    async def _go_back_late(self, deployment: Deployment, app: App) -> None:
        """Ask for the rollback that was announced; while the backend is away, wait for it."""
        if self.going_back is None or GOES_BACK not in deployment.note:
            return None
        failures = 0
        while True:
            try:
                plan = await self.going_back.plan(deployment, app)
            except (Unreachable, Unanswered) as error:
                failures += 1
                await self.sleep(AGAIN.after(failures, error))
            except BridgeError as error:
                log.warning("not rolled back", extra={"app": app.label, "why": str(error)})
                return None
            else:
                return await self.going_back.ask(deployment, plan)

    async def _unverified(self, deployment: Deployment, why: str) -> None:
        """End it by the backend's word, if there is one: of what it restores it makes no record."""
        to = State.UNKNOWN if deployment.way == Rung.KEPT else State.DONE
        await self._end(deployment, to, f"; not verified: {why}")

    async def _end(self, deployment: Deployment, state: State, note: str) -> None:
        await self.ending.end(deployment.id, state, f"{deployment.note}{note}")

    # ── one look ──────────────────────────────────────────────────────────

    async def _look(self, deployment: Deployment, app: App, policy: VerifyPolicy) -> Sighting:
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
            return Sighting(False, f"{asked}: {error}")
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

    async def _output(self, app: App) -> str | None:
        """Return the last lines that its container printed, without secrets; None if unknown."""
        try:
            backend = self.ending.backend(app)
            if not isinstance(backend, ShowsContainers):
                return None
            output = await backend.output(app, OUTPUT_LINES)
        except BridgeError:  # there is evidence without it
            return None
        return await asyncio.to_thread(_shown, output) or None


def _judge_answer(policy: VerifyPolicy, wanted: str | None, asked: str, answer: Answer) -> Sighting:
    came = f"{asked}: {answer.status} {shorten(redact(answer.reason), 60)}".strip()
    if not any(low <= answer.status <= high for low, high in policy.status):
        came += f", expected {statuses_text(policy.status)}"
        if answer.leads_to is not None:
            host = shorten(answer.leads_to, 100)
            came += f"; it redirects to {host}, and redirects to other hosts are not followed"
        return Sighting(False, came)
    if wanted is None or wanted in answer.body:
        return Sighting(True, came)
    without = f"{came}, without the text {shorten(wanted, 60)!r}"
    if answer.cut:
        return Sighting(None, f"{without} at its beginning, and more of it is not read")
    return Sighting(False, without)


def _shown(output: str) -> str:
    return redact("\n".join(lines_of(output)[-OUTPUT_LINES:]))


def _without_secrets(url: str) -> str:
    """Return an address without its login and query, which may be secret."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
