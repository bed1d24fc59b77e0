"""Carry out what people ask of gates: lock, freeze, approve, override.

These act at once, unlike deploys: the asker learns in the answer who holds a lock. Rights are the
caller's to check.
"""

import asyncio
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from bridge.core.apps import App
from bridge.core.errors import Rejected
from bridge.core.gates.approvals import (
    RECOGNISING,
    Approval,
    Objection,
    approval_key,
    counting,
    objection,
    remedy,
)
from bridge.core.gates.freezes import Allowed, Freeze
from bridge.core.gates.gates import lift_of
from bridge.core.gates.locks import (
    DAY,
    LONGEST,
    Lock,
    PullName,
    Scope,
    app_in,
    covered,
    next_reminder,
    scopes_of,
)
from bridge.core.holds import MOST_OF_A_REASON, Gate, Proposal
from bridge.core.lifecycle import Deployment, State
from bridge.core.people import NO_IDENTITIES, Actor, Identities
from bridge.core.words import for_people
from bridge.pipeline.gates.locks import KEPT, NO_PULLS, Pulls, ids_covered
from bridge.ports.clock import Clock, Wake
from bridge.ports.deployments import Deployments
from bridge.ports.gates import Gates, HeadOf, Taken, untold
from bridge.ports.outcomes import Audited, Result, Stage


class GateJournal(Deployments, Gates, Protocol):
    """What commands about gates use of the journal."""


SHORTEST_LOCK = 60.0
"""Seconds of the shortest lock."""


HEAD_WAITS = 3.0
"""Seconds to wait for the Git host as somebody approves; the gates ask it again in any case."""

SHORTEST_COMMIT = 7
"""Characters of a shortened commit that say which one is meant."""

LONGEST_FREEZE = 366 * 86_400.0
"""Seconds of the longest freeze with an end."""


@dataclass(frozen=True, slots=True)
class Requester:
    """Somebody who acts.

    Attributes:
        person: permanent, e.g. "slack:U012AB3CD" or "cli:ada".
        by: how the audit log names them.
        email: "" if unknown, or not verified.
        accounts: what else their service calls them, e.g. "github:#583231".
    """

    person: str
    by: Actor
    email: str = ""
    accounts: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.by.name


@dataclass(frozen=True, slots=True)
class Locked:
    """The answer to a lock.

    Attributes:
        going: deployments that the backend had been asked for before; the lock does not stop them.
    """

    taken: Taken
    going: tuple[Deployment, ...] = ()


@dataclass(frozen=True, slots=True)
class GateCommands:
    """Carries out what people do to gates, and records it in the audit log.

    Attributes:
        apps: returns all apps, to find those that a scope covers.
        wake: wakes the gatekeeper, if it runs in this process.
        pulls: finds the pull requests with whose end locks are released.
        head_of: tells whether what somebody approves would still be built.
    """

    journal: GateJournal
    apps: Callable[[], Sequence[App]]
    clock: Clock
    wake: Wake = field(default=lambda: None, kw_only=True)
    pulls: Pulls = field(default=NO_PULLS, kw_only=True)
    head_of: HeadOf = field(default=untold, kw_only=True)
    identities: Identities = field(default=NO_IDENTITIES, kw_only=True)

    # ── locks ─────────────────────────────────────────────────────────────

    async def lock(
        self,
        actor: Requester,
        scope: Scope,
        reason: str,
        *,
        seconds: float | None = None,
        steal: bool = False,
        until_merge: PullName | None = None,
        channel: str = "",
    ) -> Locked:
        """Take a lock, renew one's own, or steal somebody's.

        Args:
            until_merge: the pull request with whose merge or close it is released.
            channel: where in a chat it is taken.

        Raises:
            Rejected: the reason is empty, the duration is out of range, or it is no open pull
                request of a repository that the apps deploy from.
        """
        if seconds is not None and not SHORTEST_LOCK <= seconds <= LONGEST:
            raise Rejected(
                f"a lock lasts from 1 minute to {LONGEST / 86_400:.0f} days,"
                f" not {for_people(seconds)}; without a duration it lasts until it is unlocked"
            )
        said, merge = _said(reason), None
        if until_merge is not None:
            merge = await self.pulls.open(until_merge, scope, covered(scope, self.apps()))
        now = self.clock()
        until = None if seconds is None else now + seconds
        new = Lock(
            scope.key, scope.label, actor.person, actor.name, said, now, until, merge, channel
        )
        new = replace(new, remind_at=next_reminder(new, now))
        ends = "" if merge is None else f" (until {merge} is merged)"

        def audit(taken: Taken) -> Audited | None:
            own = taken.before is None or taken.before.owner == actor.person
            what = "lock" if own else "steal"
            return self._note(actor, what, scope, new.reason + ends) if taken.taken else None

        taken = await self.journal.take_lock(new, self._ids(scope), steal=steal, audit=audit)
        if not taken.taken:
            return Locked(taken)
        self.wake()
        return Locked(taken, await self._going(scope))

    async def unlock(self, actor: Requester, scope: Scope) -> Lock | None:
        """Remove a lock; return it, or None if there was none."""

        def audit(released: Lock | None) -> Audited | None:
            was = "" if released is None else f"was locked by {released.name}"
            return self._note(actor, "unlock", scope, was) if was else None

        released = await self.journal.release_lock(scope.key, self._ids(scope), audit)
        if released is not None:
            self.wake()
        return released

    async def keep(self, actor: Requester, lock: Lock) -> Lock | None:
        """Remind the owner of a lock less soon; return the lock, or None if it is gone."""
        again_at = next_reminder(lock, self.clock() + KEPT - DAY)
        note = self._note(actor, "keep lock", Scope(lock.scope, lock.label), lock.reason)
        kept = await self.journal.keep_lock(lock, again_at, lambda kept: note if kept else None)
        return replace(lock, remind_at=again_at) if kept else None

    async def covering(self, scope: Scope) -> list[Lock]:
        """Return the locks that hold apps of a scope, its own and those of others."""
        keys = {key for app in covered(scope, self.apps()) for key in scopes_of(app)}
        return [one for one in await self.journal.locks() if one.scope in keys]

    # ── freezes ───────────────────────────────────────────────────────────

    async def freeze(
        self,
        actor: Requester,
        scope: Scope,
        reason: str,
        *,
        until: float | None = None,
        allow: frozenset[Allowed] = frozenset(),
    ) -> Freeze:
        """Declare a freeze, until a time or until somebody ends it.

        Raises:
            Rejected: the reason is empty, or the end is past.
        """
        now = self.clock()
        if until is not None and until <= now:
            raise Rejected("the end of the freeze is in the past: name a future time")
        if until is not None and until - now > LONGEST_FREEZE:
            days = LONGEST_FREEZE / 86_400
            raise Rejected(f"a freeze lasts at most {days:.0f} days: name an earlier end, or none")
        new = Freeze(
            f"freeze-{secrets.token_hex(4)}",
            (),
            _said(reason),
            allow=allow,
            by=actor.name,
            at=now,
            until=until,
            scope=scope.key,
            label=scope.label,
        )
        note = self._note(actor, "freeze", scope, new.reason)
        await self.journal.freeze(new, self._ids(scope), lambda _: note)
        self.wake()
        return new

    async def unfreeze(self, actor: Requester, scope: Scope) -> list[Freeze]:
        """End the freezes by command of a scope; return them."""

        def audit(ended: list[Freeze]) -> Audited | None:
            reasons = "; ".join(one.reason for one in ended)
            return self._note(actor, "unfreeze", scope, reasons) if ended else None

        ended = await self.journal.unfreeze(scope, self._ids(scope), audit)
        if ended:
            self.wake()
        return ended

    # ── one held deployment ───────────────────────────────────────────────

    async def held(self, app: App) -> Deployment:
        """Return the newest held deployment of an app.

        Raises:
            Rejected: there is none.
        """
        return await self._newest(app.id, app.label)

    async def _newest(self, app_id: str, label: str) -> Deployment:
        held = await self.journal.deployments(limit=1, app_id=app_id, state=State.HELD)
        if not held:
            raise Rejected(f"no deployment of {label} is held")
        return held[0]

    async def approve(self, actor: Requester, held: Deployment, commit: str) -> bool:
        """Approve a commit of a held deployment; return False if they had done so.

        Args:
            commit: the one that was shown to them, perhaps shortened.

        Raises:
            Rejected: the approval would not count: another commit would be built by now, it waits
                for no approval, or it is their own, or who they are is not known.
        """
        held = await self._as_it_is(held)
        proposal = proposed(held)
        if 0 < len(commit) < SHORTEST_COMMIT:
            raise Rejected(f"{commit!r} is too short: give at least seven digits of the commit")
        head = await self._head(held) or proposal.commit
        if head != proposal.commit:  # its webhook has not come yet
            await self._look_again(held)
        if not commit or not head.startswith(commit.lower()):
            raise Rejected(
                f"the head of {held.app} is now {head[:7]}, not {commit[:7]}: look again, then"
                " approve that"
            )
        if head != proposal.commit:
            raise Rejected(
                f"{held.app} is being judged again, at {head[:7]}: approve that once it is shown"
            )
        new = Approval(
            held.app_id,
            proposal.commit,
            actor.person,
            actor.name,
            actor.email,
            self.clock(),
            actor.accounts,
        )
        if (why := objection(new, held.asked_by, proposal, self.identities)) is not None:
            if proposal.unknown:  # the host may know the authors by now
                await self._look_again(held)
            raise Rejected(_refused(why, new, held, proposal, self.identities))
        own = self.identities.of(new.marks)
        given = await self.counting(held)
        if any(not own.isdisjoint(self.identities.of(one.marks)) for one in given):
            return False
        note = self._note(actor, "approve", _only(held), f"commit {proposal.commit[:7]}")
        recorded = await self.journal.approve(new, lambda new: note if new else None)
        if recorded:
            self.wake()
        return recorded

    async def _look_again(self, held: Deployment) -> None:
        await self.journal.look_again([held.app_id])
        self.wake()

    async def _as_it_is(self, held: Deployment) -> Deployment:
        """Return what is held now: a newer push may have replaced it since it was shown."""
        now = await self.journal.deployment(held.id)
        if now is not None and now.state is State.HELD:
            return now
        return await self._newest(held.app_id, held.app)

    async def _head(self, held: Deployment) -> str | None:
        """Return the commit that would be built now; None if its host does not tell soon."""
        app = next((one for one in self.apps() if one.id == held.app_id), None)
        if app is None:
            return None
        try:
            async with asyncio.timeout(HEAD_WAITS):
                return await self.head_of(app, held)
        except TimeoutError:
            return None

    async def counting(self, held: Deployment) -> list[Approval]:
        """Return the approvals that count for what a held deployment would build."""
        given = await self.journal.approvals(held.app_id)
        return counting(given, held.asked_by, proposed(held), self.identities)

    async def lift(self, actor: Requester, held: Deployment, reason: str) -> Deployment:
        """Let a held deployment pass everything that holds it now.

        Raises:
            Rejected: the reason is empty, or it is not held any more.
        """
        now, said = self.clock(), _said(reason)
        new = lift_of(held.holds, actor.name, actor.person, said, now)
        gates = ", ".join(dict.fromkeys(str(one.gate) for one in held.holds))
        note = self._note(actor, "override", _only(held), f"{gates}: {said}")
        lifted = await self.journal.lift(held.id, new, lambda lifted: note if lifted else None)
        if lifted is None:
            raise Rejected(f"{held.app} is not held any more")
        self.wake()
        return lifted

    def _ids(self, scope: Scope) -> list[str] | None:
        return ids_covered(scope, self.apps())

    async def _going(self, scope: Scope) -> tuple[Deployment, ...]:
        ids = {app.id for app in covered(scope, self.apps())}
        going = await self.journal.open_deployments(held=False)
        return tuple(
            one
            for one in going
            if one.app_id in ids and (one.state is not State.WAITING or one.intent_at is not None)
        )

    def _note(self, actor: Requester, what: str, scope: Scope, outcome: str) -> Audited:
        """Return what the audit log is to say, in the transaction in which it is done."""
        at, app_id = self.clock(), app_in(scope.key) or ""
        result = Result(Stage.TOLD, outcome)
        return Audited(at, actor.by, what, app_id, scope.label, (), result)


def _only(held: Deployment) -> Scope:
    return Scope(f"app/{held.app_id}", held.app)


def proposed(held: Deployment) -> Proposal:
    """Return what an approval of a held deployment would be for.

    Raises:
        Rejected: it waits for no approval.
    """
    waits = next((one for one in held.holds if one.gate is Gate.APPROVAL), None)
    if waits is None:
        raise Rejected(f"{held.app} waits for no approval")
    commit = held.head or held.commit
    if commit is None or waits.key != approval_key(commit):
        raise Rejected(f"{held.app} can't be approved now: it {waits.says}")
    if waits.proposal is None or not (waits.proposal.by or waits.proposal.anyone):
        raise Rejected(f"{held.app} is being judged again: approve it once that is done")
    return waits.proposal


def _refused(
    why: Objection, approval: Approval, held: Deployment, of: Proposal, identities: Identities
) -> str:
    """Return why an approval is refused, and what would let it count."""
    if why is Objection.ASKED:
        return f"you asked for {held.app} yourself: somebody else has to approve it"
    if why is Objection.WROTE:
        return f"{of.commit[:7]} is your own commit: somebody else has to approve it"
    recognise = why in RECOGNISING
    said = remedy(why, approval, held.asked_by, of, identities) if recognise else of.unknown
    return f"your approval would not count: {said}"


def _said(reason: str) -> str:
    """Return a reason in one line."""
    said = " ".join(reason.split())
    if not said:
        raise Rejected("say why: others will read the reason")
    if len(said) > MOST_OF_A_REASON:
        raise Rejected(f"the reason has {len(said)} characters: say it in {MOST_OF_A_REASON}")
    return said
