"""The journal: its parts, and all of it together.

A step's signature shows what it needs: it takes only the parts that it uses.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from bridge.core.apps import App, Rules
from bridge.core.changes import Live, Pushes
from bridge.core.decision import Decision
from bridge.core.health.fate import Fate
from bridge.core.health.serving import Look, Serving
from bridge.core.lifecycle import Deployment
from bridge.core.refused import RefusedWebhooks
from bridge.core.report import EndedDeployment
from bridge.core.rules import AppTags
from bridge.ports.deployments import Deployments
from bridge.ports.feedback import Pending, Snapshot
from bridge.ports.gates import CiFacts, Holding, LockUpkeep
from bridge.ports.hooks import MadeHooks
from bridge.ports.outcomes import (
    About,
    Audited,
    Cursor,
    Explained,
    LastPush,
    Outcome,
    Pushed,
    Recorded,
    Result,
    Sought,
    Subscription,
)
from bridge.ports.previews import Previews


class Abouts(Protocol):
    """Look-ups of deliveries: their subjects and their outcomes."""

    async def abouts(self, seqs: Sequence[int]) -> dict[int, About]:
        """Return what decided pushes were about, by the delivery's seq."""

    async def pushed(self, seqs: Sequence[int]) -> dict[int, Pushed]:
        """Return which repository each decided push went to, by the delivery's seq."""

    async def deployments_of(self, seqs: Sequence[int]) -> dict[int, list[Deployment]]:
        """Return the deployments that deliveries led to, by the delivery's seq."""

    async def repositories(self) -> dict[str, str]:
        """Return the names of repositories that have pushed, by host and id."""

    async def seqs_about(self, sought: Sought, *, before: int, limit: int) -> list[int]:
        """Return the positions of the newest matching deliveries, newest first.

        Args:
            before: only deliveries before this position.
        """


class Refusals(Protocol):
    """Counts of refused webhooks."""

    async def keep_refused(self, those: Sequence[RefusedWebhooks]) -> None:
        """Add counts of refused webhooks; delete the oldest if there are too many."""

    async def refused(self, *, limit: int, since: float | None = None) -> list[RefusedWebhooks]:
        """Return the newest counts, newest first; only those from `since` on, if given."""


JOURNAL = "the journal"
"""The name of the journal in `Unreachable.service`."""


class Apps(Protocol):
    """The backends' apps, with the bridge's own rules for them."""

    async def save_apps(
        self, backend: str, found: Sequence[App], *, kept: Collection[str] = ()
    ) -> None:
        """Replace the known apps of a backend; those that were not found are gone.

        Args:
            kept: ids of apps that still exist and were not read again.
        """

    async def renew_apps(self, found: Sequence[App], *, gone: Collection[str] = ()) -> None:
        """Store single apps that were just read; leave all others unchanged.

        Args:
            gone: ids of apps that were requested but not found.
        """

    async def apps(self) -> list[App]:
        """Return the existing apps, by label, each with its stored rules."""

    async def gone_apps(self) -> list[App]:
        """Return the apps that were deleted, or whose backend was removed, by label.

        Their history stays.
        """

    async def removed_lately(self) -> list[App]:
        """Return those of them that were there within the last week."""

    async def apps_version(self) -> int:
        """Return a number that increases whenever the result of `apps` changes."""

    async def app(self, app_id: str) -> App | None:
        """Return one app, even if it is gone."""

    async def rules(self, app_id: str) -> Rules:
        """Return an app's stored rules."""

    async def save_rules(self, app_id: str, rules: Rules, *, by: str) -> None:
        """Replace an app's rules."""


class Audit(Protocol):
    """The audit log: who changed what, when, and the outcome."""

    async def audit(self, new: Audited) -> int:
        """Add a change, or replace the one by the same delivery; return its number."""

    async def settle(self, number: int, result: Result) -> None:
        """Record how far a change has come."""

    async def audited(
        self, *, limit: int, app_id: str | None = None, before: int | None = None
    ) -> list[Audited]:
        """Return the newest changes, newest first; of one app, and before a number, if given."""

    async def change(self, number: int) -> Audited | None:
        """Return one change by its number."""

    async def change_of(self, seq: int) -> Audited | None:
        """Return the change that a delivery requested, once it is recorded."""


class Drafts(Protocol):
    """Changes that await confirmation; secrets in them are sealed."""

    async def keep_draft(self, id_: str, sealed: str) -> None:
        """Store a change for preview; drop those that are a week old."""

    async def draft(self, id_: str) -> str | None:
        """Return a draft; None if there is none (any more)."""

    async def drop_draft(self, id_: str) -> None:
        """Drop a draft that was carried out or has failed for good."""


class Decisions(Protocol):
    """Decisions about pushes, and what later decisions need to know."""

    async def record(self, outcomes: Sequence[Outcome], *, window: float) -> Recorded:
        """Record the outcomes of deliveries, all or nothing.

        A cancel takes effect here: waiting deployments end, and those that the backend may have
        are marked, as by `cancel`.
        """

    async def complete(self, outcomes: Sequence[Outcome]) -> Recorded:
        """Record the outcomes of decided pushes for further apps, all or nothing.

        Leave apps alone that already have a decision for the push, even by another delivery.
        """

    async def decisions(self, seqs: Sequence[int]) -> dict[int, list[Decision]]:
        """Return the decisions of deliveries, by their seq."""

    async def explained(
        self, app_id: str, *, commit: str | None = None, limit: int
    ) -> list[Explained]:
        """Return an app's decisions, newest first; only for pushes of a commit, if given."""

    async def last_pushes(self) -> dict[str, float]:
        """Return the time of the newest push to each app's repository, by app id."""

    async def newest_push(self, ref_key: str) -> LastPush | None:
        """Return the newest decided push of a ref; None if there is none."""

    async def last_seq(self) -> int:
        """Return the position of the newest decided delivery; 0 if there is none."""

    async def pushes_to(self, ref_key: str, commit: str) -> list[int]:
        """Return the decided pushes that led a ref to a commit, oldest first."""

    async def tags(self, app_ids: Sequence[str]) -> dict[str, AppTags]:
        """Return the tags that apps were or will be deployed for; omit unsuccessful ones.

        A superseded deployment has the state of the one that replaced it.
        """

    async def live(self, app_ids: Sequence[str]) -> dict[str, Live]:
        """Return what apps run, by id; omit apps of which the backend never said that.

        As for `serving`, it is what was live last, not what was pushed last.
        """

    async def serving(self, apps: Sequence[App]) -> dict[str, Serving]:
        """Return what apps serve, by id; omit apps that are not known to serve anything.

        Args:
            apps: with our own rules.
        """

    async def serving_of(self, app: App) -> Serving | None:
        """Return what an app serves; None if it is not known to serve anything."""

    async def brought(
        self, app: App, live: str | None, head: str, *, pinned: bool, limit: int
    ) -> Pushes:
        """Return the pushes to an app's branch that lead from one commit to another.

        They count whether or not they deployed anything; see `changes.brought`.

        Args:
            live: None for all pushes that were decided for the app.
            limit: how many of the branch's newest pushes to read.
        """

    async def fates(self, deployments: Sequence[Deployment]) -> dict[str, Fate]:
        """Return what has become of deployments that went live, by id; omit all others."""

    async def save_look(self, app_id: str, look: Look) -> None:
        """Store what an app was just seen to serve at its backend.

        If that is something new, everything that shows its last versions is published again.
        Nothing is stored if the stored look began later.
        """

    async def ended_since(self, since: float, app_id: str | None = None) -> list[EndedDeployment]:
        """Return what has ended or gone live since a time, oldest first."""

    async def oldest_deployment(self) -> float | None:
        """Return when the oldest deployment that is kept was recorded; None if there is none."""


class Notes(Protocol):
    """Notes: small facts by key; one of them is the name of this journal."""

    async def note(self, key: str, value: str) -> None:
        """Store a note, replacing the last one."""

    async def recall(self, key: str) -> str | None:
        """Return a note."""

    async def instance(self) -> str:
        """Return this journal's random, permanent name; it marks our tokens as this bridge's."""

    async def secret(self, purpose: str) -> str:
        """Return this journal's random, permanent secret for one purpose; others see no part."""


class StoredSettings(Protocol):
    """Settings that were made by set-up, sealed, by their paths, e.g. "github.token"."""

    async def stored_settings(self) -> dict[str, str]:
        """Return all of them."""

    async def store_settings(self, sealed: Mapping[str, str | None], note: Audited) -> None:
        """Replace some of them, all or none; None removes one.

        Args:
            note: is written into the audit log in the same transaction.
        """


class Sessions(Protocol):
    """One-time links and signed-in browsers.

    Only the hash of each secret is kept, so a copy of the data lets nobody in.
    """

    async def admit(
        self, kind: str, hashed: str, seconds: float, *, about: str = "", whose: str = ""
    ) -> None:
        """Keep one for so long.

        Args:
            about: what is to be known when it comes back, e.g. who signed in.
            whose: the id of the person that it belongs to.
        """

    async def admitted(self, kind: str, hashed: str) -> str | None:
        """Return what one is about; None if it is not there, or has expired."""

    async def redeem(self, kind: str, hashed: str) -> str | None:
        """Remove one that has not expired, and return what it was about; None if there is none.

        It works once.
        """

    async def expel(
        self, kind: str, *, whose: str | None = None, hashed: str | None = None
    ) -> None:
        """Remove all of a kind; only those of one person, or a single one, if given."""


class Subscriptions(Protocol):
    """The outbox of feedback: subscriptions, and how far each is published."""

    async def unsubscribe(self, subscription_id: str, cursor: Cursor) -> None:
        """Remove a subscription, unless its cursor is another one by now."""

    async def subscribe(
        self, subscriptions: Sequence[Subscription], cursor: Cursor | None = None
    ) -> None:
        """Add subscriptions; an existing one gets the new keys as well, and the cursor if given."""

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

        Of those due by `ready` (else by `until`), the first is the one of the lowest rank that has
        waited longest. Order the result by due time; omit lanes in `busy` and parked ones.

        Args:
            favoured: by lane, the rank that goes before all lower ones this time, with those
                above it.
        """

    async def snapshot(self, subscription: Subscription) -> Snapshot:
        """Return a snapshot of everything that a subscription follows."""

    async def save_cursor(
        self, subscription_id: str, cursor: Cursor, *, holding: tuple[str, str] | None = None
    ) -> bool:
        """Store a place's cursor; a new `LINK` makes subscriptions that may show it pending.

        Args:
            holding: a lease's name and owner; if somebody else holds it now, store nothing and
                return False.
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
        """Publish it at `due_at`, with the state at that time; this is not a failure."""

    async def retry_feedback(self, subscription_id: str | None = None) -> int:
        """Retry one failing or parked subscription at once, or all; return how many."""

    async def feedback(self, *, limit: int, failing: bool = False) -> list[Pending]:
        """Return subscriptions, newest first; only failing or parked ones if `failing`."""


class Leases(Protocol):
    """Leases: who holds what, and until when."""

    async def hold(self, name: str, owner: str, seconds: float) -> bool:
        """Take or renew a lease; only its holder runs work that a cluster must run once."""

    async def release(self, name: str, owner: str) -> None:
        """Give a lease back, if it is held."""

    async def leave(self, owner: str) -> None:
        """Give back every lease of an owner."""


class Forgetting(Protocol):
    """Expiry: old data is deleted; open work stays."""

    async def forget(self, before: float, limit: int) -> int:
        """Delete the outcomes of some expired deliveries, if all their deployments have ended.

        An app's newest deployment stays. Return the number of deliveries.
        """

    async def forget_audit(self, before: float, limit: int) -> int:
        """Delete some expired audit entries; return how many."""

    async def forget_drafts(self, before: float, limit: int) -> int:
        """Delete some expired, unconfirmed drafts; return how many."""


class Versions(Protocol):
    """Whether anything has changed that people can see."""

    async def version(self) -> str:
        """Return a text that differs after each change that people can see.

        That is a decision, a change of a deployment, an audit entry, or a refused webhook.
        """


class Journal(
    Abouts,
    Apps,
    Audit,
    CiFacts,
    Decisions,
    Deployments,
    Drafts,
    Forgetting,
    Holding,
    Leases,
    LockUpkeep,
    MadeHooks,
    Notes,
    Previews,
    Refusals,
    Sessions,
    StoredSettings,
    Subscriptions,
    Versions,
    Protocol,
):
    """The whole journal: apps, decisions, deployments and every change of them."""
