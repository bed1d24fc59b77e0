"""What a person is answered, before it takes the form of a chat. Pure data.

Nothing in a reply names an app that the person may not see.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bridge.core.access import Person, Right
from bridge.core.apps import App
from bridge.core.chat.grammar import Command, Verb, parse_chat, written
from bridge.core.events import Action
from bridge.core.lifecycle import Deployment


@dataclass(frozen=True, slots=True)
class Accepted:
    """An action is kept and will be done.

    Attributes:
        delivery: what it is kept as.
        duplicate: it was asked for a moment ago by the very same click or command.
        channels: where it will be shown.
        waits: why that takes longer, e.g. that the backend is away; "" otherwise.
    """

    action: Action
    app: App
    delivery: str
    duplicate: bool = False
    channels: tuple[str, ...] = ()
    waits: str = ""


@dataclass(frozen=True, slots=True)
class Denied:
    """The person has not got the right.

    Attributes:
        why: in words, with the missing right's name.
        lines: the lines of `bridge.yaml` that would grant it.
        app: None where they may not even see it, or there is none.
    """

    right: Right
    why: str
    lines: str
    app: App | None = None


@dataclass(frozen=True, slots=True)
class Sorry:
    """It can't be done as asked.

    Attributes:
        suggestions: whole commands that may have been meant, e.g. "deploy shop/web".
    """

    why: str
    suggestions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Pick:
    """Which app? It is picked from a list."""

    verb: Verb


@dataclass(frozen=True, slots=True)
class Configure:
    """Show and change where this app's code comes from."""

    app: App


@dataclass(frozen=True, slots=True)
class Standing:
    """How things stand: of one app, or of all that the person may see.

    Attributes:
        apps: all that the person may see, or the one.
        open: what waits and runs, oldest first.
        last: the newest deployment of each app, by its id.
        trouble: backends that can't be read, and why.
    """

    app: App | None
    apps: tuple[App, ...]
    open: tuple[Deployment, ...]
    last: Mapping[str, Deployment]
    trouble: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Past:
    """An app's last deployments, newest first; `gone`: it was deleted at its backend."""

    app: App
    deployments: tuple[Deployment, ...]
    gone: bool = False


@dataclass(frozen=True, slots=True)
class Reasons:
    """Why pushes have deployed an app or not.

    Attributes:
        explained: `ports.Explained`, newest first.
        gone: the app was deleted at its backend.
    """

    app: App
    commit: str | None
    explained: tuple[Any, ...]
    gone: bool = False


@dataclass(frozen=True, slots=True)
class AppList:
    """The apps that the person may see, as far as they fit a filter."""

    apps: tuple[App, ...]
    last: Mapping[str, Deployment]
    filter: str = ""
    page: int = 1


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the person is here, and the labels of the apps to which they have each right.

    Attributes:
        apps: how many apps they may see.
    """

    person: Person
    rights: Mapping[Right, tuple[str, ...]]
    apps: int = 0


@dataclass(frozen=True, slots=True)
class Help:
    """How commands are written; of one where a topic is given."""

    topic: Verb | None = None


Reply = (
    Accepted
    | Denied
    | Sorry
    | Pick
    | Configure
    | Standing
    | Past
    | Reasons
    | AppList
    | Identity
    | Help
)


# ── What a command about an app means for that app, in words that can be typed. Pure ────────────


def other_ref(app: App, ref: str) -> str | None:
    """Return why a branch that was named can't be deployed; None: it is the app's own."""
    branch = app.source.branch if app.source else None
    if branch is None:
        return f"{app.label} deploys from no branch, so it can't deploy {ref}."
    if ref in (branch, f"refs/heads/{branch}"):
        return None
    return (
        f"{app.label} deploys the head of {branch}, whatever is asked for: the backend builds the"
        f" branch that it has. To deploy {ref}, change its branch with `provider` first."
    )


def command_for(typed: Command, app: App) -> str:
    """Return the command with that app, as it can be typed: by its label, else its id."""
    meant = Command(typed.verb, app.label, typed.ref, typed.rest)
    if parse_chat(written(meant)) == meant:
        return written(meant)
    return written(Command(typed.verb, app.id, typed.ref, typed.rest))
