"""Where everything is kept: files in a data directory, or a Postgres."""

from bridge.core.errors import NotFound
from bridge.settings import Settings


def database_url(settings: Settings) -> str | None:
    """The Postgres that is set, as libpq reads it; None: SQLite in the data directory."""
    url = settings.database_url
    return url.get_secret_value() if url is not None else None


def whereabouts(settings: Settings) -> str:
    """Where everything is kept, for people; never with a password."""
    return str(settings.data) if settings.database_url is None else "the database of DATABASE_URL"


def must_be_there(settings: Settings) -> None:
    """Raise NotFound where nothing was ever kept: a command should not make an empty store."""
    if settings.database_url is None and not (settings.data / "journal.sqlite").exists():
        raise NotFound(
            f"nothing is kept in {settings.data} yet: start `dokploy-bridge serve`,"
            " or set BRIDGE_DATA to where your bridge keeps its data"
        )
