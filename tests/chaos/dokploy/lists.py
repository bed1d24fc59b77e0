"""A proxy in front of the small Dokploy: its nodes keep answers for a while, each its own.

So a list may be old, and the next one older still.
"""

import random
import time
from dataclasses import dataclass, field

NODES = 3


@dataclass
class CachingProxy:
    """Passes all through while `seconds` is 0."""

    chance: random.Random
    seconds: float = 0.0
    kept: list[dict[str, tuple[float, bytes]]] = field(
        default_factory=lambda: [{} for _ in range(NODES)]
    )

    def answer(self, url: str, fresh: bytes) -> bytes:
        """What one of the nodes answers: what it has, or else what is so now."""
        if not self.seconds:
            return fresh
        node = self.chance.choice(self.kept)
        at, body = node.get(url, (0.0, b""))
        if time.monotonic() - at < self.seconds:
            return body
        node[url] = time.monotonic(), fresh
        return fresh
