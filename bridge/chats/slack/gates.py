"""Held deployments in Slack: the reasons and the buttons.

Nothing in a button proves a right; it only says what the person has seen.
"""

from collections.abc import Sequence

from bridge.chats.slack.blocks import Element
from bridge.chats.slack.views import button_of, lines_of
from bridge.core.holds import Hold
from bridge.core.lifecycle import Deployment
from bridge.views.actions import of_holds
from bridge.views.cards import MOST_HOLDS, holds_list, proposal_list
from bridge.views.deployments import holds_of
from bridge.views.proposal import Proposed


def hold_lines(holds: Sequence[Hold]) -> list[str]:
    """Return a line for each reason: what holds, until when, and which right lifts it."""
    return lines_of(holds_list(holds))


def reason_lines(holds: Sequence[Hold], most: int = MOST_HOLDS) -> list[str]:
    """Return the same without the rights, for what is no card."""
    return lines_of(holds_list(holds, rights=False, most=most))


def held_lines(deployment: Deployment) -> list[str]:
    """Return the lines of what holds a deployment; none if nothing does."""
    return hold_lines(holds_of(deployment))


def held_briefly(deployment: Deployment, most: int = 1) -> list[str]:
    """Return the first reasons, for a list of deployments."""
    return reason_lines(holds_of(deployment), most)


def proposal_lines(proposed: Proposed) -> list[str]:
    """Return the commit that would be approved with its author, and what it brings."""
    return lines_of(proposal_list(proposed))


# ── buttons ─────────────────────────────────────────────────────────────────────────────────────


def held_buttons(deployment: Deployment) -> list[Element]:
    """Return the buttons for what holds a deployment; none if nothing does."""
    return [button_of(one) for one in of_holds(deployment)]


def read_value(value: str) -> tuple[str, str]:
    """Return the deployment's id in a button's value, and what else it names."""
    id_, _, what = value.partition(" ")
    return id_, what
