"""A proxy in front of the small Dokploy, whose nodes each cache answers for a while.

So a list may be old, and the next one even older.
"""

import random
import time
from dataclasses import dataclass, field

NODES = 3


@dataclass
class CachingProxy:
    """Passes everything through while `seconds` is 0."""

    chance: random.Random
    seconds: float = 0.0
    kept: list[dict[str, tuple[float, bytes]]] = field(
        default_factory=lambda: [{} for _ in range(NODES)]
    )

    def answer(self, url: str, fresh: bytes) -> bytes:
        """Return one node's answer: its cached one, else the current one."""
        if not self.seconds:
            return fresh
        node = self.chance.choice(self.kept)
        at, body = node.get(url, (0.0, b""))
        if time.monotonic() - at < self.seconds:
            return body
        node[url] = time.monotonic(), fresh
        return fresh
