"""All operations; whoever needs them imports this, which declares them."""

from bridge.operations.base import OPERATIONS, offered
from bridge.operations.declared import load

load()

__all__ = ["OPERATIONS", "offered"]
