"""Compare every request with the times in which a gate surely held the app."""

from collections.abc import Iterator

from bridge.core.lifecycle import Deployment, State
from tests.chaos.dokploy.jobs import Asked
from tests.chaos.stage import Stage
from tests.chaos.verdicts import Record, Verdict


def judge_gates(verdict: Verdict, stage: Stage, record: Record) -> None:
    """Check that nothing is requested while a gate holds.

    A request whose intent was recorded before the gate closed is no fault: it is not stopped.
    """
    verdict.counts.held = sum(
        any(line.state is State.HELD for line in lines) for lines in record.history.values()
    )
    wishes = {(one.app_id, one.delivery): one for one in record.deployments}
    for entry in stage.backend.ledger:
        wish = wishes.get((entry.app, entry.delivery))
        if wish is None or wish.id in stage.lifted:
            continue
        verdict.blame("asked_while_held", _closed(stage, entry, wish))
        verdict.blame("asked_while_held", _not_passed(stage, entry, wish))


def _closed(stage: Stage, entry: Asked, wish: Deployment) -> Iterator[str]:
    """Yield the locks and freezes that surely held it.

    The journal has the time of the last intent, by the clock of the process that recorded it.
    """
    if wish.intent_at is None:
        return
    intent = wish.intent_at - stage.clocks_off  # not before this
    if intent > entry.at:
        return
    for one in stage.closed:
        if entry.app in one.apps and one.since < intent and entry.at < one.until:
            yield f"{wish.id}, {intent - one.since:.3f} s after {one.what}"


def _not_passed(stage: Stage, entry: Asked, wish: Deployment) -> Iterator[str]:
    """Yield it if no commit that it may have been judged by had passed: the pushed or a later one.

    Nothing that has passed fails again.
    """
    if (passed := stage.passed.get(entry.app)) is None:
        return
    repository = stage.repositories[stage.backend.services[entry.app].now.repository]
    had = (commit for commit, at in passed.items() if at <= entry.at)
    if not any(entry.commit in repository.ancestors(commit) for commit in had):
        yield f"{wish.id}, {entry.commit} had not passed"
