"""The search: apps, pull requests, deployments and deliveries that fit a few words."""

import asyncio
import re
import sys
from collections.abc import Iterable

from bridge.console.pages.apps import rows_of
from bridge.console.pages.deliveries import visible
from bridge.console.records import Asked, Records
from bridge.console.render import Page
from bridge.console.visitors import Visitor
from bridge.core.lifecycle import Deployment
from bridge.core.previews.preview import Preview
from bridge.pipeline.deciding.arrivals import Arrived, Wanted, look_up
from bridge.ports.inbox import Delivery
from bridge.ports.outcomes import FoundWords, Sought

MOST_RESULTS = 20
"""Results of each kind."""

MOST_WORDS = 6

MOST_PUSHES = 100
"""Pushes with these words of which one looks at what somebody may see of them."""

_COMMIT = re.compile(r"[0-9a-fA-F]{4,64}").fullmatch
_NUMBER = re.compile(r"[#!]?(\d{1,15})").fullmatch


async def search(records: Records, visitor: Visitor, asked: Asked) -> Page:
    """Search for a name, words of a message, a commit, a branch, a person or a number.

    Names, commits, refs and numbers are looked up in indexes; words within texts only in the newest
    rows (`FoundWords`), and then in those before them.
    """
    wanted, before = asked.text("q"), asked.number("before", sys.maxsize)
    words = _words(wanted)
    if not words:
        return Page("search", "Search", {"q": ""})
    found, named, pulls = await asyncio.gather(
        records.journal.words(words, before=before),
        _named(records, wanted),
        _pulls(records, visitor, wanted),
    )
    deployments, arrived = await asyncio.gather(
        _deployments(records, visitor, wanted, found),
        _deliveries(records, visitor, [*named, *await _worded(records, visitor, found)]),
    )
    low = wanted.lower()
    apps = [one for one in records.seen(visitor) if low in one.label.lower() or wanted == one.id]
    facts = {
        "q": wanted,
        "apps": await rows_of(records, apps[:MOST_RESULTS]),
        "more_apps": max(0, len(apps) - MOST_RESULTS),
        "pulls": pulls,
        "arrived": arrived,
        "deployments": deployments,
        "since": found.since,
        "older": asked.again(before=found.first) if found.first else "",
        "newest": asked.again(before="") if asked.text("before") else None,
    }
    return Page("search", f"Search: {wanted}", facts)


def _words(wanted: str) -> list[str]:
    """Return what texts have to contain; a bare number would be in every second commit."""
    return [f"#{wanted}"] if wanted.isdecimal() else wanted.split()[:MOST_WORDS]


async def _deployments(
    records: Records, visitor: Visitor, wanted: str, found: FoundWords
) -> list[Deployment]:
    """Return the one with that id, and those of that number or commit, or so worded."""
    journal = records.journal
    seen = (id_ for id_, app in found.deployments if records.may_see(visitor, app))
    ids = [wanted, *(id_ for id_, _ in zip(seen, range(MOST_RESULTS), strict=False))]
    deployments = list((await journal.deployments_with(ids)).values())
    if number := _NUMBER(wanted):
        deployments += await journal.deployments(limit=MOST_RESULTS, seq=int(number[1]))
    if _COMMIT(wanted):
        of_commit = Sought(commit=wanted.lower())
        seqs = await journal.seqs_about(of_commit, before=sys.maxsize, limit=MOST_RESULTS)
        of_pushes = await journal.deployments_of(seqs)
        deployments += [one for those in of_pushes.values() for one in those]
    by_id = {one.id: one for one in deployments if records.may_see(visitor, one.app)}
    return sorted(by_id.values(), key=lambda one: (-one.seq, one.app))[:MOST_RESULTS]


async def _named(records: Records, wanted: str) -> list[Delivery]:
    """Return the deliveries of a repository, ref, author or commit, and those of that id."""
    meanings = [
        Wanted(MOST_RESULTS, repo=wanted),
        Wanted(MOST_RESULTS, ref=wanted),
        Wanted(MOST_RESULTS, author=wanted),
    ]
    if _COMMIT(wanted):
        meanings.append(Wanted(MOST_RESULTS, commit=wanted))
    inbox, journal = records.inbox, records.journal
    lists = await asyncio.gather(*(look_up(inbox, journal, each) for each in meanings))
    by_id = await asyncio.gather(*(inbox.find(host, wanted) for host in records.hosts))
    return [*(one for rows in lists for one in rows), *filter(None, by_id)]


async def _worded(records: Records, visitor: Visitor, found: FoundWords) -> list[Delivery]:
    """Return the newest deliveries of pushes with the words, of those that somebody may see."""
    newest = found.pushes[:MOST_PUSHES]
    may_see = await records.decisions(visitor, newest)
    seqs = [seq for seq in newest if seq in may_see][:MOST_RESULTS]
    return list(filter(None, await asyncio.gather(*map(records.inbox.get, seqs))))


async def _deliveries(
    records: Records, visitor: Visitor, found: Iterable[Delivery]
) -> list[Arrived]:
    by_seq = {one.seq: one for one in found}
    newest_first = [by_seq[seq] for seq in sorted(by_seq, reverse=True)]
    return (await visible(records, visitor, newest_first))[:MOST_RESULTS]


async def _pulls(records: Records, visitor: Visitor, wanted: str) -> list[Preview]:
    """Return the pull requests of that number, with their previews, or without any."""
    number = _NUMBER(wanted)
    if number is None:
        return []
    pulls = await records.journal.previews(number=int(number[1]), ended=True, limit=MOST_PUSHES)
    return [one for one in pulls if records.may_see(visitor, one.app)][:MOST_RESULTS]
