"""What the folder of a Git host, backend or chat tells of it: one record, which answers for it."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from bridge.core.errors import Rejected
from bridge.core.events import Sender
from bridge.ports.clock import Clock, Limit
from bridge.ports.figures import Observe
from bridge.ports.githosts import GitHost, HostApi, Pages

if TYPE_CHECKING:
    from bridge.ports.backends import Backend
    from bridge.ports.chats import Chat, ChatParts
    from bridge.ports.outcomes import Audited, Subscription


class HostSettings(Protocol):
    """What the settings of every Git host have; the rest is read by its provider alone."""

    @property
    def web_url(self) -> str | None:
        """Where its webhooks say it is, if not where it is asked."""

    @property
    def feedback(self) -> Sequence[str]:
        """What shows there how a push went: see `githosts.subscriptions.Use`."""

    @property
    def skipped_status(self) -> bool:
        """Whether a skipped app gets a status as well."""


@dataclass(frozen=True, slots=True)
class WebhookSecrets:
    """A setting that holds secrets of a host's webhooks.

    Attributes:
        setting: its name, e.g. "webhook_secrets".
        remedy: where a secret that can be guessed is to be replaced.
        prefix: what all of them begin with, which nobody has to guess.
    """

    setting: str
    remedy: str = "take what `openssl rand -hex 32` prints, here and on the webhook"
    prefix: str = ""


@dataclass(frozen=True, slots=True)
class AppManifest:
    """A host at which the bridge can be registered as an app of its own.

    Attributes:
        server: where that is, unless it is a server of one's own.
        own_server: what a server of one's own is called.
        make: the manifest, from the bridge's address and the app's name.
        link: the form that registers it, from the manifest, the server and the organisation.
    """

    longest_name: int
    server: str
    own_server: str
    make: Callable[[str, str], Mapping[str, Any]]
    link: Callable[[Mapping[str, Any], str, str | None], str]


def no_trouble(_headers: Mapping[str, str]) -> None:
    """Take every webhook for what its headers say."""


def one_account(_settings: Any) -> bool:
    """Count all writes to one rate limit."""
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider(Sender):
    """A Git host.

    What takes a while to import is imported where it is called: the record itself is had at
    every start of the command line.

    Attributes:
        settings: the model of its section in the settings; it has what `HostSettings` has.
        secrets: the settings any of which makes the bridge take its webhooks.
        credential: the setting that lets the bridge ask its API, of several the simplest.
        token_begins: how its tokens begin, so that none is set for another service.
        webhook_note: what has to be chosen where a webhook is added.

        webhooks: reads and checks its webhooks, made from its settings; ValueError where a
            secret can't be one.
        reader: the same for webhooks that were taken already; it has no secrets.
        events: the names of events that metrics count one by one.
        screen: raises Rejected for webhooks of other hosts that look like its own.
        likeness: how much a body looks like one of its own: 2 surely, 1 maybe, 0 not.
        event_of: the event that a body is of; None if that can't be told.

        api: its API, made from its settings; None if no credential is set. Raises Rejected.
        limits: the writes of one credential that the host or its people bear.
        own_limits: whether the repositories of each owner have a limit of their own.

        web_url: where people look at it, by its settings.
        homes: further addresses that its clone addresses may begin with.
        pages: where commits and pull requests are to be seen.
        manifest: how the bridge is registered as an app there; None if hosts have no such.
    """

    settings: Callable[[], type[Any]]
    secrets: tuple[WebhookSecrets, ...]
    credential: str = "token"
    token_begins: tuple[str, ...] = ()
    webhook_note: str = ""

    webhooks: Callable[[Any], GitHost]
    reader: Callable[[], GitHost]
    events: frozenset[str]
    screen: Callable[[Mapping[str, str]], None] = no_trouble
    likeness: Callable[[Mapping[str, Any]], int]
    event_of: Callable[[Mapping[str, Any]], str | None]

    api: Callable[[Any], HostApi | None]
    limits: tuple[Limit, ...] = ()
    own_limits: Callable[[Any], bool] = one_account

    web_url: Callable[[Any], str]
    homes: Callable[[Any], tuple[str, ...]]
    pages: Pages = field(default_factory=Pages)
    manifest: AppManifest | None = None

    def variable(self, setting: str) -> str:
        """Return the variable of one of its settings."""
        return f"BRIDGE_{self.key}_{setting}".upper()

    def serves(self, settings: Any) -> bool:
        """Return whether its webhooks are taken: whether a secret is set for them."""
        return any(getattr(settings, one.setting) for one in self.secrets)


# ── Backends ────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class BackendParts:
    """What a backend may use of the bridge.

    Attributes:
        observe: receives the duration of each request.
        clock: by which deployments are followed, so that both sides tell the same time.
    """

    observe: Observe = lambda _backend, _asked, _seconds: None
    clock: Clock = time.time


def spares_builds(_settings: Any) -> bool:
    """Interrupt no builds but the one that is cancelled."""
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendProvider:
    """A deploy backend.

    Attributes:
        key, title: its own key, and its name for people.
        settings: the model of its section in the settings.
        address: the setting that says where its server is, without which there is none.
        example: such an address.
        credential: the setting that lets the bridge in.
        keys_at: where people make one there.
        further: the setting that holds more of its servers by name, each with the settings of
            the section; None if there can be but one.
        open: the client of a server, by its name and settings; nothing is asked of it yet.
            Raises Rejected.
        may_kill_builds: whether `cancel` may interrupt all builds of a host (`KillsBuilds`).
    """

    key: str
    title: str
    settings: Callable[[], type[Any]]
    address: str = "url"
    example: str
    credential: str = "api_key"
    keys_at: str
    further: str | None = None
    open: "Callable[[str, Any, BackendParts], Backend]"
    may_kill_builds: Callable[[Any], bool] = spares_builds

    def variable(self, setting: str) -> str:
        """Return the variable of one of its settings."""
        return f"BRIDGE_{self.key}_{setting}".upper()


@dataclass(frozen=True, slots=True)
class BackendServer:
    """A server that the settings name.

    Attributes:
        name: in apps, errors and records: the backend's key, or its own among the further ones.
        given: its section of the settings.
    """

    name: str
    provider: BackendProvider
    given: Any

    @property
    def address(self) -> str | None:
        """Where it is; None: nothing deploys there."""
        found: str | None = getattr(self.given, self.provider.address)
        return found

    def open(self, parts: BackendParts = BackendParts()) -> "Backend":
        """Return its client."""
        return self.provider.open(self.name, self.given, parts)

    def check(self) -> None:
        """Raise Rejected where it has an address without a key, or a key without an address."""
        of = self.provider
        url, key = self.setting(of.address), self.setting(of.credential)
        has_key = getattr(self.given, of.credential) is not None
        if self.address is not None and not has_key:
            raise Rejected(
                f"the {of.address} of the {of.title} {self.name!r} is set, but {key} is not;"
                f" make one in {of.title}: {of.keys_at}"
            )
        if self.address is None and has_key:
            raise Rejected(
                f"{key} is set, but {url} is not, so nothing would deploy there: set it, e.g. to"
                f" {of.example}, or leave {key} out"
            )
        if self.address is None and self.name != of.key:
            raise Rejected(
                f"{url} is not set, so nothing would deploy there: set it, or leave"
                f" {of.further}.{self.name} out"
            )

    def setting(self, name: str) -> str:
        """Return what people call one of its settings."""
        if self.name == self.provider.key:
            return self.provider.variable(name)
        return f"{self.provider.further}.{self.name}.{name}"


# ── Chats ───────────────────────────────────────────────────────────────────────────────────────

BY_HTTP = "HTTP"
"""How a chat is heard that sends requests to the bridge's own address."""

ChannelBook = Sequence[tuple[str, tuple[str, ...]]]
"""The channels that rules name, by globs over the labels of apps."""

ChannelsOf = Callable[[str, str], tuple[str, ...]]
"""The channels where an app is shown, from its label and the channel that it was asked for in."""


@dataclass(frozen=True, slots=True)
class ChatManifest:
    """A chat at which the bridge is registered by pasting a manifest.

    Attributes:
        name: how the bridge is called there, unless somebody says otherwise.
        without_url: how it is heard without an address of its own, and the option's name.
        more: what more may be asked for.
        paste_at, paste_as: where the manifest belongs, and what to choose there.
        make: the manifest, from the bridge's address (None: without), what more, and the name.
    """

    name: str
    longest_name: int
    without_url: tuple[str, str]
    more: tuple[str, ...]
    paste_at: str
    paste_as: str
    make: Callable[[str | None, Sequence[str], str], Mapping[str, Any]]


def no_doubts(_settings: Any) -> Sequence[str]:
    """Return nothing: all that can be set is right."""
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatProvider:
    """A chat.

    Attributes:
        key, title: its own key, and its name for people.
        settings: the model of its section in the settings.
        credential: the setting without which there is no such chat.
        token_begins: how its tokens begin, so that none is set for another service.
        heard_by: how people are heard there, by its settings: `BY_HTTP`, or in other ways.
        to_be_heard: what to set where they are not.
        cards_only: the same in short, where nobody has to be heard.
        doubts: what of its settings is hardly right, each with the remedy; no secret is told.
        channels: where apps are shown, by its settings and our rules.
        open: the chat, ready to run. Nothing is sent by then.
        tells: where changes are told that were made elsewhere than in the chat.
        manifest: how the bridge is registered there; None if nothing has to be.
    """

    key: str
    title: str
    settings: Callable[[], type[Any]]
    credential: str
    token_begins: tuple[str, ...] = ()
    heard_by: Callable[[Any], tuple[str, ...]]
    to_be_heard: str
    cards_only: str
    doubts: Callable[[Any], Sequence[str]] = no_doubts
    channels: Callable[[Any, ChannelBook], ChannelsOf]
    open: "Callable[[Any, ChatParts], Chat]"
    tells: "Callable[[Any, ChannelBook, Audited], Sequence[Subscription]]"
    manifest: ChatManifest | None = None

    def variable(self, setting: str) -> str:
        """Return the variable of one of its settings."""
        return f"BRIDGE_{self.key}_{setting}".upper()

    def is_set(self, settings: Any) -> bool:
        """Return whether it is used."""
        return getattr(settings, self.credential) is not None
