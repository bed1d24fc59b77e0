"""The inbox on Postgres: any number of processes keep, and workers claim what they decide.

A claim is a lease on the database's own clock: whoever dies loses it, and another takes over.
Of two that decide the same delivery nothing comes of it twice, since recording it is idempotent;
and only who holds the claim, or nobody does, finishes it.

Positions are given before they are committed, so an older one may show after a newer one was
decided. It was received before, so what the newer one deploys has it in.
"""

import asyncio
import contextlib
import sys
from collections.abc import Sequence
from typing import Any

from bridge.core.errors import Unreachable
from bridge.ports.figures import InboxFigures
from bridge.ports.inbox import LONGEST_PAUSE, Delivery, DeliveryState, Kept, NewDelivery
from bridge.stores.batches import MOST_AT_ONCE, BatchedInbox
from bridge.stores.links import Link
from bridge.stores.packing import delivery_key, read_delivery
from bridge.stores.postgres_inbox.listening import listen
from bridge.stores.postgres_inbox.writing import Writer

CLAIM_SECONDS = 15.0
"""How long a claim holds; its holder may claim the same again at any time."""

ANSWER_SECONDS = 9.0
"""Seconds after which a sender is told to come again, before it gives up by itself."""

_FIELDS = "d.seq, d.host, d.id, d.event, d.headers, d.received_at, w.state, w.attempts, w.error"

_CLAIM = """
WITH free AS (
    SELECT seq FROM inbox_work
    WHERE state = 'kept' AND (due_at <= %(now)s OR due_at > %(now)s + %(pause)s) AND (
        claimed_until IS NULL OR claimed_until < clock_timestamp() OR claimed_by = %(owner)s
    )
    ORDER BY seq LIMIT %(limit)s FOR UPDATE SKIP LOCKED
), w AS (
    UPDATE inbox_work w
    SET claimed_by = %(owner)s,
        claimed_until = clock_timestamp() + %(seconds)s * interval '1 second'
    FROM free WHERE w.seq = free.seq RETURNING w.seq, w.state, w.attempts, w.error
)
"""

# What is claimed and not read now, its turn comes at the next look.
_DUE = f"""{_CLAIM}, taken AS (
    SELECT d.seq, sum(length(d.body)) OVER (ORDER BY d.seq) - length(d.body) AS before
    FROM w JOIN inbox d USING (seq)
)
SELECT {_FIELDS}, d.body FROM taken t JOIN inbox d USING (seq) JOIN w USING (seq)
WHERE t.before < %(most)s ORDER BY d.seq
"""

_RELEASE = """
UPDATE inbox_work SET claimed_by = NULL, claimed_until = NULL
WHERE state = 'kept' AND claimed_by = %s
"""


class PostgresInbox(BatchedInbox):
    """Deliveries in two tables of a Postgres.

    Args:
        url: as libpq reads it.
        owner: names this process among those that claim.
        listens: whether `woken` is called for what other processes keep, too.
    """

    def __init__(self, url: str, *, owner: str, listens: bool = False, **batching: Any) -> None:
        super().__init__(**batching)
        self._url = url
        self._owner = owner
        self._listens = listens
        self._claims = False
        self._reader = Link(url, "inbox", patience=0.0)
        self._listening: asyncio.Task[None] | None = None

    # ── life ──────────────────────────────────────────────────────────────

    async def start(self) -> None:
        """Make the tables where there are none, and start the writer."""
        await self.start_writer(lambda: Writer(self._url, self._owner))
        if self._listens:
            self._listening = asyncio.create_task(
                listen(self._url, self._told), name="inbox-listener"
            )

    async def stop(self) -> None:
        """Finish what is being kept, give back what is claimed, then close."""
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.gather(self._listening, return_exceptions=True)
            self._listening = None
        await self.stop_writer()
        await asyncio.to_thread(self._leave)

    def _told(self) -> None:
        self.woken()  # who is to be woken may be named later than this starts

    def _leave(self) -> None:
        if self._claims:
            with contextlib.suppress(Unreachable):  # then the claims end by themselves
                self._reader.run(lambda db: db.execute(_RELEASE, [self._owner]))
        self._reader.close()

    # ── keeping and forgetting ────────────────────────────────────────────

    def put(self, new: NewDelivery) -> asyncio.Future[Kept]:
        """Have a delivery written to disk; done once it is there, as every inbox does it.

        Ends with Unreachable also where nobody knows after so long; what comes again then is a
        duplicate, or kept.
        """
        done = super().put(new)
        timer = done.get_loop().call_later(ANSWER_SECONDS, _give_up, done)
        done.add_done_callback(lambda _: timer.cancel())
        return done

    async def continue_after(self, seq: int) -> bool:
        """Give only positions after `seq` from now on; returns whether that changes anything."""
        name = "pg_get_serial_sequence('inbox', 'seq')"
        last = f"pg_sequence_last_value({name}::regclass)"
        query = f"SELECT setval({name}, %s) WHERE coalesce({last}, 0) < %s"
        return bool(await self._rows(query, [seq, seq]))

    async def forget_bodies(self, before: float, limit: int) -> int:
        """Forget the bodies of some decided deliveries from before then; how many."""
        return await self._forget(before, limit, "AND length(d.body) > 0", wholly=False)

    async def forget(self, before: float, limit: int) -> int:
        """Forget some decided deliveries from before then, their ids too; how many."""
        return await self._forget(before, limit, "", wholly=True)

    async def _forget(self, before: float, limit: int, more: str, *, wholly: bool) -> int:
        rows = await self._rows(
            "SELECT d.seq FROM inbox d JOIN inbox_work w ON w.seq = d.seq"
            f" WHERE d.received_at < %s AND w.state <> 'kept' {more} ORDER BY d.seq LIMIT %s",
            [before, limit],
        )
        if rows:
            await self.remove([seq for (seq,) in rows], wholly=wholly)
        return len(rows)

    # ── reading ───────────────────────────────────────────────────────────

    async def due(self, now: float, limit: int) -> list[Delivery]:
        """Kept deliveries whose turn has come, with bodies, oldest first; they are ours then."""
        self._claims = True
        values = {"now": now, "limit": limit, "owner": self._owner}
        values |= {"seconds": CLAIM_SECONDS, "pause": LONGEST_PAUSE}
        values |= {"most": MOST_AT_ONCE}
        return [read_delivery(row) for row in await self._rows(_DUE, values)]

    async def newest(self, limit: int, *, before: int | None = None) -> list[Delivery]:
        """The newest deliveries, newest first, without bodies."""
        rows = await self._rows(
            f"SELECT {_FIELDS}, NULL FROM inbox d JOIN inbox_work w ON w.seq = d.seq"
            " WHERE d.seq < %s ORDER BY d.seq DESC LIMIT %s",
            [before if before is not None else sys.maxsize, limit],
        )
        return [read_delivery(row) for row in rows]

    async def ended(
        self, state: DeliveryState, limit: int, *, before: int, errors: Sequence[str] = ()
    ) -> list[Delivery]:
        """The newest deliveries in a state, newest first, without bodies; see the port."""
        one_of = " AND w.error = ANY(%s)" if errors else ""
        rows = await self._rows(
            f"SELECT {_FIELDS}, NULL FROM inbox_work w JOIN inbox d USING (seq)"
            f" WHERE w.state = %s AND w.seq < %s{one_of} ORDER BY w.seq DESC LIMIT %s",
            [str(state), before, *([list(errors)] if errors else []), limit],
        )
        return [read_delivery(row) for row in rows]

    async def find(self, host: str, id: str) -> Delivery | None:  # noqa: A002 - the port's
        """One delivery by the host's own id, with its body."""
        return await self._one("d.key = %s", delivery_key(host, id))

    async def get(self, seq: int) -> Delivery | None:
        """One delivery by its position, with its body."""
        return await self._one("d.seq = %s", min(seq, sys.maxsize))

    async def figures(self) -> InboxFigures:
        """How full it is now; read from the index of what waits."""
        rows = await self._rows(
            "SELECT count(*), (SELECT received_at FROM inbox WHERE seq ="
            " (SELECT min(seq) FROM inbox_work WHERE state = 'kept'))"
            " FROM inbox_work WHERE state = 'kept'",
            [],
        )
        return InboxFigures(*rows[0])

    async def _one(self, where: str, value: Any) -> Delivery | None:
        rows = await self._rows(
            f"SELECT {_FIELDS}, d.body FROM inbox d JOIN inbox_work w ON w.seq = d.seq"
            f" WHERE {where}",
            [value],
        )
        return read_delivery(rows[0]) if rows else None

    async def _rows(self, query: str, values: Any) -> list[Any]:
        def read() -> list[Any]:
            return self._reader.run(lambda db: db.execute(query, values, binary=True).fetchall())

        return await asyncio.to_thread(read)


def _give_up(done: asyncio.Future[Kept]) -> None:
    if not done.done():
        why = f"the database says nothing for {ANSWER_SECONDS:g} s"
        done.set_exception(Unreachable("the inbox", why))
