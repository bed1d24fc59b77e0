"""The `verify` and `previews` rules of an app, and `verify` as one line of text."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from bridge.core.addresses import service_address
from bridge.core.errors import Rejected
from bridge.core.words import read_duration

# ── verify ────────────────────────────────────────────────────────────────────────────────────────

_STATUS = re.compile(r"([1-5])xx|([1-5]\d\d)(?:\s*-\s*([1-5]\d\d))?", re.IGNORECASE)

Statuses = tuple[tuple[int, int], ...]
"""Ranges of HTTP statuses, both ends included."""

WELL: Statuses = ((200, 299),)

LONGEST_KEEP = 86400.0
"""The most seconds for which a verified version is watched on."""


@dataclass(frozen=True, slots=True)
class VerifyPolicy:
    """How a deployment is verified once the backend calls it done; times are in seconds.

    Attributes:
        on: False overrides an earlier rule that verifies.
        url: what is requested; a path such as "/healthz" is one at the app's own address.
        contains: text that the body must contain, if any; `{commit}` and `{short}` in it stand for
            the deployed commit.
        containers: also look at the app's containers, where the backend shows them.
        within: how long it may take until it is healthy.
        rollback: go back to the version before by itself if it is unhealthy.
        keep: for how long after it went live a verified version is watched on; 0 for not at all.
    """

    on: bool = True
    url: str = "/"
    status: Statuses = WELL
    contains: str | None = None
    containers: bool = True
    within: float = 60.0
    consecutive: int = 2
    every: float = 2.0
    rollback: bool = False
    keep: float = 0.0

    def wanted(self, commit: str | None) -> str | None:
        """Return the text that the body must contain; None if any will do, or none is known.

        A text with `{commit}` can't be looked for while the backend does not tell the commit.
        """
        if self.contains is None or (commit is None and self.names_commit):
            return None
        short = (commit or "")[:7]
        return self.contains.replace("{commit}", commit or "").replace("{short}", short)

    @property
    def names_commit(self) -> bool:
        """Return whether the text to look for names the commit."""
        return (
            self.contains is not None
            and re.search(r"\{(commit|short)\}", self.contains) is not None
        )


def read_statuses(value: str | int) -> Statuses:
    """Read statuses such as 200, "2xx", "200-399" or "200, 301".

    Raises:
        Rejected: it names something else, or a range from high to low.
    """
    return tuple(_range(part.strip()) for part in str(value).split(","))


def _range(text: str) -> tuple[int, int]:
    found = _STATUS.fullmatch(text)
    if found is None:
        raise Rejected(f"{text[:40]!r} is no HTTP status: write e.g. 200, 2xx or 200-399")
    family, low, high = found.groups()
    if family is not None:
        return int(family) * 100, int(family) * 100 + 99
    first, last = int(low), int(high or low)
    if first > last:
        raise Rejected(f"{text!r} has no status in it: write {last}-{first}")
    return first, last


def statuses_text(statuses: Statuses, between: str = " or ") -> str:
    """Return statuses as people write them, e.g. "2xx or 404"."""
    return between.join(range_text(low, high) for low, high in statuses)


def range_text(low: int, high: int) -> str:
    """Return a range of statuses as people write it."""
    if low == high:
        return str(low)
    return f"{low // 100}xx" if (low % 100, high) == (0, low + 99) else f"{low}-{high}"


def check_address(url: str) -> None:
    """Raise Rejected if it is neither a path nor an address of HTTP."""
    if url.startswith(("http://", "https://")):
        try:
            service_address(url)
        except ValueError as error:
            raise Rejected(str(error)) from None
    elif not url.startswith("/") or url.startswith("//"):
        raise Rejected(f"{url!r} is no address: write a path such as /healthz, or https://…")
    elif any(one.isspace() or not one.isprintable() for one in url):
        raise Rejected(f"{url!r} has a space or a control character: write e.g. %20")


def check_time(every: float, consecutive: int, within: float) -> None:
    """Raise Rejected if so many looks take longer than there is time."""
    if every * (consecutive - 1) > within:
        raise Rejected(
            f"{consecutive} looks, one every {every:g} s, take longer than {within:g} s: give"
            " `within` more time"
        )


# ── previews ──────────────────────────────────────────────────────────────────────────────────────

DAY = 86_400.0


class Forks(StrEnum):
    """What happens to a pull request from a fork."""

    APPROVAL = "approval"
    """It waits until somebody approves its commit."""

    NEVER = "never"


@dataclass(frozen=True, slots=True)
class PreviewPolicy:
    """How an app's pull requests are previewed; times are in seconds.

    Attributes:
        on: False overrides an earlier rule that has previews.
        host: the pattern of a preview's host name, e.g. "pr-{number}-{app}.preview.example.com";
            None: the backend suggests one.
        https: whether it is served with a certificate from Let's Encrypt.
        label: only pull requests with this label; None for all.
        limit: the most previews of the app at a time; further pull requests wait.
        idle: how long a preview stays without a push or an extension.
        environment: its whole environment. Nothing of the app's own is taken over.
        build_args: its build arguments, likewise.
        environment_for_forks: give both to approved pull requests from forks, too.
        memory: the most bytes of memory that it may have.
        cpus: the most cores that it may use; None for no limit.
        place: the name of the backend's environment in which previews are made.
        ci_secrets_for_forks: accept that the commit of an approved pull request from a fork gets a
            branch in the repository, whose pipelines then run it with their secrets.
        mirror_for_forks: the repository that gets this branch instead, e.g. "my-org/forks". Only a
            backend that builds nothing but branches needs one or the other.
        pin: build exactly the pull request's commit; forks are always built like this.
    """

    on: bool = True
    host: str | None = None
    https: bool = False
    port: int = 3000
    label: str | None = None
    drafts: bool = False
    forks: Forks = Forks.APPROVAL
    limit: int = 5
    idle: float = 7 * DAY
    environment: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    build_args: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    environment_for_forks: bool = False
    ci_secrets_for_forks: bool = False
    mirror_for_forks: str | None = None
    memory: int = 512 * 2**20
    cpus: float | None = 1.0
    place: str = "previews"
    pin: bool = False


# ── the rule `verify` as one line ────────────────────────────────────────────────────────────────

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
