"""The state of each deployment, as the journal keeps it."""

from collections.abc import Sequence
from typing import Any, Protocol

from bridge.core.gates.locks import Lock
from bridge.core.lifecycle import Brief, Cancel, Change, Deployment, Evidence, NoteKind, State
from bridge.ports.gates import Judging


class Deployments(Protocol):
    """The state of each deployment, and its history."""

    async def deployment(self, id_: str) -> Deployment | None:
        """Return one deployment by its id."""

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
            app_id, seq, state: only of this app or delivery, only in this state.
            lived: only what was served, or still is.
            after: only those that come after this one.
        """

    async def briefly(self, app_ids: Sequence[str], each: int) -> dict[str, list[Brief]]:
        """Return the newest deployments of each app, newest first."""

    async def deployed_lately(self, limit: int) -> list[str]:
        """Return the apps of the newest deployments, the one of the newest first."""

    async def watched(
        self, announced: float, unproven: float, kept: float | None
    ) -> list[Deployment]:
        """Return the deployments that may have to be watched, oldest first.

        These are the ones being verified, unhealthy ones since `announced` from which the bridge is
        about to go back, those that are done since `unproven` and whose images nobody has looked
        at, and, if it is given, all that are done since `kept`.
        """

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

    async def last_deployments(self) -> dict[str, Deployment]:
        """Return the newest deployment of every app that has one, by app id."""

    async def open_deployments(
        self, *, held: bool = True, app_id: str | None = None
    ) -> list[Deployment]:
        """Return all open deployments, oldest first; only of one app, if given.

        Args:
            held: also those that gates hold.
        """

    async def changes(self, id_: str, *, after: int = 0) -> list[Change]:
        """Return a deployment's history, oldest first, skipping the first `after` lines."""

    async def intend(
        self, id_: str, known_before: Sequence[str], by: Judging, **facts: Any
    ) -> Deployment | None:
        """Record that the backend is about to be called; return None if it must not be.

        From here on nothing supersedes the deployment. `known_before` are the app's existing
        deployment ids at the backend; new ids may be ours. A cancelled or superseded deployment
        ends instead, and one that a gate holds is held.
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

        One that was cancelled or superseded meanwhile ends here. `maybe_asked`: a request may
        have been sent, but the backend shows no sign of it. `note`: what else to say of it.
        """

    async def move(self, id_: str, to: State, note: str = "", **facts: Any) -> Deployment | None:
        """Change a deployment's state and facts; return None if `to` may not follow."""

    async def move_and_lock(
        self, lock: Lock, id_: str, to: State, note: str = "", /, **facts: Any
    ) -> Deployment | None:
        """Do the same, and take a lock if it moves, unless its scope has one."""

    async def say(self, id_: str, note: str, kind: NoteKind | None = None) -> None:
        """Set an open deployment's note, and mark its subscriptions as pending.

        The note becomes a line of its history, unless it is among the last few in this state.
        """

    async def cancel(self, app_id: str, seq: int, only: str | None = None) -> list[Deployment]:
        """Cancel an app's waiting deployments from before `seq`, or only `only`.

        Those that the backend may have are marked as `Cancel.REQUESTED`. Return the cancelled ones.
        """

    async def mark_cancel(self, id_: str, cancel: Cancel) -> None:
        """Record the progress of a deployment's cancel."""

    async def pinned(self, app_id: str) -> dict[str, str]:
        """Return the ids of an app's newest deployments, by the backend's ids of their records."""
