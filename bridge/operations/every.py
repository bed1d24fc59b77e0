"""All operations; whoever needs them imports this, which declares them."""

from bridge.operations import auditing, deploying, gates, previews, reading
from bridge.operations.base import OPERATIONS, offered

__all__ = ["OPERATIONS", "auditing", "deploying", "gates", "offered", "previews", "reading"]
