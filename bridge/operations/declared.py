"""Which module declares which operations, so that a command loads only its own."""

from collections.abc import Mapping
from importlib import import_module

from bridge.operations.base import OPERATIONS, Operation

MODULES: Mapping[str, tuple[str, ...]] = {
    "arrivals": ("deliveries",),
    "auditing": ("audit",),
    "build_logs": ("logs", "clear"),
    "configuring": ("provider", "build", "env"),
    "deploying": ("deploy", "redeploy", "cancel", "rollback", "promote"),
    "explaining": ("explain",),
    "feedback": ("feedback",),
    "gates": (
        "lock",
        "unlock",
        "locks",
        "freeze",
        "unfreeze",
        "freezes",
        "held",
        "approve",
        "override",
    ),
    "hosting": ("adopt", "pin", "unpin"),
    "previews": ("previews",),
    "reading": ("whoami", "apps", "status", "deployments", "report"),
    "reasons": ("why",),
    "replaying": ("replay",),
    "setting": ("provider", "build", "env"),
    "webhooks": ("hooks",),
}
"""Modules with the first words of the names of their operations, in the order of help."""


def known(word: str) -> bool:
    """Return whether an operation begins with a word."""
    return any(word in words for words in MODULES.values())


def load(word: str | None = "") -> None:
    """Declare the operations that begin with a word; "" for all, None for none."""
    for module, words in MODULES.items():
        if word == "" or word in words:
            import_module(f"bridge.operations.{module}")


def operation_of(name: str) -> Operation:
    """Return an operation, which is declared if need be; raise KeyError if there is none."""
    load(name.partition(" ")[0] or None)
    return OPERATIONS[name]
