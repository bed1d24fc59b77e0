"""Replies to a person, independent of a chat's format. Pure data.

No reply names an app that the person may not view.
"""

from dataclasses import dataclass, replace
from typing import Any

from bridge.core.access import Access, Person, Right, granting, missing
from bridge.core.apps import App
from bridge.core.chat.grammar import Command, parse_chat, written
from bridge.core.errors import Rejected
from bridge.core.lifecycle import Deployment
from bridge.core.previews.native import NativePreview
from bridge.core.previews.preview import Preview
from bridge.core.previews.verdict import Act


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
class Reasons:
    """Why pushes did or did not deploy an app.

    Attributes:
        explained: `ports.Explained`, newest first.
        gone: the app was deleted at its backend.
        held: the deployment that gates hold now; None if none does.
    """

    app: App
    commit: str | None
    explained: tuple[Any, ...]
    gone: bool = False
    held: Deployment | None = None


@dataclass(frozen=True, slots=True)
class PreviewShown:
    """A preview that the person may view.

    Attributes:
        deployment: the newest of its own app.
        ends: when it ends for want of a push; None if it does not.
        may: what the person may ask of it.
    """

    preview: Preview
    deployment: Deployment | None
    ends: float | None
    may: frozenset[Act]


@dataclass(frozen=True, slots=True)
class PreviewList:
    """The previews that the person may view, newest first; `app`: only of apps like this.

    Attributes:
        native: those that a backend makes by itself.
    """

    those: tuple[PreviewShown, ...]
    app: str = ""
    native: tuple[NativePreview, ...] = ()


@dataclass(frozen=True, slots=True)
class PreviewDone:
    """Something was done with a preview, which is as it is now.

    Attributes:
        ends: when it ends for want of a push; None if it does not.
    """

    act: Act
    preview: Preview
    ends: float | None = None


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


Reply = Denied | Sorry | Reasons | PreviewList | PreviewDone | Help


# ── Commands about one app. Pure ────────────────────────────────────────────────────────────────


def command_for(typed: Command, app: App) -> str:
    """Return the command as typed text, with the app's label, or its id if necessary."""
    meant = replace(typed, app=app.label)
    if parse_chat(written(meant)) == meant:
        return written(meant)
    return written(replace(typed, app=app.id))
