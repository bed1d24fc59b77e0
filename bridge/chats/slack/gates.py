"""Held deployments in Slack: the reasons, the buttons, and the dialog that asks for a reason.

Nothing in a button or a dialog proves a right; they only say what the person has seen.
"""

from collections.abc import Sequence

from bridge.chats.facts.card import holds_of
from bridge.chats.facts.proposal import Proposed, proposal_of
from bridge.chats.slack import names
from bridge.chats.slack.blocks import (
    Element,
    button,
    confirm,
)
from bridge.chats.slack.facts import joined, sentence, text_of
from bridge.chats.slack.mrkdwn import code, link, moment, plain
from bridge.core.holds import Gate, Hold
from bridge.core.lifecycle import Deployment
from bridge.views.view import Text

ICONS = {
    Gate.SCHEDULE: ":alarm_clock:",
    Gate.LOCK: ":lock:",
    Gate.FREEZE: ":snowflake:",
    Gate.CHECKS: ":test_tube:",
    Gate.APPROVAL: ":busts_in_silhouette:",
    Gate.ORDER: ":link:",
}

MOST_HOLDS = 6
"""Reasons that are shown; each takes a line."""

MOST_SEEN = 200
"""Reasons that a dialog remembers to have shown."""

LONGEST_REASON = 500


def hold_lines(holds: Sequence[Hold]) -> list[str]:
    """Return a line for each reason: what holds, until when, and which right lifts it."""
    lines = [
        joined(_reason(one), f"lifted by {code(one.may_lift, 20)}") for one in holds[:MOST_HOLDS]
    ]
    return _with_more(lines, holds)


def reason_lines(holds: Sequence[Hold], most: int = MOST_HOLDS) -> list[str]:
    """Return the same without the rights, for what is no card."""
    return _with_more([_reason(one) for one in holds[:most]], holds)


def _with_more(lines: list[str], holds: Sequence[Hold]) -> list[str]:
    if (more := len(holds) - len(lines)) > 0:
        lines[-1] = joined(lines[-1], f"and {more} more")
    return lines


def _reason(hold: Hold) -> str:
    until = f"until {moment(hold.until)}" if hold.until is not None else ""
    return joined(f"{ICONS[hold.gate]}  {short_sentence(hold.says)}", until)


def short_sentence(says: str) -> str:
    """Return a reason as a sentence that is short enough to stand among others."""
    cut = says if len(says) <= 200 else f"{says[:199]}…"
    return sentence(cut)


def held_lines(deployment: Deployment) -> list[str]:
    """Return the lines of what holds a deployment; none if nothing does."""
    return hold_lines(holds_of(deployment))


def held_briefly(deployment: Deployment, most: int = 1) -> list[str]:
    """Return the first reasons, for a list of deployments."""
    return reason_lines(holds_of(deployment), most)


def proposal_lines(proposed: Proposed) -> list[str]:
    """Return the commit that would be approved with its author, and what it brings."""
    author = text_of(proposed.author)
    commit = link(proposed.page, _code(proposed.commit))
    what = " ".join(filter(None, (commit, text_of(proposed.says))))
    lines = [joined(f":memo:  To approve: {what}", f"by {author}" if author else "")]
    if proposed.live is None:
        return [*lines, f"{proposed.unlisted.capitalize()}."]
    files = ", ".join(filter(None, map(_code, proposed.shown)))
    more = f" and {proposed.unshown} more" if files and proposed.unshown else ""
    differs = f"{link(proposed.compare, proposed.count)} since {_code(proposed.live)}"
    return [*lines, f"{differs}: {files}{more}" if files else differs]


def _code(text: Text) -> str:
    return code(text.words, text.limit)


# ── buttons ─────────────────────────────────────────────────────────────────────────────────────


def held_buttons(deployment: Deployment) -> list[Element]:
    """Return the buttons for what holds a deployment; none if nothing does."""
    holds = holds_of(deployment)
    if not holds:
        return []
    shown: list[Element] = []
    if (proposal := proposal_of(deployment)) is not None:
        shown.append(approve_button(deployment.id, proposal.commit))
    shown.append(button("Deploy anyway", names.GATE_OVERRIDE, deployment.id))
    if (lock := next((one for one in holds if one.gate is Gate.LOCK), None)) is not None:
        shown.append(unlock_button(deployment.id, lock.key, lock.says))
    return shown


def unlock_button(deployment: str, key: str, says: str) -> Element:
    """Return the button that removes exactly the lock that is shown; `key`: of its hold."""
    asks = confirm("Remove this lock?", plain(f"{says}.", 300), "Unlock", "Leave it")
    return button("Unlock", names.GATE_UNLOCK, f"{deployment} {key}", confirm=asks)


def approve_button(deployment: str, commit: str) -> Element:
    """Return the button that approves exactly the commit that is shown beside it."""
    return button("Approve", names.GATE_APPROVE, f"{deployment} {commit}", style="primary")


def read_value(value: str) -> tuple[str, str]:
    """Return the deployment's id in a button's value, and what else it names."""
    id_, _, what = value.partition(" ")
    return id_, what
