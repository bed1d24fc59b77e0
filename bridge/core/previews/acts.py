"""What people can ask of a preview, whoever they are."""

from enum import StrEnum

from bridge.core.access import Right
from bridge.core.previews.preview import Preview
from bridge.core.previews.verdict import Why

STARTED_AGAIN = frozenset({Why.STOPPED, Why.IDLE})
"""Why there is none, although an extension brings it back."""


class Act(StrEnum):
    """What people can ask of a preview."""

    APPROVE = "approve"
    STOP = "stop"
    EXTEND = "extend"


NEEDS = {Act.APPROVE: Right.APPROVE, Act.STOP: Right.DEPLOY, Act.EXTEND: Right.DEPLOY}
"""The right to the previewed app that each needs."""


def possible(preview: Preview) -> tuple[Act, ...]:
    """Return what would not be refused, as far as the preview is concerned."""
    over = preview.ends
    each = {
        Act.APPROVE: awaits_approval(preview),
        Act.STOP: not over and not preview.stopped,
        Act.EXTEND: not over or preview.reason in STARTED_AGAIN,
    }
    return tuple(act for act, would_be in each.items() if would_be)


def awaits_approval(preview: Preview) -> bool:
    """Return whether the newest commit of a fork could be built, and has not been approved."""
    pull = preview.pull
    could_be = not preview.ends and preview.reason != Why.CANNOT_BUILD
    return could_be and not pull.own and preview.approved != pull.head_sha
