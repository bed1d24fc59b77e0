"""Make webhooks at Git hosts: never two for one repository, each with a secret of its own.

A secret is stored before its webhook is made, so nothing that the host sends is refused. Every step
may be repeated: a command that was killed goes on where it stopped.

The secrets are kept in memory as the store has them. A command in another process may have made a
webhook a moment ago, so a webhook that no known secret has signed waits for the next reading. There
is at most one a second, however many wait.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Protocol

from bridge.core.errors import BridgeError, NotFound, Rejected
from bridge.core.hooks import (
    SIGNED_WITH,
    HostHook,
    Scope,
    ScopeKind,
    faults,
    fingerprint,
    is_ours,
    may_be_ours,
    same_url,
)
from bridge.core.people import NOBODY, Actor
from bridge.pipeline.audit import record
from bridge.pipeline.deciding.hook_places import HookServer, Place, SeenHook, Target
from bridge.ports.chats import Seal
from bridge.ports.clock import Clock, Sleep
from bridge.ports.hooks import MadeHook, MadeHooks, ManagesHooks, key_of
from bridge.ports.inbox import Inbox
from bridge.ports.journal import Audit, Decisions


class HookStore(MadeHooks, Audit, Decisions, Protocol):
    """What webhooks use of the journal."""


class Does(StrEnum):
    """The kinds of steps."""

    KEEP = "keep"
    CREATE = "create"
    CHANGE = "change"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a plan.

    Attributes:
        once: the place that reports these pushes instead; its own step must succeed before.
    """

    does: Does
    host: str
    scope: Scope
    why: str = ""
    hook: HostHook | None = None
    once: Scope | None = None


Wait = Callable[[], Awaitable[bool]]
"""Waits for the next look at the inbox; returns False to give up."""

Own = Callable[[str], bool]
"""Returns whether a URL is of a backend's own webhook."""


@dataclass(frozen=True, slots=True)
class Hooks:
    """Lists, makes, rotates and removes webhooks.

    Attributes:
        deploys_itself: see `SeenHook`.
    """

    servers: Mapping[str, HookServer]
    store: HookStore
    seal: Seal
    clock: Clock
    by: Actor = NOBODY
    deploys_itself: Own = lambda _: False

    # ── looking ───────────────────────────────────────────────────────────

    async def look(self, target: Target) -> Place:
        """Return a place with all webhooks that report it.

        Raises:
            Rejected: the host can't be asked; says what to set.
            NotFound, Refused, Unreachable, Unanswered: as the host's API has it.
        """
        server, api = self._reached(target.host)
        made = {one.key: one for one in await self.store.made_hooks() if one.host == target.host}
        if target.kind is ScopeKind.REPOSITORY:
            own, *above = await api.scopes_over(target.name)
        else:
            own, above = await api.hook_scope(target.kind, target.name), []
        place = Place(target.host, own, made=made.get(key_of(target.host, own)))
        for scope in (own, *above):
            found = await api.hooks_at(scope)
            if found is None:
                place = replace(place, unseen=(*place.unseen, scope))
                continue
            seen = [self._seen(server, one, made) for one in found]
            place = replace(place, hooks=(*place.hooks, *(one for one in seen if one is not None)))
        return place

    async def look_back(self, target: Target) -> Place:
        """Return a place, also one that is gone at the host if we have made its webhook."""
        try:
            return await self.look(target)
        except NotFound:
            for one in await self.made():
                if target.names(one):
                    return Place(target.host, one.scope, made=one)
            raise

    def _seen(
        self, server: HookServer, hook: HostHook, made: Mapping[str, MadeHook]
    ) -> SeenHook | None:
        if self.deploys_itself(hook.url):
            return SeenHook(hook, deploys_itself=True)
        ours = next((one for one in made.values() if _is_of(one, hook)), None)
        path = f"/hooks/{server.name}"
        if server.url is None:
            here = may_be_ours(hook.url, path)
        else:
            here = is_ours(hook.url, server.url.removesuffix(path))
        if ours is None and not here:
            return None
        return SeenHook(hook, ours, faults=tuple(faults(hook, server.url or hook.url)))

    def _reached(self, host: str) -> tuple[HookServer, ManagesHooks]:
        server = self.servers.get(host)
        if server is None:
            there = ", ".join(sorted(self.servers))
            raise NotFound(f"there is no Git host {host[:100]!r}; there are {there}")
        if server.api is None:
            raise Rejected(f"{host} can't be asked for its webhooks: set a token for it")
        return server, server.api

    # ── installing ────────────────────────────────────────────────────────

    def plan_install(self, place: Place, below: Sequence[Place] = ()) -> list[Step]:
        """Return the steps by which exactly one webhook reports a place.

        Args:
            below: the repositories of an organisation, whose own webhooks then go.

        Raises:
            Rejected: none can be made; says what to set.
        """
        server, _ = self._reached(place.host)
        _url_of(server)
        self.seal.close("")
        steps = [self._install(place)]
        for one in below:
            for seen in one.own:
                if seen.made is not None:
                    why = f"{place.scope} is reported as a whole"
                    gone = Step(Does.REMOVE, one.host, one.scope, why, seen.hook, once=place.scope)
                    steps.append(gone)
        return steps

    def _install(self, place: Place) -> Step:
        good = [one for one in place.own if not one.faults]
        if place.own and place.made is not None and place.made.hook is None:
            why = "it was begun and not finished"
            return Step(Does.CHANGE, place.host, place.scope, why, place.own[0].hook)
        if good:
            whose = "the bridge" if good[0].made is not None else "hand"
            why = f"it has one, made by {whose}"
            return Step(Does.KEEP, place.host, place.scope, why, good[0].hook)
        if place.own:
            worst = place.own[0]
            why = "; ".join(worst.faults)
            return Step(Does.CHANGE, place.host, place.scope, why, worst.hook)
        if place.above:
            seen = place.above[0]
            why = f"the webhook of {seen.hook.scope} reports it"
            if seen.faults:
                why += f", but {'; '.join(seen.faults)}: install that one again"
            return Step(Does.KEEP, place.host, place.scope, why, seen.hook)
        if place.scope.kind is ScopeKind.APP:
            raise Rejected(
                f"{place.host}: the App has no webhook; set one in its settings at the host, then"
                " run this again"
            )
        return Step(Does.CREATE, place.host, place.scope, "no webhook reports it")

    async def carry_out(self, step: Step) -> None:
        """Carry out one step; doing it again is harmless."""
        if step.does is Does.CREATE:
            await self._create(step)
        elif step.does is Does.CHANGE:
            await self._change(step)
        elif step.does is Does.REMOVE:
            await self._remove(step)
        if step.does is not Does.KEEP:
            await self._record(step.does, step.host, step.scope)

    async def _create(self, step: Step) -> None:
        server, api = self._reached(step.host)
        made, url = await self._planned(server, step.scope), _url_of(server)
        # An answer may have been lost: then the webhook is there, with this secret or with another.
        there = [one for one in await api.hooks_at(step.scope) or () if same_url(one.url, url)]
        secret = self.seal.open(made.sealed_next or made.sealed)
        if there:
            hook = await api.change_hook(there[0], url, secret)
        else:
            hook = await api.create_hook(step.scope, url, secret)
        await self._is_made(made, hook)

    async def _change(self, step: Step) -> None:
        assert step.hook is not None
        server, api = self._reached(step.host)
        made = await self._planned(server, step.scope)
        secret = self.seal.open(made.sealed_next or made.sealed)
        await self._is_made(made, await api.change_hook(step.hook, _url_of(server), secret))

    async def _remove(self, step: Step) -> None:
        assert step.hook is not None
        _, api = self._reached(step.host)
        await api.delete_hook(step.hook)
        await self.store.drop_hook(key_of(step.host, step.scope))

    async def _record(self, does: str, host: str, scope: Scope) -> None:
        await record(self.store, self.by, f"hooks {does}", f"{host} {scope}", at=self.clock())

    async def _planned(self, server: HookServer, scope: Scope) -> MadeHook:
        """Return the record of a webhook; store a new one with a new secret if there is none."""
        sealed = self.seal.close(server.new_secret())
        return await self.store.plan_hook(MadeHook(server.name, scope, sealed, self.clock()))

    async def _is_made(self, made: MadeHook, hook: HostHook) -> None:
        name = hook.scope.name
        await self.store.hook_made(made.key, hook.id, signs=hook.signs, name=name)

    # ── removing ──────────────────────────────────────────────────────────

    def plan_remove(self, place: Place) -> list[Step]:
        """Return the steps that remove our own webhook of a place; raise NotFound without one."""
        found = [one for one in place.own if one.made is not None]
        if not found and place.made is None:
            by_hand = ", ".join(one.hook.id for one in place.own)
            more = f"; its webhook {by_hand} was made by hand: delete it there" if by_hand else ""
            raise NotFound(f"{place.scope} has no webhook that the bridge has made{more}")
        gone = HostHook(place.scope, place.made.hook or "0", "") if place.made else None
        hook = found[0].hook if found else gone
        why = "" if found else "it is gone at the host already"
        return [Step(Does.REMOVE, place.host, place.scope, why, hook)]

    # ── rotating ──────────────────────────────────────────────────────────

    async def made(self) -> list[MadeHook]:
        """Return our own webhooks, under the present names of their repositories."""
        names = await self.store.repositories()
        found = await self.store.made_hooks()
        return [
            replace(one, scope=replace(one.scope, name=names[f"{one.host} {one.scope.id}"]))
            if one.scope.kind is ScopeKind.REPOSITORY and f"{one.host} {one.scope.id}" in names
            else one
            for one in found
        ]

    async def rotate(self, made: MadeHook, inbox: Inbox, wait: Wait) -> bool:
        """Replace a secret; return whether the new one has been seen and the old one dropped.

        Both are accepted until a delivery that is signed with the new one has arrived.

        Raises:
            Rejected: it was not made yet, or can't be unsealed.
        """
        server, api = self._reached(made.host)
        fresh = self.seal.close(server.new_secret())
        current = await self.store.rotate_hook(made.key, fresh)
        if current is None or current.hook is None or current.sealed_next is None:
            raise Rejected(f"{made.scope} has no webhook yet: `dokploy-bridge hooks install` it")
        secret = self.seal.open(current.sealed_next)
        seen = Seen(inbox, fingerprint(secret))
        if not await seen.look():
            hook = HostHook(made.scope, current.hook, _url_of(server))
            changed = await api.change_hook(hook, _url_of(server), secret)
            await self._is_made(current, changed)
            await self._record("rotate", made.host, made.scope)
            await api.test_hook(changed)
            while not await seen.look():
                if not await wait():
                    return False
        await self.store.end_rotation(made.key, current.sealed_next)
        return True


MOST_LOOKED_AT = 2000
"""The most deliveries to search for one that a new secret has signed."""


@dataclass(eq=False)
class Seen:
    """Looks for a delivery that a secret has signed."""

    inbox: Inbox
    wanted: str
    _upto: int = field(default=0, init=False)

    async def look(self) -> bool:
        """Return whether there is one among those that were not looked at yet."""
        newest, count = self._upto, 0
        async for seq, signed_with in self._newer():
            newest, count = max(newest, seq), count + 1
            if signed_with == self.wanted:
                return True
            if count >= MOST_LOOKED_AT:
                break
        self._upto = newest
        return False

    async def _newer(self) -> AsyncIterator[tuple[int, str | None]]:
        before: int | None = None
        while found := await self.inbox.newest(200, before=before):
            for one in found:
                if one.seq <= self._upto:
                    return
                yield one.seq, one.headers.get(SIGNED_WITH)
            before = found[-1].seq


def _is_of(made: MadeHook, hook: HostHook) -> bool:
    same = made.scope.kind is hook.scope.kind
    # The host lists an owner above a repository without its id.
    at = made.scope.id == hook.scope.id if hook.scope.id else made.scope.name == hook.scope.name
    return same and at and made.hook == hook.id


def _url_of(server: HookServer) -> str:
    if server.url is None:
        raise Rejected(
            "public_url is not set, so no Git host can be told where to send its webhooks: set"
            " BRIDGE_PUBLIC_URL to the bridge's own address, e.g. https://bridge.example.com"
        )
    return server.url


# ── the secrets of our own webhooks, in memory as the store has them ─────────────────────────────

log = logging.getLogger(__name__)

PAUSE = 1.0
"""Seconds between two readings, at least."""

EVERY = 10.0
"""Seconds between two readings if nobody waits: so long is a dropped secret still accepted."""

MOST_WAITING = 32
"""Webhooks that may wait for a reading; more are refused at once, as they hold memory."""

Use = Callable[[Sequence[MadeHook]], None]
"""Called with the webhooks after each reading."""


@dataclass(eq=False)
class HookSecrets:
    """Reads the webhooks at the start, when asked to, and now and then."""

    store: MadeHooks
    use: Use
    sleep: Sleep = asyncio.sleep
    _asked: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    _waiting: list[asyncio.Future[bool]] = field(default_factory=list, init=False)

    async def read(self) -> None:
        """Read and use them; some secrets are accepted only for a while."""
        self.use(await self.store.made_hooks())

    @property
    def full(self) -> bool:
        return len(self._waiting) >= MOST_WAITING

    async def renew(self) -> bool:
        if self.full:
            return False
        done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append(done)
        self._asked.set()
        return await done

    async def run(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(EVERY):
                    await self._asked.wait()
            self._asked.clear()
            waiting, self._waiting = self._waiting, []
            done = await self._read_or_tell()
            for one in waiting:
                if not one.done():
                    one.set_result(done)
            await self.sleep(PAUSE)

    async def _read_or_tell(self) -> bool:
        try:
            await self.read()
        except BridgeError as error:
            log.warning("secrets of webhooks can't be read", extra={"why": str(error)})
            return False
        return True
