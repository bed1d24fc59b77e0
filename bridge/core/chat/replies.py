"""Replies to a person, independent of a chat's format. Pure data.

No reply names an app that the person may not view.
"""

from dataclasses import dataclass

from bridge.core.access import Access, Person, Right, granting, missing
from bridge.core.apps import App
from bridge.core.errors import Rejected


@dataclass(frozen=True, slots=True)
class Denied:
    """The person lacks the right.

    Attributes:
        why: the reason, as a whole sentence where `subject` is empty.
        lines: the lines of `bridge.yaml` that would grant it.
        app: None if they may not even view it, or there is none.
        target: what it is about besides an app, e.g. "project shop"; "" if that is not to be named.
        subject: what they may not do that with, for the beginning of the sentence.
    """

    right: Right
    why: str
    lines: str
    app: App | None = None
    target: str = ""
    subject: str = ""

    @property
    def sentence(self) -> str:
        """The refusal with its reason."""
        return f"You may not {self.right} {self.subject}: {self.why}" if self.subject else self.why


class NotAllowed(Rejected):
    """Somebody lacks a right.

    Attributes:
        denied: the refusal; the message says how to grant it, too.
    """

    def __init__(self, denied: Denied) -> None:
        super().__init__(f"{denied.sentence}\n\nTo grant it, add to bridge.yaml:\n{denied.lines}")
        self.denied = denied


def denial(
    access: Access, person: Person, right: Right, label: str, app: App | None = None
) -> Denied:
    """Return the refusal for somebody who lacks a right to an app that they may view.

    Args:
        app: None if only its label is known.
    """
    why = missing(access, person, right, label)
    lines, target = granting(person, right, label), "" if app else label
    return Denied(right, why, lines, app, target=target, subject=label)


@dataclass(frozen=True, slots=True)
class Sorry:
    """The request can't be carried out.

    Attributes:
        suggestions: whole commands that may have been meant, e.g. "deploy shop/web".
    """

    why: str
    suggestions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Usage:
    """The help of one command: its syntax, what it does, further details."""

    name: str
    usage: str
    does: str
    more: str = ""


@dataclass(frozen=True, slots=True)
class Help:
    """The usage of all commands, or of one if a topic is given.

    Attributes:
        operations: those of operations; see `bridge/operations/`.
    """

    topic: str | None = None
    operations: tuple[Usage, ...] = ()


Reply = Denied | Sorry | Help
