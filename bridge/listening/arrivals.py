"""Bound the memory of requests that are still arriving; drop the oldest first."""

from collections.abc import Callable


class Arrival:
    """One that arrives."""

    __slots__ = ("_all", "_drop", "dropped", "got")

    def __init__(self, all_: "Arrivals", drop: Callable[[], None]) -> None:
        self._all = all_
        self._drop = drop
        self.got = 0
        self.dropped = False

    def more(self, count: int) -> None:
        """Count received bytes; it may be evicted for them."""
        if not self.dropped:
            self.got += count
            self._all.grown(count)

    def end(self) -> None:
        """Note that it is complete, or was given up."""
        self._all.left(self)

    def drop(self) -> None:
        """Evict it, since others came later and are quicker."""
        self.dropped = True
        self.end()
        self._drop()


class Arrivals:
    """All that arrive, the oldest first; `size` is their limit in bytes."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._used = 0
        self._all: dict[Arrival, None] = {}

    def __len__(self) -> int:
        return len(self._all)

    def begin(self, drop: Callable[[], None]) -> Arrival:
        """Add one; `drop` is called if it is evicted."""
        new = Arrival(self, drop)
        self._all[new] = None
        return new

    def grown(self, count: int) -> None:
        """Account for received bytes; evict the oldest when over budget."""
        self._used += count
        while self._used > self._size and len(self._all) > 1:
            next(iter(self._all)).drop()

    def left(self, one: Arrival) -> None:
        """Remove one; idempotent."""
        if one in self._all:
            del self._all[one]
            self._used -= one.got
