"""The journal, part by part, and all of it together.

What a step needs is in its signature: it asks for the parts that it uses.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

from bridge.core.apps import App, Rules
from bridge.core.changes import Live
from bridge.core.decision import Decision
from bridge.core.lifecycle import Cancel, Change, Deployment, State
from bridge.core.refused import RefusedWebhooks
from bridge.core.rules import AppTags
from bridge.ports.feedback import Pending, Snapshot
from bridge.ports.outcomes import (
    About,
    Audited,
    Cursor,
    Explained,
    LastPush,
    Outcome,
    Pushed,
    Recorded,
    Subscription,
)


class Abouts(Protocol):
    """Look-ups of deliveries: what they were about, and what they led to."""

    async def abouts(self, seqs: Sequence[int]) -> dict[int, About]:
        """Return what decided pushes were about, by the delivery's seq."""

    async def pushed(self, seqs: Sequence[int]) -> dict[int, Pushed]:
        """Return which repository each decided push went to, by the delivery's seq."""

    async def deployments_of(self, seqs: Sequence[int]) -> dict[int, list[Deployment]]:
        """Return the deployments that deliveries led to, by the delivery's seq."""

    async def newest_done(self, app_ids: Sequence[str]) -> dict[str, Deployment]:
        """Return the newest deployment of each app that is done, by the app's id."""

    async def repositories(self) -> dict[str, str]:
        """Return the names of repositories that have pushed, by host and id."""

    async def seqs_about(
        self,
        *,
        repositories: Sequence[str] = (),
        app_id: str | None = None,
        failed: bool = False,
        before: int,
        limit: int,
    ) -> list[int]:
        """Return the positions of the newest deliveries that fit, newest first.

        Args:
            repositories: only pushes to one of these, by their keys; () for any.
            app_id: only deliveries that were decided for this app.
            failed: only deliveries that led to a failed deployment, of `app_id` where given.
            before: only deliveries before this position.
        """


class Refusals(Protocol):
    """Webhooks that were refused at the door."""

    async def keep_refused(self, those: Sequence[RefusedWebhooks]) -> None:
        """Add counts of refused webhooks; the oldest of very many are forgotten."""

    async def refused(self, *, limit: int, since: float | None = None) -> list[RefusedWebhooks]:
        """Return the newest counts, newest first; those of webhooks from `since` on if given."""


JOURNAL = "the journal"
"""The name of the journal in `Unreachable.service`."""


class Apps(Protocol):
    """The apps that backends have, with the bridge's own rules for them."""

    async def save_apps(
        self, backend: str, found: Sequence[App], *, kept: Collection[str] = ()
    ) -> None:
        """Replace the known apps of a backend; those that were not found are gone.

        Args:
            kept: ids of apps that are still there and were not read again.
        """

    async def renew_apps(self, found: Sequence[App], *, gone: Collection[str] = ()) -> None:
        """Store single apps as they were just read; all others stay as they are.

        Args:
            gone: ids of those that were asked for and not found.
        """

    async def apps(self) -> list[App]:
        """Return the apps that exist, by label, each with the rules that were set for it."""

    async def gone_apps(self) -> list[App]:
        """Return the apps that were deleted, or whose backend was removed, by label.

        Their history stays.
        """

    async def apps_version(self) -> int:
        """Return a number that counts up whenever `apps` would return something new."""

    async def app(self, app_id: str) -> App | None:
        """Return one app, also if it is gone."""

    async def rules(self, app_id: str) -> Rules:
        """Return the rules that were set for an app."""

    async def save_rules(self, app_id: str, rules: Rules, *, by: str) -> None:
        """Replace an app's rules."""


class Audit(Protocol):
    """The audit log: who changed what, when, and the outcome."""

    async def audit(self, new: Audited) -> int:
        """Add a change; return its number.

        A change by the same delivery is replaced.
        """

    async def settle(self, number: int, outcome: str) -> None:
        """Record the outcome of a change."""

    async def audited(self, *, limit: int, app_id: str | None = None) -> list[Audited]:
        """Return the newest changes, newest first; of one app if given."""

    async def change(self, number: int) -> Audited | None:
        """Return one change by its number."""

    async def change_of(self, seq: int) -> Audited | None:
        """Return the change that a delivery asked for, once it is recorded."""


class Drafts(Protocol):
    """Changes that wait for somebody to agree; secrets in them are sealed."""

    async def keep_draft(self, id_: str, sealed: str) -> None:
        """Store a change that is shown to somebody; those that are a week old are dropped."""

    async def draft(self, id_: str) -> str | None:
        """Return a draft; None if there is none (any more)."""

    async def drop_draft(self, id_: str) -> None:
        """Drop a draft that was carried out, or never will be."""


class Decisions(Protocol):
    """What pushes led to, and what the next decision needs to know."""

    async def record(self, outcomes: Sequence[Outcome], *, window: float) -> Recorded:
        """Record what deliveries led to, all or nothing.

        A cancel counts from here on: what waits ends, and what may be with the backend is marked,
        as by `cancel`.
        """

    async def complete(self, outcomes: Sequence[Outcome]) -> Recorded:
        """Record what decided pushes lead to for further apps, all or nothing.

        An app that a push was decided for stays as it is, also where another delivery brought
        the same push.
        """

    async def decisions(self, seqs: Sequence[int]) -> dict[int, list[Decision]]:
        """Return the decisions of deliveries, by their seq."""

    async def explained(
        self, app_id: str, *, commit: str | None = None, limit: int
    ) -> list[Explained]:
        """Return an app's decisions, newest first; only of pushes of a commit if given."""

    async def last_pushes(self) -> dict[str, float]:
        """Return the time of the newest push to each app's repository, by app id."""

    async def newest_push(self, ref_key: str) -> LastPush | None:
        """Return the decided push that a ref stands at; None if none was decided."""

    async def last_seq(self) -> int:
        """Return the position of the newest decided delivery; 0 if there is none."""

    async def pushes_to(self, ref_key: str, commit: str) -> list[int]:
        """Return the decided pushes that led a ref to a commit, oldest first."""

    async def tags(self, app_ids: Sequence[str]) -> dict[str, AppTags]:
        """Return the tags that apps were deployed for, or are to be; what came to nothing is out.

        A superseded deployment stands where the one in its place does.
        """

    async def live(self, app_ids: Sequence[str]) -> dict[str, Live]:
        """Return what apps run, by id; apps that no deployment has brought up yet are left out."""


class Deployments(Protocol):
    """The state of each deployment, and its history."""

    async def deployment(self, id_: str) -> Deployment | None:
        """Return one deployment by its id."""

    async def deployments(
        self, *, limit: int, app_id: str | None = None, seq: int | None = None
    ) -> list[Deployment]:
        """Return the newest deployments, newest first; of one app or one delivery if given."""

    async def last_deployments(self) -> dict[str, Deployment]:
        """Return the newest deployment of every app that has one, by app id."""

    async def open_deployments(self) -> list[Deployment]:
        """Return all open deployments, oldest first."""

    async def changes(self, id_: str, *, after: int = 0) -> list[Change]:
        """Return a deployment's history, oldest first, without its first `after` lines."""

    async def intend(self, id_: str, known_before: Sequence[str]) -> Deployment | None:
        """Record that the backend is about to be called; return None if there is no need any more.

        From here on nothing supersedes the deployment. `known_before` are the backend's deployment
        ids of the app; ids beyond them may be ours. A cancelled or superseded deployment ends
        instead.
        """

    async def take_back(
        self, id_: str, token: str, why: str, *, interrupted: bool = False
    ) -> Deployment | None:
        """Let a deployment that the backend has lost wait again, under a new token.

        It ends instead if it was cancelled or superseded. Return it as it is now; None if the
        backend does not have it. `interrupted`: it had begun to build.
        """

    async def withdraw(self, id_: str, *, maybe_asked: bool = False) -> None:
        """Take the intent back, so that a newer one may supersede it again.

        One that was cancelled or superseded meanwhile ends here. `maybe_asked`: a request may
        have been sent, but the backend shows no sign of it.
        """

    async def move(self, id_: str, to: State, note: str = "", **facts: Any) -> Deployment | None:
        """Move a deployment on, with what is known now; return None if `to` may not follow."""

    async def say(self, id_: str, note: str) -> None:
        """Record how an open deployment stands, and mark its subscriptions as pending.

        It is a line of its history, too, unless it is among the last few in this state.
        """

    async def cancel(self, app_id: str, seq: int, only: str | None = None) -> list[Deployment]:
        """Cancel an app's waiting deployments from before `seq`, or only `only`.

        Those that the backend may have are marked as `Cancel.REQUESTED`. Return the cancelled ones.
        """

    async def mark_cancel(self, id_: str, cancel: Cancel) -> None:
        """Record how far the cancel of a deployment has come."""

    async def pinned(self, app_id: str) -> frozenset[str]:
        """Return the backend's deployment ids that an app's newest deployments are known by."""


class Notes(Protocol):
    """Notes: small facts by their key; one of them is the name of this journal."""

    async def note(self, key: str, value: str) -> None:
        """Store a note in place of the one before."""

    async def recall(self, key: str) -> str | None:
        """Return a note."""

    async def instance(self) -> str:
        """Return a random name of this journal, made once: another bridge's tokens are not ours."""


class Subscriptions(Protocol):
    """The outbox of feedback: what is to be published, and how far it is."""

    async def unsubscribe(self, subscription_id: str) -> None:
        """Remove a subscription."""

    async def subscribe(self, subscriptions: Sequence[Subscription]) -> None:
        """Add subscriptions; one that exists gets the new keys as well."""

    async def pending(
        self,
        until: float,
        limit: int,
        *,
        ready: float | None = None,
        busy: Sequence[str] = (),
        favoured: Mapping[str, int] | None = None,
    ) -> list[Pending]:
        """Return the subscriptions that are due by `until`, the first of each lane.

        The first is, of those due by `ready` (else by `until`), the one of the lowest rank that has
        waited longest. They come in the order in which they are due, without lanes in `busy` and
        without parked ones.

        Args:
            favoured: by lane the rank from which on subscriptions go before all lower ones this
                time.
        """

    async def snapshot(self, subscription: Subscription) -> Snapshot:
        """Return the snapshot of what a subscription follows."""

    async def save_cursor(
        self, subscription_id: str, cursor: Cursor, *, holding: tuple[str, str] | None = None
    ) -> bool:
        """Store a place's cursor; a new `LINK` makes whatever may show it pending.

        Args:
            holding: a lease's name and owner; if somebody else holds it by now, nothing is stored
                and False is returned.
        """

    async def mark_published(self, subscription_id: str, wanted: int) -> None:
        """Mark as published up to version `wanted`; a later change makes it pending again."""

    async def mark_failed(
        self, subscription_id: str, wanted: int, error: str, *, due_at: float | None
    ) -> None:
        """Record that publishing failed, to be retried at `due_at`; None parks it.

        A change since `wanted` was read makes it due at once.
        """

    async def postpone(self, subscription_id: str, due_at: float) -> None:
        """Publish it at `due_at`, with what has changed by then; nothing failed."""

    async def retry_feedback(self, subscription_id: str | None = None) -> int:
        """Retry one that fails or is parked at once, or all; return how many."""

    async def feedback(self, *, limit: int, failing: bool = False) -> list[Pending]:
        """Return subscriptions, newest first; only failing or parked ones if asked for."""


class Leases(Protocol):
    """Leases: who holds what, and until when."""

    async def hold(self, name: str, owner: str, seconds: float) -> bool:
        """Take or renew a lease: what must run once in a cluster runs with its holder."""

    async def release(self, name: str, owner: str) -> None:
        """Give a lease back, if it is held."""

    async def leave(self, owner: str) -> None:
        """Give back every lease of an owner."""


class Forgetting(Protocol):
    """Expiry: what is old enough is deleted, what has not ended stays."""

    async def forget(self, before: float, limit: int) -> int:
        """Delete what some expired deliveries led to, if all of it has ended.

        An app's newest deployment stays. Return how many deliveries.
        """

    async def forget_audit(self, before: float, limit: int) -> int:
        """Delete some expired audit entries; return how many."""

    async def forget_drafts(self, before: float, limit: int) -> int:
        """Delete some expired drafts that nobody agreed to; return how many."""


class Journal(
    Abouts,
    Apps,
    Audit,
    Decisions,
    Deployments,
    Drafts,
    Forgetting,
    Leases,
    Notes,
    Refusals,
    Subscriptions,
    Protocol,
):
    """The whole journal: apps, decisions, deployments and every change of them."""
