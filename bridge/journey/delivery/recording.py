"""Deciding a batch and recording what it leads to, in one moment and all or nothing."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

from bridge.core.events import RefKind, RefPushed
from bridge.journey.catalog import LOOK_AGAIN, Catalog
from bridge.journey.catalog.freshness import Freshness, Pushed
from bridge.journey.delivery.deciding import Decided, Deciding, Moment, Tags, done
from bridge.journey.delivery.meaning import Meaning
from bridge.journey.delivery.views import Decided as ByItsList
from bridge.journey.delivery.views import Views
from bridge.ports.clock import Clock
from bridge.ports.inbox import DeliveryState
from bridge.ports.journal import Journal
from bridge.ports.outcomes import Recorded

TAGS_LEASE, TAGS_LEASE_SECONDS, TAGS_LEASE_PAUSE = "tags", 15.0, 0.05
"""Held by the one process that decides tags of apps which take only newer ones."""


class Recording:
    """Decides what deliveries mean, and keeps what comes of it."""

    def __init__(
        self,
        journal: Journal,
        catalog: Catalog,
        deciding: Deciding,
        clock: Clock,
        *,
        window: float,
        freshness: Freshness,
        views: Views | None = None,
        owner: str = "solo",
    ) -> None:
        """Take the parts.

        Args:
            freshness: has apps read anew that may have changed.
            window: seconds in which the same push, brought by two hooks, deploys once.
            views: finds the files that pushes do not list; None: they stay unknown.
            owner: this process among those that share the stores.
        """
        self._journal = journal
        self._catalog = catalog
        self._deciding = deciding
        self._clock = clock
        self._window = window
        self._freshness = freshness
        self._views = views
        self._owner = owner

    async def record(self, meanings: Sequence[Meaning]) -> tuple[list[Decided], Recorded]:
        """The outcomes, once they are in the journal, and what follows from them."""
        async with self._alone(bool(self._only_newer(meanings))):
            return await self._recorded(meanings)

    async def _recorded(self, meanings: Sequence[Meaning]) -> tuple[list[Decided], Recorded]:
        outcomes, moment = await self._decided(meanings)
        settled = await self._freshness.settle(_pushes(meanings, outcomes))
        ready = [one for one in meanings if one.delivery.seq not in settled.waiting]
        # What was read while this was decided may have passed for known already.
        if settled.anew or self._catalog.snapshot is not moment.snapshot:
            outcomes, moment = await self._decided(ready)
        if self._views is not None:
            outcomes = await self._seen_exactly(self._views, ready, outcomes, moment)
        recorded = await self._journal.record(
            [outcome for outcome, _ in outcomes if outcome is not None],
            window=self._window,
        )
        why = "reading anew the apps that may deploy it"
        later = [
            _postponed(one, why, self._clock() + LOOK_AGAIN)
            for one in meanings
            if one.delivery.seq in settled.waiting
        ]
        return outcomes + later, recorded

    async def _decided(self, meanings: Sequence[Meaning]) -> tuple[list[Decided], Moment]:
        """Decide on what is known now."""
        tags = await self._deployed_tags(meanings)
        snapshot, now = self._catalog.snapshot, self._clock()
        moment = Moment(snapshot, tags, now, secrets.token_hex(16), self._freshness.remark)
        return await asyncio.to_thread(self._deciding.outcomes, meanings, moment, {}), moment

    @asynccontextmanager
    async def _alone(self, needed: bool) -> AsyncIterator[None]:
        """Whether a tag is the newest depends on those that other processes decide just now."""
        lease = (TAGS_LEASE, self._owner)
        while needed and not await self._journal.hold(*lease, TAGS_LEASE_SECONDS):  # noqa: ASYNC110 - its holder is another process
            await asyncio.sleep(TAGS_LEASE_PAUSE)
        try:
            yield
        finally:
            if needed:
                await self._journal.release(*lease)

    async def _deployed_tags(self, meanings: Sequence[Meaning]) -> Tags:
        """The tags that apps which take only newer ones have been deployed for."""
        apps = self._only_newer(meanings)
        return await self._journal.deployed_tags(sorted(apps)) if apps else {}

    def _only_newer(self, meanings: Sequence[Meaning]) -> set[str]:
        """The apps among those concerned by tags that take only newer ones."""
        return {
            app.id
            for meaning in meanings
            if isinstance(meaning.event, RefPushed) and meaning.event.ref.kind is RefKind.TAG
            for app in self._catalog.of(meaning.event.repository)
            if app.rules.only_newer
        }

    async def _seen_exactly(
        self,
        views: Views,
        meanings: Sequence[Meaning],
        outcomes: Sequence[Decided],
        moment: Moment,
    ) -> list[Decided]:
        """The outcomes, decided again where a push's own list of files is not enough.

        Those whose host has to be asked first come again a little later.
        """
        pushes = [
            ByItsList(meaning.delivery.seq, meaning.event, outcome.decisions)
            for meaning, (outcome, _) in zip(meanings, outcomes, strict=True)
            if isinstance(meaning.event, RefPushed) and outcome is not None
        ]
        seen = await views.of(pushes)
        found = {outcome[1].seq: outcome for outcome in outcomes}
        again = [meaning for meaning in meanings if meaning.delivery.seq in seen.views]
        # Only pushes to branches are among these, so no tag is learned twice.
        for outcome in await asyncio.to_thread(self._deciding.outcomes, again, moment, seen.views):
            found[outcome[1].seq] = outcome
        for meaning in meanings:
            if (pause := seen.waiting.get(meaning.delivery.seq)) is not None:
                why = f"asking {meaning.delivery.host} which files have changed"
                found[meaning.delivery.seq] = _postponed(meaning, why, moment.now + pause)
        return list(found.values())


def _pushes(meanings: Sequence[Meaning], outcomes: Sequence[Decided]) -> list[Pushed]:
    return [
        Pushed(
            meaning.delivery.seq,
            meaning.event.repository,
            meaning.delivery.received_at,
            {one.app_id: one for one in outcome.decisions} if outcome is not None else {},
        )
        for meaning, (outcome, _) in zip(meanings, outcomes, strict=True)
        if isinstance(meaning.event, RefPushed)
    ]


def _postponed(meaning: Meaning, why: str, due_at: float) -> Decided:
    """Return a delivery to the inbox, to come again."""
    return None, replace(done(meaning.delivery, DeliveryState.KEPT, why), due_at=due_at)
