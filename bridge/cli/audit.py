"""`audit`: who changed what, with the outcome."""

import time
from typing import TYPE_CHECKING

from bridge.cli.context import Config, Json, Limit, kept_in, run, settings_of
from bridge.cli.deployments import AppOption
from bridge.cli.forms import audited_form
from bridge.cli.show import Listing, ago, iso
from bridge.core.errors import NotFound

if TYPE_CHECKING:
    from bridge.app.storage import Stores
    from bridge.ports.outcomes import Audited
    from bridge.settings import Settings

SEARCHED = 10_000
"""The number of newest changes to search for a deleted app."""


def audit(
    config: Config = None,
    json: Json = False,
    app: AppOption = None,
    limit: Limit = 20,
) -> None:
    """List who changed what, newest first; never shows secrets."""
    run(_list(settings_of(config), app, limit, json))


async def _list(settings: "Settings", app: str | None, limit: int, json: bool) -> None:
    found: list[Audited] = []
    why_none = "nobody has changed anything yet"
    try:
        async with kept_in(settings) as stores:
            app_id = None if app is None else await _id_of(stores, app)
            found = await stores.journal.audited(limit=limit, app_id=app_id)
    except NotFound as error:
        if app is not None:
            raise
        why_none = str(error)
    columns = ("when", "by", "what", "app", "*changed", "*outcome")
    listing = Listing(audited_form, columns, lambda one: _row(one, time.time()), _line, side=4)
    listing.say(found, why_none, json=json)


async def _id_of(stores: "Stores", name: str) -> str:
    """Return the id of an app, even of a deleted one."""
    from bridge.core.apps import find_app

    try:
        return find_app(await stores.journal.apps(), name).id
    except NotFound:
        for one in await stores.journal.audited(limit=SEARCHED):
            if name in (one.app, one.app_id):
                return one.app_id
        raise


def _row(change: "Audited", now: float) -> list[str]:
    return [
        ago(change.at, now),
        str(change.by),
        change.what,
        change.app,
        _changed(change),
        change.outcome,
    ]


def _line(change: "Audited") -> str:
    changed = _changed(change)
    line = (
        f"{iso(change.at)} {change.number} {change.by} {change.what} {change.app} {change.outcome}"
    )
    return f"{line}: {changed}" if changed else line


def _changed(change: "Audited") -> str:
    from bridge.core.configuration.difference import lines_of

    return "; ".join(lines_of(change.difference))
