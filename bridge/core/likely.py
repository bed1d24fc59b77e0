"""Which of the refused webhooks may be the one that somebody misses, the likeliest cause first."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from bridge.core.refused import TITLES, WRONG_PATH, RefusedWebhooks, path_of
from bridge.core.watch import Source

MOST_CAUSES = 3
"""Causes that are told at most."""

UNAUTHORIZED = "unauthorized"
"""The reason for webhooks whose secret is missing or wrong."""

RECENT = (3_600.0, 86_400.0)
"""Seconds up to which refusals are about equally recent."""

_NUMBERS = re.compile(r"\d+")
_HOST = re.compile(r"[^/]*\b(github|gitlab)\b")

OURS, HOSTS, NOBODYS, OTHERS = range(4)
"""Whose a refusal is: it names the repository; only its host; no host; another repository."""


@dataclass(frozen=True, slots=True)
class Missed:
    """What somebody misses webhooks of.

    Attributes:
        host: a Git host; None where nobody knows, then those of all hosts count.
        ids: the host's ids of the repository, as far as they are known.
    """

    host: str | None = None
    ids: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Cause:
    """Refused webhooks of one cause.

    Attributes:
        count: how many there were.
        newest: the newest of them.
    """

    count: int
    newest: RefusedWebhooks


def missed_by(source: Source | None, names: Mapping[str, str]) -> Missed:
    """Return what an app with this source misses where nothing comes.

    Args:
        names: of repositories that have pushed, by host and id, e.g. "github 4711".
    """
    if source is None:
        return Missed()
    host, path = str(source.type), source.repository or ""
    if host not in TITLES:
        address, _, path = (source.url or "").partition("/")
        found = _HOST.match(address)
        if found is None:
            return Missed()
        host = found[1]
    begin = f"{host} "
    ids = {
        key.removeprefix(begin)
        for key, name in names.items()
        if key.startswith(begin) and path and name.lower() == path.lower()
    }
    return Missed(
        host, frozenset(ids | ({source.repository_id} if source.repository_id else set()))
    )


def causes(
    refused: Iterable[RefusedWebhooks], missed: Missed, names: Mapping[str, str], now: float
) -> list[Cause]:
    """Return the causes that refusals have, each once, the likeliest first.

    First come refusals that name the repository, then those of its host, then those that name
    no host, and last those that name another repository. Among these recent ones come before
    old ones, and a wrong secret or path before what may be anybody's noise. Those of another
    host are left out.
    """
    ranked = sorted(
        (
            (_rank(one, missed, names, now), one)
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
        elif found[cause][0] == whose:  # less likely ones of the same cause say nothing more
            known = found[cause][1]
            newest = max(known.newest, one, key=lambda each: each.last)
            found[cause] = whose, replace(known, count=known.count + one.count, newest=newest)
    return [cause for _, cause in found.values()]


def _rank(
    one: RefusedWebhooks, missed: Missed, names: Mapping[str, str], now: float
) -> tuple[float, ...]:
    """Return what refusals are sorted by: whose, how recent, how telling, and the newest first."""
    age = now - one.last
    ages = sum(age > limit for limit in RECENT)
    return _whose(one, missed, names), ages, _noise(one), -one.last


def _whose(one: RefusedWebhooks, missed: Missed, names: Mapping[str, str]) -> int:
    if one.repository:
        if one.repository in missed.ids:
            return OURS
        known = missed.ids or f"{one.host} {one.repository}" in names
        if known and missed.host is not None:
            return OTHERS
    return HOSTS if one.host else NOBODYS


def _noise(one: RefusedWebhooks) -> int:
    """Return how little a refusal says of a webhook that somebody has set up: 0 to 3."""
    at_home = one.path in {path_of(host) for host in TITLES}
    if one.reason == UNAUTHORIZED and at_home:
        return 0
    if one.reason == WRONG_PATH and one.host:
        return 1
    return 2 if at_home else 3
