"""Addresses of services: which hosts, ports and URLs can be. Pure."""

import ipaddress
import re
from urllib.parse import urlsplit

LAST_PORT = 65535
"""The highest port that there is."""

_LONGEST_NAME = 253
_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?").fullmatch
_NUMBERS = re.compile(r"[0-9.]+|.*\.[0-9]+\.?").fullmatch


def no_host(value: str) -> str | None:
    """Return why a text is neither an IP address nor a name; None if it is one."""
    if not value:
        return "it is empty; for all addresses write 0.0.0.0 or ::"
    if is_ip(value):
        return None
    if "://" in value or "/" in value:
        return "leave out the scheme and the path"
    if value.startswith("["):
        return "write an IPv6 address without brackets"
    if re.fullmatch(r"[^:]*:[0-9]+", value):
        return "leave out the port, which is a setting of its own"
    if _NUMBERS(value):
        return "an IPv4 address has four numbers from 0 to 255"
    if ":" in value:
        return "it is no IPv6 address"
    if value == "*":
        return "for all addresses write 0.0.0.0 or ::"
    if len(value) > _LONGEST_NAME or not _NAME(_ascii(value)):
        return "a name has letters, digits, hyphens and dots, at most 63 characters between dots"
    return None


def _ascii(name: str) -> str:
    """Return a name in its DNS form; "" if it has none."""
    try:
        return name if name.isascii() else name.encode("idna").decode()
    except UnicodeError:
        return ""


def is_ip(value: str) -> bool:
    """Return whether a text is an IP address."""
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return False
    return True


_ADDRESS = re.compile(r"https?://[^\s/?#@]+(/\S*)?").fullmatch


def service_address(value: str) -> str:
    """Check a service's URL; never show it, since it may contain a login."""
    if not _ADDRESS(value):
        raise ValueError("it must look like https://example.com")
    try:
        parts = urlsplit(value)
        host = parts.hostname or ""
        why = no_port(parts.netloc.rpartition("]")[2].partition(":")[2], parts.netloc)
    except ValueError:  # brackets without an IPv6 address
        host, why = "", None
    if why := why or no_host(host):
        raise ValueError(f"it must look like https://example.com, with a host that can be: {why}")
    return value


def no_port(port: str, host_and_port: str) -> str | None:
    """Return why a port is invalid; "" means none is given, unless there is a colon."""
    if not port and not host_and_port.endswith(":"):
        return None
    if port.isascii() and port.isdecimal() and 0 < int(port) <= LAST_PORT:
        return None
    return f"a port is a number from 1 to {LAST_PORT}"
