"""What a deployment would bring: whether it differs for the app, and who wrote and pushed it.

Approvals are for that, and nobody approves their own. Git hosts are asked only where it matters,
and once for each pair of commits: they never change. The kept webhooks tell who pushed them.
"""

import asyncio
import math
from collections import OrderedDict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from bridge.core.apps import App, Approvers
from bridge.core.changes import Pushes
from bridge.core.decision import Policy
from bridge.core.errors import NotFound
from bridge.core.events import Commit
from bridge.core.gates.approvals import SAME, Content, at_once, content_of, watched_of
from bridge.core.gates.order import Earlier
from bridge.core.holds import MOST_FILES, Proposal
from bridge.core.people import (
    MOST_PEOPLE,
    NO_IDENTITIES,
    Brought,
    Identities,
    Writer,
    brought,
    unlisted_in,
)
from bridge.pipeline.background import cancelled
from bridge.pipeline.deciding.changes import Changes
from bridge.pipeline.deciding.reconcile import Homes, place_of
from bridge.ports.authors import Authored, AuthorsOf, TellsAuthors
from bridge.ports.clock import Clock
from bridge.ports.gates import CommitAt
from bridge.ports.githosts import ChangeSet, HostApi

AGAIN = 60.0
"""Seconds until commits are compared again that could not be compared."""

AT_ONCE = 1000
"""Files that are matched before others may go on."""

MOST_MATCHED = 10_000
"""The most files that are matched for a proposal; with more, it counts none."""

LONGEST_MESSAGE = 500
LONGEST_PATH = 200


@dataclass(frozen=True, slots=True)
class Contents:
    """Compares commits, as far as they concern an app."""

    changes: Changes
    homes: Homes
    policy: Policy
    clock: Clock

    async def compared(self, app: App, commit: str, head: CommitAt) -> Content:
        """Return a commit beside the one that would be built."""
        if (known := at_once(app, commit, head.commit)) is not None:
            return known
        source = app.source
        place = None if source is None else place_of(source, self.homes)
        if place is None:
            return Content(None, f"{app.label} deploys from no Git host that the bridge knows")
        if _named(place) != _named((head.host, head.repository)):
            return Content(None, f"{app.label} deploys from another repository")
        found = await self._between(commit, head)
        if found.paths is None:
            return Content(None, found.note, self.clock() + AGAIN)
        for some in _some(found.paths):
            content = content_of(app, some, found.note, self.policy)
            if content is not SAME:
                return content
            await asyncio.sleep(0)
        return SAME

    async def proposal(
        self, app: App, now: Earlier, head: CommitAt, built: Commit, who: Brought
    ) -> Proposal:
        """Return what an approval of the head would be for.

        Args:
            now: what the app serves.
            built: the head, with its message and author; who: has written and pushed it.
        """
        serving = now.serving
        live, since = (None, 0.0) if serving is None else (serving.commit, now.version_since)
        changed, files = None, tuple[str, ...]()
        if live is not None:
            found = await self._between(live, head)
            if found.paths is not None and len(found.paths) <= MOST_MATCHED:
                watched: list[str] = []
                for some in _some(found.paths):
                    watched += watched_of(app, some, self.policy)
                    await asyncio.sleep(0)
                changed, files = len(watched), tuple(watched[:MOST_FILES])
        return Proposal(
            head.commit,
            built.message[:LONGEST_MESSAGE],
            built.author,
            live,
            changed,
            tuple(one[:LONGEST_PATH] for one in files),
            authors=tuple(sorted(who.authors)),
            since=since,
            unknown=who.unknown,
            by=who.by,
            anyone=app.rules.approvals_by is Approvers.ANYONE,
        )

    async def _between(self, commit: str, head: CommitAt) -> ChangeSet:
        return await self.changes.between(head.host, head.repository, commit, head.commit)


def _named(place: tuple[str, str]) -> tuple[str, str]:
    return place[0], place[1].lower()


def _some(paths: Sequence[str]) -> Iterator[Sequence[str]]:
    return (paths[at : at + AT_ONCE] for at in range(0, len(paths), AT_ONCE))


# ── who wrote and pushed it ───────────────────────────────────────────────────────────────────────

MOST_KEPT = 256
"""Pairs of commits whose authors are remembered."""

MOST_SERVED = 10
"""Versions of an app that a head is looked for to be built on."""

UNLINKED_HOLDS = 60.0
"""Seconds for which an author has no account, or a comparison fails: both may be mended."""

MOST_BEGINS = 10
"""Commits at which pushes began from which the host is asked for the head's history."""

MOST_LINKED = 100
"""Commits of which the host is asked who wrote them, as webhooks tell no number of an account."""

TOO_MANY = f"more than {MOST_PEOPLE} people wrote or pushed it"

Pair = tuple[str, str, str | None, str]
"""A host, a repository as its API names it, what was live (None: the head alone), and the head."""


async def nobody(_seq: int) -> frozenset[tuple[str, Writer]]:
    """No author is known."""
    return frozenset()


@dataclass(slots=True)
class AuthorsOfRanges:
    """Finds the authors of all commits that deployments bring.

    Attributes:
        pushed: returns those who wrote and pushed what a delivery tells of.
    """

    apis: Mapping[str, HostApi]
    clock: Clock
    identities: Identities = NO_IDENTITIES
    pushed: AuthorsOf = nobody
    _known: OrderedDict[Pair, tuple[float, Authored]] = field(
        default_factory=OrderedDict, init=False
    )
    _asking: dict[Pair, asyncio.Task[Authored]] = field(default_factory=dict, init=False)

    async def base(self, head: CommitAt, served: Sequence[str]) -> str | None:
        """Return the version that leads to a head: the newest that it is built on.

        From another one on, what was taken back meanwhile would be nobody's. If the head is built
        on none, `of` says so of the newest.

        Args:
            served: commits that the app has served, newest first.

        Raises:
            BridgeError: the Git host does not tell now.
        """
        api: object = self.apis.get(head.host)
        for one in served[:MOST_SERVED]:
            if not isinstance(api, TellsAuthors):
                break
            pair = (head.host, head.repository, one, head.commit)
            if one == head.commit or (await self._asked(api, pair)).onward:
                return one
        return next(iter(served), None)

    async def of(
        self,
        head: CommitAt,
        base: str | None,
        pushes: Pushes,
        deployed: Iterable[int],
        missing: str = "",
    ) -> Brought:
        """Return who wrote and pushed what leads from the base to the head.

        If nothing was ever live, these are the head's authors, and those of the pushes.

        Args:
            base: what the app has served; the head itself if it was live before.
            deployed: the seqs of other deliveries; others than pushes don't matter.
            missing: why the pushes may not be all; "" if they are.

        Raises:
            BridgeError: the Git host does not tell now.
        """
        by_pushes, untold = await self._by_pushes({*pushes.seqs, *deployed})
        api: object = self.apis.get(head.host)
        if not isinstance(api, TellsAuthors):
            return self._brought(head, by_pushes, unlisted=f"{head.host} tells no authors")
        told, why = await self._since(api, head, base, pushes)
        if told is None:
            told, why = await self._by_webhooks(api, head, by_pushes)
            if not why and not untold.isdisjoint(pushes.seqs):
                why = "no kept webhook tells of one of the pushes"
        else:  # the host has told of all their commits, with the accounts of today
            by_pushes = {(at, one.of_nothing()) for at, one in by_pushes}
        writers = by_pushes | {(head.host, one) for one in told}
        return self._brought(head, writers, unlisted=why or missing)

    async def _by_pushes(self, seqs: Iterable[int]) -> tuple[set[tuple[str, Writer]], set[int]]:
        """Return who wrote and pushed what deliveries tell of, and those that tell nothing.

        Each writer is there with one of their commits. Once they are too many to be told apart, the
        rest is not read.
        """
        found: dict[tuple[str, Writer], tuple[str, Writer]] = {}
        untold = set[int]()
        for seq in seqs:
            told = await self.pushed(seq)
            for at, one in told:
                key = at, one.of_nothing()
                if one.commit or key not in found:
                    found[key] = at, one
            if not told:
                untold.add(seq)
            if len(found) > MOST_PEOPLE:
                break
            await asyncio.sleep(0)  # one webhook can name a thousand
        return set(found.values()), untold

    async def close(self) -> None:
        await cancelled(self._asking.values())

    def _brought(
        self, head: CommitAt, writers: set[tuple[str, Writer]], *, unlisted: str = ""
    ) -> Brought:
        if len(writers) > MOST_PEOPLE:
            writers, unlisted = set(), TOO_MANY
        return brought(head.host, writers, self.identities, unlisted=unlisted)

    async def _since(
        self, api: TellsAuthors, head: CommitAt, base: str | None, pushes: Pushes
    ) -> tuple[frozenset[Writer] | None, str]:
        """Return who wrote what leads to the head, and why these may not be all.

        If nothing was ever live, it leads there from where the pushes began; None if that can't
        be listed.
        """
        alone: Pair = (head.host, head.repository, None, head.commit)
        if base is None:
            begins = sorted(pushes.begins)
            if not 0 < len(begins) <= MOST_BEGINS:
                return None, ""
            pairs = [alone, *((*alone[:2], one, head.commit) for one in begins)]
            listed = [(await self._asked(api, one)).writers for one in pairs]
            all_ = [one for one in listed if one is not None]
            return (frozenset[Writer]().union(*all_) if len(all_) == len(pairs) else None), ""
        found = await self._asked(
            api, (*alone[:2], None if base == head.commit else base, alone[3])
        )
        if found.writers is None:
            why = f"not all commits since {base[:7]} are known: {found.note}"
            return (await self._asked(api, alone)).writers or frozenset(), why
        aside = f"{head.commit[:7]} is built on none of the latest live versions, as {base[:7]}"
        return found.writers, "" if found.onward else aside

    async def _by_webhooks(
        self, api: TellsAuthors, head: CommitAt, by_pushes: Collection[tuple[str, Writer]]
    ) -> tuple[frozenset[Writer], str]:
        """Return who else wrote the head, or commits of pushes, and why these may not be all."""
        found = await self._asked(api, (head.host, head.repository, None, head.commit))
        told = found.writers or frozenset()
        if found.writers is None:
            return told, f"not all authors of {head.commit[:7]} are known: {found.note}"
        linked, why = await self._linked(api, head, by_pushes, told)
        cut = sorted(one.commit for _, one in by_pushes if one == unlisted_in(one.commit))
        if cut:
            why = f"the webhook of the push to {cut[0][:7]} does not list all commits"
        return told | linked, why

    async def _linked(
        self,
        api: TellsAuthors,
        head: CommitAt,
        by_pushes: Iterable[tuple[str, Writer]],
        known: frozenset[Writer],
    ) -> tuple[frozenset[Writer], str]:
        """Return who wrote commits of which a webhook does not tell the account's number.

        Logins change hands, and GitLab's webhooks tell addresses alone. Also return why these may
        not be all.
        """
        found, emails = set[Writer](), {one.email for one in known if one.email}
        lacking = [one for at, one in by_pushes if at == head.host and one.commit]
        lacking = [one for one in lacking if not one.number and one != unlisted_in(one.commit)]
        asked = 0
        for one in lacking:
            if one.email in emails:
                continue
            if asked == MOST_LINKED:
                return frozenset(found), f"more than {MOST_LINKED} people wrote it"
            asked += 1
            with suppress(NotFound):  # a forced push has taken it back
                pair = (head.host, head.repository, None, one.commit)
                told = (await self._asked(api, pair)).writers or frozenset()
                found |= told
                emails |= {other.email for other in told if other.email}
        return frozenset(found), ""

    async def _asked(self, api: TellsAuthors, pair: Pair) -> Authored:
        """Return the host's answer; who asks meanwhile shares it."""
        until, known = self._known.get(pair, (0.0, Authored(None)))
        if self.clock() < until:
            self._known.move_to_end(pair)
            return known
        if pair not in self._asking:
            _, repository, live, head = pair
            task = asyncio.create_task(api.authors(repository, live, head), name="authors")
            self._asking[pair] = task
            task.add_done_callback(lambda done: self._answered(pair, done))
        return await asyncio.shield(self._asking[pair])

    def _answered(self, pair: Pair, done: "asyncio.Task[Authored]") -> None:
        del self._asking[pair]
        if done.cancelled() or done.exception() is not None:
            return
        found = done.result()
        to_link = [one for one in found.writers or () if one.commit]
        lasts = found.writers is not None and all(one.login and one.linked for one in to_link)
        self._known[pair] = (math.inf if lasts else self.clock() + UNLINKED_HOLDS), found
        self._known.move_to_end(pair)
        if len(self._known) > MOST_KEPT:
            self._known.popitem(last=False)
