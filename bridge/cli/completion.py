"""Complete names of apps, repositories and previews in the shell.

It must be quick and silent: settings are parsed only if more than `BRIDGE_DATA` may determine where
the data is, and nothing is opened for writing.
"""

import os
import sqlite3
from pathlib import Path

import typer

from bridge.core.errors import BridgeError

DEFAULT_FILE = Path("bridge.yaml")
DEFAULT_DATA = ".bridge"

ELSEWHERE = tuple(
    f"{name}{file}"
    for name in ("DATABASE_URL", "BRIDGE_DATABASE_URL", "BRIDGE_DATA")
    for file in ("", "_FILE")
    if name + file != "BRIDGE_DATA"
)
"""Variables that may override the data folder's."""


def complete_app(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return labels that start with the typed text, else app names that do."""
    typed = incomplete.lower()
    labels = _names(ctx.params.get("config"))
    whole = [label for label in labels if label.lower().startswith(typed)]
    if whole:
        return whole
    names = {label.rpartition("/")[2] for label in labels}
    return sorted(name for name in names if name.lower().startswith(typed))


def complete_repository(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the repositories that have pushed and start with the typed text."""
    from bridge.storage.labels import REPOSITORIES

    typed = incomplete.lower()
    names = _names(ctx.params.get("config"), REPOSITORIES)
    return [name for name in names if name.lower().startswith(typed)]


def complete_preview(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the previews that start with the typed text, or whose app or number does."""
    from bridge.storage.labels import PREVIEWS

    typed = incomplete.lower()
    names = _names(ctx.params.get("config"), PREVIEWS)
    whole = [name for name in names if name.lower().startswith(typed)]
    if whole:
        return whole
    return [name for name in names if name.rpartition("/")[2].lower().startswith(typed)]


def _names(config: Path | None, query: str | None = None) -> list[str]:
    """Return all names; none if they are unreadable, since an error would garble the prompt."""
    from bridge.app.data_folder import must_be_ours
    from bridge.storage.labels import LABELS, labels_of_file, labels_of_postgres

    try:
        data, url = _place(config)
        if url is None:
            must_be_ours(data)
            return labels_of_file(data / "journal.sqlite", query or LABELS)
        return labels_of_postgres(url, query or LABELS)
    except (BridgeError, OSError, sqlite3.Error):
        return []


def _place(config: Path | None) -> tuple[Path, str | None]:
    """Return the data folder, and the Postgres used instead of it, if any."""
    given = config or os.environ.get("BRIDGE_CONFIG")
    elsewhere = any(os.environ.get(name) for name in ELSEWHERE)
    if given is None and not elsewhere and not DEFAULT_FILE.exists():
        return Path(os.environ.get("BRIDGE_DATA") or DEFAULT_DATA), None
    from bridge.app.data_folder import database_url
    from bridge.cli.context import settings_of

    settings = settings_of(Path(given) if given else None)
    return settings.data, database_url(settings)
