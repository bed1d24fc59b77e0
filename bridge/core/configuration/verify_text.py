"""The `verify` rule as one line of text, for forms and options. Pure."""

from collections.abc import Callable
from typing import Any

from bridge.core.errors import Rejected
from bridge.core.gates.times import read_duration
from bridge.core.policies import (
    LONGEST_KEEP,
    VerifyPolicy,
    check_address,
    check_time,
    range_text,
    read_statuses,
)

_ON, _OFF = frozenset({"yes", "true", "on"}), frozenset({"no", "false", "off"})
_BODY = " contains="


def verify_text(policy: VerifyPolicy) -> str:
    """Return a rule as one line, which `read_verify` reads."""
    if not policy.on:
        return "no"
    shown = {
        "status": ",".join(range_text(*one) for one in policy.status),
        "containers": _yes(policy.containers),
        "within": f"{policy.within:g}s",
        "consecutive": str(policy.consecutive),
        "every": f"{policy.every:g}s",
        "rollback": _yes(policy.rollback),
        "keep": f"{policy.keep:g}s",
    }
    usual = VerifyPolicy()
    said = [
        f"{name}={text}"
        for name, text in shown.items()
        if getattr(policy, name) != getattr(usual, name)
    ]
    body = "" if policy.contains is None else f"{_BODY}{policy.contains}"
    return " ".join([policy.url, *said]) + body


def read_verify(text: str) -> VerifyPolicy:
    """Read a rule such as "/healthz status=200 within=2m contains=version {short}", or "no".

    Raises:
        Rejected: names what can't be read, and what to write.
    """
    head, body, contains = text.strip().partition(_BODY)
    first, *options = head.split() or [""]
    if first.lower() in _OFF and not options and not body:
        return VerifyPolicy(on=False)
    found: dict[str, Any] = {"url": "/" if first.lower() in _ON else first}
    check_address(found["url"])
    for one in options:
        name, _, value = one.partition("=")
        if name not in _OPTIONS:
            raise Rejected(f"{one[:40]!r} is none of {', '.join([*_OPTIONS, 'contains'])}")
        found[name] = _OPTIONS[name](value)
    if body:
        found["contains"] = contains.strip() or None
    policy = VerifyPolicy(**found)
    check_time(policy.every, policy.consecutive, policy.within)
    return policy


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _flag(text: str) -> bool:
    if text.lower() not in _ON | _OFF:
        raise Rejected(f"{text[:40]!r} is neither yes nor no")
    return text.lower() in _ON


def _seconds(least: float, most: float) -> Callable[[str], float]:
    def read(text: str) -> float:
        seconds = read_duration(text)
        if not least <= seconds <= most:
            raise Rejected(f"{text[:40]!r} is not between {least:g}s and {most:g}s")
        return seconds

    return read


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text[:9]) <= 100:
        raise Rejected(f"{text[:40]!r} is no number from 1 to 100")
    return int(text)


_OPTIONS: dict[str, Callable[[str], Any]] = {
    "status": read_statuses,
    "containers": _flag,
    "within": _seconds(1, 3600),
    "consecutive": _count,
    "every": _seconds(0.1, 300),
    "rollback": _flag,
    "keep": _seconds(0, LONGEST_KEEP),
}
"""The options of a rule in one line; see `VerifyPolicy`."""
