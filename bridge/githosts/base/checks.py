"""What `doctor` checks of all hosts' webhooks: where they lead, what they send, and how it went."""

import asyncio
import re
import time
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import SplitResult, urlsplit

from pydantic import Field

from bridge.core.errors import BridgeError, NotFound
from bridge.core.hooks import may_be_ours
from bridge.githosts.base.pool import Bounds
from bridge.githosts.base.webhook import Model
from bridge.ports.checks import Checked, Finding, Level
from bridge.ports.clock import Clock
from bridge.ports.githosts import Hook, Redelivers, ShowsHooks, all_in

BOUNDS = Bounds(size=16, deadline=6.0, wait=6.0, silence=6.0)
"""Of the requests of checks: a person waits for them."""

RECENT = 3 * 86_400.0
"""Seconds for which a webhook's failed delivery is worth a finding."""

NO_ADDRESS = "whether that is this bridge is not known, since public_url is not set"

MOST_AT_A_TIME = 12
"""Repositories to check at a time."""


@dataclass(frozen=True, slots=True)
class Events:
    """What a webhook has to send, in the host's words.

    Attributes:
        push: without it nothing deploys.
        others: each with what is lost without it.
        checks: those that tell of checks (CI), needed where an app waits for these; one of each
            group is enough.
        pulls: those that tell of changes to pull requests, needed where these have previews.
        everything: sends all events.
    """

    push: str
    others: Mapping[str, str]
    checks: Sequence[Sequence[str]] = ()
    pulls: Sequence[str] = ()
    everything: str = "*"


_Tell = Callable[..., Finding]
"""Makes a finding about a place; see `HookCheck.about`."""


class Aim(StrEnum):
    """Where a webhook leads."""

    HERE = "here"
    IN_CLEAR = "here, but by http"
    ASTRAY = "to another path of this bridge"
    BACKEND = "to a backend"
    ELSEWHERE = "elsewhere"


@dataclass(frozen=True, slots=True)
class HookCheck:
    """The webhooks of one host's repositories, and where they should lead.

    Attributes:
        title: the host's name for people.
        sees: how a credential sees webhooks, as a remedy.
        permitted: returns what the credential may not do with a repository; raises what keeps it
            from being asked.
    """

    checked: Checked
    api: ShowsHooks
    title: str
    events: Events
    sees: str
    permitted: Callable[[str], Awaitable[Finding | None]]
    clock: Clock = time.time
    _told: set[tuple[str, str]] = field(default_factory=set)

    @property
    def path(self) -> str:
        """The path of the webhooks of this host."""
        return f"/hooks/{self.checked.name}"

    @property
    def wanted(self) -> str:
        """The address that webhooks should have, for people."""
        return f"{(self.checked.public_url or 'https://…').rstrip('/')}{self.path}"

    async def findings(self) -> AsyncIterator[Finding]:
        """Yield what is found for each repository, as it comes."""
        slots = asyncio.Semaphore(MOST_AT_A_TIME)
        names = self.checked.repositories
        tasks = [asyncio.create_task(self._findings_of(name, slots)) for name in names]
        try:
            for task in asyncio.as_completed(tasks):
                for finding in await task:
                    yield finding
        finally:
            for task in tasks:
                task.cancel()

    async def _findings_of(self, name: str, slots: asyncio.Semaphore) -> list[Finding]:
        async with slots:
            try:
                short = await self.permitted(name)
                if short is not None and short.check == "host.installation":
                    return [short]  # nothing else can be asked
                places = await self.api.hooks_by_place(name)
            except BridgeError as error:
                level = Level.ERROR if isinstance(error, NotFound) else Level.WARNING
                remedy = f"check the app's source, or give the credential access to {name}"
                return [self.about(name)(level, "host.repository", str(error), remedy)]
            findings = [short] if short is not None else []
            for hook in all_in(places):
                findings += await self._of_hook(hook)
        return [*findings, *self._of_repository(name, places)]

    # ── one webhook ─────────────────────────────────────────────────────────

    async def _of_hook(self, hook: Hook) -> list[Finding]:
        """Return what is wrong with a webhook, unless that was told for another repository."""
        aim, key = self.aim(hook), (hook.place, hook.id)
        if aim is Aim.ELSEWHERE or key in self._told:
            return []
        self._told.add(key)
        tell = self.about(hook.place)
        if aim is Aim.ASTRAY:
            path = (urlsplit(hook.url or "").path or "/")[:100]
            says = f"a webhook leads to {path}, where the bridge takes no webhooks"
            remedy = f"change its address to {self.wanted}"
            return [tell(Level.ERROR, "host.hook.path", says, remedy)]
        if aim is Aim.BACKEND:
            says = (
                f"a webhook leads to {urlsplit(hook.url or '').hostname}, which deploys:"
                " with ours, each push may deploy twice"
            )
            return [tell(Level.WARNING, "host.hook.backend", says, "delete that webhook")]
        return [*self._form(hook, aim, tell), *await self._delivery(hook, tell)]

    def _form(self, hook: Hook, aim: Aim, tell: _Tell) -> Iterator[Finding]:
        if aim is Aim.IN_CLEAR:
            says = "a webhook is sent by http, so that others may read it, and redirects lose it"
            remedy = f"change its address to {self.wanted}"
            yield tell(Level.ERROR, "host.hook.http", says, remedy)
        yield from self._events(hook, tell)
        if hook.trouble is not None and self._sends_pushes(hook):
            says = f"the webhook sends nothing: {hook.trouble}"
            remedy = f"switch it on at {self.title}, and send a test delivery"
            yield tell(Level.ERROR, "host.hook.off", says, remedy)
        if hook.content_type == "form":
            says = "the webhook sends forms, which are larger and slower to read"
            yield tell(
                Level.WARNING, "host.hook.content_type", says, "choose application/json for it"
            )
        if not hook.verifies_tls:
            says = f"{self.title} does not check the bridge's certificate when it sends the webhook"
            remedy = "switch SSL verification on for it"
            yield tell(Level.WARNING, "host.hook.tls", says, remedy)
        if hook.signed is False:
            says = "the webhook has no secret, so the bridge refuses everything that it sends"
            remedy = "set the secret that the bridge has in its settings"
            yield tell(Level.ERROR, "host.hook.secret", says, remedy)

    def _events(self, hook: Hook, tell: _Tell) -> Iterator[Finding]:
        if not self._sends_pushes(hook):
            says = "the webhook sends no pushes, so nothing deploys"
            yield tell(Level.ERROR, "host.hook.events", says, "choose its push events")
            return
        if hook.events is None or self.events.everything in hook.events:
            return
        lost = {event: why for event, why in self.events.others.items() if event not in hook.events}
        not_sent = list[tuple[Iterable[str], str]]()
        if lost:
            not_sent.append((lost, "; ".join(lost.values())))
        silent = [group for group in self.events.checks if hook.events.isdisjoint(group)]
        if silent and self._concerns(self.checked.awaited, hook):
            not_sent.append((map(" or ".join, silent), "that a check has passed is noticed later"))
        unseen = [event for event in self.events.pulls if event not in hook.events]
        if unseen and self._concerns(self.checked.previewed, hook):
            why = "previews follow such changes of pull requests only minutes later"
            not_sent.append((unseen, why))
        for events, why in not_sent:
            says = f"the webhook does not send {', '.join(events)}: {why}"
            yield tell(Level.WARNING, "host.hook.events", says, "choose these events, too")

    def _concerns(self, some: Sequence[str], hook: Hook) -> bool:
        """Return whether the webhook reports one of some repositories."""
        name = _owner(hook.place)
        return name in some if name in self.checked.repositories else bool(some)

    def _sends_pushes(self, hook: Hook) -> bool:
        return hook.events is None or not hook.events.isdisjoint(
            {self.events.push, self.events.everything}
        )

    async def _delivery(self, hook: Hook, tell: _Tell) -> list[Finding]:
        """Return whether its last delivery was lost, if the host keeps them."""
        if not isinstance(self.api, Redelivers):
            return []
        try:
            sendings = self.api.sendings(hook, self.clock() - RECENT)
            last = await anext(sendings, None)
        except BridgeError as error:
            remedy = f"{self.sees}, or look at {self.title}"
            says = f"its deliveries can't be seen: {error}"
            return [tell(Level.WARNING, "host.hook.delivery", says, remedy)]
        if last is None or last.answered:
            return []
        says = f"its last delivery was not accepted: {last.words or 'no answer'}"
        remedy = "`dokploy-bridge deliveries --refused` says why, if it arrived"
        return [tell(Level.ERROR, "host.hook.delivery", says, remedy)]

    # ── one repository ──────────────────────────────────────────────────────

    def _of_repository(
        self, name: str, places: Mapping[str, list[Hook] | None]
    ) -> Iterator[Finding]:
        tell, hooks = self.about(name), all_in(places)
        here = [hook for hook in hooks if self.aim(hook) in (Aim.HERE, Aim.IN_CLEAR)]
        working = [hook for hook in here if hook.trouble is None and self._sends_pushes(hook)]
        servers = sorted({_place_of(hook) for hook in working})
        if working and self.checked.public_url is None and len(servers) == len(working):
            says = f"its pushes are sent to {' and to '.join(servers)}; {NO_ADDRESS}"
            yield tell(Level.OK, "host.hook", says)
        elif len(working) > 1:
            where = " and ".join(_owner(hook.place) for hook in working)
            says = f"{len(working)} webhooks send each push here ({where})"
            remedy = "delete all but one; the bridge deploys once, but is sent everything twice"
            yield tell(Level.WARNING, "host.hook.twice", says, remedy)
        elif working:
            yield tell(Level.OK, "host.hook", "its pushes are sent here")
        elif not here and all(self.aim(hook) is not Aim.ASTRAY for hook in hooks):
            yield self._missing(name, places, tell)

    def _missing(self, name: str, places: Mapping[str, list[Hook] | None], tell: _Tell) -> Finding:
        unseen = [_owner(place) for place, hooks in places.items() if hooks is None]
        if name in unseen:
            says = "its webhooks can't be seen with this credential, so they were not checked"
            return tell(Level.WARNING, "host.hook.unseen", says, self.sees)
        says = f"no webhook sends its pushes to {self.wanted}"
        # Some may lead here by another name of this bridge.
        similar = (
            hook
            for hook in all_in(places)
            if hook.trouble is None and (to := _parsed(hook.url)) and to.path.endswith(self.path)
        )
        if others := sorted(set(map(_place_of, similar))):
            says += f"; one leads to {' and one to '.join(others)}"
            remedy = "if that is this bridge, set public_url to it; else change its address"
            return tell(Level.WARNING, "host.hook.elsewhere", says, remedy)
        if unseen:
            says += f", as far as can be seen (not those of {' and '.join(unseen)})"
        remedy = f"add a webhook with that address and one of the bridge's secrets at {self.title}"
        return tell(Level.ERROR, "host.hook.missing", says, remedy)

    # ── where a webhook leads ───────────────────────────────────────────────

    def aim(self, hook: Hook) -> Aim:
        """Return where a webhook leads."""
        if (there := _parsed(hook.url)) is None:
            return Aim.ELSEWHERE
        ours = _parsed(self.checked.public_url)
        if ours is None:
            return Aim.HERE if may_be_ours(hook.url or "", self.path) else Aim.ELSEWHERE
        if there.hostname == ours.hostname and _port(there) in (_port(ours), _PORTS["http"]):
            return self._aim_here(there, ours)
        if self._is_backend(there):
            return Aim.BACKEND
        return Aim.ELSEWHERE

    def _is_backend(self, there: SplitResult) -> bool:
        backends = (backend for url in self.checked.backends if (backend := _parsed(url)))
        return (there.hostname, _port(there)) in ((to.hostname, _port(to)) for to in backends)

    def _aim_here(self, there: SplitResult, ours: SplitResult) -> Aim:
        """Return where a webhook to the bridge's host leads, which may serve others, too."""
        above = ours.path.rstrip("/")
        if there.path == f"{above}{self.path}":
            if there.scheme == "http" and ours.scheme == "https":
                return Aim.IN_CLEAR
            return Aim.HERE if _port(there) == _port(ours) else Aim.ELSEWHERE
        if self._is_backend(there):
            return Aim.BACKEND
        return Aim.ASTRAY if there.path.startswith(f"{above}/") else Aim.ELSEWHERE

    def about(self, place: str) -> _Tell:
        """Return what makes findings about a place."""
        about = f"{self.checked.name} {_owner(place)}"

        def tell(level: Level, check: str, says: str, remedy: str = "") -> Finding:
            return Finding(level, check, about, says, remedy)

        return tell


_PORTS = {"http": 80, "https": 443}


def _parsed(url: str | None) -> SplitResult | None:
    """Return an address's parts; None if it is no address."""
    try:
        parts = urlsplit(url or "")
        _ = parts.port
    except ValueError:
        return None
    return parts if parts.scheme in _PORTS and parts.hostname else None


def _port(parts: SplitResult) -> int:
    return parts.port or _PORTS[parts.scheme]


def _place_of(hook: Hook) -> str:
    """Return the host of a webhook's address, without a login or a query."""
    return (urlsplit(hook.url or "").hostname or "")[:100]


def _owner(place: str) -> str:
    """Return the name of a place for people."""
    return re.sub("^(repos/|orgs/|group )", "", place)


# ── Credentials ─────────────────────────────────────────────────────────────────────────────────


def lacking(granted: Sequence[str], needed: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the needed scopes that are not granted.

    Args:
        needed: each with the scopes that include it.
    """
    return [scope for scope, wider in needed.items() if not {scope, *wider} & set(granted)]


class Rights(Model):
    """A repository, with what our account may do there."""

    permissions: dict[str, bool] = Field(default_factory=dict)
