"""Which module declares which operations, so that a command loads only its own."""

from collections.abc import Mapping
from importlib import import_module

from bridge.operations.base import OPERATIONS, Operation

MODULES: Mapping[str, tuple[str, ...]] = {
    "reading": ("whoami", "apps", "status", "deployments", "report"),
    "arrivals": ("deliveries",),
    "auditing": ("audit",),
    "deploying": ("deploy", "redeploy", "cancel", "rollback", "promote"),
    "build_logs": ("logs", "clear"),
    "configuring": ("provider", "build", "env"),
    "setting": ("provider", "build", "env"),
    "explaining": ("explain",),
    "feedback": ("feedback",),
    "gates": (
        *("lock", "unlock", "locks", "freeze", "unfreeze", "freezes"),
        *("held", "approve", "override"),
    ),
    "hosting": ("adopt", "pin", "unpin"),
    "previews": ("previews",),
    "reasons": ("why",),
    "replaying": ("replay",),
    "webhooks": ("hooks",),
}
"""Modules with the first words of the names of their operations, in the order of help."""


def known(word: str) -> bool:
    """Return whether an operation begins with a word."""
    return any(word in words for words in MODULES.values())


def load(word: str | None = "") -> None:
    """Declare the operations that begin with a word; "" for all, None for none.

    They then stand in the order of their modules, whichever was imported first.
    """
    for module, words in MODULES.items():
        if word == "" or word in words:
            import_module(f"bridge.operations.{module}")
    in_order = sorted(OPERATIONS.items(), key=lambda named: _place(named[1]))
    OPERATIONS.clear()
    OPERATIONS.update(in_order)


def _place(asked: Operation) -> int:
    module = asked.run.__module__.removeprefix("bridge.operations.")
    return [*MODULES, module].index(module)


def operation_of(name: str) -> Operation:
    """Return an operation, which is declared if need be; raise KeyError if there is none."""
    load(name.partition(" ")[0] or None)
    return OPERATIONS[name]
