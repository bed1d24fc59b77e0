"""Providers: the record by which a Git host, a backend or a chat describes itself."""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from secrets import token_hex
from typing import TYPE_CHECKING, Any, Protocol

from bridge.core.errors import Rejected
from bridge.core.events import Sender
from bridge.core.refs import Pages
from bridge.ports.checks import Checks
from bridge.ports.clock import Clock, Limit
from bridge.ports.figures import Observe
from bridge.ports.githosts import GitHost, HostApi
from bridge.ports.setup import Setup
from bridge.ports.sign_in import SignInProvider

if TYPE_CHECKING:
    from bridge.ports.backends import Backend
    from bridge.ports.chats import Chat, ChatParts
    from bridge.ports.outcomes import Audited, Subscription


class HostSettings(Protocol):
    """The settings that every Git host has; only its provider reads the others.

    Attributes:
        web_url: the URL that its webhooks use, if it differs from the API's.
        ssh_host: the name in its SSH clone addresses, if another than in its URL.
        ca: a PEM file with the authority of its certificate.
        feedback: how outcomes are published there; see `githosts.subscriptions.Use`.
        skipped_status: whether a skipped app gets a status as well.
    """

    @property
    def web_url(self) -> str | None: ...

    @property
    def ssh_host(self) -> str | None: ...

    @property
    def ca(self) -> str | None: ...

    @property
    def feedback(self) -> Sequence[str]: ...

    @property
    def skipped_status(self) -> bool: ...


REPOSITORY_SECRETS = "repository_secrets"
"""The setting of secrets that each speak only for some repositories, on every Git host."""


@dataclass(frozen=True, slots=True)
class WebhookSecrets:
    """A setting that holds a host's webhook secrets.

    Attributes:
        setting: its name, e.g. "webhook_secrets".
        remedy: how to replace a secret that can be guessed.
        prefix: the beginning of all of them, which adds no entropy.
    """

    setting: str
    remedy: str = "take what `openssl rand -hex 32` prints, here and on the webhook"
    prefix: str = ""


@dataclass(frozen=True, slots=True)
class AppManifest:
    """How to register the bridge as an app at a host.

    Attributes:
        server: the URL of the public server; `own_server`: the name of the self-hosted product.
        make: returns the manifest, given the bridge's URL and the app's name.
        link: returns the URL of the registration form, given the manifest, the server and the
            organisation.
    """

    longest_name: int
    server: str
    own_server: str
    make: Callable[[str, str], Mapping[str, Any]]
    link: Callable[[Mapping[str, Any], str, str | None], str]


def no_setup() -> Setup | None:
    """Leave the set-up to variables and `bridge.yaml`."""
    return None


def one_account(_settings: Any) -> bool:
    """Count all writes to one rate limit."""
    return False


def random_secret() -> str:
    """Return 32 random bytes as hex digits."""
    return token_hex(32)


def no_hint(_headers: Mapping[str, str]) -> str:
    """Return "": the headers say nothing of the webhook."""
    return ""


def no_hint_of(_secret: str, _hook: str | None) -> str:
    """Return "", as `no_hint`."""
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider(Sender):
    """A Git host.

    Slow imports happen inside the functions, because every start of the command line loads this
    record.

    Attributes:
        settings: the model of its section in the settings; it has what `HostSettings` has.
        secrets: the settings of which any one makes the bridge accept its webhooks.
        credential: the setting that gives access to its API; of several, the simplest.
        token_begins: the prefixes of its tokens, to detect one set for another service.
        webhook_note: what to choose when adding a webhook.
        webhooks: returns the parser and verifier of its webhooks, given its settings; raises
            ValueError for an impossible secret.
        reader: the same for accepted webhooks; it has no secrets.
        verifier: returns the verifier of webhooks signed with one secret; given whether the host
            signs with it (None: not known). Raises ValueError.
        new_secret: returns a random secret for a new webhook.
        hint_in: returns what a webhook's headers say of the webhook, unverified; "" if nothing.
        hint_of: returns the same of a secret and its webhook's id, which may be unknown.
        events: the names of events that metrics count separately.
        likeness: how much a body looks like one of its own: 2 surely, 1 maybe, 0 not.
        event_of: returns a body's event; None if it can't be determined.
        further: the setting that holds more of its servers by name, each with the settings of the
            section; None if there can be but one.
        api: returns the API of a server, given its name and settings; None if no credential is set.
            Raises Rejected.
        limits: the writes that the host or its users tolerate from one credential.
        own_limits: whether the repositories of each owner have a limit of their own.
        web_url: its URL for people; homes: further prefixes of its clone URLs.
        review: how the names of previews' environments begin.
        manifest: how to register the bridge as an app there; None if that is impossible.
        checks: what `doctor` checks there.
        setup: returns how a person connects it in the browser; None: not there.
        sign_in: how its people sign in to the console, and how grants name them; None if they
            can't. It can't be a host with further servers: their logins would be the same.
    """

    settings: Callable[[], type[Any]]
    secrets: tuple[WebhookSecrets, ...]
    credential: str = "token"
    token_begins: tuple[str, ...] = ()
    webhook_note: str = ""

    webhooks: Callable[[Any], GitHost]
    reader: Callable[[], GitHost]
    verifier: Callable[[str, bool | None], GitHost]
    new_secret: Callable[[], str] = random_secret
    hint_in: Callable[[Mapping[str, str]], str] = no_hint
    hint_of: Callable[[str, str | None], str] = no_hint_of
    events: frozenset[str]
    likeness: Callable[[Mapping[str, Any]], int]
    event_of: Callable[[Mapping[str, Any]], str | None]

    further: str | None = None

    api: Callable[[str, Any], HostApi | None]
    limits: tuple[Limit, ...] = ()
    own_limits: Callable[[Any], bool] = one_account

    web_url: Callable[[Any], str]
    homes: Callable[[Any], tuple[str, ...]]
    pages: Pages = field(default_factory=Pages)
    review: str = "preview"
    manifest: AppManifest | None = None
    checks: Checks | None = None
    setup: Callable[[], Setup | None] = no_setup
    sign_in: SignInProvider | None = None

    def variable(self, setting: str) -> str:
        return f"BRIDGE_{self.key}_{setting}".upper()

    def serves(self, settings: Any) -> bool:
        """Return whether its webhooks are accepted, i.e. whether a secret is set."""
        if getattr(settings, REPOSITORY_SECRETS, ()):
            return True
        return any(getattr(settings, one.setting) for one in self.secrets)


@dataclass(frozen=True, slots=True)
class HostServer:
    """A server of a Git host that the settings name.

    Attributes:
        name: in repositories, paths and records: the host's key, with its own name where it is one
            of the further ones, e.g. "gitlab" or "gitea/second".
        given: its section of the settings.
    """

    name: str
    provider: Provider
    given: Any

    @property
    def serves(self) -> bool:
        return self.provider.serves(self.given)

    @property
    def web_url(self) -> str:
        return self.provider.web_url(self.given)

    @property
    def addresses(self) -> tuple[str, ...]:
        """Return all prefixes of the addresses of its repositories."""
        ssh = () if (name := self.given.ssh_host) is None else (f"ssh://{name}",)
        return tuple(dict.fromkeys((self.web_url, *self.provider.homes(self.given), *ssh)))

    @property
    def section(self) -> str:
        """Return its section in `bridge.yaml`, e.g. "gitea" or "giteas.second"."""
        own = self.name.partition("/")[2]
        return f"{self.provider.further}.{own}" if own else self.provider.key

    def setting(self, name: str) -> str:
        """Return what people call one of its settings."""
        first = self.name == self.provider.key
        return self.provider.variable(name) if first else f"{self.section}.{name}"


# ── Backends ────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class BackendParts:
    """What a backend may use of the bridge.

    Attributes:
        observe: receives the duration of each request.
        clock: the clock by which deployments are followed.
    """

    observe: Observe = lambda _backend, _asked, _seconds: None
    clock: Clock = time.time


def no_webhook(_path: str) -> bool:
    """Return False: the backend has no webhooks of its own."""
    return False


def spares_builds(_settings: Any) -> bool:
    """Interrupt only the cancelled build."""
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendProvider:
    """A deploy backend.

    Attributes:
        settings: the model of its section in the settings.
        address: the setting with its server's address; unset, there is no server. example: of one.
        credential: the setting with the bridge's API key there; keys_at: where people create it.
        further: the setting with additional servers by name, each with the same settings as the
            section; None if there can be only one.
        open: returns a server's client, given its name and settings; sends nothing yet. Raises
            Rejected.
        own_webhook: whether the path of a URL at its server is that of a webhook of its own, which
            deploys without the bridge.
        makes_apps: whether its client can make apps of the bridge's own (`MakesApps`), for
            previews.
        may_kill_builds: whether `cancel` may interrupt all builds of a host (`KillsBuilds`).
        checks: what `doctor` checks there, once it is reached and accepts the key.
        setup: returns how a person connects it in the browser; None: not there.
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
    own_webhook: Callable[[str], bool] = no_webhook
    makes_apps: bool = False
    may_kill_builds: Callable[[Any], bool] = spares_builds
    checks: Checks | None = None
    setup: Callable[[], Setup | None] = no_setup

    def variable(self, setting: str) -> str:
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
        """Return its address; None if nothing deploys there."""
        found: str | None = getattr(self.given, self.provider.address)
        return found

    def open(self, parts: BackendParts = BackendParts()) -> "Backend":
        return self.provider.open(self.name, self.given, parts)

    def check(self) -> None:
        """Raise Rejected if only one of address and key is set."""
        of = self.provider
        url, key = self.setting(of.address), self.setting(of.credential)
        has_key = getattr(self.given, of.credential) is not None
        if self.address is not None and not has_key:
            raise Rejected(
                f"the {of.address} of the {of.title} {self.name!r} is set, but {key} is not",
                f"make one in {of.title}: {of.keys_at}",
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
        if self.name == self.provider.key:
            return self.provider.variable(name)
        return f"{self.provider.further}.{self.name}.{name}"


# ── Chats ───────────────────────────────────────────────────────────────────────────────────────

BY_HTTP = "HTTP"
"""The connection of a chat that sends requests to the bridge's own URL."""

ChannelBook = Sequence[tuple[str, tuple[str, ...]]]
"""The channels that rules name, by globs over the labels of apps."""

PreviewBook = Sequence[tuple[str, tuple[str, ...] | None]]
"""The same for previews of apps; None: those of the app."""

ChannelsOf = Callable[[str, str], tuple[str, ...]]
"""Returns the channels of an app's cards, given its label and the channel of the request."""


@dataclass(frozen=True, slots=True)
class ChatManifest:
    """How to register the bridge at a chat by pasting a manifest.

    Attributes:
        name: the bridge's default name there.
        without_url: how it connects without a URL of its own, and the option's name.
        more: the optional scopes.
        paste_at, paste_as: where to paste the manifest, and what to choose there.
        make: returns the manifest, given the bridge's URL (None: without), the optional scopes and
            the name.
    """

    name: str
    longest_name: int
    without_url: tuple[str, str]
    more: tuple[str, ...]
    paste_at: str
    paste_as: str
    make: Callable[[str | None, Sequence[str], str], Mapping[str, Any]]


def any_channel(_settings: Any) -> None:
    """Let rules name any channel: only the chat itself knows them."""


def in_no_way(_settings: Any) -> tuple[str, ...]:
    """Return nothing: people can't ask anything there."""
    return ()


def no_doubts(_settings: Any) -> Sequence[tuple[str, str]]:
    """Return no doubts: every valid setting is plausible."""
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatProvider:
    """A chat; functions are given its settings.

    Attributes:
        settings: the model of its section in the settings.
        credential: the setting without which there is no such chat.
        further: the setting that also makes it one; None if only the credential does.
        token_begins: the prefixes of its tokens, to detect one set for another service.
        heard_by: how people's requests arrive: `BY_HTTP`, or other ways.
        to_be_heard: what to set if they don't arrive; "" if people can't ask anything there.
        cards_only: the same in short, for a chat that only shows cards.
        link_word: what a link to a card is called in a pull request's comment.
        doubts: implausible settings, each with the remedy and without secrets.
        channels: returns where apps are shown, given also our rules.
        plain_channels: whether rules may name its channels without `<key>:` before them.
        channel_names: the channels that rules may name; None for any.
        open: returns the chat, ready to run; sends nothing yet.
        tells: returns where to publish changes that were made outside the chat.
        manifest: how to register the bridge there; None if that is unnecessary.
        checks: what `doctor` checks there.
        setup: returns how a person connects it in the browser; None: not there.
        sign_in: how its people sign in to the console, and how grants name them; None if they
            can't.
    """

    key: str
    title: str
    settings: Callable[[], type[Any]]
    credential: str
    further: str | None = None
    token_begins: tuple[str, ...] = ()
    heard_by: Callable[[Any], tuple[str, ...]] = in_no_way
    to_be_heard: str = ""
    cards_only: str = "nobody is heard there"
    link_word: str
    doubts: Callable[[Any], Sequence[tuple[str, str]]] = no_doubts
    channels: Callable[[Any, ChannelBook], ChannelsOf]
    plain_channels: bool = False
    channel_names: Callable[[Any], Collection[str] | None] = any_channel
    open: "Callable[[Any, ChatParts], Chat]"
    tells: "Callable[[Any, ChannelBook, Audited], Sequence[Subscription]]"
    manifest: ChatManifest | None = None
    checks: Checks | None = None
    setup: Callable[[], Setup | None] = no_setup
    sign_in: SignInProvider | None = None

    def variable(self, setting: str) -> str:
        return f"BRIDGE_{self.key}_{setting}".upper()

    def is_set(self, settings: Any) -> bool:
        further = getattr(settings, self.further) if self.further else None
        return getattr(settings, self.credential) is not None or bool(further)
