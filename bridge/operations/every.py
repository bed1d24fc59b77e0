"""All operations; whoever needs them imports this, which declares them."""

from bridge.operations import auditing, deploying, feedback, gates, reading, replaying
from bridge.operations.base import OPERATIONS, offered

__all__ = [
    "OPERATIONS",
    "auditing",
    "deploying",
    "feedback",
    "gates",
    "offered",
    "reading",
    "replaying",
]
