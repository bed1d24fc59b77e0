"""Webhooks that were refused at the door: what is remembered of them, and within which bounds.

A refused webhook is nobody's: whoever knows the address can send any number. So nothing is kept
of a single one. They are counted by minute, reason, path and network, and of each minute only so
many different ones.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from ipaddress import IPv4Address, ip_address, ip_network

from bridge.core.decision import one_line

MINUTE = 60.0

MOST_A_MINUTE = 32
"""Different ones of a minute that are told apart; further ones are counted as `OTHERS`."""

OTHERS = "…"
"""Path and network of those that were too many to be told apart."""

LONGEST_PATH, LONGEST_WHY, LONGEST_ID = 100, 300, 20

WRONG_PATH = "wrong_path"
"""The reason where a webhook came to a path that takes none."""

EVENT_HEADERS = {"github": "X-GitHub-Event", "gitlab": "X-Gitlab-Event"}
"""What says whose webhook it is; other hosts than GitHub send its header beside their own."""

TITLES = {"github": "GitHub", "gitlab": "GitLab"}

_REPOSITORY_ID = "X-GitHub-Hook-Installation-Target-ID"
_REPOSITORY_TYPE = "X-GitHub-Hook-Installation-Target-Type"


@dataclass(frozen=True, slots=True)
class RefusedWebhooks:
    """Webhooks that were refused within one minute for one reason.

    Attributes:
        minute: when that minute began.
        host: whose they said they were; "" where they did not.
        reason: the outcome as the metrics call it, e.g. "unauthorized", or `WRONG_PATH`.
        network: that they came from, e.g. "140.82.115.0/24".
        repository: the host's id of the repository that they said they were about; "" where they
            did not. Nobody has checked it.
        why: what the newest was answered.
        last: when the newest came.
    """

    minute: float
    host: str
    reason: str
    path: str
    network: str
    repository: str
    why: str
    count: int = 1
    last: float = 0.0

    @property
    def key(self) -> tuple[float, str, str, str, str, str]:
        """What tells it from others."""
        return self.minute, self.host, self.reason, self.path, self.network, self.repository


class RefusedCounts:
    """Counts refused webhooks until they are taken away; bounded, whatever comes."""

    def __init__(self) -> None:
        self._counts: dict[tuple[float, str, str, str, str, str], RefusedWebhooks] = {}
        self._minute = 0.0
        self._told_apart = 0

    def __bool__(self) -> bool:
        return bool(self._counts)

    def add(self, one: RefusedWebhooks) -> None:
        """Count one."""
        if one.minute != self._minute:
            self._minute, self._told_apart = one.minute, 0
        if one.key not in self._counts:
            if self._told_apart >= MOST_A_MINUTE:
                one = replace(one, path=OTHERS, network=OTHERS, repository="")
            self._told_apart += 1
        known = self._counts.get(one.key)
        count = one.count if known is None else known.count + one.count
        self._counts[one.key] = replace(one, count=count)

    def take(self) -> list[RefusedWebhooks]:
        """Return what was counted, and begin again."""
        taken = list(self._counts.values())
        self._counts = {}
        return taken

    def give_back(self, those: list[RefusedWebhooks]) -> None:
        """Count again what could not be kept, as far as there is room."""
        for one in those[: max(0, MOST_A_MINUTE - len(self._counts))]:
            newer = self._counts.get(one.key)
            kept = one if newer is None else replace(newer, count=newer.count + one.count)
            self._counts[one.key] = kept


def refused_webhook(
    reason: str, why: str, path: str, headers: Mapping[str, str], peer: str, now: float
) -> RefusedWebhooks:
    """One refused webhook, as it is counted.

    Args:
        peer: the address that the connection came from.
    """
    return RefusedWebhooks(
        minute=now // MINUTE * MINUTE,
        host=sender_of(headers) or "",
        reason=reason,
        path=one_line(path)[:LONGEST_PATH],
        network=network_of(_origin(headers, peer)),
        repository=_repository_id(headers),
        why=one_line(why)[:LONGEST_WHY],
        last=now,
    )


def sender_of(headers: Mapping[str, str]) -> str | None:
    """Whose webhook it is by its headers; None where they say nothing."""
    return next((host for host, name in EVENT_HEADERS.items() if name in headers), None)


def path_of(host: str) -> str:
    """Where a host's webhooks go."""
    return f"/hooks/{host}"


def right_path(headers: Mapping[str, str]) -> str:
    """Where the webhook should have gone, in a sentence's end."""
    host = sender_of(headers)
    if host is not None:
        return f"{TITLES[host]}'s webhooks go to {path_of(host)}"
    return "; ".join(f"{title}'s webhooks go to {path_of(host)}" for host, title in TITLES.items())


def means_a_webhook(method: str, path: str, headers: Mapping[str, str]) -> bool:
    """Whether a request to an unknown path is a webhook that went astray."""
    if sender_of(headers) is not None:
        return True
    return method == "POST" and any(word in path.lower() for word in ("hook", *TITLES))


def _origin(headers: Mapping[str, str], peer: str) -> str:
    """The address before a proxy of our own, as that proxy says; else the peer's."""
    forwarded = headers.get("X-Forwarded-For", "")
    if not forwarded or not _is_private(peer):
        return peer
    return forwarded.rpartition(",")[2].strip()[:45] or peer


@lru_cache(maxsize=256)
def _is_private(address: str) -> bool:
    try:
        return ip_address(address).is_private
    except ValueError:
        return False


@lru_cache(maxsize=256)
def network_of(address: str) -> str:
    """The network of an address: of many in a row that one sender has, none is told apart."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return "unknown"
    length = 24 if isinstance(parsed, IPv4Address) else 48
    return str(ip_network(f"{parsed}/{length}", strict=False))


def _repository_id(headers: Mapping[str, str]) -> str:
    if headers.get(_REPOSITORY_TYPE) != "repository":
        return ""
    given = headers.get(_REPOSITORY_ID, "")
    return given if given.isdecimal() and given.isascii() and len(given) <= LONGEST_ID else ""
