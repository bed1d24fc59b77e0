"""Answers to what people ask of gates: who holds what, since when, why, and until when."""

from bridge.chats.facts.card import redacted
from bridge.chats.facts.links import Links
from bridge.chats.facts.proposal import PERSON
from bridge.chats.slack import approvals, names
from bridge.chats.slack.blocks import Block, Message, actions, button, context, section
from bridge.chats.slack.facts import name_of
from bridge.chats.slack.gates import ICONS as GATES
from bridge.chats.slack.gates import held_lines, reason_lines, warning_blocks
from bridge.chats.slack.mrkdwn import NOTHING, escape, moment
from bridge.core.chat.gate_replies import (
    ApprovalAsked,
    ApprovalGiven,
    GateReply,
    Lifted,
    MoreHolds,
)
from bridge.core.gates.locks import Lock
from bridge.core.holds import Gate

LABEL = 200
REASON = 500
MOST_LINES = 40
MOST_AFFECTED = 5
MOST_APPS = 3
LONGEST_COMMAND = 1000

LOCK, FREEZE = GATES[Gate.LOCK], GATES[Gate.FREEZE]


def answer_about_gates(reply: GateReply, links: Links) -> Message:
    """Return the message for a reply about gates."""
    match reply:
        case ApprovalAsked():
            return approvals.asked(reply, links)
        case ApprovalGiven():
            return approvals.given(reply)
        case Lifted(deployment=deployment, holds=holds, reason=reason):
            head = f":rocket:  {name_of(deployment)} deploys in spite of what holds it"
            about = section("\n".join([f"Why: {_reason(reason)}", *reason_lines(holds)]))
            return _message(head, about, *warning_blocks(holds))
        case MoreHolds(deployment=deployment):
            head = f":warning:  {name_of(deployment)} is held by something else, too, by now"
            return _message(head, section("\n".join(held_lines(deployment)) or NOTHING))


# ── locks ───────────────────────────────────────────────────────────────────────────────────────


def reminder(lock: Lock, held: int, *, mine: bool) -> Message:
    """Return the reminder of a lock that still holds; `mine`: its owner reads it."""
    who = "you" if mine else _person(lock.name)
    head = f"{LOCK}  Still locked by {who}: {_label(lock.label)}"
    holds = f"It holds {_many(held, 'deployment')}" if held else "It holds no deployment now"
    ends = _until(lock) or "until it is unlocked"
    return _message(
        f"{head}\n{_reason(lock.reason)}",
        context(f"Since {moment(lock.at)}, {ends}. {holds}."),
        actions(
            button("Unlock", names.LOCK_RELEASE, lock.key, style="primary"),
            button("Keep", names.LOCK_KEEP, lock.key),
        ),
    )


def ended_message(lock: Lock, why: str) -> Message:
    """Return that a lock was released with its pull request."""
    head = f":unlock:  Unlocked, as {escape(why, LABEL)}: {_label(lock.label)}"
    return _message(head, context(f"{_since(lock)}: {_reason(lock.reason)}"))


def _until(lock: Lock) -> str:
    """Return when a lock ends by itself; "" if it does not."""
    ends = [f"until {moment(lock.until)}"] if lock.until is not None else []
    if lock.merge is not None:
        ends.append(f"until {escape(str(lock.merge), LABEL)} is merged or closed")
    return " or ".join(ends)


def _since(lock: Lock) -> str:
    return f"{_person(lock.name)} had locked it since {moment(lock.at)}"


# ── pieces ──────────────────────────────────────────────────────────────────────────────────────


def _message(head: str, *more: Block) -> Message:
    """Return a message whose notification is its first line."""
    return Message(head.partition("\n")[0], (section(head), *more))


def _label(name: str) -> str:
    return f"*{escape(name, LABEL) or NOTHING}*"


def _person(name: str) -> str:
    return escape(name, PERSON) or NOTHING


def _reason(reason: str, limit: int = REASON) -> str:
    return escape(redacted(reason), limit) or NOTHING


def _many(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
