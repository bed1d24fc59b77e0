"""Prove that an address leads to this installation: it answers a random challenge. Pure.

The proof is of one purpose: its key proves nothing else, and no other text is ever proved with it.
"""

import hmac
import re

PURPOSE = "challenge"
"""The name of the installation's secret for it."""

PATH = "/hooks/challenge/"
"""Where challenges are answered: below the path of webhooks, which a proxy may pass alone."""

IS_CHALLENGE = re.compile(r"[0-9a-f]{32}").fullmatch
"""Matches what is answered, and nothing else."""


def proof_of(key: str, challenge: str) -> str:
    """Return the proof that an installation with that key gives."""
    said = f"dokploy-bridge challenge\0{challenge}".encode()
    return hmac.new(key.encode(), said, "sha256").hexdigest()
