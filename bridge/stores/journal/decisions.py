"""What was decided for apps, and of which pushes."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from bridge.core.change_sets import Live
from bridge.core.decision import Decision
from bridge.core.lifecycle import State
from bridge.ports.outcomes import Explained, LastPush, Outcome, Recorded
from bridge.stores import tables
from bridge.stores.inserts import batched
from bridge.stores.journal import rows
from bridge.stores.journal.explaining import explained
from bridge.stores.journal.live import live
from bridge.stores.journal.pushes import standing
from bridge.stores.journal.recording import record_all
from bridge.stores.journal.transactions import Transactions


def _last_pushes() -> sa.Select[Any]:
    """When the newest push of its repository came, for every app.

    One index search for each app, however many decisions there are.
    """
    a, d, p = tables.apps, tables.decisions, tables.pushes
    newest = (
        sa.select(p.c.at)
        .join(d, d.c.seq == p.c.seq)
        .where(d.c.app_id == a.c.id)
        .order_by(d.c.seq.desc())
        .limit(1)
        .scalar_subquery()
    )
    return sa.select(a.c.id, newest.label("at"))


class Decisions(Transactions):
    """What pushes led to, and what has to be known to decide the next."""

    async def record(self, outcomes: Sequence[Outcome], *, window: float) -> Recorded:
        """Write what deliveries led to, all or nothing; says what follows from it.

        Recording a delivery again changes nothing and says the same again.
        A push that another delivery brought within `window` seconds deploys nothing; older
        waiting deployments of an app are superseded by a newer one.
        """
        now = self._clock()
        return await self._change(lambda db: record_all(db, outcomes, now, window))

    async def decisions(self, seqs: Sequence[int]) -> dict[int, list[Decision]]:
        """The decisions of deliveries, by their seq."""
        t = tables.decisions
        found: dict[int, list[Decision]] = {seq: [] for seq in seqs}
        for some in batched(seqs):
            query = sa.select(t).where(t.c.seq.in_(some)).order_by(t.c.seq, t.c.app)
            for row in await self._all(query):
                found[row["seq"]].append(rows.read_decision(row))
        return found

    async def explained(
        self, app_id: str, *, commit: str | None = None, limit: int
    ) -> list[Explained]:
        """What was decided for an app, newest first; only of pushes of a commit where given.

        Args:
            commit: an object id or the beginning of one; a tag's own counts too.
        """
        return [rows.read_explained(r) for r in await self._all(explained(app_id, commit, limit))]

    async def last_pushes(self) -> dict[str, float]:
        """When the newest push of its repository came, by the id of an app that had one."""
        found = await self._all(_last_pushes())
        return {row["id"]: row["at"] for row in found if row["at"] is not None}

    async def newest_push(self, ref_key: str) -> LastPush | None:
        """The decided push that a ref stands at; None where none was decided."""
        last = await self._read(lambda db: standing(db, ref_key))
        return None if last is None else LastPush(last.seq, last.after)

    async def last_seq(self) -> int:
        """The position of the newest delivery that was decided; 0 where none was."""
        newest = [sa.select(sa.func.max(t.c.seq)) for t in (tables.decisions, tables.pushes)]
        found = await self._read(lambda db: [db.scalar(query) for query in newest])
        return max(seq or 0 for seq in found)

    async def pushes_to(self, ref_key: str, commit: str) -> list[int]:
        """The decided pushes that led a ref to a commit, oldest first."""
        t = tables.pushes
        query = sa.select(t.c.seq).where(t.c.after == commit, t.c.ref_key == ref_key)
        return [row["seq"] for row in await self._all(query.order_by(t.c.seq))]

    async def deployed_tags(self, app_ids: Sequence[str]) -> dict[str, list[str]]:
        """The tags that apps were deployed for, or are; not those that failed or were cancelled."""
        t = tables.deployments
        query = sa.select(t.c.app_id, t.c.ref).where(
            t.c.app_id.in_(app_ids),
            t.c.ref.startswith("refs/tags/"),
            t.c.state.not_in([State.FAILED, State.CANCELLED]),
        )
        found: dict[str, list[str]] = {}
        for row in await self._all(query.distinct()):
            found.setdefault(row["app_id"], []).append(row["ref"].removeprefix("refs/tags/"))
        return found

    async def live(self, app_ids: Sequence[str]) -> dict[str, Live]:
        """What apps run, by id; none for those that no deployment has brought up yet."""
        return await self._read(lambda db: live(db, app_ids))
