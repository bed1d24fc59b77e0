"""The app that a person means by a name, also one that is gone from its backend."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge.cli.cleaning import clean
from bridge.cli.show import hint
from bridge.core.errors import NotFound
from bridge.core.naming import find_app, named

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.core.watch import App
    from bridge.ports.journal import Apps


class Gone(NotFound):
    """An app is gone from its backend; what it did is still known.

    Attributes:
        app: as it was when it was last seen.
    """

    def __init__(self, app: "App") -> None:
        super().__init__(
            f"{app.label} is gone from the backend; `dokploy-bridge deployments --app {app.id}`"
            " lists what was deployed"
        )
        self.app = app


async def live_app(journal: "Apps", name: str) -> "App":
    """Return the app by that name; raise Gone where it was deleted, else NotFound."""
    live = await journal.apps()
    try:
        return find_app(live, name)
    except NotFound:
        raise_gone(await journal.gone_apps(), name)
        raise


def raise_gone(gone: "Sequence[App]", name: str) -> None:
    """Raise Gone where a whole name is that of a deleted app."""
    fits = named(gone, name)
    if len(fits) == 1:
        raise Gone(fits[0])


@dataclass(frozen=True, slots=True)
class Known:
    """An app of which there is a history.

    Attributes:
        gone: it was deleted at its backend.
    """

    app: "App"
    gone: bool


async def known_app(journal: "Apps", name: str) -> Known:
    """Return the app by that name, live or gone, for what is known of its past.

    A person is told where it is gone, and where an app that is gone had the same label.
    """
    live, gone = await journal.apps(), await journal.gone_apps()
    app = find_app(live, name, gone)
    if app in gone:
        hint(clean(f"{app.label} ({app.id}) is gone from the backend; this is its history"))
    elif same := [one.id for one in gone if one.label == app.label]:
        hint(clean(f"an earlier {app.label} is gone; its history is under its id, {same[-1]}"))
    return Known(app, app in gone)
