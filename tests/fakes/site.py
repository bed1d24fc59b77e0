"""An app's address whose answers the test decides."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from bridge.ports.probes import Answer


def well(url: str) -> Answer:
    """Answer as a healthy site does."""
    return Answer(url, 200, "OK", "<h1>it works</h1>")


@dataclass
class FakeSite:
    """Answers every address alike.

    Attributes:
        answers: returns the answer, or raises what there is instead.
        asked: the addresses, in order.
    """

    answers: Callable[[str], Answer] = well
    asked: list[str] = field(default_factory=list)

    async def get(self, url: str, *, body: bool) -> Answer:
        self.asked.append(url)
        answer = self.answers(url)
        return answer if body or answer.status >= 400 else replace(answer, body="")
