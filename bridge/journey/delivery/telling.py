"""What the log says of deliveries that were decided."""

import logging
from collections.abc import Sequence

from bridge.core import trace
from bridge.core.events import Ignored, PullRequestOpened
from bridge.journey.delivery.deciding import Decided
from bridge.journey.delivery.meaning import Meaning
from bridge.ports.inbox import DeliveryState, Finished
from bridge.ports.outcomes import Outcome

log = logging.getLogger(__name__)

NOISE = Ignored | PullRequestOpened


def tell(meanings: Sequence[Meaning], outcomes: Sequence[Decided]) -> None:
    """Say what each led to; of what a host sends though nobody wants it, to who wants it all."""
    noise = {one.delivery.seq for one in meanings if isinstance(one.event, NOISE)}
    for outcome, end in outcomes:
        if outcome is not None:
            _tell(outcome)
        elif end.state is DeliveryState.IGNORED:
            _tell_ignored(end, logging.DEBUG if end.seq in noise else logging.INFO)


def _tell_ignored(end: Finished, level: int) -> None:
    """Say in the log that a delivery concerns nothing of ours."""
    with trace.about(end.id):
        log.log(level, "ignored", extra={"why": end.error})


def _tell(outcome: Outcome) -> None:
    """Say in the log what was decided: what deploys, or that nothing does.

    Each app that is left alone is named only to who wants it all.
    """
    with trace.about(outcome.delivery):
        if not any(one.deploy for one in outcome.decisions):
            reasons = sorted({str(one.reason) for one in outcome.decisions})
            what = {"apps": len(outcome.decisions), "reasons": ", ".join(reasons)}
            log.info("nothing deploys", extra=what)
        for one in outcome.decisions:
            level = logging.INFO if one.deploy else logging.DEBUG
            if log.isEnabledFor(level):
                log.log(level, "decided", extra={"app": one.app, "reason": str(one.reason)})
