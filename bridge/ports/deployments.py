"""The state of each deployment, as the journal keeps it."""

from collections.abc import Sequence
from typing import Any, Protocol

from bridge.core.gates.locks import Lock
from bridge.core.health.fate import Fate
from bridge.core.lifecycle import Brief, Cancel, Change, Deployment, Evidence, NoteKind, State
from bridge.core.report import EndedDeployment, HeldSpan
from bridge.ports.gates import Judging


class Deployments(Protocol):
    """The state of each deployment, its history, and what became of it."""

    async def deployment(self, id_: str) -> Deployment | None: ...

    async def deployments_with(self, ids: Sequence[str]) -> dict[str, Deployment]:
        """Return deployments by their ids; omit those that there are not."""

    async def deployments(
        self,
        *,
        limit: int,
        app_id: str | None = None,
        seq: int | None = None,
        state: State | None = None,
        lived: bool = False,
        after: Deployment | None = None,
    ) -> list[Deployment]:
        """Return deployments, those of the newest delivery first, then by app.

        Args:
            seq: of this delivery.
            lived: only what was served, or still is.
            after: only those that come after this one.
        """

    async def briefly(self, app_ids: Sequence[str], each: int) -> dict[str, list[Brief]]:
        """Return the newest deployments of each app, newest first."""

    async def deployed_lately(self, limit: int) -> list[str]:
        """Return the apps of the newest deployments, the one of the newest first."""

    async def last_deployments(self) -> dict[str, Deployment]:
        """Return the newest deployment of every app that has one, by app id."""

    async def open_deployments(
        self, *, held: bool = True, app_id: str | None = None
    ) -> list[Deployment]:
        """Return all open deployments, oldest first; `held`: also those that gates hold."""

    async def changes(self, id_: str, *, after: int = 0) -> list[Change]:
        """Return a deployment's history, oldest first, skipping the first `after` lines."""

    async def fates(self, deployments: Sequence[Deployment]) -> dict[str, Fate]:
        """Return what has become of deployments that went live, by id; omit all others."""

    async def ended_since(self, since: float, app_id: str | None = None) -> list[EndedDeployment]:
        """Return what has ended or gone live since a time, oldest first."""

    async def held_since(self, since: float) -> list[HeldSpan]:
        """Return how long gates have held each deployment that has ended since a time."""

    async def oldest_deployment(self) -> float | None:
        """Return when the oldest deployment that is kept was recorded."""

    async def pinned(self, app_id: str) -> dict[str, str]:
        """Return the ids of an app's newest deployments, by the backend's ids of their records."""

    async def watched(
        self, announced: float, unproven: float, kept: float | None
    ) -> list[Deployment]:
        """Return the deployments that may have to be watched, oldest first.

        Args:
            announced: unhealthy ones that have ended since, from which the bridge is about to go
                back.
            unproven: those done since whose images nobody has looked at.
            kept: all that are done since; None for no more than those.
        """

    async def intend(
        self, id_: str, known_before: Sequence[str], by: Judging, **facts: Any
    ) -> Deployment | None:
        """Record that the backend is about to be called; return None if it must not be.

        From here on nothing supersedes the deployment. A cancelled or superseded one ends instead,
        and one that a gate holds is held.

        Args:
            known_before: the app's deployment ids at the backend so far; new ones may be ours.
        """

    async def take_back(
        self, id_: str, token: str, why: str, *, interrupted: bool = False
    ) -> Deployment | None:
        """Return a deployment that the backend has lost to waiting, under a new token.

        It ends instead if it was cancelled or superseded. Return it as it is now; None if it is
        not with the backend. `interrupted`: it had begun to build.
        """

    async def withdraw(self, id_: str, *, maybe_asked: bool = False, note: str = "") -> None:
        """Withdraw the intent, so a newer deployment may supersede this one again.

        One that was cancelled or superseded meanwhile ends here.

        Args:
            maybe_asked: a request may have been sent, but the backend shows no sign of it.
            note: what else to say of it.
        """

    async def move(self, id_: str, to: State, note: str = "", **facts: Any) -> Deployment | None:
        """Change a deployment's state and facts; return None if `to` may not follow."""

    async def move_and_lock(
        self, lock: Lock, id_: str, to: State, note: str = "", /, **facts: Any
    ) -> Deployment | None:
        """Do the same, and take a lock if it moves, unless its scope has one."""

    async def say(self, id_: str, note: str, kind: NoteKind | None = None) -> None:
        """Set an open deployment's note, and mark its subscriptions as pending.

        The note becomes a line of its history, unless it is among the last few in this state: a
        backend that fails in alternating ways would add one at every attempt.
        """

    async def cancel(self, app_id: str, seq: int, only: str | None = None) -> list[Deployment]:
        """Cancel an app's waiting deployments from before `seq`, or only `only`; return them.

        Those that the backend may have are marked as `Cancel.REQUESTED`, and never requested again.
        """

    async def mark_cancel(self, id_: str, cancel: Cancel) -> None: ...

    async def prove(
        self, id_: str, images: Sequence[str], evidence: Evidence | None = None
    ) -> None:
        """Record which images are a deployment's own; `evidence`: if they run, which proves it."""

    async def settle_rollback(self, id_: str, note: str = "", way_back: str = "") -> None:
        """Record that the rollback that an unhealthy one announces was asked for or given up.

        Args:
            note: what was decided late, for people; "" if they were told.
            way_back: see `Deployment`.
        """
