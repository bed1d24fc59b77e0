"""Is it Slack? Checked over the raw bytes, before anything is read as text or JSON. Pure.

Bolt's own check answers 500 to a timestamp that is no number and to a signature that is not
ASCII, so it is off, and this is in its place.
Source: https://docs.slack.dev/authentication/verifying-requests-from-slack
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass

from bridge.core.errors import BadSignature

WINDOW = 300
"""Seconds that a request may be old, or our clocks apart: what is older is a replay."""

_TIMESTAMP = re.compile(r"[0-9]{1,12}")
_SIGNATURE = re.compile(r"v0=[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Proof:
    """What the headers claim; never logged."""

    timestamp: str
    signature: str


def opened(headers: Mapping[str, str], now: float) -> Proof:
    """Read the headers, before the body; raises BadSignature where no body can fit them."""
    timestamp = headers.get("X-Slack-Request-Timestamp", "")
    signature = headers.get("X-Slack-Signature", "")
    if not timestamp or not signature:
        raise BadSignature("X-Slack-Signature and X-Slack-Request-Timestamp must both be there")
    if _TIMESTAMP.fullmatch(timestamp) is None:
        raise BadSignature("X-Slack-Request-Timestamp is no number of seconds")
    if _SIGNATURE.fullmatch(signature) is None:
        raise BadSignature("X-Slack-Signature has not the form v0=<64 hex digits>")
    if abs(now - int(timestamp)) > WINDOW:
        raise BadSignature(
            f"X-Slack-Request-Timestamp is more than {WINDOW} s off: a replay, or a wrong clock"
        )
    return Proof(timestamp, signature)


def verify(secret: bytes, proof: Proof, body: bytes) -> None:
    """Check the signature over the raw bytes; raises BadSignature."""
    if not hmac.compare_digest(signature(secret, proof.timestamp, body), proof.signature.encode()):
        raise BadSignature("X-Slack-Signature does not fit the body")


def signature(secret: bytes, timestamp: str, body: bytes) -> bytes:
    """What Slack would sign a request with."""
    signed = b"v0:" + timestamp.encode() + b":" + body
    return b"v0=" + hmac.new(secret, signed, hashlib.sha256).hexdigest().encode()
