"""Approvals in Slack: what would be approved, and what came of it."""

from collections.abc import Sequence

from bridge.chats.facts.links import Links
from bridge.chats.facts.proposal import PERSON, proposed_of
from bridge.chats.slack.blocks import Block, Message, actions, context, section
from bridge.chats.slack.facts import name_of
from bridge.chats.slack.gates import approve_button, hold_lines, proposal_lines
from bridge.chats.slack.mrkdwn import NOTHING, code, escape
from bridge.core.chat.gate_replies import ApprovalAsked, ApprovalGiven
from bridge.core.holds import Gate

MOST_NAMED = 5


def asked(reply: ApprovalAsked, links: Links) -> Message:
    """Return what would be approved, with the button that does it."""
    head = f"{name_of(reply.deployment)} waits for an approval"
    shown = proposal_lines(proposed_of(reply.proposal, reply.app, links))
    waits = [one for one in reply.deployment.holds if one.gate is Gate.APPROVAL]
    return Message(
        head,
        (
            section("\n".join([head, *shown])),
            section("\n".join(hold_lines(waits))),
            actions(approve_button(reply.deployment.id, reply.proposal.commit)),
        ),
    )


def given(reply: ApprovalGiven) -> Message:
    """Return that a commit is approved, by whom, and what still holds it."""
    commit, name = code(reply.commit[:7], 20), name_of(reply.deployment)
    head = f":white_check_mark:  You approved {commit} of {name}"
    if not reply.new:
        head = f":information_source:  You had approved {commit} of {name} already: nothing changed"
    blocks: list[Block] = []
    if by := _people(reply.given):
        missing = "1 more approval" if reply.missing == 1 else f"{reply.missing} more approvals"
        blocks.append(context(f"Approved by {by}" + (f"; {missing} to go" * bool(reply.missing))))
    if reply.others:
        blocks.append(section("\n".join(["*Still held*", *hold_lines(reply.others)])))
    return Message(head, (section(head), *blocks))


def _people(those: Sequence[str]) -> str:
    return ", ".join(escape(one, PERSON) or NOTHING for one in those[:MOST_NAMED])
