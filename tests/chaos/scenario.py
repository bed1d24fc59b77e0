"""One fault, and where it can occur."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tests.chaos.stage import Stage


@dataclass(frozen=True)
class Scenario:
    """One fault.

    Attributes:
        on: the database that it needs; "" for any.
        needs_disk: whether it needs a small disk.
        may_die: whether processes may exit by themselves meanwhile; they are restarted.
        unclear: the backend may leave one request for an app unanswered; after two of these the
            outcome is unknown, by design, so at most one such scenario runs at a time.
        elsewhere: nothing happens to the bridge or its stores, so every webhook is acknowledged.
    """

    run: Callable[[Stage], Awaitable[None]]
    on: str = ""
    needs_disk: bool = False
    may_die: bool = False
    elsewhere: bool = False
    unclear: bool = False

    @property
    def name(self) -> str:
        return self.run.__name__.replace("_", " ")

    def fits(self, stage: Stage) -> bool:
        """Return whether it can occur here."""
        if self.needs_disk and stage.disk is None:
            return False
        return self.on in ("", stage.fleet.kind)
