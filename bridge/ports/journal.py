"""The journal, room by room, and all of it together.

Who needs one room asks for that; `stores.journal` has a file for each.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

from bridge.core.apps import App, Rules
from bridge.core.changes import Live
from bridge.core.decision import Decision
from bridge.core.lifecycle import Cancel, Change, Deployment, State
from bridge.core.refused import RefusedWebhooks
from bridge.ports.feedback import Raised, Story
from bridge.ports.outcomes import (
    About,
    Audited,
    Explained,
    LastPush,
    Memory,
    Outcome,
    Recorded,
    Target,
)


class Abouts(Protocol):
    """What deliveries were about, and what they led to."""

    async def abouts(self, seqs: Sequence[int]) -> dict[int, About]:
        """Return what decided pushes were about, by the delivery's seq."""

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


# ── The journal, room by room, and all of it together ───────────────────────────────────────────

JOURNAL = "the journal"
"""What is away, by its `Unreachable.service`, where the journal is and nobody else."""


class Apps(Protocol):
    """The apps that backends have, with our rules for them."""

    async def save_apps(
        self, backend: str, found: Sequence[App], *, kept: Collection[str] = ()
    ) -> None:
        """Replace what is known of a backend's apps; those not found any more are gone.

        Args:
            kept: ids of those that are still there and were not read anew.
        """

    async def renew_apps(self, found: Sequence[App], *, gone: Collection[str] = ()) -> None:
        """Keep single apps as they were just read; all others stay as they are known.

        Args:
            gone: ids of those that were asked for and not found.
        """

    async def apps(self) -> list[App]:
        """The apps that there are, by label, each with the rules that were set for it."""

    async def gone_apps(self) -> list[App]:
        """Return the apps that were deleted at their backends, by label; their history stays."""

    async def apps_version(self) -> int:
        """Counts up whenever `apps` would say something new."""

    async def app(self, app_id: str) -> App | None:
        """One app, also when it is gone by now."""

    async def rules(self, app_id: str) -> Rules:
        """Our own rules that were set for an app."""

    async def save_rules(self, app_id: str, rules: Rules, *, by: str) -> None:
        """Set them, in place of those before."""


class Audit(Protocol):
    """Who changed what, when, and what became of it."""

    async def audit(self, new: Audited) -> int:
        """Note that somebody changes something; returns its number.

        A note of the same delivery is written anew instead.
        """

    async def settle(self, number: int, outcome: str) -> None:
        """Note what became of it."""

    async def audited(self, *, limit: int, app_id: str | None = None) -> list[Audited]:
        """The newest changes, newest first; of one app where given."""

    async def change(self, number: int) -> Audited | None:
        """One change by its number."""

    async def change_of(self, seq: int) -> Audited | None:
        """The change that a delivery asked for, once it is noted."""


class Drafts(Protocol):
    """Changes that wait for somebody to agree; what is secret in them is sealed."""

    async def keep_draft(self, id_: str, sealed: str) -> None:
        """Keep a change that is shown to somebody; those that are a week old are forgotten."""

    async def draft(self, id_: str) -> str | None:
        """A change that was kept; None where it is not, or not any more."""

    async def drop_draft(self, id_: str) -> None:
        """Forget one that was carried out, or never will be."""


class Decisions(Protocol):
    """What pushes led to, and what has to be known to decide the next."""

    async def record(self, outcomes: Sequence[Outcome], *, window: float) -> Recorded:
        """Write what deliveries led to, all or nothing."""

    async def decisions(self, seqs: Sequence[int]) -> dict[int, list[Decision]]:
        """The decisions of deliveries, by their seq."""

    async def explained(
        self, app_id: str, *, commit: str | None = None, limit: int
    ) -> list[Explained]:
        """What was decided for an app, newest first; only of pushes of a commit where given."""

    async def last_pushes(self) -> dict[str, float]:
        """When the newest push of its repository came, by the id of an app that had one."""

    async def newest_push(self, ref_key: str) -> LastPush | None:
        """The decided push that a ref stands at; None where none was decided."""

    async def last_seq(self) -> int:
        """The position of the newest delivery that was decided; 0 where none was."""

    async def pushes_to(self, ref_key: str, commit: str) -> list[int]:
        """The decided pushes that led a ref to a commit, oldest first."""

    async def deployed_tags(self, app_ids: Sequence[str]) -> dict[str, list[str]]:
        """The tags that apps were deployed for, or are; not those that failed or were cancelled."""

    async def live(self, app_ids: Sequence[str]) -> dict[str, Live]:
        """What apps run, by id; none for those that no deployment has brought up yet."""


class Deployments(Protocol):
    """One deployment after the other: where each stands, and how it came there."""

    async def deployment(self, id_: str) -> Deployment | None:
        """One deployment by its id."""

    async def deployments(
        self, *, limit: int, app_id: str | None = None, seq: int | None = None
    ) -> list[Deployment]:
        """The newest deployments, newest first; of one app or one delivery where given."""

    async def last_deployments(self) -> dict[str, Deployment]:
        """The newest deployment of every app that has one, by the app's id."""

    async def open_deployments(self) -> list[Deployment]:
        """All that have not ended, oldest first."""

    async def changes(self, id_: str, *, after: int = 0) -> list[Change]:
        """A deployment's history, oldest first, without its first `after` lines."""

    async def intend(self, id_: str, known_before: Sequence[str]) -> Deployment | None:
        """Say that the backend is about to be asked; None when there is no need any more.

        A deployment that was cancelled, or that a newer one makes moot, ends instead.
        """

    async def take_back(self, id_: str, token: str, why: str) -> Deployment | None:
        """Have a deployment that the backend has lost wait again, under a new token.

        It ends instead where it was cancelled, or where a newer one makes it moot. Returns
        it as it is now; None where it is not with the backend.
        """

    async def withdraw(self, id_: str) -> None:
        """Take the intent back: nothing was asked, so a newer one may supersede it again."""

    async def move(self, id_: str, to: State, note: str = "", **facts: Any) -> Deployment | None:
        """Move a deployment on, with what is known now; None when `to` may not follow."""

    async def say(self, id_: str, note: str) -> None:
        """Note how a deployment that has not ended stands, and raise what shows it.

        It is a line of its history, too, unless it was said among the last few in this state.
        """

    async def cancel(self, app_id: str, seq: int, only: str | None = None) -> list[Deployment]:
        """Cancel what waits with us for an app and came before `seq`, or `only` that one.

        What the backend may have is marked as `Cancel.REQUESTED`. Returns what is cancelled.
        """

    async def mark_cancel(self, id_: str, cancel: Cancel) -> None:
        """Write down how far the cancel of a deployment has come."""

    async def pinned(self, app_id: str) -> frozenset[str]:
        """Return the backend's deployment ids that an app's newest deployments are known by."""


class Notes(Protocol):
    """Facts by their key; one of them is the name of this journal."""

    async def note(self, key: str, value: str) -> None:
        """Keep a small fact of the bridge's own, in place of the one before."""

    async def recall(self, key: str) -> str | None:
        """A fact that was noted."""

    async def instance(self) -> str:
        """A random name for this journal, made once: another bridge's tokens are not ours."""


class Targets(Protocol):
    """The outbox of feedback: what is to be shown, and how far it is."""

    async def unwant(self, target_id: str) -> None:
        """Show it no more."""

    async def want(self, targets: Sequence[Target]) -> None:
        """Have them shown from now on; one that is wanted already follows what is new as well."""

    async def raised(
        self,
        until: float,
        limit: int,
        *,
        ready: float | None = None,
        busy: Sequence[str] = (),
        favoured: Mapping[str, int] | None = None,
    ) -> list[Raised]:
        """Targets that are due by `until`, of each lane the one whose turn it is.

        That is, of those due by `ready` (else by `until`), the one of the lowest rank that has
        waited longest. In the order in which they are due; none of the lanes in `busy`, none
        that is parked.

        Args:
            favoured: by lane the rank from which on targets go before all lower ones this time.
        """

    async def story(self, target: Target) -> Story:
        """What there is to show of what it follows."""

    async def remember(
        self, target_id: str, memory: Memory, *, holding: tuple[str, str] | None = None
    ) -> bool:
        """Keep what a place remembers of itself; a new `LINK` raises what may show it.

        Args:
            holding: a lease's name and owner; where somebody else holds it by now, nothing is
                kept, and False comes back.
        """

    async def showed(self, target_id: str, wanted: int) -> None:
        """It shows what was so at `wanted`; what has changed since raises it again."""

    async def not_shown(
        self, target_id: str, wanted: int, error: str, *, due_at: float | None
    ) -> None:
        """It could not be shown; again at `due_at`; None parks it until something changes.

        What has changed since `wanted` was read counts: then it is due again at once.
        """

    async def postpone(self, target_id: str, due_at: float) -> None:
        """Show it at `due_at`, with what has changed by then; nothing has failed."""

    async def show_again(self, target_id: str | None = None) -> int:
        """Have one that fails or is parked tried again at once, or all; returns how many."""

    async def feedback(self, *, limit: int, failing: bool = False) -> list[Raised]:
        """Targets, the newest first; only those that fail or are parked where asked for."""


class Leases(Protocol):
    """Who holds what, and until when."""

    async def hold(self, name: str, owner: str, seconds: float) -> bool:
        """Hold a lease, or renew it: what must run once in a cluster runs with its holder."""

    async def release(self, name: str, owner: str) -> None:
        """Give a lease back, if it is held."""

    async def leave(self, owner: str) -> None:
        """Give back every lease that one holds."""


class Forgetting(Protocol):
    """What is old enough goes; what has not ended stays."""

    async def forget(self, before: float, limit: int) -> int:
        """Forget what some deliveries from before then led to, if all of it has ended.

        An app's newest deployment stays. Returns how many deliveries.
        """

    async def forget_audit(self, before: float, limit: int) -> int:
        """Forget some of who changed what before then; how many."""

    async def forget_drafts(self, before: float, limit: int) -> int:
        """Forget some changes that were shown before then and never agreed to; how many."""


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
    Targets,
    Protocol,
):
    """Apps, decisions, deployments and every change of them, for good."""
