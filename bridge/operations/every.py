"""All operations; whoever needs them imports this, which declares them."""

from bridge.operations import (
    arrivals,
    auditing,
    build_logs,
    configuring,
    deploying,
    explaining,
    feedback,
    gates,
    hosting,
    previews,
    reading,
    reasons,
    replaying,
    setting,
    webhooks,
)
from bridge.operations.base import OPERATIONS, offered

__all__ = [
    "OPERATIONS",
    "arrivals",
    "auditing",
    "build_logs",
    "configuring",
    "deploying",
    "explaining",
    "feedback",
    "gates",
    "hosting",
    "offered",
    "previews",
    "reading",
    "reasons",
    "replaying",
    "setting",
    "webhooks",
]
