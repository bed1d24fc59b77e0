"""The building blocks of settings: sections and the types of values.

Git hosts, backends and chats define their own sections with these; `bridge.settings` combines all
sections.
"""

import re
from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import Annotated, Any, Literal, Self, get_args
from urllib.parse import urlsplit

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticKnownError

from bridge.core.addresses import no_host, no_port, service_address
from bridge.core.validation_errors import shortened


class Section(BaseModel):
    """A group of settings."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _is_no_truth(cls, value: object, info: ValidationInfo) -> object:
        """Raise for true and false where a number belongs; Python takes them for 1 and 0."""
        kind = cls.model_fields[info.field_name or ""].annotation
        kinds = (kind, *get_args(kind))
        if isinstance(value, bool) and (int in kinds or float in kinds):
            raise PydanticKnownError("int_type" if int in kinds else "float_type")
        return value


class Names(StrEnum):
    """What a text of the settings names, which should be there; see `settings.reading`."""

    APP = "app"
    REPOSITORY = "repository"


AppPattern = Annotated[str, Names.APP]
"""A label, or a glob over labels."""

RepositoryPattern = Annotated[str, Names.REPOSITORY]
"""`owner/name`, or `owner/*`."""


NONE = "none"
"""Stands for an empty list, since an empty variable counts as not set."""


def is_none(value: str) -> bool:
    """Return whether a text is the word for an empty list."""
    return value.strip().casefold() == NONE


QUOTES = ("'", '"')


def as_list(value: object) -> object:
    """Return a comma-separated text, as in environment variables, as a list."""
    if not isinstance(value, str):
        return value
    _is_unquoted(value)
    if is_none(value):
        return []
    found = [part.strip() for part in value.split(",") if part.strip()]
    if not found:
        raise ValueError(f"it is a list without an entry; if that is meant, write {NONE}")
    return found


def _is_said(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    if not text.strip():
        raise ValueError("it is empty; leave it out, or give what it stands for")
    if is_none(text):
        raise ValueError(f"{NONE} is a word and no secret: leave it out, or give a secret")
    _is_unquoted(text)
    return value


def _is_unquoted(text: str) -> None:
    """Raise ValueError for a text in quotes, which some readers of `.env` files keep."""
    text = text.strip()
    if len(text) > 1 and text[0] in QUOTES and text[-1] == text[0]:
        raise ValueError("it stands in quotes, which would be part of it: leave them out")


def _is_credential(value: SecretStr) -> SecretStr:
    text = _is_said(value).get_secret_value().strip()
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("it has spaces or characters that no key or token has: copy it anew")
    return value


Secret = Annotated[SecretStr, AfterValidator(_is_said)]
"""A secret that is not empty."""

Credential = Annotated[SecretStr, AfterValidator(_is_credential)]
"""A secret that is sent in a header."""

Secrets = Annotated[tuple[Secret, ...], BeforeValidator(as_list)]
"""Several secrets; all are accepted, for rotation."""


def _holds_certificates(value: str) -> str:
    import ssl  # only where one is set

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(value)
    except ssl.SSLError:
        raise ValueError("that file holds no certificate; name a PEM file") from None
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or type(error).__name__
        raise ValueError(f"that file can't be read ({why}); name a PEM file") from None
    return value


PemFile = Annotated[str, AfterValidator(_holds_certificates)]
"""A file with certificates."""


class SignInClient(Section):
    """The bridge as a client of a service with which people sign in to the console."""

    client_id: str | None = Field(
        None, description="client id there, with which people sign in to the console"
    )
    client_secret: Credential | None = Field(None, description="the client's secret")

    @field_validator("client_id")
    @classmethod
    def _is_an_id(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"[\x21-\x7e]{1,255}", value):
            raise ValueError("it must be 1 to 255 letters, digits and signs, without spaces")
        return value

    @model_validator(mode="after")
    def _both(self) -> Self:
        if (self.client_id is None) != (self.client_secret is None):
            lacks = "client_secret" if self.client_secret is None else "client_id"
            raise ValueError(f"{lacks} is missing: nobody can sign in without it, so set both")
        return self


def token_of(service: str) -> AfterValidator:
    """Return a check that a token does not begin like one of another service.

    The validation's context has the prefixes of all services under `TOKENS`; without it, nothing
    is rejected.
    """

    def check(value: SecretStr, info: ValidationInfo) -> SecretStr:
        begins: dict[str, str] = (info.context or {}).get(TOKENS, {})
        for begin, whose in begins.items():
            if whose != service and value.get_secret_value().startswith(begin):
                raise ValueError(
                    f"it begins with {begin}, so it is a token of {whose};"
                    f" here belongs one of {service}"
                )
        return value

    return AfterValidator(check)


TOKENS = "tokens"
"""The key in a validation's context of token prefixes and services, e.g. "xoxb-" → "Slack"."""

Uses = Annotated[tuple[Literal["comment", "status", "deployment"], ...], BeforeValidator(as_list)]
"""The ways to publish a push's outcome on a Git host."""


def _is_no_token(value: SecretStr, info: ValidationInfo) -> SecretStr:
    """Return a webhook's secret; raise ValueError if it is a token of a service's API."""
    begins: dict[str, str] = (info.context or {}).get(TOKENS, {})
    for begin, whose in begins.items():
        if value.get_secret_value().strip().startswith(begin):
            raise ValueError(
                f"it begins with {begin}, so it is a token of {whose}, which must not be shown to"
                " whoever may edit a webhook; here belongs the webhook's own secret: take what"
                " `openssl rand -hex 32` prints"
            )
    return value


WebhookSecret = Annotated[Secret, AfterValidator(_is_no_token)]
"""The secret that authenticates a Git host's webhooks."""

WebhookSecrets = Annotated[tuple[WebhookSecret, ...], BeforeValidator(as_list)]


_REPOSITORY = re.compile(r"[\w.-]+(?:/[\w.-]+)*/(?:[\w.-]+|\*)", re.ASCII).fullmatch


def _named_repositories(value: dict[str, Any]) -> dict[str, Any]:
    """Return secrets by repository; raise ValueError for what names none."""
    for name in value:
        if not _REPOSITORY(name):
            raise ValueError(
                f"{shortened(name)} names no repository: write owner/name, or owner/* for all of"
                " an organisation, group or user"
            )
    return value


RepositorySecrets = Annotated[
    dict[RepositoryPattern, WebhookSecrets],
    BeforeValidator(lambda value: as_yaml(value, dict)),
    AfterValidator(_named_repositories),
]
"""Secrets that speak only for some repositories: by `owner/name`, or `owner/*`."""


# ── Values given as YAML, and what is wrong with them ─────────────────────────────────────────────


class GivenTwice(ValueError):
    """A key occurs twice in one section; YAML's reader would silently keep the last."""


_BOOL, _TEXT = "tag:yaml.org,2002:bool", "tag:yaml.org,2002:str"


class _Loader(yaml.SafeLoader):
    """YAML's safe reader, which refuses a section with a duplicate key.

    A key is always a text: YAML 1.1 would read `on` as true.
    """

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        """Return a section; raise GivenTwice if it has a duplicate key."""
        found: dict[str, int] = {}
        for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            if key.tag == _BOOL:
                key.tag = _TEXT
            line = key.start_mark.line + 1
            first = found.get(str(key.value))
            if isinstance(key, yaml.ScalarNode) and first is not None:
                where = f"line {line}" if first == line else f"lines {first} and {line}"
                words = f"{shortened(key.value)} is given twice, in {where}; keep one of them"
                raise GivenTwice(words)
            found[str(key.value)] = line
        return super().construct_mapping(node, deep)


def read_yaml(text: str) -> Any:
    """Parse YAML; raise yaml.YAMLError or GivenTwice."""
    return read_yaml_with_lines(text)[0]


def read_yaml_with_lines(text: str) -> tuple[Any, dict[tuple[str, ...], int]]:
    """Parse YAML; return as well the line of each key and entry, by its path."""
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        value = None if node is None else loader.construct_document(node)
        return value, dict(_lines(node, (), set()))
    finally:
        loader.dispose()


def _lines(
    node: Any, path: tuple[str, ...], seen: set[int]
) -> Iterator[tuple[tuple[str, ...], int]]:
    """Yield where everything in a node stands; what an anchor repeats, only once."""
    if id(node) in seen:
        return
    seen.add(id(node))
    inside: list[tuple[str, Any, Any]] = []
    if isinstance(node, yaml.MappingNode):
        inside = [(str(key.value), key, value) for key, value in node.value]
    elif isinstance(node, yaml.SequenceNode):
        inside = [(str(at), value, value) for at, value in enumerate(node.value)]
    for name, begin, value in inside:
        yield (*path, name), begin.start_mark.line + 1
        yield from _lines(value, (*path, name), seen)


def as_yaml(value: object, nothing: Callable[[], object] = tuple) -> object:
    """Parse a text from the environment as YAML.

    Args:
        nothing: returns the value of a text that holds nothing.
    """
    if not isinstance(value, str):
        return value
    if is_none(value):
        return nothing()
    if not value.strip():
        raise ValueError(f"it is empty; if that is meant, write {NONE}")
    try:
        return read_yaml(value) or nothing()
    except yaml.YAMLError as error:
        raise ValueError(f"it is not YAML{line_of(error)}: {yaml_trouble(error)}") from None


def line_of(error: Exception) -> str:
    """Return where the YAML is broken, as far as the error says."""
    mark = getattr(error, "problem_mark", None)
    return f", line {mark.line + 1}" if mark else ""


_TROUBLES = {
    "'\\t'": "it is indented by a tab; YAML takes only spaces",
    "mapping values are not allowed": "a colon too many: put a value that contains `: ` in quotes,"
    " and each setting on a line of its own",
    "could not find expected ':'": "a setting has no colon, or a quote or bracket stays open",
    "while scanning a quoted": "a quote stays open",
    "expected ',' or ']'": "a list's bracket stays open, or a comma is missing",
    "expected ',' or '}'": "a curly bracket stays open, or a comma is missing",
    "expected the node content": "a bracket stays open, or a value is missing",
    "expected <block end>": "lines that belong together are not indented alike",
    "undefined alias": "a value begins with `*`: put it in quotes",
    "could not determine a constructor": "a value begins with `!`: put it in quotes",
    "that cannot start any token": "a value begins with a character that YAML reserves"
    " (@, `, %): put it in quotes",
    "unknown escape character": "a backslash is in double quotes: use single quotes",
    "expected a single document": "a line of `---` begins a second document; only one is allowed",
    "special characters are not allowed": "it contains a control character; type it again",
}
"""The usual cause of each of YAML's complaints, without the text that it quotes: it may be a
secret."""


def yaml_trouble(error: Exception) -> str:
    """Return why it is not YAML, and the remedy, without any of its text."""
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8; save it as UTF-8"
    parts = (getattr(error, name, "") for name in ("context", "problem", "reason"))
    said = " ".join(str(part) for part in parts)
    found = (words for sign, words in _TROUBLES.items() if sign in said)
    return next(found, "check there for a missing quote, bracket or colon")


# ── Addresses: where to listen, and where other services are ────────────────────────────────────

_MAY_BE_SHOWN = re.compile(r"[\w.:/*\[\]%-]{1,60}").fullmatch


def listening_address(value: str) -> str:
    """Return an address to listen on; raise ValueError if it can't be one."""
    if (why := no_host(value)) is None:
        return value
    shown = f", not {value!r}" if _MAY_BE_SHOWN(value) else ""
    raise ValueError(
        f"it must be an IP address or a name, e.g. 127.0.0.1, 0.0.0.0 or localhost{shown}: {why}"
    )


def server_name(value: str) -> str:
    """Return the name or IP address of another server; raise ValueError if it can't be one."""
    name, _, port = value.partition(":")
    why = "leave out the port" if name and port.isdecimal() else no_host(value)
    if why is None:
        return value
    shown = f", not {value!r}" if _MAY_BE_SHOWN(value) else ""
    raise ValueError(f"it must be a server's name, e.g. git.example.com{shown}: {why}")


def own_address(value: str) -> str:
    """Return the bridge's own URL without a trailing slash; raise ValueError if it can't be one."""
    parts = urlsplit(service_address(value))
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError(
            "the bridge answers at the root of a host, so it has no path: write"
            f" {parts.scheme}://{parts.netloc}"
        )
    return f"{parts.scheme}://{parts.netloc}"


Address = Annotated[str, AfterValidator(service_address)]
"""Another service's URL, without a login."""

OwnAddress = Annotated[str, AfterValidator(own_address)]
"""The URL by which others reach the bridge."""

ListeningAddress = Annotated[str, AfterValidator(listening_address)]
"""The address that a listener binds to."""

ServerName = Annotated[str, AfterValidator(server_name)]
"""The name of another server, without a port."""

_POSTGRES = re.compile(r"postgres(?:ql)?://(?:[^/?#]*@)?([^/?#@]*)(?:[/?#].*)?", re.DOTALL)


def no_postgres(value: str) -> str | None:
    """Return why the hosts and ports of a database URL are invalid; None if they are valid.

    There may be several, separated by commas, or none; a socket folder is URL-encoded. The driver
    checks the rest of the URL.
    """
    if (found := _POSTGRES.fullmatch(value)) is None:
        return None
    for one in filter(None, found[1].split(",")):
        bracketed = re.fullmatch(r"\[([^\]]*)\](?::(.*))?", one)
        host, _, port = one.partition(":")
        if bracketed:
            host, port = bracketed[1], bracketed[2] or ""
        if host and not host.startswith("%") and (why := no_host(host)):
            return why
        if why := no_port(port, one if not bracketed else ""):
            return why
    return None
