"""Decide whether a deployment may be asked for now, or which gates hold it. Pure and total.

All gates are evaluated, so a person sees every open reason at once and not only the first. A gate
holds with a reason, the time at which it opens by itself, and the right that may lift it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from bridge.core.access import Right
from bridge.core.apps import App
from bridge.core.checks import Otherwise
from bridge.core.events import Action
from bridge.core.gates.approvals import (
    NO_COMPARED,
    NOT_YET,
    SAME,
    Approval,
    Compared,
    Content,
    approval_key,
    approved,
    counting,
    not_counted,
)
from bridge.core.gates.ci import Ci, CiState, judged
from bridge.core.gates.freezes import Allowed, Freeze
from bridge.core.gates.locks import BY_ITSELF, Lock
from bridge.core.gates.order import Earlier
from bridge.core.gates.times import in_words, read_zone
from bridge.core.health.serving import Works
from bridge.core.holds import Gate, Hold, Lift, Proposal
from bridge.core.lifecycle import Deployment, State
from bridge.core.people import NO_IDENTITIES, Identities
from bridge.core.words import for_people, many

SOON = 1.0
"""Seconds until the gates look again at a commit that was not compared yet."""


@dataclass(frozen=True, slots=True)
class Facts:
    """The facts by which a deployment is judged.

    Attributes:
        locks: those that cover the app, expired ones included.
        freezes: those that cover the app, of the settings and by command.
        approvals: of any commit of the app; identities: who the people are.
        ci: the checks of the commit that would be built; None if none were ever asked for.
        earlier: the apps that must be live first, by label.
        compared: their commits, and the approved ones, beside the one that would be built.
        proposal: what an approval would be for; None if it is not known.
        nowhere: what the rules name as an earlier app, and is none.
        ahead: the deployment of the same app that goes before this one.
        unknown_head: why the commit that would be built can't be told; "" if it can.
        again_at: when to try again to find that out; None if no host can tell.
    """

    locks: Sequence[Lock] = ()
    freezes: Sequence[Freeze] = ()
    approvals: Sequence[Approval] = ()
    identities: Identities = NO_IDENTITIES
    ci: Ci | None = None
    earlier: Mapping[str, Earlier] = field(default_factory=dict)
    compared: Compared = field(default_factory=lambda: NO_COMPARED)
    proposal: Proposal | None = None
    nowhere: Sequence[str] = ()
    ahead: Deployment | None = None
    unknown_head: str = ""
    again_at: float | None = None

    def content(self, app_id: str, commit: str | None, head: str | None, now: float) -> Content:
        """Return a commit beside the one that would be built, as far as they concern an app."""
        if head is None:
            return Content(None, _unknown(self))
        if commit is None:
            return Content(False)
        if commit == head:
            return SAME
        return self.compared.get((app_id, commit)) or Content(None, NOT_YET, now + SOON)


def open_gates(wanted: Deployment, app: App, facts: Facts, now: float) -> tuple[Hold, ...]:
    """Return every reason to hold a deployment now; () lets it pass.

    Args:
        app: with the rules that apply to it.
    """
    lifted = {key for lift in wanted.lifts for key in lift.keys}
    return tuple(hold for hold in _all(wanted, app, facts, now) if hold.key not in lifted)


class Asking(Protocol):
    """What locks and freezes see of a deployment, also of one that nobody has asked for yet."""

    @property
    def action(self) -> Action: ...
    @property
    def person(self) -> str: ...
    @property
    def back_from(self) -> str | None: ...


def closed_to(wanted: Asking, facts: Facts, now: float) -> Iterator[Hold]:
    """Yield what holds every deployment of its kind, whatever it would build."""
    yield from _locks(wanted, facts, now)
    yield from _freezes(wanted, facts, now)


def will_hold(holds: Iterable[Hold]) -> tuple[str, ...]:
    """Return what a plan says of what would hold it, each with its end; each a sentence."""
    return tuple(
        f"it will be held: {one.says}"
        + ("" if one.until is None else f", until {in_words(one.until, read_zone('UTC'))}")
        for one in holds
    )


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
        yield from _approvals(wanted, app, facts, now)
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
        why = f"asked for a later time by {wanted.origin.actor.name or wanted.trigger}"
        yield Hold(Gate.SCHEDULE, key, why, Right.DEPLOY, until=wanted.not_before)


def _locks(wanted: Asking, facts: Facts, now: float) -> Iterator[Hold]:
    for lock in facts.locks:
        if lock.expired(now) or _passes(wanted, lock):
            continue
        key = f"{Gate.LOCK}:{lock.key}"
        yield Hold(Gate.LOCK, key, lock.says, Right.OVERRIDE, until=lock.until)


def _passes(wanted: Asking, lock: Lock) -> bool:
    """Return whether a lock is not meant for a deployment.

    Whoever may roll back has the right to pass the lock that nobody took. A lock that a rollback
    has left keeps away what is new, so it does not hold the bridge's own way further back.
    """
    owns = bool(wanted.person) and lock.owner in (wanted.person, BY_ITSELF)
    return owns or (wanted.back_from is not None and lock.of_rollback)


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
            hold = _of_unknown(Gate.CHECKS, "waits for the checks of a commit", facts)
            yield replace(hold, until=opens)
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
            headline=found.headline,
        )


def _approvals(wanted: Deployment, app: App, facts: Facts, now: float) -> Iterator[Hold]:
    needed = app.rules.approvals or 0
    if not needed:
        return
    commit = wanted.head or wanted.commit
    if commit is None or facts.unknown_head:
        yield _of_unknown(Gate.APPROVAL, "needs approval of a commit", facts)
        return
    others = _approved_content(commit, app, facts, now)
    proposal = _proposed(commit, others, facts)
    counted = counting(facts.approvals, wanted.asked_by, proposal, facts.identities)
    if len(counted) < needed:
        names = ", ".join(sorted(one.name for one in counted))
        had = f"; approved by {names}" if names else ""
        of_it = [one for one in facts.approvals if one.commit in (commit, *proposal.same)]
        had += not_counted(of_it, wanted.asked_by, proposal, facts.identities)
        early = [one for one in of_it if proposal.since and one.at < proposal.since]
        had += "; approvals from before what is live now don't count" if early else ""
        other, detail = _other(wanted, facts, others)
        headline = (
            f"needs {many(needed, 'approval')} of {commit[:7]}, has {len(counted)}{had}{other}"
        )
        again_at = min((one.again_at for one in others.values() if one.again_at), default=None)
        yield Hold(
            Gate.APPROVAL,
            approval_key(commit),
            headline + detail,
            Right.APPROVE,
            changes_at=again_at,
            proposal=proposal,
            headline=headline,
        )


def approvers_of(wanted: Deployment, app: App, facts: Facts, now: float) -> list[str]:
    """Return the names of those whose approvals let a held deployment pass; [] if none had to."""
    commit = wanted.head or wanted.commit
    if commit is None or not any(one.gate is Gate.APPROVAL for one in wanted.holds):
        return []
    proposal = _proposed(commit, _approved_content(commit, app, facts, now), facts)
    counted = counting(facts.approvals, wanted.asked_by, proposal, facts.identities)
    return sorted(one.name for one in counted) if len(counted) >= (app.rules.approvals or 0) else []


def _approved_content(commit: str, app: App, facts: Facts, now: float) -> dict[str, Content]:
    """Return how the content of further approved commits differs from that of one."""
    return {
        one: facts.content(app.id, one, commit, now) for one in approved(facts.approvals, commit)
    }


def _proposed(commit: str, others: Mapping[str, Content], facts: Facts) -> Proposal:
    same = tuple(one for one, content in others.items() if content.same)
    return replace(facts.proposal or Proposal(commit), same=same)


def _other(wanted: Deployment, facts: Facts, others: Mapping[str, Content]) -> tuple[str, str]:
    """Return why an approval that somebody has given meanwhile does not count, and its detail."""
    lately = [one for one in facts.approvals if one.at >= wanted.created_at]
    found = next((one for one in lately if not others.get(one.commit, SAME).same), None)
    if found is None:
        return "", ""
    content = others[found.commit]
    given = f"; {found.name} approved {found.commit[:7]}"
    if content.same is None:
        return f"{given}, and they can't be compared, so approve this one", f": {content.why}"
    return (f"{given}, but {content.why}" if content.why else given), ""


def _of_unknown(gate: Gate, waits: str, facts: Facts) -> Hold:
    """Return what holds a deployment of which it is not known what it would build."""
    why, again_at = f"{waits} that is not known", facts.again_at
    says = f"{why}: {_unknown(facts)}"
    return Hold(gate, f"{gate}:?", says, Right.OVERRIDE, changes_at=again_at, headline=why)


def _unknown(facts: Facts) -> str:
    return facts.unknown_head or "the head has not been read yet"


def _order(wanted: Deployment, app: App, facts: Facts, now: float) -> Iterator[Hold]:
    commit = wanted.head or wanted.commit
    if facts.earlier and facts.again_at is not None:
        yield _of_unknown(Gate.ORDER, "waits for earlier apps with a commit", facts)
        return
    for label, earlier in facts.earlier.items():
        yield from _after(label, earlier, commit, app.rules.soak or 0.0, facts, now)
    for name in facts.nowhere:
        why = f"`after` names {name}, and there is no such app: correct the rule, or override"
        yield Hold(Gate.ORDER, f"{Gate.ORDER}:{name}:{commit}", why, Right.OVERRIDE)


def _after(
    label: str, earlier: Earlier, commit: str | None, soak: float, facts: Facts, now: float
) -> Iterator[Hold]:
    """Hold what an earlier app does not serve: the same, as far as that app is concerned."""
    key = f"{Gate.ORDER}:{label}:{commit}"
    wanted, serving = commit[:7] if commit else "what would be built", earlier.serving
    until, changes, detail = None, None, ""
    warns, coming = _failed_there(label, earlier, commit, facts, now), earlier.coming(commit)
    if earlier.doubt is not None:
        why = f"what runs in {label} is not known since deployment #{earlier.doubt.seq}"
    elif serving is None:
        why = f"{label} has not deployed {wanted} yet"
    elif serving.stopped:
        why = f"{label} is {serving.stopped}"
    elif serving.works in (Works.VERIFYING, Works.UNHEALTHY):
        why = f"{label} runs {_short(serving.commit)}, which is {serving.works}"
    elif serving.commit is None and not serving.image:
        why = f"{label} runs an unknown commit, not {wanted}"
        detail = f": deploy {label} again, or override"
    elif not (content := facts.content(earlier.app_id, serving.commit, commit, now)).same:
        differs, detail = _differs(content, facts)
        why = f"{label} runs {_short(serving.commit)}, not {wanted}{differs}"
        changes = content.again_at
    elif now < (healthy := (earlier.since or now) + soak):
        until, coming = healthy, ""
        why = f"{label} has been live with {wanted} for less than {for_people(soak)}"
    else:
        return
    comes = f"{label} {coming}" if coming and earlier.newest else ""
    number = f": #{earlier.newest.seq}" if comes and earlier.newest else ""
    yield Hold(
        Gate.ORDER,
        key,
        "; ".join(filter(None, (why + detail, comes + number, warns))),
        Right.OVERRIDE,
        until=until,
        changes_at=changes,
        warns=warns,
        headline=why if detail else "; ".join(filter(None, (why, comes or warns))),
    )


def _short(commit: str | None) -> str:
    return commit[:7] if commit else "an unknown commit"


def _differs(content: Content, facts: Facts) -> tuple[str, str]:
    """Return what keeps one commit from standing for another, and its detail."""
    if content.same is None:
        can_pin = not facts.unknown_head
        mend = "override" + (", or pin this app and promote that version to it" * can_pin)
        return ", and they can't be compared", f": {mend} ({content.why})"
    return "", f": {content.why}" if content.why else ""


def _failed_there(
    label: str, earlier: Earlier, commit: str | None, facts: Facts, now: float
) -> str:
    """Return whether an earlier app was unhealthy with a version, or rolled back from it."""
    left = set[str | None]()  # where rollbacks lead that have passed what comes now
    for one in earlier.served:
        left -= {one.id, one.deployed_commit}
        if facts.content(one.app_id, one.deployed_commit, commit, now).same:
            at = (commit or "?")[:7]
            if one.state is State.UNHEALTHY:
                back = ", and was rolled back" if left else ""
                return f"{label} was unhealthy with {at}{back}"
            return f"{label} was rolled back from {at}" if left else ""
        if one.action is Action.ROLLBACK:
            left.add(one.target or one.deployed_commit or one.id)
    return ""


def lift_of(holds: Sequence[Hold], by: str, person: str, reason: str, at: float) -> Lift:
    """Return what lets a deployment pass the gates that hold it now, and no later ones."""
    return Lift(tuple(hold.key for hold in holds), by, person, reason, at)
