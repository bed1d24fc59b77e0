"""Signed webhooks after Standard Webhooks, for hosts that follow it (GitLab from 19.0).

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import base64
import binascii
import hmac
import re
from collections.abc import Iterable, Mapping

from bridge.core.errors import BadSignature
from bridge.githosts.receiving.payload import as_bytes, same
from bridge.ports.githosts import Body

_HEADERS = ("webhook-id", "webhook-timestamp", "webhook-signature")
_ID = re.compile(r"[!-~]{1,200}").fullmatch
_TIMESTAMP = re.compile(r"[0-9]{1,12}").fullmatch
_SIGNATURE = re.compile(r"(?:^| )v1,[A-Za-z0-9+/]{43}=(?: |$)").search


def key_of(token: str) -> bytes:
    """The key of a signing token, `whsec_` and base64; padding may be missing.

    Raises:
        ValueError: it is not; the message does not hold it.
    """
    encoded = token.strip().removeprefix("whsec_")
    try:
        key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not key or not token.strip().startswith("whsec_"):
        raise ValueError("a signing token must be whsec_ and base64, as the Git host shows it")
    return key


def proof_of(headers: Mapping[str, str], now: float, tolerance: float) -> tuple[str, str, str]:
    """Id, timestamp and signatures as sent, once they have the right form and age.

    Raises:
        BadSignature: they have not, whatever the body.
    """
    sent_id, timestamp, signatures = (headers.get(name, "") for name in _HEADERS)
    if not (sent_id and timestamp and signatures):
        raise BadSignature(
            f"{', '.join(_HEADERS)} must all be there, since a signing token is set here: "
            "set it on the webhook too (GitLab 19.0 or newer)"
        )
    if not (_ID(sent_id) and _TIMESTAMP(timestamp) and _SIGNATURE(signatures)):
        raise BadSignature(f"one of {', '.join(_HEADERS)} has the wrong form")
    if abs(age := now - int(timestamp)) > tolerance:
        raise BadSignature(
            f"webhook-timestamp is {age:.0f} seconds old, allowed are {tolerance:.0f} "
            "either way: is a clock wrong?"
        )
    return sent_id, timestamp, signatures


def verify(proof: tuple[str, ...], body: Body, keys: Iterable[bytes]) -> None:
    """Check that one of the signatures is over these very bytes; raises BadSignature."""
    sent_id, timestamp, signatures = proof
    signed = f"{sent_id}.{timestamp}.".encode() + body
    wanted = [b"v1," + base64.b64encode(hmac.digest(key, signed, "sha256")) for key in keys]
    if not any(same(as_bytes(given), wanted) for given in signatures.split(" ")):
        raise BadSignature(
            "webhook-signature does not fit the body: is the webhook's signing token one of ours?"
        )
