"""Compare branches and tags with the last decisions, to find pushes without a webhook.

Hosts send nothing for more than three tags pushed at once, for a payload over 25 MB, or while
their webhook is gone. A found push goes through the inbox like a webhook.
"""

import asyncio
import hashlib
import json
import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import KW_ONLY, dataclass, field, replace
from typing import Protocol, runtime_checkable

from bridge.core.apps import App, Source, Trigger
from bridge.core.errors import BridgeError, NotFound, Unreachable
from bridge.core.events import (
    FOUND_EVENT,
    ZERO,
    Commit,
    Ref,
    RefKind,
    RefPushed,
    Repository,
    write_found,
)
from bridge.core.refs import home_of
from bridge.ports.clock import Clock, Sleep
from bridge.ports.githosts import HostApi, ListsRefs
from bridge.ports.inbox import Inbox, NewDelivery
from bridge.ports.journal import DecisionsAndNotes
from bridge.ports.outcomes import ref_key


class Budget:
    """A token bucket: so many requests an hour, the first ones at once.

    It prevents background work from using up a rate limit that feedback needs as well.
    """

    def __init__(
        self, clock: Clock, *, hourly: float, burst: float, sleep: Sleep = asyncio.sleep
    ) -> None:
        self._clock = clock
        self._rate = hourly / 3600
        self._burst = burst
        self._left = burst
        self._at = clock()
        self._sleep = sleep

    async def spend(self) -> None:
        """Take one token, waiting until there is one."""
        now = self._clock()
        self._left = min(self._burst, self._left + (now - self._at) * self._rate)
        self._at = now
        self._left -= 1
        if self._left < 0:
            await self._sleep(-self._left / self._rate)


class Resting:
    """The repository owners whose rate limit is used up, for one round.

    Each installation of a GitHub App has its own limit, and belongs to one owner.
    """

    def __init__(self) -> None:
        self._owners: set[tuple[str, str]] = set()

    def has(self, host: str, repository: str) -> bool:
        """Return whether to skip this repository for now."""
        return (host, _owner(repository)) in self._owners

    def note(self, host: str, repository: str, error: BridgeError) -> None:
        """Skip an owner whose host has told us to wait."""
        if isinstance(error, Unreachable) and error.retry_after is not None:
            self._owners.add((host, _owner(repository)))


def _owner(repository: str) -> str:
    return repository.rpartition("/")[0].lower()


# ── Compare branches and tags with the last decisions ───────────────────────────────────────────

log = logging.getLogger(__name__)

MOST_TAGS = 100
"""How many of a repository's tags to compare."""

Homes = Mapping[str, str]
"""The servers of Git hosts by the beginning of their clone URLs; see `refs.home_of`."""

NO_HOMES: Homes = {}

_GLOB = frozenset("*?[]{}!()+@")


@runtime_checkable
class ReadsRefs(HostApi, ListsRefs, Protocol):
    """A host whose branches and tags can be read."""


@dataclass(slots=True)
class Wanted:
    """The refs that apps deploy from in one repository; `urls`: as custom Git sources name it."""

    branches: set[str] = field(default_factory=set)
    tags: bool = False
    urls: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Move:
    """A ref's old and new commit; `since`: the delivery that led to `before`, 0 for none."""

    before: str
    after: str
    since: int


@dataclass(eq=False)
class Reconciler:
    """Finds pushes that no event has reported.

    Attributes:
        grace: seconds that a webhook may take; a move that none has reported by then counts.
    """

    apis: Mapping[str, ReadsRefs]
    inbox: Inbox
    journal: DecisionsAndNotes
    clock: Clock
    budget: Budget
    _: KW_ONLY
    grace: float = 90.0
    homes: Homes = field(default_factory=dict)
    _repositories: dict[tuple[str, str], Repository] = field(default_factory=dict, init=False)
    _first_seen: dict[str, tuple[str, float]] = field(default_factory=dict, init=False)

    async def round(self, apps: Iterable[App]) -> int:
        """Compare all refs that apps deploy from once; return how many pushes were found."""
        found, resting = 0, Resting()
        for (host, name), wanted in wanted_of(apps, self.homes).items():
            api = self.apis.get(host)
            if api is None or resting.has(host, name):
                continue
            try:
                found += await self._repository(api, host, name, wanted)
            except BridgeError as error:
                resting.note(host, name, error)
                why = {"repository": f"{host} {name}", "why": str(error)}
                log.warning("a repository can't be reconciled", extra=why)
        return found

    async def _repository(self, api: ReadsRefs, host: str, name: str, wanted: Wanted) -> int:
        repository = await self._known(api, host, name)
        repository = replace(repository, urls=repository.urls | wanted.urls)
        found = 0
        for branch in sorted(wanted.branches):
            await self.budget.spend()
            head = await api.head(name, branch)
            if head is not None:
                ref = Ref(RefKind.BRANCH, branch)
                found += await self._branch(api, repository, ref, head)
        if wanted.tags:
            found += await self._tags(api, repository)
        return found

    async def _known(self, api: ReadsRefs, host: str, name: str) -> Repository:
        """Return a repository with its id, requested once in the life of the process."""
        if (host, name) not in self._repositories:
            await self.budget.spend()
            self._repositories[host, name] = await api.repository(name)
        return self._repositories[host, name]

    async def _branch(self, api: ReadsRefs, repository: Repository, ref: Ref, head: str) -> int:
        key = ref_key(repository, ref)
        last = await self.journal.newest_push(key)
        before = last.after if last else await self.journal.recall(f"head {key}")
        if before is None:  # seen for the first time: an existing ref is not a push
            await self.journal.note(f"head {key}", head)
            return 0
        if before == head:
            self._first_seen.pop(key, None)
            return 0
        return await self._found(api, repository, ref, Move(before, head, last.seq if last else 0))

    async def _tags(self, api: ReadsRefs, repository: Repository) -> int:
        key = f"tags {repository.host} {repository.id}"
        await self.budget.spend()
        listed = {tag.name: tag.commit for tag in await api.tags(repository.name, MOST_TAGS)}
        text = await self.journal.recall(key)
        known: set[str] = set(json.loads(text)) if text else set()
        found = 0
        for name, commit in sorted(listed.items()):
            ref = Ref(RefKind.TAG, name)
            if text is None or name in known:
                continue
            if await self.journal.newest_push(key_of := ref_key(repository, ref)) is not None:
                self._first_seen.pop(key_of, None)
                known.add(name)
            elif await self._found(api, repository, ref, Move(ZERO, commit, 0)):
                known.add(name)
                found += 1
        now_known = json.dumps(sorted(known & set(listed) if text else listed))
        if now_known != text:
            await self.journal.note(key, now_known)
        return found

    async def _found(self, api: ReadsRefs, repository: Repository, ref: Ref, move: Move) -> bool:
        """Keep a move as a push, once a webhook has had its time; return whether it was kept."""
        key, now = ref_key(repository, ref), self.clock()
        if now - self._seen_since(key, move.after, now) < self.grace:
            return False
        await self.budget.spend()
        commit = await self._commit(api, repository, move.after)
        push = RefPushed(
            repository,
            ref,
            move.before,
            move.after,
            commit=commit,
            several=ref.kind is RefKind.BRANCH and move.before not in commit.parents[:1],
        )
        id_ = _id_of(key, move)
        kept = await self.inbox.keep(
            NewDelivery(repository.host, id_, FOUND_EVENT, {}, write_found(push), now)
        )
        if not kept.duplicate:
            log.warning(
                "a push without an event was found",
                extra={"delivery": id_, "repository": repository.name, "ref": str(ref)},
            )
        del self._first_seen[key]
        return not kept.duplicate

    def _seen_since(self, key: str, after: str, now: float) -> float:
        """Return since when a ref is at a commit; keep one entry per ref."""
        seen, since = self._first_seen.get(key, ("", now))
        if seen != after:
            since = now
        self._first_seen[key] = after, since
        return since

    async def _commit(self, api: ReadsRefs, repository: Repository, sha: str) -> Commit:
        try:
            return await api.commit(repository.name, sha)
        except NotFound:
            return Commit(sha)


def _id_of(key: str, move: Move) -> str:
    """Return an id for a move; a later move of the ref to the same commit gets another."""
    words = f"{key} {move.after} {move.before}"
    if move.since:
        words += f" {move.since}"
    return f"found-{hashlib.sha256(words.encode()).hexdigest()[:24]}"


def wanted_of(apps: Iterable[App], homes: Homes = NO_HOMES) -> dict[tuple[str, str], Wanted]:
    """Return the refs to compare, by host and repository; branch globs name none."""
    found: dict[tuple[str, str], Wanted] = defaultdict(Wanted)
    for app in apps:
        if app.source is None or (where := place_of(app.source, homes)) is None:
            continue
        wanted = found[where]
        if app.source.url is not None:
            wanted.urls.add(app.source.url)
        if app.waits_for is Trigger.TAG:
            wanted.tags = True
        elif app.branch and (app.rules.branch is None or _GLOB.isdisjoint(app.rules.branch)):
            wanted.branches.add(app.branch)
    return dict(found)


def place_of(source: Source, homes: Homes) -> tuple[str, str] | None:
    """Return the host and repository of a source; None if it is on no known host."""
    if source.url is not None:
        found = home_of(source.url, homes)
        return None if found is None else (found[0], source.repository or found[1])
    # For such a source, the backend's kind is our key of the host.
    name = source.repository or source.repository_id
    return (source.type.value, name) if name else None
