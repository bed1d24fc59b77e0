"""All settings: the sections of `bridge.yaml`, and the settings above them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PrivateAttr,
    SecretStr,
    ValidationInfo,
    create_model,
    field_validator,
)

from bridge.backends import BACKENDS, EMBEDDED
from bridge.chats import CHATS
from bridge.core import access
from bridge.core.access import Access
from bridge.core.addresses import LAST_PORT
from bridge.core.apps import Rules
from bridge.core.database import SCHEMES
from bridge.core.decision import Policy
from bridge.core.rules import RuleBook
from bridge.core.validation_errors import shortened
from bridge.githosts import HOSTS
from bridge.ports.providers import (
    BackendProvider,
    BackendServer,
    ChatProvider,
    HostServer,
    Provider,
)
from bridge.ports.settings import (
    ListeningAddress,
    OwnAddress,
    Secrets,
    Section,
    as_yaml,
    no_postgres,
)
from bridge.settings.gates import FreezeRule
from bridge.settings.people import Entries, Grant, check_entries
from bridge.settings.rules import AllPreviews, Rollback, Rule, Verifying
from bridge.settings.sections import (
    Catchup,
    Console,
    Embedded,
    Feedback,
    Journey,
    Retention,
    Watch,
    Web,
)

KeyPath = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Places:
    """Where each setting comes from; equal settings may come from different places.

    Attributes:
        file: its name for people.
        lines: the line of each section, setting and entry of the file.
        said_by: for each path, the variable or `BY_SETUP` that set it; the file set the others.
    """

    file: str = field(default="", compare=False)
    lines: Mapping[KeyPath, int] = field(default_factory=dict, compare=False)
    said_by: Mapping[KeyPath, str] = field(default_factory=dict, compare=False)

    def named(self, path: KeyPath) -> str:
        """Return the name of a setting with where it comes from."""
        return self._name(path, self._said(path) or self._line(path))

    def in_file(self, path: KeyPath) -> str:
        """Return the name of a setting with its line, if the file sets it."""
        return self._name(path, "" if self._said(path) else self._line(path))

    def told(self, words: str) -> str:
        """Return words that begin with a setting and a colon, with its line; see `in_file`."""
        name, colon, rest = words.partition(": ")
        return f"{self.in_file(tuple(name.split('.')))}{colon}{rest}"

    def _said(self, path: KeyPath) -> str:
        """Return the variable, or `BY_SETUP`, that set this or what it is in."""
        around = (path[:n] for n in range(len(path), 0, -1))
        return next((self.said_by[one] for one in around if one in self.said_by), "")

    def _line(self, path: KeyPath) -> str:
        """Return the line of a setting, or of what it is in."""
        around = (path[:n] for n in range(len(path), 0, -1))
        line = next((self.lines[one] for one in around if one in self.lines), None)
        return f"{self.file}, line {line}" if line is not None else ""

    def _name(self, path: KeyPath, place: str) -> str:
        return f"{'.'.join(path)} ({place})" if place else ".".join(path)


NOWHERE = Places()


SHORTEST_KEY = 32


class Process(Section):
    """The settings above the sections: where the bridge listens, keeps its data and logs to."""

    host: ListeningAddress = Field(
        "127.0.0.1", description="address to listen on; 0.0.0.0 in a container"
    )
    port: int = Field(8080, ge=0, le=LAST_PORT, description="port to listen on; 0 takes a free one")
    public_url: OwnAddress | None = Field(
        None, description="the bridge's own address for others, e.g. https://bridge.example.com"
    )
    data: Path = Field(Path(".bridge"), description="folder of all data")
    database_url: SecretStr | None = Field(
        None, description="postgres://… keeps all data there instead, for one process or many"
    )
    secret_key: Secrets = Field(
        (),
        description="encrypts secrets that are stored for a while; if unset, a key file in `data`"
        " does, and on Postgres nothing. To rotate, give several: the first encrypts",
    )
    log_format: Literal["auto", "json", "console"] = Field(
        "auto", description="auto: console on a terminal, JSON elsewhere"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="the lowest level to log"
    )

    @field_validator("secret_key")
    @classmethod
    def _long_enough(cls, value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        if any(len(key.get_secret_value()) < SHORTEST_KEY for key in value):
            raise ValueError(
                f"a key needs at least {SHORTEST_KEY} characters: use the output of"
                " `openssl rand -hex 32`"
            )
        return value

    @field_validator("database_url", mode="before")
    @classmethod
    def _is_postgres(cls, value: object) -> object:
        if isinstance(value, str):
            if not value.startswith(SCHEMES):
                raise ValueError(f"it must start with {' or '.join(SCHEMES)}")
            if why := no_postgres(value):
                raise ValueError(f"its host or port is invalid: {why}")
        return value

    @field_validator("data")
    @classmethod
    def _is_named(cls, value: Path) -> Path:
        if value == Path() or "\0" in str(value):
            raise ValueError("it must name a folder, e.g. /var/lib/bridge")
        return value


# ── The sections that Git hosts, backends and chats own ─────────────────────────────────────────

_NAME_OF_SERVER = re.compile(r"[A-Za-z0-9_-]{1,63}").fullmatch


def with_sections(
    name: str,
    above: type[Section],
    providers: Mapping[str, Provider | BackendProvider | ChatProvider],
) -> type[Section]:
    """Return a model with a section for each provider, by its key, after the fields above."""
    models = {key: one.settings() for key, one in providers.items()}
    fields: dict[str, Any] = {key: (model, model()) for key, model in models.items()}
    return create_model(name, __base__=above, **fields)


def with_further(
    name: str, above: type[Section], providers: Mapping[str, Provider | BackendProvider]
) -> type[Section]:
    """Return a model with a setting for further servers of each provider that may have several."""
    fields = {one.further: _further(one) for one in providers.values() if one.further is not None}
    return create_model(name, __base__=above, **fields)  # type: ignore[call-overload, no-any-return]


def _further(one: Provider | BackendProvider) -> tuple[Any, Any]:
    model = one.settings()
    kind = Annotated[
        dict[str, model],  # type: ignore[valid-type]
        BeforeValidator(partial(as_yaml, nothing=dict)),
        AfterValidator(partial(_with_names, one.title)),
    ]
    words = f"further {one.title}s by name, each as `{one.key}`; in the environment as YAML"
    return kind, Field({}, description=words)


def _with_names(title: str, value: dict[str, Any]) -> dict[str, Any]:
    """Return further servers; raise ValueError if a name is unusable."""
    taken = {one.key: f"the {one.title} of `{one.key}.{one.address}`" for one in BACKENDS.values()}
    taken |= {host.key: f"the {host.title} of `{host.key}`" for host in HOSTS.values()}
    taken[EMBEDDED] = "the embedded backend"
    for name in value:
        if name.casefold() in taken:
            raise ValueError(
                f"{name!r} can't be the name of a further {title}: it means"
                f" {taken[name.casefold()]}; choose another, e.g. second"
            )
        if not _NAME_OF_SERVER(name):
            raise ValueError(
                f"{shortened(name)} can't be the name of a {title}: write 1 to 63 letters,"
                " digits, - and _, e.g. second"
            )
    return value


if TYPE_CHECKING:
    HostsAndBackends = Process
else:
    HostSections = with_sections("HostSections", Process, HOSTS)
    AllHosts = with_further("AllHosts", HostSections, HOSTS)
    BackendSections = with_sections("BackendSections", AllHosts, BACKENDS)
    HostsAndBackends = with_further("HostsAndBackends", BackendSections, BACKENDS)


class Deploying(HostsAndBackends):
    """All settings up to the embedded backend, the default."""

    embedded: Embedded = Embedded()


if TYPE_CHECKING:
    ChatSections = Deploying
else:
    ChatSections = with_sections("ChatSections", Deploying, CHATS)


class Settings(ChatSections):
    """Everything that can be set."""

    web: Web = Web()
    console: Console = Console()
    watch: Watch = Watch()
    verify: Verifying = Verifying()
    rollback: Rollback = Rollback()
    previews: AllPreviews = AllPreviews()
    rules: Annotated[tuple[Rule, ...], BeforeValidator(as_yaml)] = Field(
        (), description="our own rules for apps; in the environment as YAML"
    )
    identities: Entries = Field(
        {},
        description="the accounts and addresses of each person, by a name; in the environment"
        " as YAML",
    )
    freezes: Annotated[tuple[FreezeRule, ...], BeforeValidator(as_yaml)] = Field(
        (), description="times in which nothing deploys; in the environment as YAML"
    )
    access: Annotated[tuple[Grant, ...], BeforeValidator(as_yaml)] = Field(
        (), description="who may do what in chats and the console; in the environment as YAML"
    )
    journey: Journey = Journey()
    feedback: Feedback = Feedback()
    catchup: Catchup = Catchup()
    retention: Retention = Retention()

    _places: Places = PrivateAttr(NOWHERE)

    def set_at(self, places: Places) -> Self:
        self._places = places
        return self

    @property
    def places(self) -> Places:
        """Where each setting comes from; nowhere, for settings that were not read."""
        return self._places

    @field_validator("identities")
    @classmethod
    def _are_distinct(
        cls, value: dict[str, tuple[str, ...]], info: ValidationInfo
    ) -> dict[str, tuple[str, ...]]:
        further = {key: one.further for key, one in HOSTS.items() if one.further}
        servers = {
            f"{key}/{own}" for key, name in further.items() for own in info.data.get(name) or ()
        }
        check_entries(value, servers)
        return value

    @field_validator("rules")
    @classmethod
    def _name_channels_that_are_set(
        cls, value: tuple[Rule, ...], info: ValidationInfo
    ) -> tuple[Rule, ...]:
        for rule in value:
            of_previews = rule.previews.channels if rule.previews else None
            named = (*(rule.channels or ()), *(of_previews or ()))
            for chat, channel in map(channel_named, named):
                known = CHATS[chat].channel_names(info.data[chat]) if chat in info.data else None
                if known is not None and channel not in known:
                    there_are = ", ".join(f"{chat}:{one}" for one in sorted(known)) or "none"
                    raise ValueError(
                        f"the rule for {shortened(rule.apps)} names the channel"
                        f" {shortened(f'{chat}:{channel}')}, which is not set; there are:"
                        f" {there_are}. Name one of them, or set {chat}.{CHATS[chat].further}"
                    )
        return value

    def _sections_of(self, one: Provider | BackendProvider) -> dict[str, Any]:
        """Return the section of the first server by "", and those of further ones by name."""
        return {"": getattr(self, one.key)} | (getattr(self, one.further) if one.further else {})

    def host_servers(self) -> dict[str, HostServer]:
        """Return the servers of Git hosts by name, each with its section; not all need be set."""
        named = [
            HostServer(f"{key}/{own}" if own else key, host, given)
            for key, host in HOSTS.items()
            for own, given in self._sections_of(host).items()
        ]
        return {one.name: one for one in named}

    def backends_named(self) -> list[BackendServer]:
        """Return the backends' servers, each with its section; some may be unset."""
        return [
            BackendServer(own or key, backend, given)
            for key, backend in BACKENDS.items()
            for own, given in self._sections_of(backend).items()
        ]

    def backends_set(self) -> dict[str, BackendServer]:
        """Return those that have an address, by name; without any, the embedded one deploys."""
        return {one.name: one for one in self.backends_named() if one.address is not None}

    def chats_set(self) -> dict[str, Any]:
        """Return the sections of the chats in use, by their keys."""
        given = {chat: getattr(self, chat) for chat in CHATS}
        return {chat: one for chat, one in given.items() if CHATS[chat].is_set(one)}


def token_begins() -> dict[str, str]:
    """Return the prefixes of tokens, each with its service."""
    begins = {begin: host.title for host in HOSTS.values() for begin in host.token_begins}
    return begins | {begin: chat.title for chat in CHATS.values() for begin in chat.token_begins}


# ── What settings mean to the core: its own policy, rules and rights ────────────────────────────


def policy_of(settings: Settings) -> Policy:
    """Return how watch paths and skip directives are read."""
    return Policy(**settings.watch.model_dump())


def book_of(settings: Settings) -> RuleBook:
    """Return our own rules for apps."""
    return [
        (
            rule.apps,
            Rules(
                **rule.model_dump(exclude={"apps", "channels", "checks", "previews", "verify"}),
                checks=None if rule.checks is None else rule.checks.policy(),
                previews=None if rule.previews is None else rule.previews.policy(),
                verify=None if rule.verify is None else rule.verify.policy(),
            ),
        )
        for rule in settings.rules
    ]


def channels_of(settings: Settings, chat: str) -> list[tuple[str, tuple[str, ...]]]:
    """Return the channels of a chat that rules name for apps.

    A rule that names only channels of other chats says nothing of this one.
    """
    found = ((rule.apps, _in_chat(rule.channels, chat)) for rule in settings.rules)
    return [(apps, channels) for apps, channels in found if channels is not None]


def preview_channels_of(settings: Settings, chat: str) -> list[tuple[str, tuple[str, ...] | None]]:
    """Return the channels of a chat that rules name for previews of apps; None: the app's own."""
    return [
        (rule.apps, _in_chat(rule.previews.channels, chat))
        for rule in settings.rules
        if rule.previews is not None
    ]


def _in_chat(names: tuple[str, ...] | None, chat: str) -> tuple[str, ...] | None:
    """Return those channels that are in a chat; None if nothing is said of this chat."""
    if names is None:
        return None
    own = tuple(name for whose, name in map(channel_named, names) if whose == chat)
    return own if own or not names else None


def channel_named(name: str) -> tuple[str, str]:
    """Return the chat that a rule's channel is in, and its name there.

    `<chat>:<channel>` is always understood; channels of one chat may also be named without it.
    """
    chat, colon, channel = name.partition(":")
    if colon and chat in CHATS:
        return chat, channel
    return next((key for key, one in CHATS.items() if one.plain_channels), ""), name


def access_of(settings: Settings) -> Access:
    """Who may do what by chat."""
    return Access(
        [
            access.Grant(grant.who, frozenset(grant.may), grant.apps, grant.channels)
            for grant in settings.access
        ]
    )
