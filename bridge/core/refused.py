"""Count refused webhooks.

Anyone who knows the bridge's address can send any number of them, so single ones are not stored.
They are counted by minute, reason, path and network, and the number of distinct counts a minute
is bounded.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from ipaddress import IPv4Address, ip_address, ip_network

from bridge.core.apps import Source
from bridge.core.events import Sender, kind_of
from bridge.core.log_text import cut, escaped
from bridge.core.refs import home_of

MINUTE = 60.0

MOST_A_MINUTE = 32
"""Distinct counts per minute and reason; further webhooks are counted together, as `OTHERS`."""

OTHERS = "…"
"""Path and network of webhooks beyond `MOST_A_MINUTE`."""

LONGEST_PATH, LONGEST_WHY, LONGEST_KIND, LONGEST_ID = 100, 300, 60, 20


WRONG_PATH = "wrong_path"
"""The reason for webhooks sent to a path that accepts none."""

Senders = Mapping[str, Sender]
"""All Git hosts, by key."""

_NUMBERS = re.compile(r"\d+")

Key = tuple[float, str, str, str, str, str, str]


@dataclass(frozen=True, slots=True)
class RefusedWebhooks:
    """How many webhooks were refused within one minute for one reason.

    Attributes:
        minute: the start of that minute.
        host: the Git host according to the headers; "" if they name none.
        reason: the outcome as in the metrics, e.g. "unauthorized", or `WRONG_PATH`.
        network: the sender's network, e.g. "140.82.115.0/24".
        repository: the host's id of the repository according to the unverified headers; "" if
            they name none.
        why: the response to the newest.
        last: the time of the newest.
        kind: `why` without its numbers, which keeps different causes apart.
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
    kind: str = ""

    @property
    def key(self) -> Key:
        """The key under which webhooks are counted together."""
        about = self.host, self.reason, self.path, self.network, self.repository
        return self.minute, *about, self.kind


class RefusedCounts:
    """Bounded counts of refused webhooks, until they are stored."""

    def __init__(self) -> None:
        self._counts: dict[Key, RefusedWebhooks] = {}
        self._minute = 0.0
        self._told_apart: Counter[str] = Counter()

    def __bool__(self) -> bool:
        return bool(self._counts)

    def add(self, one: RefusedWebhooks) -> None:
        if one.minute != self._minute:
            self._minute, self._told_apart = one.minute, Counter()
        if one.key not in self._counts:
            if self._told_apart[one.reason] >= MOST_A_MINUTE:
                one = replace(one, path=OTHERS, network=OTHERS, repository="", kind="")
            self._told_apart[one.reason] += 1
        known = self._counts.get(one.key)
        count = one.count if known is None else known.count + one.count
        self._counts[one.key] = replace(one, count=count)

    def take(self) -> list[RefusedWebhooks]:
        """Return all counts, and reset them."""
        taken = list(self._counts.values())
        self._counts = {}
        return taken

    def give_back(self, those: list[RefusedWebhooks]) -> None:
        """Restore counts that could not be stored, as far as there is room."""
        for one in those[: max(0, MOST_A_MINUTE - len(self._counts))]:
            newer = self._counts.get(one.key)
            kept = one if newer is None else replace(newer, count=newer.count + one.count)
            self._counts[one.key] = kept


def refused_webhook(
    hosts: Senders,
    reason: str,
    why: str,
    path: str,
    headers: Mapping[str, str],
    peer: str,
    now: float,
) -> RefusedWebhooks:
    """Return the count of a single refused webhook.

    Args:
        peer: the address of the connection.
    """
    host = sender_of(headers, hosts)
    words = cut(escaped(why), LONGEST_WHY)
    return RefusedWebhooks(
        minute=now // MINUTE * MINUTE,
        host=host or "",
        reason=reason,
        path=cut(escaped(path), LONGEST_PATH),
        network=network_of(_origin(headers, peer)),
        repository=_number(hosts[host].repository_id(headers)) if host else "",
        why=words,
        last=now,
        kind=_NUMBERS.sub("…", words)[:LONGEST_KIND],
    )


def sender_of(headers: Mapping[str, str], hosts: Senders) -> str | None:
    """Return the Git host according to a webhook's headers; None if they name none."""
    found = [
        one
        for one in hosts.values()
        if one.event_header in headers or first_of(headers, prefixes([one])) is not None
    ]
    besides = {name.lower() for one in found for name in one.also_sends}
    return next((one.key for one in found if one.event_header.lower() not in besides), None)


def imitators(host: Sender, hosts: Senders) -> tuple[str, ...]:
    """Return the prefixes of the headers of others whose webhooks also contain this host's."""
    return prefixes(one for one in hosts.values() if host.event_header in one.also_sends)


def prefixes(hosts: Iterable[Sender]) -> tuple[str, ...]:
    """Return the prefixes by which some hosts are recognised, in lower case."""
    return tuple({begin.lower() for one in hosts for begin in one.begins})


def first_of(headers: Iterable[str], begins: tuple[str, ...]) -> str | None:
    """Return the first header with one of the prefixes, in lower case."""
    if not begins:
        return None
    return next((name.lower() for name in headers if name.lower().startswith(begins)), None)


def path_of(host: str) -> str:
    """Return the path for a host's webhooks."""
    return f"/hooks/{host}"


def _origin(headers: Mapping[str, str], peer: str) -> str:
    """Return the client's address if the peer is a proxy on a private address, else the peer's."""
    if not _is_private(peer):
        return peer
    # A proxy appends the address, or adds a header of its own after those that were sent.
    lines = (value for name, value in headers.items() if name.lower() == _FORWARDED_FOR)
    *_, newest = ("", *lines)
    return newest.rpartition(",")[2].strip()[:45] or peer


_FORWARDED_FOR = "x-forwarded-for"


@lru_cache(maxsize=256)
def _is_private(address: str) -> bool:
    try:
        return ip_address(address).is_private
    except ValueError:
        return False


@lru_cache(maxsize=256)
def network_of(address: str) -> str:
    """Return the network of an address: one sender may have many adjacent addresses."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return "unknown"
    length = 24 if isinstance(parsed, IPv4Address) else 48
    return str(ip_network(f"{parsed}/{length}", strict=False))


def _number(given: str) -> str:
    """Return an id as sent; "" if it can't be a host's."""
    return given if given.isdecimal() and given.isascii() and len(given) <= LONGEST_ID else ""


# ── Find the refused webhooks that may be a missing one, the likeliest cause first ──────────────

MOST_CAUSES = 3
"""The most causes to report."""

UNAUTHORIZED = "unauthorized"
"""The reason for webhooks whose secret is missing or wrong."""

RECENT = (3_600.0, 86_400.0)
"""Ages in seconds that separate recent, older and old refusals."""

OURS, HOSTS, NOBODYS, ANOTHERS = range(4)
"""What a refusal names: the repository; only its host; no host; another repository."""

NO_HOMES: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class Missed:
    """The repository whose webhooks are missing.

    Attributes:
        host: a Git host; None if unknown, then those of all hosts count.
        ids: the host's known ids of the repository.
    """

    host: str | None = None
    ids: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Cause:
    """Refused webhooks of one cause."""

    count: int
    newest: RefusedWebhooks


def missed_by(
    source: Source | None,
    names: Mapping[str, str],
    hosts: Iterable[str],
    homes: Mapping[str, str] = NO_HOMES,
) -> Missed:
    """Return the repository whose webhooks an app with this source expects.

    Args:
        names: of repositories that have pushed, by server and id, e.g. "gitlab 4711".
        hosts: the keys of all Git hosts.
        homes: the servers; see `refs.home_of`.
    """
    if source is None:
        return Missed()
    hosts = tuple(hosts)
    host, path = str(source.type), source.repository or ""
    if source.url and (found := home_of(source.url, homes)) is not None:
        host, path = found
    elif host not in hosts:
        address, _, path = (source.url or "").partition("/")
        named = re.match(rf"[^/]*\b({'|'.join(map(re.escape, hosts))})\b", address)
        if named is None:
            return Missed()
        host = named[1]
    begin = f"{host} "
    ids = {
        key.removeprefix(begin)
        for key, name in names.items()
        if key.startswith(begin) and path and name.lower() == path.lower()
    }
    return Missed(
        kind_of(host), frozenset(ids | ({source.repository_id} if source.repository_id else set()))
    )


def causes(
    refused: Iterable[RefusedWebhooks],
    missed: Missed,
    names: Mapping[str, str],
    now: float,
    hosts: Iterable[str],
) -> list[Cause]:
    """Return the causes of refusals, each once, the likeliest first.

    Refusals that name the repository come first, then those of its host, then those that name no
    host, and last those that name another repository. Within each group, recent ones come before
    old ones, and a wrong secret or path before possible noise. Omit those of another host.
    """
    homes = frozenset(map(path_of, hosts))
    ranked = sorted(
        (
            (_rank(one, missed, names, now, homes), one)
            for one in refused
            if missed.host is None or one.host in (missed.host, "")
        ),
        key=lambda ranking: ranking[0],
    )
    found: dict[tuple[str, ...], tuple[int, Cause]] = {}
    for rank, one in ranked:
        whose = int(rank[0])
        cause = one.reason, one.path, one.kind or _NUMBERS.sub("…", one.why)
        if cause not in found:
            found[cause] = whose, Cause(one.count, one)
        elif found[cause][0] == whose:  # less likely ones of the same cause add nothing
            known = found[cause][1]
            newest = max(known.newest, one, key=lambda each: each.last)
            found[cause] = whose, replace(known, count=known.count + one.count, newest=newest)
    return [cause for _, cause in found.values()]


def _rank(
    one: RefusedWebhooks,
    missed: Missed,
    names: Mapping[str, str],
    now: float,
    homes: frozenset[str],
) -> tuple[float, ...]:
    """Return the sort key of a refusal: what it names, its age, its noise, and its time."""
    age = now - one.last
    ages = sum(age > limit for limit in RECENT)
    return _whose(one, missed, names), ages, _noise(one, homes), -one.last


def _whose(one: RefusedWebhooks, missed: Missed, names: Mapping[str, str]) -> int:
    if one.repository:
        if one.repository in missed.ids:
            return OURS
        known = missed.ids or f"{one.host} {one.repository}" in names
        if known and missed.host is not None:
            return ANOTHERS
    return HOSTS if one.host else NOBODYS


def _noise(one: RefusedWebhooks, homes: frozenset[str]) -> int:
    """Return how likely a refusal is noise instead of a configured webhook: 0 to 3."""
    at_home = one.path in homes
    if one.reason == UNAUTHORIZED and at_home:
        return 0
    if one.reason == WRONG_PATH and one.host:
        return 1
    return 2 if at_home else 3
