"""Compare pushes with what was kept, decided and requested, and in which order."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise

from bridge.core.decision import DEPLOYS, Reason
from bridge.core.events import Action
from bridge.core.lifecycle import Deployment, State
from bridge.ports.inbox import Delivery, DeliveryState
from tests.chaos.pushes import DECIDED, FRESH, OLD, Push
from tests.chaos.stage import Stage
from tests.chaos.verdicts import Record, Verdict

TAKEN = DEPLOYS | {Reason.DUPLICATE_PUSH}
"""Reasons for a push to deploy an app, or to have deployed it through another webhook."""

NOT_LIVE = (State.FAILED, State.CANCELLED, State.UNKNOWN, State.UNHEALTHY)
"""Outcomes that do not claim that the pushed commit is live, and stays so."""


def judge_deliveries(verdict: Verdict, pushes: Sequence[Push], record: Record) -> None:
    """Check that each acknowledged delivery is kept once, and decided."""
    states = {one.id: one.state for one in record.deliveries if not _needless(one)}
    repeated = Counter(one.id for one in record.deliveries)
    acknowledged = [push.id for push in pushes if push.acknowledged]
    verdict.blame("lost", (id_ for id_ in acknowledged if id_ not in states))
    verdict.blame(
        "undecided", (f"{i} {s}" for i, s in states.items() if s is not DeliveryState.DECIDED)
    )
    verdict.blame("twice", (f"kept twice: {id_}" for id_, n in repeated.items() if n > 1))


def _needless(one: Delivery) -> bool:
    """Return whether it tells of a check or of a pull request that nobody waits for."""
    return one.event in ("check_run", "pull_request") and one.state is DeliveryState.IGNORED


def judge_decisions(verdict: Verdict, stage: Stage, pushes: Sequence[Push], record: Record) -> None:
    """Check that each kept push is decided for all apps of its repository, as configured."""
    sent = {push.id: push for push in pushes}
    must, may = set[tuple[str, str | None]](), set[tuple[str, str | None]]()
    for delivery in record.deliveries:
        if (push := sent.get(delivery.id)) is None:
            continue  # a person's request
        decided = {one.app_id: one for one in record.decisions[delivery.seq]}
        reasons = {app: one.reason for app, one in decided.items()}
        taken = {app for app, reason in reasons.items() if reason in TAKEN}
        concerned = {app for app in stage.apps if push.concerns(stage.backend.services[app].now)}
        if missing := sorted(concerned - reasons.keys()):
            verdict.blame("undecided", [f"{push.id} says nothing of {missing}"])
        deploys, skips = _verdicts(stage, push)
        owed = _owed(record, delivery.seq) | _compared(push, pushes)
        reached = {a for a, service in stage.backend.services.items() if push.reaches(service.now)}
        late = (owed - deploys) & reached
        deploys, skips = deploys | late, skips | late | _built_before(stage, push)
        may |= {(app, push.after) for app in deploys}
        must |= {(app, push.after) for app in deploys - skips}
        if wrong := (taken - deploys) | ((reasons.keys() - taken) & deploys - skips):
            changed = {app for app in wrong if len(stage.backend.services[app].configs) > 1}
            what = f"{push.id} {push.kind} to {push.branch} of {sorted(push.apps)}: "
            verdict.blame("skipped_as_it_was", (f"{what}{a} {reasons[a]}" for a in changed))
            verdict.blame("wrongly_decided", (f"{what}{decided[a]}" for a in wrong - changed))
    kept = {delivery.id for delivery in record.deliveries}
    for push in pushes:
        if (
            push.id not in kept
        ):  # never received; catch-up may find it, when the apps may have changed
            may |= {(app, push.after) for app in _ever(stage, push)}
    requested = Counter((one.app_id, one.commit) for one in record.deployments if one.commit)
    verdict.blame("twice", (f"wished twice: {what}" for what, n in requested.items() if n > 1))
    verdict.blame("lost", (f"never wished: {what}" for what in must - set(requested)))
    verdict.blame("wrongly_decided", (f"not pushed: {what}" for what in set(requested) - may))


def _compared(push: Push, pushes: Sequence[Push]) -> set[str]:
    """Return the apps that a comparison with what they serve may show as changed before a push.

    Only a forced push is compared: earlier ones may have been lost or skipped, or not live yet.
    """
    same = [one for one in pushes if (one.origin, one.branch) == (push.origin, push.branch)]
    before = [one for one in same if one.at < push.at]
    return {app for one in before for app in one.apps} if push.forced else set()


def _built_before(stage: Stage, push: Push) -> set[str]:
    """Return the apps of a forced push that it may find built from a newer commit already."""
    return {app for app in push.apps if push.forced and was_built(stage, app, push.after)}


def was_built(stage: Stage, app: str, commit: str) -> bool:
    """Return whether an app has ever served a build that contains a commit."""
    served = [one for one in stage.backend.served if one.app == app]
    return any(_holds(stage, one.commit, commit) for one in served)


def _owed(record: Record, seq: int) -> set[str]:
    """Return apps that earlier pushes changed, and that do not run these changes yet.

    Changes since the commit that they run count with the next push.
    """
    before = [one for one in record.deployments if one.seq < seq]
    return {o.app_id for o in before if o.state in NOT_LIVE or o.action is Action.ROLLBACK}


def _verdicts(stage: Stage, push: Push) -> tuple[set[str], set[str]]:
    """Return the apps that a push may deploy, and those that it may skip.

    An app that was reconfigured just then is in both. The bridge may have an older state.
    """
    deploys, skips = set[str](), set[str]()
    for app, service in stage.backend.services.items():
        if any(map(push.deploys, service.between(push.at - OLD, push.at + DECIDED))):
            deploys.add(app)
        recent = service.between(push.at, push.at + DECIDED)
        recent += service.read_between(push.at - FRESH, push.at + DECIDED)
        if not all(map(push.deploys, recent)) or stage.backend.was_away(push.at - FRESH):
            skips.add(app)
    return deploys, skips


def _ever(stage: Stage, push: Push) -> set[str]:
    """Return the apps that a push may deploy, whenever it is found."""
    since = push.at - OLD
    return {
        app
        for app, service in stage.backend.services.items()
        if any(map(push.deploys, service.between(since, float("inf"))))
    }


def judge_order(verdict: Verdict, stage: Stage, pushes: Sequence[Push], record: Record) -> None:
    """Check that kept pushes are requested in order, and the newest is live."""
    sent = {push.id: push for push in pushes}
    newest: dict[str, str] = {}
    place: dict[tuple[str, str], int] = {}
    last: dict[tuple[str, str], int] = {}
    for delivery in sorted(record.deliveries, key=lambda one: one.seq):
        if (push := sent.get(delivery.id)) is None:
            continue
        deploys, skips = _verdicts(stage, push)
        # Another webhook may bring it, perhaps late; or a tag of the same commit, for other apps.
        first = {app for app in deploys if (app, push.after) not in place}
        if (
            push.kind != "tag"
        ):  # the backend builds the head of a branch, which may not contain the tag
            newest |= dict.fromkeys(first - skips, push.after)
        place |= dict.fromkeys(((app, push.after) for app in first), delivery.seq)
        # The first of its webhooks that any process decides deploys it.
        last |= dict.fromkeys(((app, push.after) for app in deploys), delivery.seq)
    missed = (what for what in newest.items() if not _may_be_missed(stage, record, *what))
    verdict.blame("old_last", _behind(stage, dict(missed)))
    of_app: dict[str, list[str]] = defaultdict(list)
    for entry in stage.backend.ledger:
        of_app[entry.app].append(entry.commit)
    verdict.blame(
        "out_of_order",
        (f"{app}: {new} before {old}"
         for app, commits in of_app.items() for new, old in pairwise(commits)
         if place.get((app, new), 0) > last.get((app, old), 0) > 0),
    )  # fmt: skip


def _may_be_missed(stage: Stage, record: Record, app: str, commit: str) -> bool:
    """Return whether a push need not be live: its outcome says so, or a person has gone back.

    A build also brings what was pushed before its commit. Found broken, it is left with all that.
    """
    mine = [one for one in record.deployments if one.app_id == app]
    told = any(one.commit == commit and _is_told(one, record) for one in mine)
    broken = [one.deployed_commit or "" for one in mine if one.state is State.UNHEALTHY]
    left = any(_holds(stage, built, commit) for built in broken)
    return told or left or _people_went_back(mine)


def _is_told(one: Deployment, record: Record) -> bool:
    """Return whether it, or its successor, ended without being live, and says so."""
    by_id = {other.id: other for other in record.deployments}
    while one.state is State.SUPERSEDED and (one.superseded_by or "") in by_id:
        one = by_id.pop(one.superseded_by or "")
    return one.state in NOT_LIVE


def _people_went_back(mine: Sequence[Deployment]) -> bool:
    """Return whether the last that an app was given is a person's rollback."""
    done = (one for one in mine if one.state is State.DONE)
    last = max(done, key=lambda one: one.seq, default=None)
    return last is not None and last.action is Action.ROLLBACK and is_of_person(last)


def is_of_person(one: Deployment) -> bool:
    """Return whether a person has asked for it; the bridge goes back by itself, in its own name."""
    return bool(one.person) and one.back_from is None


def judge_live(verdict: Verdict, stage: Stage, pushes: Sequence[Push]) -> None:
    """Check that the last push to each app is live, whichever process received it."""
    newest: dict[str, str] = {}
    for push in pushes:
        deploys, skips = _verdicts(stage, push)
        newest |= dict.fromkeys(deploys - skips, push.after)
    verdict.blame("old_last", _behind(stage, newest))


def _behind(stage: Stage, newest: Mapping[str, str]) -> list[str]:
    """Return apps that run something without the commit."""
    found = []
    for app, commit in newest.items():
        served = stage.backend.serves(app)
        if served is None or not _holds(stage, served.commit, commit):
            found.append(f"{app}: {served and served.commit} is live, {commit} was pushed")
    return found


def _holds(stage: Stage, built: str, commit: str) -> bool:
    """Return whether a build contains a commit."""
    return any(
        built in one.commits and commit in one.ancestors(built)
        for one in stage.repositories.values()
    )
