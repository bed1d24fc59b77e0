"""Whom we trust: the system's authorities, those in the environment, and a server's own."""

import os
import ssl
from functools import lru_cache
from pathlib import Path

from bridge.connecting import CannotConnect

_SYSTEM = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Alpine, Arch
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  # Fedora, RHEL
    "/etc/ssl/ca-bundle.pem",  # openSUSE
    "/etc/ssl/cert.pem",  # macOS, BSD
)
"""Files in which systems keep the authorities that they trust."""

VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO")
"""Variables that name a file with more authorities, or a folder of such files."""


def trusted(ca: str | None = None) -> ssl.SSLContext:
    """Return what clients check certificates against; it is shared.

    Args:
        ca: a PEM file with the authority of the server that is asked.

    Raises:
        CannotConnect: a file with authorities can't be read.
    """
    files = tuple((file, _age(file)) for file in _files(ca))
    return _context(files, authorities_folder())


def write_authorities(file: Path, ca: str | None = None) -> None:
    """Write the same into one file, for a program that trusts a single one.

    Raises:
        CannotConnect: a file with authorities can't be read.
    """
    try:
        file.write_bytes(b"\n".join(Path(one).read_bytes() for one in _files(ca)))
    except OSError as error:
        raise _unread(error.filename, error) from None


def names_authorities() -> bool:
    """Return whether the environment names a file with more authorities than the system's."""
    return any(one.is_file() for one in map(Path, _named()))


def authorities_folder() -> str | None:
    """Return the folder with more authorities that the environment names, if any."""
    return os.environ.get("SSL_CERT_DIR") or next(
        (one for one in _named() if Path(one).is_dir()), None
    )


def _files(ca: str | None) -> list[str]:
    system = next(filter(os.path.isfile, _SYSTEM), None) or _without_a_system()
    files = (one for one in _named() if not Path(one).is_dir())
    return list(dict.fromkeys([system, *files, *([ca] if ca else [])]))


def _named() -> list[str]:
    return [one for one in map(os.environ.get, VARIABLES) if one]


def _without_a_system() -> str:
    import certifi

    return certifi.where()


def _age(file: str) -> float:
    """Return when a file was changed, since authorities are renewed while we run."""
    try:
        return Path(file).stat().st_mtime
    except OSError as error:
        raise _unread(file, error) from None


@lru_cache(maxsize=16)
def _context(files: tuple[tuple[str, float], ...], folder: str | None) -> ssl.SSLContext:
    (system, _), *others = files
    context = ssl.create_default_context(cafile=system, capath=folder)
    for file, _ in others:
        try:
            context.load_verify_locations(file)
        except OSError as error:  # as ssl.SSLError is: there is no certificate in it
            raise _unread(file, error) from None
    return context


def _unread(file: str, error: OSError) -> CannotConnect:
    holds_none = isinstance(error, ssl.SSLError)
    why = "it holds no certificate in PEM" if holds_none else error.strerror
    named_by = " and ".join(one for one in VARIABLES if os.environ.get(one) == file)
    of = f"{file} ({named_by})" if named_by else file
    return CannotConnect(f"the certificates in {of} can't be read: {why}")
