"""All operations; whoever needs them imports this, which declares them."""

from bridge.operations import deploying, gates
from bridge.operations.base import OPERATIONS

__all__ = ["OPERATIONS", "deploying", "gates"]
