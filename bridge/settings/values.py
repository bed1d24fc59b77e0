"""What one setting may hold: a list, YAML, an address, secrets; and what a section is."""

import ipaddress
import re
from collections.abc import Callable
from typing import Annotated, Any
from urllib.parse import urlsplit

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, SecretStr

from bridge.core.misfits import shortened


class Section(BaseModel):
    """A group of settings."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


NONE = "none"
"""Stands for a list of nothing, since an empty variable is not set."""


def is_none(value: str) -> bool:
    """Return whether a text is the word that stands for a list of nothing."""
    return value.strip().casefold() == NONE


def as_list(value: object) -> object:
    """Return a comma-separated text as a list, as it comes from the environment."""
    if not isinstance(value, str):
        return value
    if is_none(value):
        return []
    found = [part.strip() for part in value.split(",") if part.strip()]
    if not found:
        raise ValueError(f"it is a list without an entry; if that is meant, write {NONE}")
    return found


class GivenTwice(ValueError):
    """A key stands twice in one section; YAML's reader would keep the last without a word."""


class _Loader(yaml.SafeLoader):
    """YAML's safe reader, which refuses a section that has a key twice."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        """Return a section; raise GivenTwice where a key stands in it twice."""
        found: dict[str, int] = {}
        for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            line = key.start_mark.line + 1
            first = found.get(str(key.value))
            if isinstance(key, yaml.ScalarNode) and first is not None:
                where = f"line {line}" if first == line else f"lines {first} and {line}"
                words = f"{shortened(key.value)} is given twice, in {where}; keep one of them"
                raise GivenTwice(words)
            found[str(key.value)] = line
        return super().construct_mapping(node, deep)


def read_yaml(text: str) -> Any:
    """Return what YAML holds; raise yaml.YAMLError or GivenTwice."""
    return yaml.load(text, _Loader)  # noqa: S506 - a safe one


def as_yaml(value: object, nothing: Callable[[], object] = tuple) -> object:
    """Return a text as YAML, as it comes from the environment.

    Args:
        nothing: makes what the text is where it holds nothing.
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
    """Where YAML is broken, as far as the error says."""
    mark = getattr(error, "problem_mark", None)
    return f", line {mark.line + 1}" if mark else ""


_TROUBLES = {
    "'\\t'": "a tab stands where spaces must: YAML is indented by spaces",
    "mapping values are not allowed": "a colon too many: put a value that has `: ` in it in quotes,"
    " and each setting on a line of its own",
    "could not find expected ':'": "a setting has no colon, or a quote or bracket stays open",
    "while scanning a quoted": "a quote stays open",
    "expected ',' or ']'": "a list's bracket stays open, or a comma is missing in it",
    "expected ',' or '}'": "a curly bracket stays open, or a comma is missing in it",
    "expected the node content": "a bracket stays open, or a value is missing",
    "expected <block end>": "lines that belong together are not indented alike",
    "undefined alias": "a value begins with `*`: put it in quotes",
    "could not determine a constructor": "a value begins with `!`: put it in quotes",
    "that cannot start any token": "a value begins with a character that means something in YAML"
    " (@, `, %): put it in quotes",
    "unknown escape character": "a backslash stands between double quotes: use single ones",
    "expected a single document": "a line of `---` begins a second document; there may be one",
    "special characters are not allowed": "a control character is in it; write it anew",
}
"""What YAML's reader complains of, and what people have mostly done; never with what it quotes,
which may be a secret."""


def yaml_trouble(error: Exception) -> str:
    """Why it is no YAML, and the remedy, without any of its text."""
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8; save it as that"
    parts = (getattr(error, name, "") for name in ("context", "problem", "reason"))
    said = " ".join(str(part) for part in parts)
    found = (words for sign, words in _TROUBLES.items() if sign in said)
    return next(found, "look there for a missing quote, bracket or colon")


def _is_said(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    if not text.strip():
        raise ValueError("it is empty; leave it out, or give what it stands for")
    if is_none(text):
        raise ValueError(f"{NONE} is a word and no secret: leave it out, or give a secret")
    return value


def _is_credential(value: SecretStr) -> SecretStr:
    text = _is_said(value).get_secret_value().strip()
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("it has spaces or characters that no key or token has: copy it anew")
    return value


Secret = Annotated[SecretStr, AfterValidator(_is_said)]
"""A secret that is there."""

Credential = Annotated[SecretStr, AfterValidator(_is_credential)]
"""One that is sent in a header."""

Secrets = Annotated[tuple[Secret, ...], BeforeValidator(as_list)]
"""Several secrets; all are taken at once while they are changed."""


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


TOKENS = {
    "ghp_": "GitHub",
    "gho_": "GitHub",
    "ghs_": "GitHub",
    "ghu_": "GitHub",
    "ghr_": "GitHub",
    "github_pat_": "GitHub",
    "glpat-": "GitLab",
    "xoxb-": "Slack",
    "xoxp-": "Slack",
    "xapp-": "Slack",
}
"""How tokens begin, and whose they are."""


def token_of(service: str, value: SecretStr | None) -> SecretStr | None:
    """Return a token; raise ValueError where its beginning says that it is another service's."""
    for begin, whose in TOKENS.items():
        if whose != service and value and value.get_secret_value().startswith(begin):
            raise ValueError(
                f"it begins with {begin}, so it is a token of {whose};"
                f" here belongs one of {service}"
            )
    return value


def _is_no_token(value: SecretStr) -> SecretStr:
    """Return a webhook's secret; raise ValueError where it is a token of a service's API."""
    for begin, whose in TOKENS.items():
        if value.get_secret_value().strip().startswith(begin):
            raise ValueError(
                f"it begins with {begin}, so it is a token of {whose}, which must not be shown to"
                " whoever may edit a webhook; here belongs the webhook's own secret: take what"
                " `openssl rand -hex 32` prints"
            )
    return value


WebhookSecret = Annotated[Secret, AfterValidator(_is_no_token)]
"""What a Git host proves its webhooks with."""

WebhookSecrets = Annotated[tuple[WebhookSecret, ...], BeforeValidator(as_list)]


# ── Addresses that settings hold: where to listen, and where other services are ─────────────────

LAST_PORT = 65535

_LONGEST_NAME = 253
_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?").fullmatch
_NUMBERS = re.compile(r"[0-9.]+|.*\.[0-9]+\.?").fullmatch
_MAY_BE_SHOWN = re.compile(r"[\w.:/*\[\]%-]{1,60}").fullmatch


def listening_address(value: str) -> str:
    """Return an address to listen on; raise ValueError where it can't be one."""
    if (why := _no_host(value)) is None:
        return value
    shown = f", not {value!r}" if _MAY_BE_SHOWN(value) else ""
    raise ValueError(
        f"it must be an IP address or a name, e.g. 127.0.0.1, 0.0.0.0 or localhost{shown}: {why}"
    )


def _no_host(value: str) -> str | None:
    """Why a text is neither an IP address nor a name; None where it is one."""
    if not value:
        return "it is empty; for all addresses write 0.0.0.0 or ::"
    if _is_ip(value):
        return None
    if "://" in value or "/" in value:
        return "leave out the scheme and the path"
    if value.startswith("["):
        return "write an IPv6 address without brackets"
    if re.fullmatch(r"[^:]*:[0-9]+", value):
        return "leave out the port, which is a setting of its own"
    if _NUMBERS(value):
        return "an IPv4 address has four numbers from 0 to 255"
    if ":" in value:
        return "it is no IPv6 address"
    if value == "*":
        return "for all addresses write 0.0.0.0 or ::"
    if len(value) > _LONGEST_NAME or not _NAME(_ascii(value)):
        return "a name has letters, digits, hyphens and dots, at most 63 characters between dots"
    return None


def _ascii(name: str) -> str:
    """A name as DNS has it; "" where it has no such form."""
    try:
        return name if name.isascii() else name.encode("idna").decode()
    except UnicodeError:
        return ""


def _is_ip(value: str) -> bool:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return False
    return True


_ADDRESS = re.compile(r"https?://[^\s/?#@]+(/\S*)?").fullmatch


def _is_address(value: str) -> str:
    """Check an address of a service; it is never shown, since a login may stand in it."""
    if not _ADDRESS(value):
        raise ValueError("it must look like https://example.com")
    try:
        parts = urlsplit(value)
        host = parts.hostname or ""
        why = _no_port(parts.netloc.rpartition("]")[2].partition(":")[2], parts.netloc)
    except ValueError:  # brackets that hold no IPv6 address
        host, why = "", None
    if why := why or _no_host(host):
        raise ValueError(f"it must look like https://example.com, with a host that can be: {why}")
    return value


def _no_port(port: str, host_and_port: str) -> str | None:
    """Why there is no such port; "" is none given, unless a colon stands there."""
    if not port and not host_and_port.endswith(":"):
        return None
    if port.isascii() and port.isdecimal() and 0 < int(port) <= LAST_PORT:
        return None
    return f"a port is a number from 1 to {LAST_PORT}"


Address = Annotated[str, AfterValidator(_is_address)]
"""Where another service is, with its scheme and without a login."""

ListeningAddress = Annotated[str, AfterValidator(listening_address)]
"""What a listener is bound to."""

_POSTGRES = re.compile(r"postgres(?:ql)?://(?:[^/?#]*@)?([^/?#@]*)(?:[/?#].*)?", re.DOTALL)


def no_postgres(value: str) -> str | None:
    """Why the hosts and ports of a database can't be; None where they can.

    There may be several, separated by commas, and none at all; a folder of sockets is encoded.
    What else stands there is for the driver to read.
    """
    if (found := _POSTGRES.fullmatch(value)) is None:
        return None
    for one in filter(None, found[1].split(",")):
        bracketed = re.fullmatch(r"\[([^\]]*)\](?::(.*))?", one)
        host, _, port = one.partition(":")
        if bracketed:
            host, port = bracketed[1], bracketed[2] or ""
        if host and not host.startswith("%") and (why := _no_host(host)):
            return why
        if why := _no_port(port, one if not bracketed else ""):
            return why
    return None
