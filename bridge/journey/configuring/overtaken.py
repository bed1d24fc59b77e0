"""What keeps a change of an app's configuration from being what somebody has agreed to."""

from bridge.core.configuring.difference import Changed
from bridge.core.errors import BridgeError, Rejected
from bridge.core.watch import App


class Overtaken(Rejected):
    """Somebody else has changed the app in between.

    Attributes:
        changed: what they have changed.
    """

    def __init__(self, app: App, changed: tuple[Changed, ...]) -> None:
        names = ", ".join(one.field for one in changed)
        super().__init__(
            f"{app.label} was changed by somebody else in between ({names}): nothing was"
            " written; look at it, and ask again"
        )
        self.changed = changed


class NotKept(BridgeError):
    """The backend took the change, but has something else than what was written.

    Attributes:
        changed: by field what was wanted and what there is.
    """

    def __init__(self, app: App, changed: tuple[Changed, ...]) -> None:
        names = ", ".join(one.field for one in changed)
        super().__init__(
            f"{app.label} was written, but reads back differently ({names}): look at it in the"
            " backend"
        )
        self.changed = changed
