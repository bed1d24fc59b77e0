"""Publish the deployment objects of apps and of previews."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from bridge.core.apps import App
from bridge.core.errors import NotFound
from bridge.core.health.fate import Fate, Now
from bridge.core.lifecycle import OURS, Deployment, State
from bridge.core.previews.preview import Preview
from bridge.githosts.feedback.publishers import WriteTurns, too_early
from bridge.githosts.feedback.statuses import deployment_status, environments, newest
from bridge.ports.feedback import SaveCursor, Snapshot
from bridge.ports.githosts import CommitState, HasDeployments
from bridge.ports.outcomes import Cursor, Subscription
from bridge.views.links import NO_CONSOLE, ConsolePages


@dataclass(slots=True)
class DeploymentObject:
    """A deployment object, as it is or shall be.

    Attributes:
        place: its `repository`, `commit`, `ref` and `environment`.
        words: its description, by which it is found again; see `words_of`.
        cursor: what is known of this object alone; `store` replaces it.
        transient: it is of a preview.
    """

    lane: str
    place: Mapping[str, Any]
    words: str
    cursor: Cursor
    store: SaveCursor
    transient: bool = False

    async def save(self, cursor: Cursor) -> None:
        """Replace the cursor."""
        self.cursor = cursor
        await self.store(cursor)


def words_of(deployment: Deployment) -> str:
    """Return the description of a deployment's object."""
    return f"{deployment.app} by dokploy-bridge, deployment {deployment.id}"[:140]


@dataclass(frozen=True, slots=True)
class DeploymentPublisher:
    """The deployment object of one deployment; it is created once the backend was asked."""

    api: HasDeployments
    pace: WriteTurns
    console: ConsolePages = NO_CONSOLE

    async def publish(
        self,
        subscription: Subscription,
        snapshot: Snapshot,
        cursor: Cursor,
        save_cursor: SaveCursor,
    ) -> Sequence[Subscription]:
        """Create it if missing, and set its state; see `Publisher`."""
        for deployment in snapshot.deployments[:1]:
            told = snapshot.told_by(deployment)
            commit = subscription.place["commit"]
            # What was asked for in place of a push tells of it once it has brought its commit.
            brought = told.served and not told.pushed and told.deployed_commit == commit
            if told.id != deployment.id and not brought:
                told = deployment
            app = snapshot.apps.get(deployment.app_id)
            place, words = subscription.place, words_of(deployment)
            made = DeploymentObject(subscription.lane, place, words, cursor, save_cursor)
            fate = snapshot.fates.get(deployment.id) or snapshot.fates.get(told.id)
            await self.show(made, told, app, fate)
        return ()

    async def show(
        self,
        made: DeploymentObject,
        deployment: Deployment,
        app: App | None,
        fate: Fate | None = None,
    ) -> None:
        """Create the object of a deployment if it is missing, and set its state.

        Args:
            app: its address and page are shown.
            fate: what has become of it; None unless it went live.
        """
        cursor = made.cursor
        if never_asked(deployment) and "deployment" not in cursor:
            return
        said = deployment_status(deployment)
        level = said.level
        if fate is not None and fate.deployed and fate.returned is not None:
            level += f"{_AGAIN}{fate.returned}"
        shown = str(cursor.get("shown", ""))
        if fate is not None and fate.gone and shown.startswith(_ENDED):
            # What has come back is newer on the host than the push that had replaced it.
            if _AGAIN in shown or not (_by_push(fate) and _is_in(made.place, app)):
                await self._end(made, fate)
            return
        if shown == level and "ended" not in cursor:
            return
        passing = not deployment.final
        if fate is not None and fate.now is Now.AGAIN and not self.api.reactivates:
            made.cursor = {name: cursor[name] for name in cursor.keys() - {"deployment"}}
        id_ = made.cursor.get("deployment") or await self._make(made, passing)
        if said.waits and "shown" not in cursor:
            return  # as it is made
        await self.pace.wait(made.lane, passing=passing)
        await self.api.set_deployment(
            made.place["repository"],
            id_,
            said.state,
            said.description,
            # During a build, or after a failed one, the address still serves an older deployment.
            environment_url=app.url if app and deployment.served else None,
            log_url=self.console.deployment(deployment.id) or (app.page if app else None),
        )
        await made.save({"deployment": id_, "shown": level})
        if fate is not None and fate.gone:  # an older one that succeeds late must not seem active
            await self._end(made, fate)

    async def _end(self, made: DeploymentObject, fate: Fate) -> None:
        """Say once that it is not served any more."""
        if made.cursor.get("ended") == fate.says:
            return
        passing, id_ = fate.by is not None and not fate.by.final, made.cursor["deployment"]
        await self.end(made, id_, fate.says, replaced=True, passing=passing)
        await made.save({**made.cursor, "ended": fate.says})

    async def end(
        self, made: DeploymentObject, host_id: str, why: str, *, replaced: bool, passing: bool
    ) -> None:
        """Say of an object that it is not served any more, unless somebody has deleted it."""
        await self.pace.wait(made.lane, passing=passing)
        with suppress(NotFound):
            await self.api.end_deployment(made.place["repository"], host_id, why, replaced=replaced)

    async def find(self, made: DeploymentObject) -> str | None:
        """Return the host's id of an object, if there is one."""
        if (known := made.cursor.get("deployment")) is not None:
            return str(known)
        if not made.cursor.get("making"):
            return None
        place = made.place
        return await self.api.find_deployment(
            place["repository"], place["commit"], place["environment"], made.words
        )

    async def _make(self, made: DeploymentObject, passing: bool) -> str:
        place, before = made.place, made.cursor
        id_ = await self.find(made)
        if id_ is None:
            await self.pace.wait(made.lane, passing=passing)
            await made.save({**before, "making": True})
            try:
                id_ = await self.api.create_deployment(
                    place["repository"],
                    place["commit"],
                    place["ref"],
                    place["environment"],
                    made.words,
                    transient=made.transient,
                )
            except NotFound as error:
                await too_early(before, made.save, error)
        await made.save({"deployment": id_})
        return id_


_ENDED = (str(CommitState.SUCCESS), str(CommitState.FAILURE))
"""How what is shown of something that went live begins, once that has ended."""

_AGAIN = " again "
"""Marks a version that has come back, in what was shown; what brought it back follows."""


def _by_push(fate: Fate) -> bool:
    """Return whether a newer push was deployed in its place, and works.

    Its object then ends those before it in its environment, without a request of ours.
    """
    by = fate.by if fate.look is None else None
    return by is not None and by.pushed and by.state is State.DONE


def _is_in(place: Mapping[str, Any], app: App | None) -> bool:
    """Return whether a push of an app has its object in a place: nobody has renamed or moved it."""
    if app is None:
        return False
    source, names = app.source, environments({app.id: app.label}, {app.id: app})
    known = {source.repository, source.repository_id} - {None} if source is not None else set()
    return place["environment"] in names.values() and (not known or place["repository"] in known)


def never_asked(deployment: Deployment) -> bool:
    """Return whether the backend was never asked, e.g. because a gate holds it."""
    return deployment.state in OURS or (
        deployment.asked_at is None and deployment.state in (State.SUPERSEDED, State.CANCELLED)
    )


# ── Previews, whose deployment objects end with them ──────────────────────────────────────────────


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
        objects, id_ = _Objects(subscription, cursor, save_cursor), subscription.place["preview"]
        preview = next((known for known in snapshot.previews if known.id == id_), None)
        if preview is None or preview.made is None or preview.ends:
            await self._end(objects, None)
            return ()
        deployed = (made for made in newest(snapshot) if made.app_id == preview.made)
        if (now := next(deployed, None)) is None:
            return ()
        if not never_asked(now):
            app = snapshot.apps.get(now.app_id)
            shown = None if app is None else replace(app, url=preview.url)
            await self.each.show(objects.add(preview, now), now, shown)
        if now.served:
            await self._end(objects, now.id)
        return ()

    async def _end(self, objects: "_Objects", served: str | None) -> None:
        """End all objects but the served one; with none, their environment ends, too."""
        left = {id_: objects.object(id_) for id_ in objects.ids if id_ != served}
        there = {
            id_: host_id for id_, made in left.items() if (host_id := await self.each.find(made))
        }
        last = None if served is not None else next(reversed(there), None)
        for id_, made in left.items():
            if id_ in there:
                replaced = id_ != last
                words = "a newer commit is deployed" if replaced else "the preview has ended"
                await self.each.end(made, there[id_], words, replaced=replaced, passing=False)
            await objects.drop(id_)


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
