"""What a provider needs from a person to be set up: fields, and a trial before they are stored."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class SetupField:
    """A setting that a person fills in.

    Attributes:
        setting: its name in the provider's section; `label`: what people call it.
        where: where it is found in the other service, or what it is for.
        secret: its value must never be shown.
        example: of a value.
    """

    setting: str
    label: str
    where: str
    secret: bool = False
    optional: bool = False
    example: str = ""


@dataclass(frozen=True, slots=True)
class SetupLink:
    """A page of the other service that is to be opened first, to do what `text` says.

    Attributes:
        url: returns its address, given the bridge's public URL.
    """

    text: str
    url: Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several values of a setting."""

    value: str
    label: str


@dataclass(frozen=True, slots=True)
class SetupChoice:
    """A setting whose values the connected service lists.

    Attributes:
        read: returns them, given the section; raises BridgeError.
    """

    setting: str
    label: str
    where: str
    read: Callable[[Any], Awaitable[Sequence[Choice]]]


@dataclass(frozen=True, slots=True)
class Registration:
    """Registers the bridge at a service by a form that the browser sends there.

    Attributes:
        button, then_button: what the buttons to the form, and to what comes next, say.
        manifest: returns the form's `manifest`, given the bridge's public URL and its name.
        action: returns where the form is sent to, given the section, the organisation ("": the
            person's own account) and the state that comes back.
        stores: the settings that come back, by their paths in the section.
        redeem: returns the settings to store, given the section and the code that comes back;
            raises BridgeError.
        then: returns where to go next, given the section as it is then; raises BridgeError.
    """

    button: str
    then_button: str
    manifest: Callable[[str, str], Mapping[str, Any]]
    action: Callable[[Any, str, str], str]
    stores: tuple[str, ...]
    redeem: Callable[[Any, str], Awaitable[Mapping[str, str]]]
    then: Callable[[Any], Awaitable[str]]


def makes_none(_settings: Any) -> bool:
    """Make no webhooks there."""
    return False


@dataclass(frozen=True, slots=True)
class Setup:
    """How a provider is set up; functions are given its section.

    Attributes:
        gives: what works once it is connected, in a sentence.
        credentials: the settings of which any one connects it.
        tries: asks the service with these settings, given also the server's name; returns what it
            says, in sentences; raises BridgeError.
        register: how the bridge registers itself there instead.
        link: what to open first.
        choice: a setting whose values the service lists.
        test: shows something in the service; returns what, in a sentence.
        makes_webhooks: whether the bridge makes webhooks there.
    """

    gives: str
    credentials: tuple[str, ...]
    fields: tuple[SetupField, ...]
    tries: Callable[[str, Any], Awaitable[Sequence[str]]]
    register: Registration | None = None
    link: SetupLink | None = None
    choice: SetupChoice | None = None
    test: Callable[[Any], Awaitable[str]] | None = None
    makes_webhooks: Callable[[Any], bool] = makes_none
