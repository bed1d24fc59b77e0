"""Connect backends, Git hosts and chats during setup, then take the last steps."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from bridge.app.doctor.collect import examine_all
from bridge.app.doctor.services import Service as Examined
from bridge.app.doctor.services import examine
from bridge.app.doctor.settings import unreadable
from bridge.app.keyrings import adopter_of, heard_of, hooks_of, made_at
from bridge.app.providers import host_apis
from bridge.app.stored_settings import SettingUp
from bridge.backends import BACKENDS
from bridge.chats import CHATS
from bridge.core.apps import App, of_people
from bridge.core.errors import BridgeError, Rejected, Unreachable
from bridge.core.hooks import ScopeKind
from bridge.core.people import Actor
from bridge.githosts import HOSTS
from bridge.githosts.server import homes_of
from bridge.pipeline.deciding.hook_places import Target
from bridge.pipeline.deciding.reconcile import wanted_of
from bridge.ports.backends import Backend
from bridge.ports.checks import Checked, Finding, Level, in_order
from bridge.ports.journal import Journal
from bridge.ports.setup import Choice, Setup
from bridge.settings import BY_SETUP, KeyPath, Settings
from bridge.storage.journal import SqlJournal

PATIENCE = 8.0
"""Seconds for a service to answer."""

MORE_PATIENCE = 4.0
"""Seconds for what the page can do without."""


@dataclass(frozen=True, slots=True)
class Service:
    """A service that can be connected; its key is its section of the settings."""

    kind: str
    provider: Examined
    setup: Setup

    @property
    def key(self) -> str:
        return self.provider.key

    @property
    def title(self) -> str:
        return self.provider.title

    def section(self, settings: Settings) -> Any:
        return getattr(settings, self.key)

    def path(self, name: str) -> KeyPath:
        """Return the path of a setting of its section, e.g. of "sign_in.client_id"."""
        return (self.key, *name.split("."))

    def is_connected(self, settings: Settings) -> bool:
        """Return whether it has a credential."""
        return any(getattr(self.section(settings), name) for name in self.setup.credentials)

    def hindrance(self, origins: Mapping[KeyPath, str]) -> str:
        """Return why what a registration gives could not be stored; "" if it can be."""
        stores = self.setup.register.stores if self.setup.register else ()
        found = (origins.get(self.path(name), BY_SETUP) for name in stores)
        if not (where := [one for one in dict.fromkeys(found) if one != BY_SETUP]):
            return ""
        return (
            f"the bridge can't be registered at {self.title} while {' and '.join(where)}"
            f" {'is' if len(where) == 1 else 'are'} set: that wins over what {self.title} gives."
            " Remove it and restart the bridge, or fill in the fields"
        )

    def values(
        self, form: Mapping[str, str], settings: Settings, origins: Mapping[KeyPath, str]
    ) -> dict[KeyPath, str]:
        """Return what a filled-in form changes.

        An empty field stays as it is, and so does one that comes from elsewhere.

        Raises:
            Rejected: a value is missing.
        """
        found: dict[KeyPath, str] = {}
        for one in self.setup.fields:
            path = (self.key, one.setting)
            value = form.get(one.setting, "").strip()
            if value and origins.get(path, BY_SETUP) == BY_SETUP:
                found[path] = value
            elif not one.optional and not getattr(self.section(settings), one.setting):
                raise Rejected(f"{one.label} is empty: fill it in; it is {one.where}")
        if not found:
            raise Rejected("nothing is filled in")
        return found


@cache
def services() -> Mapping[str, Service]:
    """Return all of them by their keys: backends, Git hosts, chats.

    The first call imports what they need to be set up, which takes long.
    """
    kinds: Sequence[tuple[str, Mapping[str, Any]]] = (
        ("backend", BACKENDS),
        ("host", HOSTS),
        ("chat", CHATS),
    )
    return {
        key: Service(kind, one, setup)
        for kind, those in kinds
        for key, one in those.items()
        if (setup := one.setup()) is not None
    }


def without_setup(settings: Settings) -> dict[str, list[str]]:
    """Return the titles of what is set and can't be connected on the page, by its kind."""
    kinds: Mapping[str, Sequence[Any]] = {
        "backend": [one.provider for one in settings.backends_set().values()],
        "host": [server.provider for server in settings.host_servers().values() if server.serves],
        "chat": [CHATS[key] for key in settings.chats_set()],
    }
    return {
        kind: [one.title for one in those if one.setup() is None] for kind, those in kinds.items()
    }


# ── asking them ──────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Tried:
    """The result of asking a service.

    Attributes:
        says: sentences, if all is well.
        trouble: what is wrong and the remedy; "" if nothing.
        choices: the values of its choice.
        then: where to go on with its registration; "" for nowhere.
    """

    says: Sequence[str] = ()
    trouble: str = ""
    choices: Sequence[Choice] = field(default=())
    then: str = ""


async def tried(service: Service, settings: Settings) -> Tried:
    """Ask a service with these settings; raise nothing but for bugs."""
    section, setup = service.section(settings), service.setup
    try:
        says = await ask(service, settings)
    except BridgeError as error:
        return Tried(trouble=str(error))
    choices: Sequence[Choice] = ()
    then = ""
    with suppress(BridgeError, TimeoutError):  # the page does without
        async with asyncio.timeout(MORE_PATIENCE):
            if setup.choice is not None:
                choices = await setup.choice.read(section)
            if setup.register is not None:
                then = await setup.register.then(section)
    return Tried(says, choices=choices, then=then)


async def prove(service: Service, settings: Settings, *, choice: bool = False) -> None:
    """Try settings as `doctor` does, before they replace what works.

    A credential that is accepted may still be of no use, e.g. an API key with a rate limit.

    Args:
        choice: another value was chosen, so what is wrong with single apps, repositories and
            channels counts as well.

    Raises:
        BridgeError: something is wrong with the service itself.
    """
    checked = Checked(service.key, service.section(settings))
    found = await examine(service.provider, checked, PATIENCE)
    errors = [finding for finding in found if finding.level is Level.ERROR]
    if wrong := [one.words for one in errors if choice or one.about == service.key]:
        raise Rejected(f"{service.title}: {'; '.join(wrong)}; nothing was stored")
    if not choice:
        await ask(service, settings)


async def ask(service: Service, settings: Settings) -> Sequence[str]:
    """Return what a service says to these settings; raise BridgeError if it does not like them."""
    try:
        async with asyncio.timeout(PATIENCE):
            return await service.setup.tries(service.key, service.section(settings))
    except TimeoutError:
        why = f"no answer within {PATIENCE:g} s: is the address right, and reachable from here?"
        raise Unreachable(service.key, why) from None


# ── The last steps: webhooks, no deploys of the backend's own, a check of everything ──────────────

BY = Actor(name="setup")
"""The author of these changes in the audit."""


@dataclass(frozen=True, slots=True)
class Done:
    """The result of several changes: those that were made and those that failed, in sentences."""

    says: Sequence[str]
    failed: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class AppsSetup:
    """Reads the known apps, and sets up what they need."""

    settings: Settings
    journal: SqlJournal
    backends: Mapping[str, Backend]
    wake: Callable[[], None]

    async def known(self) -> list[App]:
        return sorted(of_people(await self.journal.apps()), key=lambda app: app.label)

    async def twice(self) -> list[App]:
        """Return the known apps that deploy twice, since pushes reach the bridge as well."""
        heard = heard_of(self.settings, await made_at(self.journal))
        return [app for app in await self.known() if app.deploys_twice and heard(app)]

    async def without_webhook(self) -> dict[str, list[str]]:
        """Return the apps' repositories for which the bridge has made no webhook, by host."""
        homes = homes_of(self.settings.host_servers().values())
        made = [one for one in await self.journal.made_hooks() if one.hook is not None]
        have = {(one.host, one.scope.name.casefold()) for one in made}
        whole = {(host, name) for host, name in have if "/" not in name}
        found: dict[str, list[str]] = {}
        for host, name in sorted(wanted_of(await self.journal.apps(), homes)):
            owner = name.partition("/")[0].casefold()
            if (host, name.casefold()) not in have and (host, owner) not in whole:
                found.setdefault(host, []).append(name)
        return found

    async def make_webhooks(self, host: str) -> Done:
        """Make the webhooks that are missing at a host, and correct those that are wrong."""
        says: list[str] = []
        failed: list[str] = []
        async with AsyncExitStack() as stack:
            apis = host_apis(self.settings)
            for api in apis.values():
                stack.push_async_callback(api.close)
            hooks = hooks_of(self.settings, self.journal, apis, by=BY)
            for name in (await self.without_webhook()).get(host, ()):
                try:
                    place = await hooks.look(Target(host, ScopeKind.REPOSITORY, name))
                    for step in hooks.plan_install(place):
                        await hooks.carry_out(step)
                        says.append(f"{step.does} the webhook of {name}")
                except BridgeError as error:
                    failed.append(f"{name}: {error}")
        return Done(says, failed)

    async def adopt(self) -> Done:
        """Switch off the backend's own deploys of pushes for every app that has them on."""
        adopter = await adopter_of(self.settings, self.journal, self.backends, self.wake)
        plan = await adopter.plan(await self.journal.apps())
        switched, failed = await adopter.carry_out(plan, by=BY)
        return Done([app.label for app in switched], [*plan.unread, *failed])


# ── A check of everything ─────────────────────────────────────────────────────────────────────────


@dataclass(slots=True)
class Checkup:
    """Examines the whole set-up, once at a time; later callers wait for the same findings."""

    setting_up: SettingUp
    journal: Journal
    _running: "asyncio.Task[list[Finding]] | None" = None

    async def findings(self) -> list[Finding]:
        """Return what is found with the settings as they are stored now."""
        if self._running is None:
            self._running = asyncio.create_task(self._examine())
            self._running.add_done_callback(self._over)
        return await asyncio.shield(self._running)  # others may wait for it, too

    def _over(self, _task: object) -> None:
        self._running = None

    async def _examine(self) -> list[Finding]:
        try:
            settings = await self.setting_up.settings()
        except Rejected as error:
            return [unreadable(error)]
        return in_order([one async for one in examine_all(settings, self.journal)])
