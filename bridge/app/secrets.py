"""Secrets as the parts need them."""

from collections.abc import Sequence

from pydantic import SecretStr

from bridge.app.whereabouts import database_url
from bridge.settings import Settings
from bridge.stores.seal import FernetSeal, NoSeal, key_in


def seal_of(settings: Settings) -> FernetSeal | NoSeal:
    """What seals the secrets that must be kept for a while.

    Processes that share a Postgres have no folder in common, where a key could be.
    """
    keys = revealed(settings.secret_key)
    if not keys and database_url(settings) is not None:
        return NoSeal()
    return FernetSeal(lambda: keys or [key_in(settings.data / "secret.key")])


def revealed(secrets: Sequence[SecretStr]) -> list[str]:
    return [secret.get_secret_value() for secret in secrets]
