"""Step 4: watch what an app serves, where its rules ask for it: until it is judged, and beyond.

The watch is on what is served. It has no flow, so the app's next deployment need not wait for it.
While the backend is asked for that one, the watch pauses, and so it does while it is not known what
is served. It ends only once something else is.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import KW_ONLY, dataclass, field, replace
from typing import Any

from bridge.core.apps import App
from bridge.core.backoff import Backoff
from bridge.core.errors import BridgeError, Unanswered, Unreachable
from bridge.core.events import Action
from bridge.core.health.containers import Proof
from bridge.core.health.fate import without_way_back
from bridge.core.health.rollback import Rung, version_of
from bridge.core.health.serving import By, Look
from bridge.core.health.verdict import Health, Tally, judge_health
from bridge.core.lifecycle import VERIFIED, Deployment, Evidence, State, Verdict
from bridge.core.policies import VerifyPolicy
from bridge.pipeline.background import Lanes, Turn, at_once
from bridge.pipeline.deploying.auto_rollback import (
    NOTHING_TO_UNDO,
    Announced,
    GoingBack,
    is_in_queue,
)
from bridge.pipeline.deploying.outcome import Ending
from bridge.pipeline.deploying.serving import Looks
from bridge.pipeline.deploying.verify import Finding, Prover, Verifier
from bridge.ports.backends import Backend, is_stopped
from bridge.ports.clock import Clock, Sleep
from bridge.ports.deployments import Deployments
from bridge.ports.journal import AppsAndDeployments

log = logging.getLogger(__name__)

ANY_ANSWER = VerifyPolicy(status=((200, 499),))
"""How a rollback of an app without a rule of its own is verified."""

RARELY = 15.0
"""The minimum number of seconds between two looks at what was verified and is still watched."""

AGAIN = Backoff(2.0, 60.0)
"""Pauses while the backend is away before a rollback can be decided on, or asked for."""

MOST_AWAY = 4
"""Attempts to decide on a rollback before the version is reported unhealthy."""

STILL_OLD = "it still serves the previous image"

UNPROVEN = 600.0
"""Seconds after the end of a deployment in which its images or its outcome may be settled."""

PROOF_LOOKS = (3.0, 6.0, 12.0, 20.0, 40.0, 80.0, 160.0, UNPROVEN - 321.0, 0.0)
"""Pauses after looks at the image that runs, in seconds; after the last one it is settled."""

STILL = 40.0
"""Seconds after which an old image that still runs counts as live, though it may be replaced."""

LOOKED_WELL = (Verdict.VERIFIED, Verdict.HEALTHY)
"""The verdicts of what stays watched."""


@dataclass(frozen=True, slots=True)
class _Judged:
    """A verdict: why, what the app answered, and what its images show."""

    health: Health
    why: str
    body: str
    proof: Finding


@dataclass(frozen=True, slots=True)
class Watching:
    """Watches single deployments: each until something else is served, or nothing more is to see.

    Attributes:
        looks: looks at what is served, before a verdict: others may have deployed since.
        going_back: rolls back by itself where rules say so.
    """

    journal: AppsAndDeployments
    ending: Ending
    verifier: Verifier
    prover: Prover
    looks: Looks
    clock: Clock
    going_back: GoingBack | None = None
    sleep: Sleep = field(default=asyncio.sleep, kw_only=True)

    async def watch(self, id_: str) -> None:
        """Watch a deployment as its app's rules say; return when that is over."""
        seconds, tally = 0.0, Tally()
        while (deployment := await self.journal.deployment(id_)) is not None:
            app = await self.ending.app(deployment.app_id)
            if deployment.back_to is not None:
                return await self._go_back_late(deployment, app)
            policy = self.policy(deployment, app)
            if policy is None:
                return await self._without_rule(deployment, app)
            if (why := await self._replaced(deployment, app)) is not None:
                return await self._over(deployment, why)
            began = self.clock()
            pauses = not await self._known(app) or await self._next_is_under_way(deployment)
            if not pauses:
                tally = tally.after(await self.verifier.look(deployment, app, policy))
                judged = await self._judge(deployment, app, policy, tally, seconds)
                if judged.health is not Health.UNDECIDED:
                    if (why := await self._replaced_before(judged, deployment, app)) is not None:
                        return await self._over(deployment, why)
                    if not await self._judged(deployment, app, policy, judged):
                        return None
                    if judged.health is not Health.UNHEALTHY:
                        seconds, tally = 0.0, Tally()
            calm = deployment.final and tally.last is not False
            await self.sleep(max(policy.every, RARELY) if calm else policy.every)
            seconds += 0.0 if pauses else self.clock() - began
        return None

    def policy(self, deployment: Deployment, app: App) -> VerifyPolicy | None:
        """Return how to look at a deployment now; None if it is not to be looked at (any more)."""
        if deployment.state is State.VERIFYING:
            rolled_back = deployment.action is Action.ROLLBACK
            return app.verify or (ANY_ANSWER if rolled_back else None)
        if deployment.verdict not in LOOKED_WELL or app.verify is None:
            return None
        kept_until = (deployment.live_at or 0.0) + app.verify.keep
        return app.verify if self.clock() < kept_until else None

    async def _replaced(self, deployment: Deployment, app: App) -> str | None:
        """Return what is served instead; None while this one is, or that may be known soon."""
        serving = await self.journal.serving_of(app)
        if serving is None or serving.newest is None:
            return None
        if serving.known:
            still = serving.newest.id == deployment.id and serving.seen and serving.seen.still_runs
        else:
            since = serving.doubt.finished_at if serving.doubt else None
            still = self.clock() - (since or 0.0) < UNPROVEN
        return None if still else serving.instead_of(deployment)

    async def _known(self, app: App) -> bool:
        """Return whether it is known what is served."""
        serving = await self.journal.serving_of(app)
        return serving is None or serving.known

    async def _replaced_before(
        self, judged: _Judged, deployment: Deployment, app: App
    ) -> str | None:
        """Return what is served instead, if a verdict would change anything."""
        if deployment.final and judged.health is not Health.UNHEALTHY:
            return None
        why = await self._replaced_by_now(deployment, app)
        if why is not None or judged.health is Health.UNTOLD:
            return why
        await self._store(deployment, app, judged.proof)
        return await self._replaced(deployment, app)

    async def _replaced_by_now(self, deployment: Deployment, app: App) -> str | None:
        """Return what is served instead, as the backend shows it now if it can be read."""
        with contextlib.suppress(BridgeError):
            await self.looks.at(self.ending.backend(app), app)
        return await self._replaced(deployment, app)

    async def _without_rule(self, deployment: Deployment, app: App) -> None:
        if deployment.state is State.DONE and deployment.images is None:
            await self._prove(deployment, app)
        else:
            await self._over(deployment, "its rule was removed")

    async def _next_is_under_way(self, deployment: Deployment) -> bool:
        """Return whether the backend is asked for another deployment of the app, or builds it."""
        open_ = await self.journal.open_deployments(held=False, app_id=deployment.app_id)
        return any(one.id != deployment.id and one.under_way for one in open_)

    async def _is(self, so: Callable[[Backend, App], Awaitable[bool | None]], app: App) -> bool:
        """Return whether something is surely so of an app at its backend."""
        with contextlib.suppress(BridgeError):
            return await so(self.ending.backend(app), app) is True
        return False

    async def _judge(
        self, deployment: Deployment, app: App, policy: VerifyPolicy, tally: Tally, seconds: float
    ) -> _Judged:
        """Return the verdict of some looks; a healthy page may be the one of the version before."""
        health, why = judge_health(policy, tally, seconds)
        if deployment.final and self.verifier.hears_nothing():
            health = Health.UNTOLD
        elif health is Health.UNHEALTHY and await self._is(is_stopped, app):
            health = Health.UNTOLD
            why = f"it is stopped in {self.looks.place(app.backend)}, so it is not judged"
        if health in (Health.UNDECIDED, Health.UNTOLD) or (
            health is Health.HEALTHY and deployment.final
        ):
            return _Judged(health, why, tally.body, Finding(Proof.UNTOLD))
        found = await self.prover.look(deployment, app)
        named = found.proof is Proof.PENDING and _named(deployment, policy)
        may_come = found.proof in (Proof.OLD, Proof.PENDING)  # it may still replace the one before
        if health is Health.HEALTHY and may_come and not named:
            if seconds < policy.within:
                health = Health.UNDECIDED
            elif found.proof is Proof.OLD:
                health, why = Health.UNHEALTHY, STILL_OLD
        return _Judged(health, why, tally.body, found)

    async def _store(self, deployment: Deployment, app: App, found: Finding) -> None:
        images = found.images or deployment.images or ()
        evidence = Evidence.IMAGE if found.proof is Proof.PROVEN else None
        await self.journal.prove(deployment.id, images, evidence)
        await self._shows(deployment, app, found)

    async def _shows(self, deployment: Deployment, app: App, found: Finding) -> None:
        """Store whose image runs, if another version is thought to be served."""
        serving = await self.journal.serving_of(app)
        runs = deployment if found.proof is Proof.PROVEN else found.before
        if serving is None or serving.newest is None or runs is None or not serving.known:
            return
        seen, newest = serving.seen, serving.newest
        if serving.ours is not None and serving.ours.id == runs.id:
            return
        if seen is not None and seen.evidence is not Evidence.IMAGE:
            return  # a newer record, of which the image may run soon
        at, stored = found.at, serving.look
        if stored is not None and stored.evidence is not Evidence.IMAGE:
            at = max(at, stored.at)  # that look was at the records alone
        look = Look(
            at,
            newest=newest.id,
            doubt=serving.doubt.id if serving.doubt else None,
            told=serving.look.told if serving.look else None,
            record=found.runs[0],
            deployment=runs.id,
            commit=runs.deployed_commit,
            since=runs.live_at if found.still else self.clock(),
            evidence=Evidence.IMAGE,
            by=By.BRIDGE if found.still else By.BACKEND,
            place=self.looks.place(app.backend),
        )
        await self.journal.save_look(app.id, look)

    async def _judged(
        self, deployment: Deployment, app: App, policy: VerifyPolicy, judged: _Judged
    ) -> bool:
        """Record a verdict, if it is known what is served; return whether to watch on."""
        if not await self._known(app):
            return True
        if judged.health is Health.UNHEALTHY:
            return not await self._unhealthy(deployment, app, judged)
        if deployment.final:  # it was verified, and still is or could not be looked at
            return True
        if judged.health is Health.HEALTHY:
            await self._healthy(deployment, policy, judged)
            return app.verify is not None and app.verify.keep > 0
        await self._over(deployment, judged.why)
        return False

    async def _healthy(self, deployment: Deployment, policy: VerifyPolicy, judged: _Judged) -> None:
        """End it as verified; without a sign which version runs, it only looks healthy."""
        found, answer = judged.proof, {"answer": judged.why or None}
        proven = found.proof is Proof.PROVEN
        unseen = found.proof is Proof.UNTOLD and not found.asked
        if proven or unseen or _named(deployment, policy):
            await self._end(deployment, State.DONE, VERIFIED, verdict=Verdict.VERIFIED, **answer)
        else:
            note = f"; healthy, but not proven: {found.why}"
            await self._end(deployment, State.DONE, note, verdict=Verdict.HEALTHY, **answer)

    async def _prove(self, deployment: Deployment, app: App) -> None:
        """Look which image runs, where no rule has the app verified; a swarm takes its time."""
        found, waited = Finding(Proof.UNTOLD), 0.0
        for pause in PROOF_LOOKS:
            while await self._next_is_under_way(deployment):
                await self.sleep(RARELY)
            if await self._replaced_by_now(deployment, app) or not await self._known(app):
                if found.proof is Proof.OLD:  # it may have been about to come
                    found = Finding(Proof.UNTOLD)
                break
            found = await self.prover.look(deployment, app)
            untold = found.proof is Proof.UNTOLD and (not found.runs or waited > STILL)
            if untold or found.proof is Proof.PROVEN:
                break
            if waited > STILL:
                await self._shows(deployment, app, found)
            await self.sleep(pause)
            waited += pause
        await self._store(deployment, app, found)
        if found.proof is Proof.OLD and await self._replaced(deployment, app) is None:
            judged = _Judged(Health.UNHEALTHY, STILL_OLD, "", found)
            await self._unhealthy(deployment, app, judged)

    async def _unhealthy(self, deployment: Deployment, app: App, judged: _Judged) -> bool:
        """End it, and go back to the version before if the rules say so, and if it left that.

        Return False if another deployment is under way meanwhile, which may be the fix. If somebody
        has put something else in its place, its watch is over.
        """
        if await self._is(is_in_queue, app):
            await self.sleep(RARELY)
            return False
        found, evidence = judged.proof, await self.verifier.evidence(app, judged.why, judged.body)
        note = f"{deployment.note}, but {evidence.why}"
        back, announced = self.going_back, Announced(None, "")
        if found.before is not None:
            note += f"; {version_of(found.before)} still runs"
        elif back is not None and app.verify is not None and app.verify.rollback:
            old = found.proof is Proof.OLD
            announced = NOTHING_TO_UNDO if old else await self._announced(back, deployment, app)
            note += f"; {announced.says}"
        if await self._next_is_under_way(deployment):
            return False
        if found.before is None and (instead := await self._replaced(deployment, app)) is not None:
            await self._over(deployment, instead)
            return True
        said = {"note_kind": deployment.note_kind, "way_back": announced.way_back}
        facts = {"log_tail": evidence.seen, "back_to": announced.back_to}
        await self.ending.end(deployment.id, State.UNHEALTHY, note, **facts, **said)
        if back is not None and announced.plan is not None:
            await back.ask(deployment, announced.plan)
            await self.journal.settle_rollback(deployment.id)
        elif announced.later:
            await self._go_back_late(replace(deployment, note=note, way_back=announced.says), app)
        return True

    async def _announced(self, back: GoingBack, deployment: Deployment, app: App) -> Announced:
        """Return whether to go back; a backend that is away for long is waited for afterwards."""
        failures = 0
        while True:
            try:
                return await back.decide(deployment, app)
            except (Unreachable, Unanswered) as error:
                failures += 1
                if failures == MOST_AWAY:
                    says = f"whether it goes back by itself is decided later: {error}"
                    return Announced(None, says, later=True)
                await self.sleep(AGAIN.after(failures, error))

    async def _go_back_late(self, deployment: Deployment, app: App) -> None:
        """Ask for the rollback that was announced before the process died, or decide on it now."""
        failures = 0
        while self.going_back is not None:
            if await self._next_is_under_way(deployment) or await self._is(is_in_queue, app):
                await self.sleep(RARELY)
                continue
            try:
                announced = await self.going_back.decide(deployment, app)
            except (Unreachable, Unanswered) as error:
                failures += 1
                await self.sleep(AGAIN.after(failures, error))
                continue
            if announced.plan is not None:
                await self.going_back.ask(deployment, announced.plan)
            elif await self._replaced(deployment, app) is not None:
                return await self.journal.settle_rollback(deployment.id)
            note = f"{without_way_back(deployment)}; {announced.says}"
            return await self.journal.settle_rollback(deployment.id, note, announced.way_back)
        return None

    async def _over(self, deployment: Deployment, why: str) -> None:
        """End the watch by the backend's word, if there is one: it records nothing it restores."""
        if deployment.state is State.VERIFYING:
            to = State.UNKNOWN if deployment.way == Rung.KEPT else State.DONE
            await self._end(deployment, to, f"; not verified: {why}")

    async def _end(self, deployment: Deployment, state: State, note: str, **facts: Any) -> None:
        facts["note_kind"] = deployment.note_kind
        await self.ending.end(deployment.id, state, f"{deployment.note}{note}", **facts)


def _named(deployment: Deployment, policy: VerifyPolicy) -> bool:
    """Return whether a healthy page has named the commit, which is proof as well."""
    return policy.names_commit and deployment.deployed_commit is not None


# ── what is to be watched ────────────────────────────────────────────────────────────────────────

RETRY = Backoff(1.0, 60.0)
"""Pauses after the journal could not be reached, or after a bug."""

POLL = 2.0
"""Seconds between two searches for deployments that another process has brought."""

POLL_ALONE = 30.0
"""The same where this process brings them all, and is woken."""

REST = 5.0
"""Seconds after the end of a watch in which the same deployment is not watched again."""

LATE = 86400.0
"""Seconds for which the rollback that an unhealthy deployment announces is still asked for."""


@dataclass(eq=False)
class Watch:
    """Watches everything that is to be watched, each in a lane of its own; see POLL."""

    journal: Deployments
    watching: Watching
    apps: Callable[[], Iterable[App]]
    clock: Clock
    _: KW_ONLY
    turn: Turn = at_once
    poll: float = POLL
    _rest: dict[str, float] = field(default_factory=dict, init=False)
    _lanes: Lanes[str] = field(init=False)

    def __post_init__(self) -> None:
        self._lanes = Lanes[str](
            "what is served can't be watched", self._round, self.clock, RETRY, patience=0.0
        )

    async def run(self) -> None:
        await self._lanes.run()

    def wake(self) -> None:
        self._lanes.wake()

    async def _round(self) -> float:
        await self.turn()
        await self._lanes.begin({one.id: self._watch(one.id) for one in await self._found()})
        return self.poll

    async def _watch(self, id_: str) -> None:
        try:
            await self.watching.watch(id_)
        finally:
            now = self.clock()
            rest = {one: until for one, until in self._rest.items() if until > now}
            self._rest = rest | {id_: now + REST}

    async def _found(self) -> list[Deployment]:
        """Return the deployments to watch that nobody watches yet."""
        now = self.clock()
        keeps = {app.id: app.verify.keep for app in self.apps() if app.verify is not None}
        longest = max(keeps.values(), default=0.0)
        kept = now - longest if longest else None
        those = await self.journal.watched(now - LATE, now - UNPROVEN, kept)
        resting = {id_ for id_, until in self._rest.items() if until > now}
        free = [one for one in those if one.id not in resting and not self._lanes.goes_on(one.id)]
        return [one for one in free if self._is_due(one, keeps.get(one.app_id, 0.0))]

    def _is_due(self, one: Deployment, keep: float) -> bool:
        kept = one.verdict in LOOKED_WELL and self.clock() < (one.live_at or 0.0) + keep
        return kept or one.state is not State.DONE or one.images is None
