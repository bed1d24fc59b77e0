"""Answers to what people ask of gates: who holds what, since when, why, and until when."""

from collections.abc import Sequence
from zoneinfo import ZoneInfo

from bridge.chats.facts.card import redacted
from bridge.chats.facts.links import Links
from bridge.chats.facts.proposal import PERSON
from bridge.chats.slack import approvals, names
from bridge.chats.slack.answers import COMMAND
from bridge.chats.slack.blocks import Block, Message, actions, button, context, section
from bridge.chats.slack.facts import ICONS, changed, joined, name_of, ref_of
from bridge.chats.slack.gates import ICONS as GATES
from bridge.chats.slack.gates import held_lines, reason_lines, warning_blocks
from bridge.chats.slack.mrkdwn import NOTHING, code, escape, moment
from bridge.core.chat.gate_replies import (
    Affected,
    ApprovalAsked,
    ApprovalGiven,
    ClosedGates,
    FreezeDeclared,
    FreezeNow,
    FreezesEnded,
    GateReply,
    Lifted,
    LockBusy,
    LockKept,
    LockReleased,
    LockTaken,
    MoreHolds,
    typed_scope,
)
from bridge.core.chat.grammar import Verb
from bridge.core.gates.freezes import Freeze
from bridge.core.gates.locks import Lock
from bridge.core.gates.times import in_words
from bridge.core.holds import Gate
from bridge.core.lifecycle import Deployment

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
        case LockTaken() | LockBusy() | LockReleased() | LockKept():
            return _of_lock(reply)
        case FreezeDeclared():
            return _frozen(reply)
        case FreezesEnded():
            return _thawed(reply)
        case ClosedGates():
            return _closed(reply)
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


def _of_lock(reply: LockTaken | LockBusy | LockReleased | LockKept) -> Message:
    match reply:
        case LockTaken():
            return _lock_taken(reply)
        case LockBusy():
            return _lock_busy(reply)
        case LockReleased(lock=lock):
            head = f":unlock:  Unlocked: {_label(lock.label)}"
            return _message(head, context(f"{_since(lock)}: {_reason(lock.reason)}"))
        case LockKept(lock=lock):
            again = f"Next reminder: {moment(lock.remind_at)}" if lock.remind_at else "No reminder"
            head = f"{LOCK}  Kept locked by {_person(lock.name)}: {_label(lock.label)}"
            return _message(f"{head}\n{_reason(lock.reason)}", context(again))


def _lock_taken(reply: LockTaken) -> Message:
    lock, before = reply.lock, reply.before
    head = f"{LOCK}  Locked by {_person(lock.name)}: {_label(lock.label)}"
    ends = (
        _ends(lock.until, reply.zone)
        or _until_merge(lock)
        or f"Until somebody unlocks it: {_command(Verb.UNLOCK, lock)}"
    )
    blocks = [context(ends)]
    if before is not None and before.owner != lock.owner:
        blocks.append(context(f"Taken over. {_since(before)}: {_reason(before.reason)}"))
    elif before is not None:
        blocks.append(context("It was locked by the same person before."))
    blocks += _affected(reply.affected)
    return _message(f"{head}\n{_reason(lock.reason)}", *blocks)


def _lock_busy(reply: LockBusy) -> Message:
    lock = reply.lock
    head = f"{LOCK}  Locked already by {_person(lock.name)}: {_label(lock.label)}"
    blocks = [context(f"Since {moment(lock.at)}, {_until(lock) or 'without an end'}.")]
    if len(reply.steal) <= LONGEST_COMMAND:
        run = button("Take it over", names.SUGGEST_RUN, reply.steal)
        blocks.append(section(code(f"{COMMAND} {reply.steal}", 250), run))
    return _message(f"{head}\n{_reason(lock.reason)}", *blocks)


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


def _until_merge(lock: Lock) -> str:
    ends = _until(lock)
    return f"{ends[:1].upper()}{ends[1:]}, or {_command(Verb.UNLOCK, lock)}" if ends else ""


def _command(verb: Verb, lock: Lock) -> str:
    """Return a command about a lock's scope."""
    return code(f"{COMMAND} {verb} {typed_scope(lock)}", LABEL)


def _since(lock: Lock) -> str:
    return f"{_person(lock.name)} had locked it since {moment(lock.at)}"


# ── freezes ─────────────────────────────────────────────────────────────────────────────────────


def _frozen(reply: FreezeDeclared) -> Message:
    freeze = reply.freeze
    head = f"{FREEZE}  Frozen by {_person(freeze.by)}: {_label(freeze.label)}"
    ends = _ends(freeze.until, reply.zone) or "Until somebody ends it with `unfreeze`"
    return _message(f"{head}\n{_reason(freeze.reason)}", context(ends), *_affected(reply.affected))


def _thawed(reply: FreezesEnded) -> Message:
    head = f":sunny:  No longer frozen: {_label(reply.label)}"
    over = [f"{_person(one.by)}: {_reason(one.reason)}" for one in reply.freezes[:MOST_AFFECTED]]
    return _message(head, context("\n".join(over)))


# ── all that is closed ──────────────────────────────────────────────────────────────────────────


def _closed(reply: ClosedGates) -> Message:
    lines = [*map(_lock_line, reply.locks), *map(_freeze_line, reply.freezes)]
    if not lines:
        return _message(":white_check_mark:  Nothing is locked or frozen.")
    more = len(lines) - MOST_LINES
    blocks = [section(line) for line in lines[:MOST_LINES]]
    if more > 0:
        blocks.append(context(f"and {more} more"))
    text = f"{_many(len(reply.locks), 'lock')}, {_many(len(reply.freezes), 'freeze')}"
    return Message(text, tuple(blocks))


def _lock_line(lock: Lock) -> str:
    until = _until(lock) or "until it is unlocked"
    who = f"{LOCK}  {_label(lock.label)}  ·  {_person(lock.name)} since {moment(lock.at)}, {until}"
    return f"{who}\n{_reason(lock.reason, 200)}"


def _freeze_line(now: FreezeNow) -> str:
    until = f"until {moment(now.until)}" if now.until is not None else "until it is ended"
    freeze = now.freeze
    where = f"  ·  {_person(freeze.by)} since {moment(freeze.at)}, " if freeze.by else "  ·  "
    return f"{FREEZE}  {_what(freeze, now.apps)}{where}{until}\n{_reason(freeze.reason, 200)}"


def _what(freeze: Freeze, apps: Sequence[str]) -> str:
    """Return what a freeze covers; of one in the settings only what the person may view."""
    if freeze.by:
        return _label(freeze.label)
    more = f" and {len(apps) - MOST_APPS} more" if len(apps) > MOST_APPS else ""
    return ", ".join(map(_label, apps[:MOST_APPS])) + more + " by `freezes` of `bridge.yaml`"


# ── pieces ──────────────────────────────────────────────────────────────────────────────────────


def _message(head: str, *more: Block) -> Message:
    """Return a message whose notification is its first line."""
    return Message(head.partition("\n")[0], (section(head), *more))


def _ends(until: float | None, zone: str) -> str:
    """Return an end in the reader's own zone and in the one that was typed."""
    if until is None:
        return ""
    return f"Until {moment(until)}  ·  {escape(in_words(until, ZoneInfo(zone)), 80)}"


def _affected(affected: Affected) -> list[Block]:
    """Return what is held now, and what is not stopped."""
    held, going = affected.held, affected.going
    blocks: list[Block] = []
    if held:
        blocks.append(section("\n".join(["*Held now*", *_listed(held)])))
    if going:
        title = "*Under way already*: not stopped"
        blocks.append(section("\n".join([title, *_listed(going)])))
    return blocks or [context("Nothing waits or runs there now.")]


def _listed(deployments: Sequence[Deployment]) -> list[str]:
    lines = [
        joined(
            f"{ICONS[one.state]}  {name_of(one)}",
            ref_of(one.ref),
            changed(one, None, Links(), 40),
        )
        for one in deployments[:MOST_AFFECTED]
    ]
    if (more := len(deployments) - MOST_AFFECTED) > 0:
        lines.append(f"and {more} more")
    return lines


def _label(name: str) -> str:
    return f"*{escape(name, LABEL) or NOTHING}*"


def _person(name: str) -> str:
    return escape(name, PERSON) or NOTHING


def _reason(reason: str, limit: int = REASON) -> str:
    return escape(redacted(reason), limit) or NOTHING


def _many(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
