"""Finds deliveries for `deliveries`, and gathers what is known of each."""

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge.cli.outcomes import Arrived

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bridge.app.storage import Stores
    from bridge.ports.inbox import Delivery
    from bridge.ports.outcomes import About
    from bridge.settings import Settings

MOST_READ = 200
"""Bodies that are parsed for one list, for deliveries of which the journal says nothing."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Filters for deliveries; a delivery must pass all of them.

    Attributes:
        since: seconds since 1970.
        repo: a repository's name, or its last part.
        app_id: one that it was decided for.
        failed: it failed itself, or a deployment that it led to did.
    """

    limit: int
    since: float | None = None
    repo: str | None = None
    app_id: str | None = None
    failed: bool = False


async def look_up(stores: "Stores", wanted: Wanted) -> "list[Delivery]":
    """Return the deliveries that fit, newest first."""
    if not (wanted.repo or wanted.app_id or wanted.failed):
        found = await stores.inbox.newest(wanted.limit)
    else:
        found = [*await _decided(stores, wanted), *await _undecided(stores, wanted)]
    by_seq = {one.seq: one for one in found}
    newest = sorted(by_seq.values(), key=lambda one: one.seq, reverse=True)
    since = wanted.since or 0.0
    return [one for one in newest if one.received_at >= since][: wanted.limit]


async def _decided(stores: "Stores", wanted: Wanted) -> "list[Delivery]":
    """Return the deliveries that fit by what the journal knows of them."""
    keys: list[str] = []
    if wanted.repo:
        keys = keys_of(wanted.repo, await stores.journal.repositories())
        if not keys:
            return []
    seqs = await stores.journal.seqs_about(
        repositories=keys,
        app_id=wanted.app_id,
        failed=wanted.failed,
        before=sys.maxsize,
        limit=wanted.limit,
    )
    return [one for seq in seqs if (one := await stores.inbox.get(seq)) is not None]


async def _undecided(stores: "Stores", wanted: Wanted) -> "list[Delivery]":
    """Return the deliveries that fit and that only the inbox knows: they concerned no app."""
    from bridge.core.absent import unused
    from bridge.core.refused import TITLES
    from bridge.ports.inbox import DeliveryState

    if wanted.app_id is not None or (wanted.repo and wanted.failed):
        return []
    if wanted.failed:
        state, errors = DeliveryState.FAILED, []
    else:
        state, errors = DeliveryState.IGNORED, [unused(wanted.repo or "", one) for one in TITLES]
    return await stores.inbox.ended(state, wanted.limit, before=sys.maxsize, errors=errors)


def keys_of(name: str, names: "Mapping[str, str]") -> list[str]:
    """Return the keys of repositories by their full name, or by its last part."""
    wanted = name.strip().strip("/").lower()
    whole = [key for key, one in names.items() if one.lower() == wanted]
    return whole or [key for key, one in names.items() if one.lower().endswith(f"/{wanted}")]


async def all_of(
    stores: "Stores", found: "Sequence[Delivery]", settings: "Settings"
) -> list[Arrived]:
    """Gather the decisions and deployments of each, and what it was about."""
    seqs = [one.seq for one in found]
    decisions = await stores.journal.decisions(seqs)
    deployments = await stores.journal.deployments_of(seqs)
    abouts = await stores.journal.abouts(seqs)
    if unsaid := [one for one in found if _is_unsaid(one, abouts)]:
        abouts |= await _read(stores, unsaid, settings)
    return [
        Arrived(
            one,
            decisions[one.seq],
            {deployment.app_id: deployment for deployment in deployments[one.seq]},
            abouts.get(one.seq),
        )
        for one in found
    ]


def _is_unsaid(delivery: "Delivery", abouts: "Mapping[int, About]") -> bool:
    about = abouts.get(delivery.seq)
    return about is None or about.repository is None or about.author is None


async def _read(
    stores: "Stores", found: "Sequence[Delivery]", settings: "Settings"
) -> "dict[int, About]":
    """Parse the bodies of deliveries, where they are kept, for what they were about."""
    from bridge.app.hosts import known_hosts  # slow to import, and seldom needed
    from bridge.journey.delivery.meaning import about, read

    hosts = known_hosts(settings)
    said: dict[int, About] = {}
    for delivery in [one for one in found if one.host in hosts][:MOST_READ]:
        whole = await stores.inbox.get(delivery.seq)
        meaning = None if whole is None else read(whole, hosts)
        if meaning is None or isinstance(meaning, str):
            continue
        if (words := about(meaning.event)) is not None:
            said[delivery.seq] = words
    return said
