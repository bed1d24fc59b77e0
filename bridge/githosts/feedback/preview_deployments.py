"""Publish the deployment objects of previews, which end with them.

A preview has an environment of its own, in which each of its deployments has an object. Those that
are not ended yet are in the cursor, so a death leaves none behind.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from bridge.core.errors import NotFound
from bridge.core.lifecycle import Deployment
from bridge.core.previews.preview import Preview
from bridge.githosts.feedback.publishers import (
    DeploymentObject,
    DeploymentPublisher,
    never_asked,
    words_of,
)
from bridge.githosts.feedback.statuses import newest
from bridge.ports.feedback import SaveCursor, Snapshot
from bridge.ports.outcomes import Cursor, Subscription


@dataclass(frozen=True, slots=True)
class PreviewDeploymentPublisher:
    """The deployment objects of one preview.

    Its cursor has under `objects`, by our deployment's id and oldest first, a cursor for each
    (`DeploymentPublisher`), and under `made` what each is made with: commit, ref, description.
    """

    each: DeploymentPublisher

    async def publish(
        self,
        subscription: Subscription,
        snapshot: Snapshot,
        cursor: Cursor,
        save_cursor: SaveCursor,
    ) -> Sequence[Subscription]:
        """Show its newest deployment, and end what is served no more; see `Publisher`."""
        preview = _of(subscription, snapshot)
        now = None if preview is None else _newest(preview, snapshot)
        objects = _Objects(subscription, cursor, save_cursor)
        if preview is not None and now is not None and not never_asked(now):
            await self._show(objects, snapshot, preview, now)
        is_over = preview is None or _is_over(preview)
        if is_over or (now is not None and now.served):
            await self._end(objects, None if is_over or now is None else now.id)
        return ()

    async def _show(
        self, objects: "_Objects", snapshot: Snapshot, preview: Preview, now: Deployment
    ) -> None:
        made, app = objects.add(preview, now), snapshot.apps.get(now.app_id)
        await self.each.show(made, now, None if app is None else replace(app, url=preview.url))

    async def _end(self, objects: "_Objects", served: str | None) -> None:
        """End all objects but the served one; with none, their environment ends, too."""
        left = {id_: objects.object(id_) for id_ in objects.ids if id_ != served}
        there = {
            id_: host_id for id_, made in left.items() if (host_id := await self.each.find(made))
        }
        last = None if served is not None else next(reversed(there), None)
        for id_, made in left.items():
            if id_ in there:
                await self._end_one(made, there[id_], replaced=id_ != last)
            await objects.drop(id_)

    async def _end_one(self, made: DeploymentObject, host_id: str, *, replaced: bool) -> None:
        await self.each.pace.wait(made.lane, passing=False)
        with suppress(NotFound):  # somebody has deleted it
            words = "a newer commit is deployed" if replaced else "the preview has ended"
            await self.each.api.end_deployment(
                made.place["repository"], host_id, words, replaced=replaced
            )


class _Objects:
    """The objects in the cursor of a preview."""

    def __init__(self, subscription: Subscription, cursor: Cursor, save_cursor: SaveCursor) -> None:
        self._subscription = subscription
        self._made: dict[str, dict[str, str]] = dict(cursor.get("made", {}))
        self._cursors: dict[str, Cursor] = dict(cursor.get("objects", {}))
        self._save = save_cursor

    @property
    def ids(self) -> list[str]:
        """Our deployments' ids, oldest first."""
        return sorted(self._made)

    def add(self, preview: Preview, deployment: Deployment) -> DeploymentObject:
        """Return a deployment's object; what it is made with stays, whatever is pushed later."""
        branch = preview.branch or preview.pull.head
        made = {
            "commit": deployment.commit or preview.asked or preview.pull.head_sha,
            "ref": f"refs/heads/{branch}",
            "words": words_of(deployment),
        }
        self._made.setdefault(deployment.id, made)
        return self.object(deployment.id)

    def object(self, id_: str) -> DeploymentObject:
        """Return an object that was added."""
        of, made = self._subscription, self._made[id_]

        async def save(cursor: Cursor) -> None:
            self._cursors[id_] = cursor
            await self._store()

        place, cursor = {**of.place, **made}, self._cursors.get(id_, {})
        return DeploymentObject(of.lane, place, made["words"], cursor, save, transient=True)

    async def drop(self, id_: str) -> None:
        """Forget an object that is ended."""
        del self._made[id_]
        self._cursors.pop(id_, None)
        await self._store()

    async def _store(self) -> None:
        await self._save({"made": self._made, "objects": self._cursors})


def _of(subscription: Subscription, snapshot: Snapshot) -> Preview | None:
    """Return the preview; None once its record is gone."""
    id_ = subscription.place["preview"]
    return next((one for one in snapshot.previews if one.id == id_), None)


def _is_over(preview: Preview) -> bool:
    return preview.made is None or preview.ends


def _newest(preview: Preview, snapshot: Snapshot) -> Deployment | None:
    """Return the newest deployment of a preview's app, while there is one."""
    if _is_over(preview):
        return None
    return next((one for one in newest(snapshot) if one.app_id == preview.made), None)
