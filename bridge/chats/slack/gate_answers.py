"""Messages about locks that nobody has asked for: reminders, and that a lock is gone."""

from bridge.chats.facts.proposal import PERSON
from bridge.chats.slack import names
from bridge.chats.slack.blocks import Block, Message, actions, button, context, section
from bridge.chats.slack.mrkdwn import NOTHING, escape, moment
from bridge.core.gates.locks import Lock
from bridge.views.states import redacted

LABEL = 200
REASON = 500

# ── locks ───────────────────────────────────────────────────────────────────────────────────────


def reminder(lock: Lock, held: int, *, mine: bool) -> Message:
    """Return the reminder of a lock that still holds; `mine`: its owner reads it."""
    who = "you" if mine else _person(lock.name)
    head = f":lock:  Still locked by {who}: {_label(lock.label)}"
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
