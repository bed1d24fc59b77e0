"""One thing that goes wrong, and where it can."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tests.chaos.stage import Stage


@dataclass(frozen=True)
class Scenario:
    """One thing that goes wrong.

    Attributes:
        on: the database that it needs; "" for any.
        needs_disk: whether it needs a small disk.
        may_die: whether processes may end by themselves meanwhile; they are started again.
        unclear: the backend may leave one ask of an app without an answer; after two of these
            its end is unknown, by design, so at most one of such scenarios runs at a time.
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
        """Whether it can happen here."""
        if self.needs_disk and stage.disk is None:
            return False
        return self.on in ("", stage.fleet.kind)
