"""All operations; whoever needs them imports this, which declares them."""

from bridge.operations import auditing, build_logs, deploying, gates, previews, reading, reasons
from bridge.operations.base import OPERATIONS, offered

__all__ = [
    "OPERATIONS",
    "auditing",
    "build_logs",
    "deploying",
    "gates",
    "offered",
    "previews",
    "reading",
    "reasons",
]
