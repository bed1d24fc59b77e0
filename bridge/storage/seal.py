"""Sealing with Fernet (AES-128-CBC and HMAC-SHA256), as docs/notes/0011 says.

The library is imported at the first use: most processes never need it.
"""

import base64
import hashlib
import os
import secrets
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from bridge.core.errors import Rejected

if TYPE_CHECKING:
    from cryptography.fernet import MultiFernet

BYTES = 32
"""Random bytes of a generated key."""


class FernetSeal:
    """Seals with the first of several keys and opens with any of them, for rotation.

    Args:
        keys: called at the first use; texts of any form, long and random.
    """

    def __init__(self, keys: Callable[[], Sequence[str]]) -> None:
        self._keys = keys

    def close(self, text: str) -> str:
        return self._fernet.encrypt(text.encode()).decode()

    def open(self, sealed: str) -> str:
        from cryptography.fernet import InvalidToken

        try:
            return self._fernet.decrypt(sealed.encode()).decode()
        except InvalidToken:
            raise Rejected(
                "sealed data can't be opened: its key is gone; add the previous key"
                " to BRIDGE_SECRET_KEY"
            ) from None

    @cached_property
    def _fernet(self) -> "MultiFernet":
        from cryptography.fernet import Fernet, MultiFernet

        return MultiFernet([Fernet(_fernet_key(key)) for key in self._keys()])


class NoSeal:
    """Used without a key: secrets are not stored."""

    REMEDY = "set BRIDGE_SECRET_KEY, the same for all processes; `openssl rand -hex 32` makes one"

    def close(self, _text: str) -> str:
        raise Rejected(f"there is no key to seal secrets with: {self.REMEDY}")

    def open(self, _sealed: str) -> str:
        raise Rejected(f"there is no key to open what was kept with: {self.REMEDY}")


def _fernet_key(text: str) -> bytes:
    return base64.urlsafe_b64encode(
        hashlib.sha256(b"dokploy-bridge seal\0" + text.encode()).digest()
    )


def key_in(file: Path) -> str:
    """Return the key in a file that only its owner may read; create it if it is missing.

    Raises:
        Rejected: the file can't be read or written.
    """
    try:
        if not file.exists():
            _make(file)
        return file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise Rejected(
            f"{file} can't hold the key that seals secrets ({type(error).__name__}); set"
            " BRIDGE_SECRET_KEY instead"
        ) from error


def _make(file: Path) -> None:
    """Write a file completely or not at all; of two processes, the first wins."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = file.with_name(f"{file.name}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as new:
        new.write(secrets.token_urlsafe(BYTES) + "\n")
        new.flush()
        os.fsync(new.fileno())
    try:
        os.link(draft, file)
    except FileExistsError:  # the other process was faster, and its key counts
        return
    finally:
        draft.unlink()
