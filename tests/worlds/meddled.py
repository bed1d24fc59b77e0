"""The embedded backend, with faults and other people around its calls."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from tests.worlds.embedded import Maker


@dataclass
class Meddled:
    """A backend; what a test lets happen before or after the next call of a name happens once."""

    inner: Maker
    before: dict[str, Callable[[], Awaitable[None]]] = field(default_factory=dict)
    after: dict[str, Callable[[], Awaitable[None]]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.inner, name)
        if not callable(found):
            return found

        async def call(*args: Any, **kwargs: Any) -> Any:
            self.calls.append(name)
            if (first := self.before.pop(name, None)) is not None:
                await first()
            result = await found(*args, **kwargs)
            if (then := self.after.pop(name, None)) is not None:
                await then()
            return result

        return call

    @property
    def writes(self) -> list[str]:
        return [call for call in self.calls if call.startswith(("save_", "write_", "clear"))]


def failing(error: Exception) -> Callable[[], Awaitable[None]]:
    async def fail() -> None:
        raise error

    return fail
