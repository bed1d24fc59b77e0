"""Configuration changes by chat: drafts to preview, and the flow that carries them out."""

import asyncio
import json
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from typing import Any, Protocol, TypeVar

from bridge.core.apps import App
from bridge.core.backoff import Backoff
from bridge.core.configuration.difference import (
    Configured,
    Undoing,
    difference,
    lines_of,
    read_undoing,
    written,
)
from bridge.core.configuration.merge import NoSource, Wanted
from bridge.core.configuration.plan import NotKept, Overtaken, Plan
from bridge.core.configuration.rehearsal import Rehearsal, rehearse
from bridge.core.decision import Policy
from bridge.core.errors import (
    BridgeError,
    MalformedPayload,
    NotFound,
    Rejected,
    Unanswered,
    Unreachable,
)
from bridge.core.events import Action, Asked, RefPushed, parse_command
from bridge.core.people import Actor
from bridge.core.rules import RuleBook
from bridge.pipeline.deploying.configure import Configurer, result_of
from bridge.ports.backends import Backend, Choices, GitAccount, GitRepository, OffersChoices
from bridge.ports.chats import Permits, Seal
from bridge.ports.clock import Clock, Sleep
from bridge.ports.flows import Steps
from bridge.ports.githosts import APART, GitHost
from bridge.ports.inbox import Delivery, Inbox
from bridge.ports.journal import Apps, Audit, Decisions
from bridge.ports.outcomes import DONE, UNKNOWN, Audited, Result, Stage


class DraftJournal(Apps, Audit, Decisions, Protocol):
    """What drafts use of the journal."""


T = TypeVar("T")

PUSHES = 20
"""How many recent pushes to try."""

LOOKED_AT = 3 * PUSHES
"""How many decisions to search for them: some were about commands."""

FRESH = 60.0
"""Seconds for which lists to choose from are cached."""

MOST_KEPT = 500


@dataclass(eq=False)
class ConfigDrafts:
    """Reads, plans and tries changes; see `ports.chats.ConfigDrafts`."""

    configurers: Mapping[str, Configurer]
    backends: Mapping[str, Backend]
    inbox: Inbox
    journal: DraftJournal
    hosts: Mapping[str, GitHost]
    seal: Seal
    _: KW_ONLY
    policy: Policy
    book: RuleBook = ()
    clock: Callable[[], float] = time.monotonic
    _kept: "_Kept" = field(init=False)

    def __post_init__(self) -> None:
        self._kept = _Kept(self.clock)

    async def now(self, app: App) -> Configured:
        found = await self._configurer(app).now(app)
        self._kept.put(("now", app.id), found)
        return found

    async def lately(self, app: App) -> Configured:
        """Return how it was configured a moment ago, for views redrawn at every keystroke."""
        return await self._kept.get(("now", app.id), lambda: self.now(app))

    async def plan(self, app: App, wanted: Wanted) -> Plan:
        return await self._configurer(app).plan(app, wanted)

    async def keep(self, plan: Plan) -> str:
        return await keep_draft(self.journal, self.seal, plan)

    async def accounts(self, app: App) -> list[GitAccount]:
        choices = self._choices(app)
        if choices is None:
            return []
        return await self._kept.get((app.backend,), choices.git_providers)

    async def repositories(self, app: App, account: str) -> list[GitRepository]:
        choices, found = await self._account(app, account)
        return await self._kept.get((app.backend, account), lambda: choices.repositories(found))

    async def branches(self, app: App, account: str, path: str) -> list[str]:
        choices, found = await self._account(app, account)
        listed = await self.repositories(app, account)
        repository = next((one for one in listed if one.path == path), None)
        if repository is None:
            raise NotFound(f"{found.name} does not see {path}")
        key = (app.backend, account, path)
        return await self._kept.get(key, lambda: choices.branches(found, repository))

    async def rehearse(self, app: App, configured: Configured) -> Rehearsal:
        pushes = await self._kept.get(("pushes", app.id), lambda: self._pushes(app))
        return await asyncio.to_thread(rehearse, app, configured, pushes, self.policy, self.book)

    async def _pushes(self, app: App) -> list[RefPushed]:
        seen = await self.journal.explained(app.id, limit=LOOKED_AT)
        seqs = dict.fromkeys(one.seq for one in seen if one.delivery is not None)
        found: list[RefPushed] = []
        for seq in list(seqs)[:PUSHES]:
            delivery = await self.inbox.get(seq)
            host = self.hosts.get(delivery.host) if delivery else None
            if delivery is None or host is None:
                continue
            if not 0 < delivery.size <= APART:
                continue
            try:
                # A larger one would block the dialog.
                body = await asyncio.to_thread(lambda of: of.body, delivery)
                assert body is not None
                event = await asyncio.to_thread(host.parse, delivery.event, delivery.headers, body)
            except BridgeError:  # only a newer release could read it
                continue
            if isinstance(event, RefPushed):
                found.append(event)
        return found

    def _configurer(self, app: App) -> Configurer:
        found = self.configurers.get(app.backend)
        if found is None:
            raise NotFound(f"{app.label} is in a backend that is not configured: {app.backend}")
        return found

    def _choices(self, app: App) -> Choices | None:
        backend: object = self.backends.get(app.backend)
        return backend.pickers if isinstance(backend, OffersChoices) else None

    async def _account(self, app: App, account: str) -> tuple[Choices, GitAccount]:
        choices = self._choices(app)
        listed: Sequence[GitAccount] = await self.accounts(app)
        found = next((one for one in listed if one.id == account), None)
        if choices is None or found is None:
            raise NotFound("the backend has no such Git account")
        return choices, found


async def keep_draft(journal: Audit, seal: Seal | None, plan: Plan) -> str:
    """Store a plan, sealed, until somebody agrees to it; return the draft's id.

    Raises:
        Rejected: there is no key to seal it with.
    """
    if seal is None:
        raise Rejected("nothing seals what changes, which may hold secrets")
    form = {"app": plan.app.id, "what": plan.what, "undoing": written(plan.undoing)}
    id_ = secrets.token_hex(12)
    await journal.keep_draft(id_, seal.close(json.dumps(form)))
    return id_


class _Kept:
    """A cache of recent readings; concurrent callers share one reading."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._found: dict[tuple[str, ...], tuple[float, asyncio.Future[Any]]] = {}

    def put(self, key: tuple[str, ...], found: Any) -> None:
        known: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        known.set_result(found)
        self._keep(key, known)

    async def get(self, key: tuple[str, ...], read: Callable[[], Awaitable[T]]) -> T:
        """Return what is known and fresh, or else what `read` finds; an error is not cached."""
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
        self._found.pop(key, None)  # moved to the end, so that the oldest comes first
        self._found[key] = (self._clock(), known)
        if len(self._found) > MOST_KEPT:
            del self._found[next(iter(self._found))]


# ── carrying out ──────────────────────────────────────────────────────────────────────────────────

log = logging.getLogger(__name__)

RETRY = Backoff(1.0, 30.0)
"""Seconds between two attempts; doubled each time."""

FORGOTTEN = Result.failed(
    Stage.REFUSED, "Rejected", "the requested change is no longer stored: open the dialog again"
)

UNANSWERED = 5
"""Attempts without a clear answer, after which somebody has to look."""


@dataclass(frozen=True, slots=True)
class Configuring:
    """Carries out changes that somebody confirmed in a chat.

    Attributes:
        configurers: by the name of a backend.
        permits: of each chat; rights are checked again before anything is written.
    """

    configurers: Mapping[str, Configurer]
    inbox: Inbox
    journal: DraftJournal
    seal: Seal
    permits: Mapping[str, Permits]
    clock: Clock
    sleep: Sleep = field(default=asyncio.sleep, kw_only=True)

    async def run(self, steps: Steps, id_: str) -> None:
        """Run the flow; `id_` holds the requesting delivery's seq and the app."""
        text, _, app_id = id_.partition(".")
        await steps.run("configure", lambda: self._surely(int(text), app_id))

    async def _surely(self, seq: int, app_id: str) -> None:
        """Retry until the change is made or has failed for good."""
        tries, unanswered = 0, 0
        while True:
            try:
                trouble = await self._once(seq, app_id, give_up=unanswered >= UNANSWERED)
            except Unreachable as error:  # our own stores
                log.warning("a change waits", extra={"seq": seq, "why": str(error)})
                trouble = error
            if trouble is None:
                return
            unanswered += isinstance(trouble, Unanswered)
            tries += 1
            await self.sleep(RETRY.after(tries, trouble))

    async def _once(self, seq: int, app_id: str, *, give_up: bool) -> BridgeError | None:
        """Make one attempt; return what prevents the change for now, None once it is over."""
        note = await self.journal.change_of(seq)
        if note is not None and note.over:
            return None
        delivery = await self.inbox.get(seq)
        chat = delivery.host if delivery else "chat"
        first = Audited(self.clock(), Actor(name=chat), "configure", app_id, app_id, (), seq=seq)
        asked = _asked(seq, delivery) if delivery else None
        if asked is None:
            await self._settle(seq, note or first, FORGOTTEN)
            return None
        if note is None:
            note = replace(first, by=asked.by, what=asked.called, app=asked.app or app_id)
        trouble: BridgeError | None = None
        try:
            note = await self._make(chat, asked, note)
            result = DONE
        except (Unreachable, Unanswered) as error:
            trouble = None if give_up and isinstance(error, Unanswered) else error
            result = _refusal(error) if trouble is None else Result.waits(error)
        except BridgeError as error:
            result = _refusal(error)
        except Exception as error:  # a bug; the requester must still learn of it
            log.exception("a change failed unexpectedly", extra={"seq": seq})
            why = f"the bridge had an internal error ({type(error).__name__})"
            result = Result.failed(Stage.UNSURE, UNKNOWN, why)
        await self._settle(seq, note, result)
        if trouble is None:
            await self.journal.drop_draft(asked.draft)
        return trouble

    async def _make(self, chat: str, asked: Asked, note: Audited) -> Audited:
        """Make the requested change; return its audit entry, which is stored before."""
        app = await self.journal.app(asked.target)
        if app is None:
            raise NotFound(f"there is no app {asked.app or asked.target} any more")
        configurer = self.configurers.get(app.backend)
        if configurer is None:
            raise Rejected(f"there is no backend {app.backend} any more")
        if (permits := self.permits.get(chat)) is None:
            raise Rejected(f"{chat} is not set any more, so nobody may configure anything by it")
        if (why_not := await permits(asked.person, app, asked.channel)) is not None:
            raise Rejected(why_not)
        if note.undoing:  # an earlier attempt has begun it
            undoing = read_undoing(json.loads(self.seal.open(note.undoing)))
        else:
            undoing, noted = await self._begin(configurer, app, asked, note)
            note = replace(noted, number=await self.journal.audit(noted))
        await configurer.carry_out(app, undoing, by=note.by)
        return note

    async def _begin(
        self, configurer: Configurer, app: App, asked: Asked, note: Audited
    ) -> tuple[Undoing, Audited]:
        """Return the change to make, and the audit entry."""
        match asked.action:
            case Action.DISCONNECT if not asked.draft:  # stored by a release without previews
                plan = await configurer.plan(app, NoSource())
            case Action.CONFIGURE | Action.DISCONNECT:
                what, undoing = await self._drafted(asked)
                changed = difference(undoing.before, undoing.after)
                sealed = configurer.sealed(undoing)
                return undoing, replace(note, what=what, difference=changed, undoing=sealed)
            case _:
                plan = await self._undone(configurer, app, asked)
        return plan.undoing, configurer.note(plan, by=note.by, seq=note.seq)

    async def _undone(self, configurer: Configurer, app: App, asked: Asked) -> Plan:
        if not asked.draft.isdecimal():
            raise Rejected("the request does not say which change to undo")
        return await configurer.plan_undo(app, int(asked.draft[:9]))

    async def _drafted(self, asked: Asked) -> tuple[str, Undoing]:
        """Return the change that the person was shown, for this very app."""
        sealed = await self.journal.draft(asked.draft)
        form = json.loads(self.seal.open(sealed)) if sealed else {}
        if form.get("app") != asked.target:
            raise Rejected("the confirmed change is no longer stored: open the dialog again")
        return str(form["what"]), read_undoing(form["undoing"])

    async def _settle(self, seq: int, note: Audited, result: Result) -> None:
        """Add the result to the audit entry."""
        kept = await self.journal.change_of(seq)
        if kept is None:
            await self.journal.audit(replace(note, result=result))
        elif kept.result != result:
            await self.journal.settle(kept.number, result)


def _refusal(error: BridgeError) -> Result:
    """Return why the change was not made, including what others changed, for people."""
    result = result_of(error)
    if isinstance(error, Overtaken | NotKept):
        more = f" ({'; '.join(lines_of(error.changed))})"
        return replace(result, says=result.says + more, why=result.why + more)
    return result


def _asked(seq: int, delivery: Delivery) -> Asked | None:
    """Return the request; None if it is no longer stored, or can't be read."""
    try:
        body = delivery.body
        return None if body is None else parse_command(delivery.event, body)
    except (MalformedPayload, Rejected) as error:
        log.warning("a change can't be read", extra={"seq": seq, "why": str(error)})
        return None
