"""The journal, by its subjects: a step's signature names the parts that it uses.

Deployments, gates, previews, webhooks and feedback have their parts beside their records. A flag
or a filter that is left out means: of any kind.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from bridge.core.apps import App, Rules
from bridge.core.changes import Live, Pushes
from bridge.core.decision import Decision
from bridge.core.health.serving import Look, Serving
from bridge.core.lifecycle import Deployment
from bridge.core.refused import RefusedWebhooks
from bridge.core.rules import AppTags
from bridge.ports.deployments import Deployments
from bridge.ports.feedback import Subscriptions
from bridge.ports.gates import CiFacts, Gates
from bridge.ports.hooks import MadeHooks
from bridge.ports.outcomes import (
    About,
    Audited,
    Explained,
    FoundWords,
    LastPush,
    Outcome,
    Pushed,
    Recorded,
    Result,
    Sought,
)
from bridge.ports.previews import Previews

JOURNAL = "the journal"
"""The name of the journal in `Unreachable.service`."""


class Apps(Protocol):
    """The backends' apps, the bridge's own rules for them, and what they serve."""

    async def save_apps(
        self, backend: str, found: Sequence[App], *, kept: Collection[str] = ()
    ) -> None:
        """Replace the known apps of a backend; others of it are gone, except for the ids `kept`."""

    async def renew_apps(self, found: Sequence[App], *, gone: Collection[str] = ()) -> None:
        """Store single apps that were just read; `gone`: the ids that were asked for in vain."""

    async def apps(self) -> list[App]:
        """Return the existing apps, by label, each with its stored rules."""

    async def gone_apps(self) -> list[App]:
        """Return the apps that were deleted, or whose backend was removed, by label."""

    async def removed_lately(self) -> list[App]:
        """Return those of the gone apps that were there within the last week."""

    async def apps_version(self) -> int:
        """Return a number that increases whenever the result of `apps` changes."""

    async def app(self, app_id: str) -> App | None:
        """Return an app, even if it is gone."""

    async def rules(self, app_id: str) -> Rules: ...
    async def save_rules(self, app_id: str, rules: Rules, *, by: str) -> None: ...

    async def serving(self, apps: Sequence[App]) -> dict[str, Serving]:
        """Return what apps serve, by id; omit apps that are not known to serve anything.

        Args:
            apps: with our own rules.
        """

    async def serving_of(self, app: App) -> Serving | None: ...

    async def unserved(self, app: App) -> Serving:
        """Return what is known of an app that `serving` omits: perhaps a deployment in doubt."""
        ...

    async def rollback_targets(self, apps: Sequence[App]) -> dict[str, Deployment]:
        """Return the version to go back to by default, by app id; omit apps without one.

        Whether the backend has kept it is not known here.
        """

    async def live(self, app_ids: Sequence[str]) -> dict[str, Live]:
        """Return what apps run, by id; omit apps of which the backend never said that.

        As for `serving`, it is what was live last, not what was pushed last.
        """

    async def failing(self, limit: int) -> list[Deployment]:
        """Return the newest failed deployment of each app that has served nothing since.

        The newest comes first; only the `limit` newest deployments are looked through.
        """

    async def save_look(self, app_id: str, look: Look) -> None:
        """Store what an app was just seen to serve, unless the stored look began later.

        If that is something new, everything that shows its last versions is published again.
        """

    async def brought(
        self, app: App, live: str | None, head: str, *, pinned: bool, limit: int
    ) -> Pushes:
        """Return the pushes to an app's branch that lead from one commit to another.

        They count whether or not they deployed anything; see `changes.brought`.

        Args:
            live: None for all pushes that were decided for the app.
            limit: how many of the branch's newest pushes to read.
        """


class Decisions(Protocol):
    """What came of deliveries, and what later decisions need to know.

    Deliveries are named by their positions in the inbox (seq).
    """

    async def record(self, outcomes: Sequence[Outcome], *, window: float) -> Recorded:
        """Record the outcomes of deliveries, all or nothing.

        A cancel takes effect here: waiting deployments end, and those that the backend may have
        are marked, as by `Deployments.cancel`.

        Args:
            window: seconds within which the same move of a ref is the same push.
        """

    async def complete(self, outcomes: Sequence[Outcome]) -> Recorded:
        """Record the outcomes of decided pushes for further apps, all or nothing.

        Leave apps alone that already have a decision for the push, even by another delivery.
        """

    async def decisions(self, seqs: Sequence[int]) -> dict[int, list[Decision]]: ...
    async def deployments_of(self, seqs: Sequence[int]) -> dict[int, list[Deployment]]: ...

    async def explained(
        self, app_id: str, *, commit: str | None = None, limit: int
    ) -> list[Explained]:
        """Return an app's decisions, newest first; `commit`: about pushes of this one."""

    async def abouts(self, seqs: Sequence[int]) -> dict[int, About]: ...
    async def pushed(self, seqs: Sequence[int]) -> dict[int, Pushed]: ...

    async def repositories(self) -> dict[str, str]:
        """Return the names of repositories that have pushed, by host and id."""

    async def seqs_about(self, sought: Sought, *, before: int, limit: int) -> list[int]:
        """Return the newest matching deliveries before a position, newest first."""

    async def words(self, words: Sequence[str], *, before: int) -> FoundWords:
        """Find deployments and pushes before a position that have all of these words.

        They may be in messages, authors, refs and commits, in part and in either case. Only the
        newest are read, some thousand: from `FoundWords.first` on, another search goes on.
        """

    async def last_pushes(self) -> dict[str, float]:
        """Return the time of the newest push to each app's repository, by app id."""

    async def newest_push(self, ref_key: str) -> LastPush | None: ...

    async def last_seq(self) -> int:
        """Return the newest decided delivery; 0 if there is none."""

    async def pushes_to(self, ref_key: str, commit: str) -> list[int]:
        """Return the decided pushes that led a ref to a commit, oldest first."""

    async def tags(self, app_ids: Sequence[str]) -> dict[str, AppTags]:
        """Return the tags that apps were or will be deployed for; omit unsuccessful ones.

        A superseded deployment has the state of the one that replaced it.
        """

    async def forget(self, before: float, limit: int) -> int:
        """Delete the outcomes of some expired deliveries, if all their deployments have ended.

        An app's newest deployment stays. Return the number of deliveries.
        """


class Refusals(Protocol):
    """Counts of refused webhooks."""

    async def keep_refused(self, those: Sequence[RefusedWebhooks]) -> None:
        """Add counts; delete the oldest if there are too many."""

    async def refused(self, *, limit: int, since: float | None = None) -> list[RefusedWebhooks]: ...


class Audit(Protocol):
    """What people change: the audit log, drafts of changes, and the settings made by set-up.

    Secrets in drafts and settings are sealed.
    """

    async def audit(self, new: Audited) -> int:
        """Add a change, or replace the one by the same delivery; return its number."""

    async def settle(self, number: int, result: Result) -> None: ...

    async def audited(
        self, *, limit: int, app_id: str | None = None, before: int | None = None
    ) -> list[Audited]:
        """Return the newest changes, newest first; `before`: those with a smaller number."""

    async def change(self, number: int) -> Audited | None: ...

    async def change_of(self, seq: int) -> Audited | None:
        """Return the change that a delivery requested, once it is recorded."""

    async def forget_audit(self, before: float, limit: int) -> int:
        """Delete some expired entries; return how many."""

    async def keep_draft(self, id_: str, sealed: str) -> None:
        """Store a change until it is confirmed; drop those that are a week old."""

    async def draft(self, id_: str) -> str | None: ...
    async def drop_draft(self, id_: str) -> None: ...

    async def forget_drafts(self, before: float, limit: int) -> int:
        """Delete some expired, unconfirmed drafts; return how many."""

    async def stored_settings(self) -> dict[str, str]:
        """Return the settings made by set-up, by their paths, e.g. "github.token"."""

    async def store_settings(self, sealed: Mapping[str, str | None], note: Audited) -> None:
        """Replace some settings together with their audit entry, all or none; None removes one."""


class Notes(Protocol):
    """Small facts by key, what is known of the journal itself, and leases."""

    async def note(self, key: str, value: str) -> None: ...
    async def recall(self, key: str) -> str | None: ...

    async def instance(self) -> str:
        """Return this journal's random, permanent name; it marks our tokens as this bridge's."""

    async def secret(self, purpose: str) -> str:
        """Return this journal's random, permanent secret for one purpose; others see no part."""

    async def version(self) -> str:
        """Return a text that differs after each change that people can see.

        That is a decision, a change of a deployment, an audit entry, or a refused webhook.
        """

    async def hold(self, name: str, owner: str, seconds: float) -> bool:
        """Take or renew a lease; only its holder runs work that a cluster must run once."""

    async def release(self, name: str, owner: str) -> None:
        """Give a lease back, if it is held."""

    async def leave(self, owner: str) -> None: ...


class Sessions(Protocol):
    """One-time links and signed-in browsers, by kind.

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
        """Return the same, and remove it: it works once."""

    async def expel(
        self, kind: str, *, whose: str | None = None, hashed: str | None = None
    ) -> None:
        """Remove all of a kind, those of one person, or a single one."""


class AppsAndDeployments(Apps, Deployments, Protocol):
    """What most steps of a deployment use."""


class AppsDeploymentsAndNotes(AppsAndDeployments, Notes, Protocol):
    """What those steps use that remember something beside."""


class DecisionsAndNotes(Decisions, Notes, Protocol):
    """What most steps up to a decision use."""


class Journal(
    Apps,
    Audit,
    CiFacts,
    Decisions,
    Deployments,
    Gates,
    MadeHooks,
    Notes,
    Previews,
    Refusals,
    Sessions,
    Subscriptions,
    Protocol,
):
    """The whole journal, for the composition root."""
