"""Decide whether a deployment may be asked for now, or which gates hold it. Pure and total.

All gates are evaluated, so a person sees every open reason at once and not only the first. A gate
holds with a reason, the time at which it opens by itself, and the right that may lift it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from bridge.core.access import Right
from bridge.core.apps import App
from bridge.core.events import Action
from bridge.core.gates.checks import Otherwise
from bridge.core.gates.ci import Ci, CiState, judged
from bridge.core.gates.freezes import Allowed, Freeze
from bridge.core.gates.holds import Gate, Hold, Lift
from bridge.core.gates.locks import BY_ITSELF, Lock
from bridge.core.gates.times import for_people
from bridge.core.lifecycle import Deployment, State


@dataclass(frozen=True, slots=True)
class Approval:
    """Somebody's approval of one commit of an app.

    Attributes:
        person: e.g. "slack:U012AB3CD".
        email: theirs, to be compared with the author's; "" if unknown.
    """

    app_id: str
    commit: str
    person: str
    name: str
    email: str
    at: float


@dataclass(frozen=True, slots=True)
class Facts:
    """The facts by which a deployment is judged.

    Attributes:
        locks: those that cover the app, expired ones included.
        freezes: those that cover the app, of the settings and by command.
        approvals: of any commit of the app.
        ci: the checks of the commit that would be built; None if none were ever asked for.
        earlier: the newest deployment of each app that must be live first; None if it has none.
        nowhere: what the rules name as an earlier app, and is none.
        ahead: the deployment of the same app that goes before this one.
        author: email addresses of the commit's authors and pusher, as far as known.
        unknown_head: why the commit that would be built can't be told; "" if it can.
        again_at: when to try again to find that out; None if no host can tell.
    """

    locks: Sequence[Lock] = ()
    freezes: Sequence[Freeze] = ()
    approvals: Sequence[Approval] = ()
    ci: Ci | None = None
    earlier: Mapping[str, Deployment | None] = field(default_factory=dict)
    nowhere: Sequence[str] = ()
    ahead: Deployment | None = None
    author: frozenset[str] = frozenset()
    unknown_head: str = ""
    again_at: float | None = None


def open_gates(wanted: Deployment, app: App, facts: Facts, now: float) -> tuple[Hold, ...]:
    """Return every reason to hold a deployment now; () lets it pass.

    Args:
        app: with the rules that apply to it.
        now: seconds since 1970.
    """
    lifted = {key for lift in wanted.lifts for key in lift.keys}
    return tuple(hold for hold in _all(wanted, app, facts, now) if hold.key not in lifted)


class Asking(Protocol):
    """What locks and freezes see of a deployment, also of one that nobody has asked for yet."""

    @property
    def action(self) -> Action: ...
    @property
    def person(self) -> str: ...


def closed_to(wanted: Asking, facts: Facts, now: float) -> Iterator[Hold]:
    """Yield what holds every deployment of its kind, whatever it would build."""
    yield from _locks(wanted, facts, now)
    yield from _freezes(wanted, facts, now)


def by_commit(app: App) -> bool:
    """Return whether gates of an app depend on the commit that would be built."""
    return bool(app.rules.checks or app.rules.approvals or app.rules.after)


def next_look(holds: Sequence[Hold], now: float) -> float | None:
    """Return when the next reason changes by itself; None if only a new fact can change one."""
    times = [at for hold in holds for at in (hold.until, hold.changes_at) if at is not None]
    return min((at for at in times if at > now), default=None)


def _all(wanted: Deployment, app: App, facts: Facts, now: float) -> Iterator[Hold]:
    yield from _schedule(wanted, now)
    yield from closed_to(wanted, facts, now)
    yield from _turn(wanted, facts)
    if wanted.action is Action.DEPLOY:  # all others bring nothing that is new
        yield from _checks(wanted, app, facts, now)
        yield from _approvals(wanted, app, facts)
        yield from _order(wanted, app, facts, now)


def _turn(wanted: Deployment, facts: Facts) -> Iterator[Hold]:
    """Yield the wait for another deployment of the same app."""
    if (ahead := facts.ahead) is None or ahead.final:
        return
    why = f"waits for deployment #{ahead.seq}, which goes first"
    if wanted.behind is not None and ahead.seq < wanted.seq:
        why = f"waits for the deployment of the newer tag, #{ahead.seq}"
    yield Hold(Gate.ORDER, f"{Gate.ORDER}:{ahead.id}", why, Right.OVERRIDE)


def _schedule(wanted: Deployment, now: float) -> Iterator[Hold]:
    if wanted.not_before is not None and now < wanted.not_before:
        key = f"{Gate.SCHEDULE}:{wanted.not_before:.0f}"
        why = f"asked for a later time by {wanted.trigger.partition(': ')[2] or wanted.trigger}"
        yield Hold(Gate.SCHEDULE, key, why, Right.DEPLOY, until=wanted.not_before)


def _locks(wanted: Asking, facts: Facts, now: float) -> Iterator[Hold]:
    for lock in facts.locks:
        if lock.expired(now) or (wanted.person and lock.owner in (wanted.person, BY_ITSELF)):
            continue  # whoever may roll back has the right to pass the lock that nobody took
        key = f"{Gate.LOCK}:{lock.key}"
        yield Hold(Gate.LOCK, key, lock.says, Right.OVERRIDE, until=lock.until)


def _freezes(wanted: Asking, facts: Facts, now: float) -> Iterator[Hold]:
    for freeze in facts.freezes:
        if (closed := freeze.closed(now)) is None or _allowed(wanted) in freeze.allow:
            continue
        began, until = closed
        key = f"{Gate.FREEZE}:{freeze.name}:{began:.0f}"
        yield Hold(Gate.FREEZE, key, freeze.says, Right.OVERRIDE, until=until)


def _allowed(wanted: Asking) -> Allowed:
    """Return which exception of a freeze a deployment would need."""
    if wanted.action is not Action.DEPLOY:
        return Allowed(wanted.action)
    return Allowed.MANUAL if wanted.person else Allowed.PUSH


def _checks(wanted: Deployment, app: App, facts: Facts, now: float) -> Iterator[Hold]:
    policy = app.rules.checks
    if policy is None:
        return
    commit = wanted.head or wanted.commit
    if commit is None or facts.unknown_head:
        opens = wanted.created_at + policy.timeout if policy.late is Otherwise.DEPLOY else None
        if opens is None or now < opens:
            why = f"waits for the checks of a commit that is not known: {_unknown(facts)}"
            key, again_at = f"{Gate.CHECKS}:?", facts.again_at
            yield Hold(Gate.CHECKS, key, why, Right.OVERRIDE, until=opens, changes_at=again_at)
        return
    ci = facts.ci if facts.ci is not None and facts.ci.commit == commit else Ci(commit)
    found = judged(policy, ci, since=wanted.created_at, now=now)
    if found.state is not CiState.PASSED:
        key = f"{Gate.CHECKS}:{commit}"
        yield Hold(
            Gate.CHECKS,
            key,
            found.says,
            Right.OVERRIDE,
            until=found.opens_at,
            changes_at=found.changes_at,
        )


def _approvals(wanted: Deployment, app: App, facts: Facts) -> Iterator[Hold]:
    needed = app.rules.approvals or 0
    if not needed:
        return
    commit = wanted.head or wanted.commit
    if commit is None or facts.unknown_head:
        why = f"needs approval of a commit that is not known: {_unknown(facts)}"
        key = f"{Gate.APPROVAL}:?"
        yield Hold(Gate.APPROVAL, key, why, Right.OVERRIDE, changes_at=facts.again_at)
        return
    counted = [one for one in facts.approvals if counts(one, wanted, facts, commit)]
    given = {one.email.lower() or one.person: one for one in counted}
    if len(given) < needed:
        names = ", ".join(sorted(one.name for one in given.values()))
        had = f"; approved by {names}" if names else ""
        of_commit = [one for one in facts.approvals if one.commit == commit]
        own = [one.name for one in of_commit if one not in counted]
        had += f"; nobody approves their own: {', '.join(sorted(own))}" if own else ""
        people = "1 approval" if needed == 1 else f"{needed} approvals"
        why = f"needs {people} of {commit[:7]}, has {len(given)}{had}"
        yield Hold(Gate.APPROVAL, approval_key(commit), why, Right.APPROVE)


def approval_key(commit: str) -> str:
    """Return the key of the hold that approvals of a commit open."""
    return f"{Gate.APPROVAL}:{commit}"


def _unknown(facts: Facts) -> str:
    return facts.unknown_head or "the head has not been read yet"


def counts(approval: Approval, wanted: Deployment, facts: Facts, commit: str) -> bool:
    """Return whether an approval counts: of this commit, and nobody approves their own."""
    own = bool(approval.email) and approval.email.lower() in facts.author
    return approval.commit == commit and approval.person != wanted.person and not own


def _order(wanted: Deployment, app: App, facts: Facts, now: float) -> Iterator[Hold]:
    commit = wanted.head or wanted.commit
    if facts.earlier and facts.again_at is not None:
        why = f"waits for earlier apps with a commit that is not known: {_unknown(facts)}"
        key = f"{Gate.ORDER}:?"
        yield Hold(Gate.ORDER, key, why, Right.OVERRIDE, changes_at=facts.again_at)
        return
    for label, earlier in facts.earlier.items():
        yield from _after(label, earlier, commit, app.rules.soak or 0.0, now)
    for name in facts.nowhere:
        why = f"`after` names {name}, and there is no such app: correct the rule, or override"
        yield Hold(Gate.ORDER, f"{Gate.ORDER}:{name}:{commit}", why, Right.OVERRIDE)


def _after(
    label: str, earlier: Deployment | None, commit: str | None, soak: float, now: float
) -> Iterator[Hold]:
    key = f"{Gate.ORDER}:{label}:{commit}"
    wanted = (commit or "?")[:7]
    until = None
    if earlier is None:
        why = f"{label} has not deployed {wanted} yet: it has no deployment"
    elif earlier.state is not State.DONE:
        why = f"{label} is not live with {wanted} yet: its newest deployment is {earlier.state}"
    elif commit is None or earlier.deployed_commit != commit:
        runs = (earlier.deployed_commit or "an unknown commit")[:17]
        runs = runs[:7] if earlier.deployed_commit else runs
        why = f"{label} runs {runs}, not {wanted}"
    elif now < (healthy := (earlier.finished_at or now) + soak):
        until = healthy
        why = f"{label} has been live with {wanted} for less than {for_people(soak)}"
    else:
        return
    yield Hold(Gate.ORDER, key, why, Right.OVERRIDE, until=until)


def lift_of(holds: Sequence[Hold], by: str, person: str, reason: str, at: float) -> Lift:
    """Return what lets a deployment pass the gates that hold it now, and no later ones."""
    return Lift(tuple(hold.key for hold in holds), by, person, reason, at)
