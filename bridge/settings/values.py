"""What one setting may hold: a list, YAML, an address, secrets; and what a section is."""

from typing import Annotated

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, SecretStr


class Section(BaseModel):
    """A group of settings."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def as_list(value: object) -> object:
    """A comma-separated text as a list, as it comes from the environment."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


def as_choice(value: object) -> object:
    """The same of a list that may be chosen to be empty: by `none`, since "" is not set."""
    return [] if value == "none" else as_list(value)


def as_yaml(value: object) -> object:
    """A text as YAML, as it comes from the environment."""
    if not isinstance(value, str):
        return value
    try:
        return yaml.safe_load(value) or ()
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
    if not value.get_secret_value().strip():
        raise ValueError("it is empty; leave it out, or give what it stands for")
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
