"""Secrets that must be written down."""

from typing import Protocol


class Seal(Protocol):
    """Keeps secrets that must be written down from being read there (docs/notes/0011)."""

    def close(self, text: str) -> str:
        """Seal a text."""

    def open(self, sealed: str) -> str:
        """The text again; raises Rejected where it was sealed with a key that is gone."""
