"""A change is noted before it is made, so that none is made that nobody hears of."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from bridge.core.errors import BridgeError
from bridge.ports.journal import Journal
from bridge.ports.outcomes import Audited
from bridge.ports.targets import Target


class Noted:
    """Notes a change before it is made, and what became of it."""

    def __init__(
        self,
        journal: Journal,
        note: Audited,
        shown: Callable[[Audited], Sequence[Target]] = lambda _: (),
    ) -> None:
        self._journal = journal
        self._note = note
        self._shown = shown

    async def __aenter__(self) -> None:
        self._note = replace(self._note, number=await self._journal.audit(self._note))
        if targets := self._shown(self._note):
            await self._journal.want(targets)

    async def __aexit__(self, _type: object, error: BaseException | None, _trace: object) -> None:
        if error is None:
            await self._journal.settle(self._note.number, "done")
        elif isinstance(error, BridgeError):
            await self._journal.settle(self._note.number, f"{type(error).__name__}: {error}")
        # Anything else cuts it off: the note stays as begun, which is what is known.
