"""The values in the settings that nothing may show."""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, SecretStr

from bridge.core.masking import Mask
from bridge.settings.root import Settings

_OF_VARIABLES = ("environment", "build_args")
"""Fields with variables of apps, of which only some are secret."""


def secrets_of(settings: Settings) -> Mask:
    """Return what hides all secrets in the settings."""
    found = list(_secrets_in("", settings))
    return Mask(
        [(name, value) for name, value in found if name],
        [value for name, value in found if not name],
    )


def _secrets_in(name: str, value: Any) -> Iterator[tuple[str, str]]:
    """Yield secrets, each with the name of its variable; "" if it is a setting itself."""
    match value:
        case SecretStr():
            yield name, value.get_secret_value()
        case BaseModel():
            for field, one in value:
                named = field in _OF_VARIABLES and isinstance(one, Mapping)
                for key, inner in one.items() if named else [("", one)]:
                    yield from _secrets_in(key, inner)
        case Mapping():
            for one in value.values():
                yield from _secrets_in(name, one)
        case tuple() | list():
            for one in value:
                yield from _secrets_in(name, one)
