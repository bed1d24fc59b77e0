"""The seal of this installation's secrets, by its settings."""

from typing import TYPE_CHECKING

from bridge.app.data_folder import database_url
from bridge.storage.seal import FernetSeal, NoSeal, key_in

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic import SecretStr

    from bridge.settings import Process


def seal_of(settings: "Process") -> FernetSeal | NoSeal:
    """Return the seal for secrets that must be stored.

    Processes that share a Postgres have no common folder for a key.
    """
    keys = revealed(settings.secret_key)
    if not keys and database_url(settings) is not None:
        return NoSeal()
    return FernetSeal(lambda: keys or [key_in(settings.data / "secret.key")])


def revealed(secrets: "Sequence[SecretStr]") -> list[str]:
    """Return secrets as plain texts."""
    return [secret.get_secret_value() for secret in secrets]
