"""All operations; whoever needs them imports this, which declares them."""

from bridge.operations import auditing, configuring, deploying, gates, reading, setting
from bridge.operations.base import OPERATIONS, offered

__all__ = [
    "OPERATIONS",
    "auditing",
    "configuring",
    "deploying",
    "gates",
    "offered",
    "reading",
    "setting",
]
