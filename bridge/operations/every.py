"""All operations; whoever needs them imports this, which declares them."""

from bridge.operations import auditing, deploying, gates, hosting, reading, webhooks
from bridge.operations.base import OPERATIONS, offered

__all__ = [
    "OPERATIONS",
    "auditing",
    "deploying",
    "gates",
    "hosting",
    "offered",
    "reading",
    "webhooks",
]
