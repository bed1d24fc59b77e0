"""Keeps secrets out of logs. Pure."""

import re
from collections.abc import Iterable, Mapping
from urllib.parse import quote

from bridge.backends.embedded.words import words

HIDDEN = "***"

_CREDENTIALS = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]{0,20}://)[^\s/@'\"]+@")
_SECRET_NAME = re.compile(
    r"(TOKEN|SECRET|PASSW|PWD|KEY|CREDENTIAL|AUTH|PRIVATE|DSN|DATABASE_URL)", re.IGNORECASE
)
_PLAIN = frozenset(
    words(
        "production development staging testing test preview local localhost true false default"
        " public debug info warning error verbose"
    )
)
_LONG_ENOUGH = 6
_TOO_SHORT = 2
"""So few characters stand everywhere: hiding them would hide the log and no secret."""

_PLAIN_NUMBER = re.compile(r"[\d.]*")


def strip_credentials(text: str) -> str:
    """`https://user:token@host/` becomes `https://***@host/`, wherever it stands."""
    return _CREDENTIALS.sub(rf"\1{HIDDEN}@", text)


def secret_values(env: Mapping[str, str], secrets: Iterable[str]) -> tuple[str, ...]:
    """What must never be shown, longest first.

    Build secrets always; environment values unless they plainly are none ("production",
    "3000"). Values of several lines also line by line, since logs are shown by lines.
    """
    hidden = [value for name, value in env.items() if _is_secret(name, value)]
    hidden.extend(secrets)
    lines = {line.strip() for value in hidden for line in value.splitlines()}
    long = [line for line in lines if len(line) > _TOO_SHORT]
    forms = {*long, *(quote(line, safe="") for line in long)}
    return tuple(sorted(forms, key=len, reverse=True))


def redact(text: str, secrets: Iterable[str]) -> str:
    """Replace every secret and every credential in an address.

    Args:
        secrets: as `secret_values` gives them.
    """
    for secret in secrets:
        if secret in text:
            text = text.replace(secret, HIDDEN)
    return strip_credentials(text)


def _is_secret(name: str, value: str) -> bool:
    if not value or value.lower() in _PLAIN:
        return False
    if _SECRET_NAME.search(name):
        return True
    return len(value) >= _LONG_ENOUGH and not _PLAIN_NUMBER.fullmatch(value)
