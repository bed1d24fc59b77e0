"""Deliveries as people look for them: with their subjects, decisions and deployments."""

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from bridge.core.decision import Decision
from bridge.core.errors import Ambiguous, NotFound
from bridge.core.events import subject_of
from bridge.core.lifecycle import Deployment, State
from bridge.pipeline.deciding.apps import unread_since
from bridge.pipeline.deciding.interpret import Meaning, Reading, about, is_heavy
from bridge.ports.inbox import Delivery, DeliveryState, Inbox
from bridge.ports.journal import DecisionsAndNotes
from bridge.ports.outcomes import About, Sought

MOST_READ = 200
"""The most bodies to parse for one list, for deliveries that the journal does not know."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Filters for deliveries; a delivery must pass all of them.

    Attributes:
        since: seconds since 1970.
        repo: a repository's name, or its last part.
        failed: it failed, or one of its deployments did.
        commit: it was a push of a commit that begins like this.
        author: it was a push by exactly this name.
        before: only deliveries before this position.
    """

    limit: int
    since: float | None = None
    repo: str | None = None
    app_id: str | None = None
    failed: bool = False
    state: State | None = None
    ref: str = ""
    commit: str = ""
    author: str = ""
    before: int = sys.maxsize

    @property
    def of_push(self) -> bool:
        """Whether only pushes can fit that the journal knows."""
        return bool(self.ref or self.commit or self.author or self.state)


@dataclass(frozen=True, slots=True)
class Arrived:
    """A delivery with everything that is known about it.

    Attributes:
        deployments: its deployments, by the app's id.
        about: the subject of its push; None if it was no push, or is no longer known.
        owed: backends that have been unreadable since before it came, each with the time.
    """

    delivery: Delivery
    decisions: Sequence[Decision] = ()
    deployments: Mapping[str, Deployment] = field(default_factory=dict)
    about: About | None = None
    owed: Mapping[str, float] = field(default_factory=dict)

    @property
    def message(self) -> str:
        """The first line of its commit's message; "" if it is not known."""
        said = (subject_of(one.message) for one in self.deployments.values() if one.pushed)
        return (self.about.message if self.about else "") or next(said, "")


async def look_up(inbox: Inbox, journal: DecisionsAndNotes, wanted: Wanted) -> list[Delivery]:
    """Return the matching deliveries, newest first."""
    if not (wanted.repo or wanted.app_id or wanted.failed or wanted.of_push):
        found = await inbox.newest(wanted.limit, before=wanted.before)
    else:
        found = [*await _decided(inbox, journal, wanted), *await _undecided(inbox, wanted)]
    by_seq = {one.seq: one for one in found}
    newest = sorted(by_seq.values(), key=lambda one: one.seq, reverse=True)
    since = wanted.since or 0.0
    return [one for one in newest if one.received_at >= since][: wanted.limit]


async def _decided(inbox: Inbox, journal: DecisionsAndNotes, wanted: Wanted) -> list[Delivery]:
    keys: list[str] = []
    if wanted.repo:
        keys = keys_of(wanted.repo, await journal.repositories())
        if not keys:
            return []
    sought = Sought(
        tuple(keys),
        wanted.ref,
        wanted.commit.lower(),
        wanted.author,
        wanted.app_id,
        wanted.state,
        wanted.failed,
    )
    seqs = await journal.seqs_about(sought, before=wanted.before, limit=wanted.limit)
    return [one for seq in seqs if (one := await inbox.get(seq)) is not None]


async def _undecided(inbox: Inbox, wanted: Wanted) -> list[Delivery]:
    """Return the matching deliveries that only the inbox knows: they concerned no app."""
    if wanted.app_id is not None or wanted.of_push or (wanted.repo and wanted.failed):
        return []
    if wanted.failed:
        return await inbox.ended(DeliveryState.FAILED, wanted.limit, before=wanted.before)
    state, repo = DeliveryState.IGNORED, wanted.repo or ""
    return await inbox.ended(state, wanted.limit, before=wanted.before, unused=repo)


async def first_after(inbox: Inbox, at: float) -> int:
    """Return the position of the first delivery that came in at a time or later.

    Positions and times grow together, so some twenty looks suffice for millions.
    """
    newest = await inbox.newest(1)
    low, high = 0, (newest[0].seq + 1) if newest else 0
    while low < high:
        middle = (low + high) // 2
        before = await inbox.newest(1, before=middle + 1)
        if before and before[0].received_at >= at:
            high = before[0].seq
        else:
            low = middle + 1
    return low


def keys_of(name: str, names: Mapping[str, str]) -> list[str]:
    """Return the keys of repositories with this full name, or this last part of it."""
    wanted = name.strip().strip("/").lower()
    whole = [key for key, one in names.items() if one.lower() == wanted]
    return whole or [key for key, one in names.items() if one.lower().endswith(f"/{wanted}")]


async def collected(
    inbox: Inbox,
    journal: DecisionsAndNotes,
    found: Sequence[Delivery],
    reading: Callable[[], Reading],
    sees: Callable[[Decision | Deployment], bool] | None = None,
) -> list[Arrived]:
    """Collect each delivery's decisions, deployments and subject.

    Args:
        reading: called if bodies have to be parsed.
        sees: whether somebody may view the app of a decision or deployment; they get only those
            deliveries that concern one, without all others. None for everything.
    """
    decisions = await journal.decisions([one.seq for one in found])
    if sees is not None:  # before anything is read for them: a large body keeps others waiting
        decisions = {seq: list(filter(sees, those)) for seq, those in decisions.items()}
        found = [one for one in found if decisions[one.seq]]
    seqs = [one.seq for one in found]
    unread = await unread_since(journal)
    deployments = await journal.deployments_of(seqs)
    abouts = await journal.abouts(seqs)
    whole = {seq for seq, one in abouts.items() if None not in (one.repository, one.author)}
    if unsaid := [one for one in found if one.seq not in whole]:
        abouts |= await _read(inbox, unsaid, reading())
    return [
        Arrived(
            one,
            decisions[one.seq],
            {each.app_id: each for each in deployments[one.seq] if sees is None or sees(each)},
            abouts.get(one.seq),
            _owed(one, unread) if one.seq in abouts else {},
        )
        for one in found
    ]


def _owed(delivery: Delivery, unread: Mapping[str, float]) -> dict[str, float]:
    """Return the backends whose new apps still need a decision for a decided push."""
    if delivery.state != DeliveryState.DECIDED:
        return {}
    return {name: since for name, since in unread.items() if delivery.received_at >= since}


async def _read(inbox: Inbox, found: Sequence[Delivery], reading: Reading) -> dict[int, About]:
    """Parse the subjects of deliveries from their bodies, if those are still kept.

    Each large body takes about a second, so one of several is left out.
    """
    said: dict[int, About] = {}
    for delivery in [one for one in found if reading.is_webhook(one)][:MOST_READ]:
        whole = await inbox.get(delivery.seq)
        if whole is None or whole.stored is None or (is_heavy(whole) and len(found) > 1):
            continue
        (meaning,) = await reading.meanings([whole])
        if isinstance(meaning, Meaning) and (words := about(meaning.event)) is not None:
            said[delivery.seq] = words
    return said


LONGEST_NUMBER = 19
"""Digits of a number that a database can't hold."""

SEARCHED = 10_000
"""The number of newest deliveries to search for the start of an id."""


async def find_delivery(inbox: Inbox, hosts: Iterable[str], id_: str) -> Delivery:
    """Return one delivery by its id, the start of it, or its number; "#5" is only a number.

    Args:
        hosts: by whose names deliveries are kept.

    Raises:
        NotFound, Ambiguous: none or several match.
    """
    id_ = id_.removesuffix("…")  # as in the list
    number = id_.removeprefix("#")
    for host in hosts if number == id_ else ():
        if (found := await inbox.find(host, id_)) is not None:
            return found
    is_number = number.isascii() and number.isdecimal() and len(number) < LONGEST_NUMBER
    if is_number and (found := await inbox.get(int(number))) is not None:
        return found
    begin = [one for one in await inbox.newest(SEARCHED) if one.id.startswith(id_)] if id_ else []
    if len(begin) > 1:
        ids = ", ".join(one.id for one in begin[:3])
        raise Ambiguous(f"{id_!r} fits {len(begin)} deliveries: {ids}, …; give more of the id")
    if begin and (found := await inbox.get(begin[0].seq)) is not None:
        return found
    raise NotFound(f"there is no delivery {id_!r}; `dokploy-bridge deliveries` lists them")
