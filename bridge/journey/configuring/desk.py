"""What a chat shows and prepares before somebody changes an app: nothing is changed here."""

import asyncio
import json
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

from bridge.core.configuring.difference import Configured
from bridge.core.configuring.merge import Wanted
from bridge.core.configuring.plan import Plan
from bridge.core.configuring.restoring import written
from bridge.core.decision import Policy
from bridge.core.errors import BridgeError, NotFound
from bridge.core.events import RefPushed
from bridge.core.rehearsal import Rehearsal, rehearse
from bridge.core.rules import RuleBook
from bridge.core.watch import App
from bridge.journey.configuring.configure import Configurer
from bridge.ports.backends import Backend, Choices, GitAccount, GitRepository, OffersChoices
from bridge.ports.githosts import APART, GitHost
from bridge.ports.inbox import Inbox
from bridge.ports.journal import Journal
from bridge.ports.seal import Seal

T = TypeVar("T")

PUSHES = 20
"""So many recent pushes are tried."""

LOOKED_AT = 3 * PUSHES
"""Decisions among which they are looked for: some were about commands."""

FRESH = 60.0
"""Seconds for which lists to choose from are kept."""

MOST_KEPT = 500


class Desk:
    """Reads, plans and tries; see `ports.Desk`."""

    def __init__(
        self,
        configurers: Mapping[str, Configurer],
        backends: Mapping[str, Backend],
        inbox: Inbox,
        journal: Journal,
        hosts: Mapping[str, GitHost],
        seal: Seal,
        *,
        policy: Policy,
        book: RuleBook = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take the parts; `clock`: any steady seconds."""
        self._configurers = configurers
        self._backends = backends
        self._inbox = inbox
        self._journal = journal
        self._hosts = hosts
        self._seal = seal
        self._policy = policy
        self._book = book
        self._kept = _Kept(clock)

    # ── plans ─────────────────────────────────────────────────────────────

    async def now(self, app: App) -> Configured:
        """How the app is configured at this moment."""
        found = await self._configurer(app).now(app)
        self._kept.put(("now", app.id), found)
        return found

    async def lately(self, app: App) -> Configured:
        """How it was configured a moment ago: for what is redrawn at every key that is pressed."""
        return await self._kept.get(("now", app.id), lambda: self.now(app))

    async def plan(self, app: App, wanted: Wanted) -> Plan:
        """What a change would do; nothing is written."""
        return await self._configurer(app).plan(app, wanted)

    async def keep(self, plan: Plan) -> str:
        """Keep a plan, sealed, until it is agreed to; returns the draft's id."""
        form = {"app": plan.app.id, "what": plan.what, "undoing": written(plan.undoing)}
        id_ = secrets.token_hex(12)
        await self._journal.keep_draft(id_, self._seal.close(json.dumps(form)))
        return id_

    # ── lists to choose from ──────────────────────────────────────────────

    async def accounts(self, app: App) -> list[GitAccount]:
        """The Git accounts that the app's backend has; none where it offers no lists."""
        choices = self._choices(app)
        if choices is None:
            return []
        return await self._kept.get((app.backend,), choices.git_providers)

    async def repositories(self, app: App, account: str) -> list[GitRepository]:
        """What an account can see; raises NotFound where there is no such account."""
        choices, found = await self._account(app, account)
        return await self._kept.get((app.backend, account), lambda: choices.repositories(found))

    async def branches(self, app: App, account: str, path: str) -> list[str]:
        """The branches of a repository, by its whole path."""
        choices, found = await self._account(app, account)
        listed = await self.repositories(app, account)
        repository = next((one for one in listed if one.path == path), None)
        if repository is None:
            raise NotFound(f"{found.name} does not see {path}")
        key = (app.backend, account, path)
        return await self._kept.get(key, lambda: choices.branches(found, repository))

    # ── trying it ─────────────────────────────────────────────────────────

    async def rehearse(self, app: App, configured: Configured) -> Rehearsal:
        """What the app's recent pushes would do if it were configured like that."""
        pushes = await self._kept.get(("pushes", app.id), lambda: self._pushes(app))
        return await asyncio.to_thread(rehearse, app, configured, pushes, self._policy, self._book)

    async def _pushes(self, app: App) -> list[RefPushed]:
        seen = await self._journal.explained(app.id, limit=LOOKED_AT)
        seqs = dict.fromkeys(one.seq for one in seen if one.delivery is not None)
        found: list[RefPushed] = []
        for seq in list(seqs)[:PUSHES]:
            delivery = await self._inbox.get(seq)
            host = self._hosts.get(delivery.host) if delivery else None
            if delivery is None or host is None:
                continue
            if not 0 < delivery.size <= APART:
                continue
            try:
                # A bigger one would hold up the dialog.
                body = await asyncio.to_thread(lambda of: of.body, delivery)
                assert body is not None
                event = await asyncio.to_thread(host.parse, delivery.event, delivery.headers, body)
            except BridgeError:  # it was understood once, by a release that knew more
                continue
            if isinstance(event, RefPushed):
                found.append(event)
        return found

    # ── parts ─────────────────────────────────────────────────────────────

    def _configurer(self, app: App) -> Configurer:
        found = self._configurers.get(app.backend)
        if found is None:
            raise NotFound(f"{app.label} is in a backend that is not configured: {app.backend}")
        return found

    def _choices(self, app: App) -> Choices | None:
        backend: object = self._backends.get(app.backend)
        return backend.pickers if isinstance(backend, OffersChoices) else None

    async def _account(self, app: App, account: str) -> tuple[Choices, GitAccount]:
        choices = self._choices(app)
        listed: Sequence[GitAccount] = await self.accounts(app)
        found = next((one for one in listed if one.id == account), None)
        if choices is None or found is None:
            raise NotFound("the backend has no such Git account")
        return choices, found


class _Kept:
    """What was read a moment ago; several who want the same at once wait for one reading."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._found: dict[tuple[str, ...], tuple[float, asyncio.Future[Any]]] = {}

    def put(self, key: tuple[str, ...], found: Any) -> None:
        """Keep what was read anew."""
        known: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        known.set_result(found)
        self._keep(key, known)

    async def get(self, key: tuple[str, ...], read: Callable[[], Awaitable[T]]) -> T:
        """What is known and fresh, or else what `read` finds; an error is not kept."""
        at, known = self._found.get(key, (0.0, None))
        if known is None or self._clock() - at > FRESH:
            known = asyncio.ensure_future(read())
            self._keep(key, known)
        try:
            found: T = await asyncio.shield(known)
        except BridgeError:
            if self._found.get(key, (0.0, None))[1] is known:
                del self._found[key]
            raise
        return found

    def _keep(self, key: tuple[str, ...], known: asyncio.Future[Any]) -> None:
        self._found.pop(key, None)  # to the end, so that the oldest stand first
        self._found[key] = (self._clock(), known)
        if len(self._found) > MOST_KEPT:
            del self._found[next(iter(self._found))]
