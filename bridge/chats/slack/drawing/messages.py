"""What is sent to Slack: blocks, and the text for where blocks are not shown."""

from dataclasses import dataclass
from typing import Any

Block = dict[str, Any]
View = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Message:
    """A message, escaped and within Slack's limits.

    Attributes:
        text: for notifications and screen readers; the same in one line.
    """

    text: str
    blocks: tuple[Block, ...]

    def body(self) -> dict[str, Any]:
        """The arguments of `chat.postMessage` and `chat.update`; nothing in it unfurls."""
        return {"text": self.text, "blocks": list(self.blocks)}
