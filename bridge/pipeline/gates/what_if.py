"""Judge a deployment that nobody has asked for by the gates as they are now."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bridge.core.apps import App
from bridge.core.events import Action
from bridge.core.gates.approvals import Compared, Content, at_once
from bridge.core.gates.freezes import Freeze
from bridge.core.gates.gates import Facts, open_gates
from bridge.core.gates.locks import scopes_of
from bridge.core.gates.order import Earlier, earlier_of
from bridge.core.holds import Hold, Proposal
from bridge.core.lifecycle import Deployment, State
from bridge.core.people import PUSH, Identities
from bridge.pipeline.deciding.reconcile import place_of
from bridge.ports.gates import CommitAt
from bridge.ports.journal import Journal


@dataclass(frozen=True, slots=True)
class GatesNow:
    """What tells whether a push would be held, without asking a Git host.

    Attributes:
        apps: all of them, with our own rules applied.
        freezes: those of the settings.
        homes: the Git hosts' servers by their addresses; see `refs.home_of`.
    """

    journal: Journal
    apps: Sequence[App]
    freezes: Sequence[Freeze]
    identities: Identities
    homes: Mapping[str, str]

    async def holds(self, app: App, commit: str | None, now: float) -> tuple[Hold, ...]:
        """Return what would hold a push of a commit to an app; checks are as last read."""
        wanted = Deployment(
            id="what-if",
            seq=0,
            delivery="",
            app_id=app.id,
            app=app.label,
            action=Action.DEPLOY,
            origin=PUSH,
            state=State.WAITING,
            created_at=now,
            commit=commit,
        )
        return open_gates(wanted, app, await self._facts(app, commit), now)

    async def _facts(self, app: App, commit: str | None) -> Facts:
        journal, scopes = self.journal, scopes_of(app)
        place = app.source and place_of(app.source, self.homes)
        ci = None
        if place and commit and app.rules.checks:
            ci = await journal.ci(CommitAt(*place, commit, ""))
        named = earlier_of(app, self.apps)
        earlier = await journal.earlier(named)
        freezes = [*self.freezes, *await journal.freezes()]
        return Facts(
            locks=[one for one in await journal.locks() if one.scope in scopes],
            freezes=[one for one in freezes if one.covers(app.label, scopes)],
            approvals=await journal.approvals(app.id),
            identities=self.identities,
            proposal=Proposal(commit or "", anyone=True),  # no Git host is asked who wrote it
            compared=self._compared(earlier.values(), commit or ""),
            ci=ci,
            earlier=earlier,
            nowhere=[name for name, id_ in named.items() if not id_],
        )

    def _compared(self, earlier: Iterable[Earlier], commit: str) -> Compared:
        """Return what earlier apps run beside a commit, as far as no Git host has to be asked."""
        unasked = Content(None, "no Git host is asked here")
        by_id = {one.id: one for one in self.apps}
        return {
            (one.app_id, runs): at_once(by_id[one.app_id], runs, commit) or unasked
            for one in earlier
            for runs in one.commits
        }
