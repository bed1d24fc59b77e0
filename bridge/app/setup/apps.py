"""The last steps: webhooks for the apps' repositories, no deploys of the backend's own, a check."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

from bridge.app.doctor.collect import examine_all
from bridge.app.doctor.settings import unreadable
from bridge.app.keyrings import adopter_of, heard_of, hooks_of, made_at
from bridge.app.providers import host_apis
from bridge.app.stored_settings import SettingUp
from bridge.core.apps import App, of_people
from bridge.core.errors import BridgeError, Rejected
from bridge.core.hooks import ScopeKind
from bridge.core.origin import Actor
from bridge.githosts.server import homes_of
from bridge.pipeline.deciding.hook_places import Target
from bridge.pipeline.deciding.reconcile import wanted_of
from bridge.ports.backends import Backend
from bridge.ports.checks import Finding, in_order
from bridge.ports.journal import Journal
from bridge.settings import Settings
from bridge.storage.journal import SqlJournal

BY = Actor(name="setup")
"""The author of these changes in the audit."""


@dataclass(frozen=True, slots=True)
class Done:
    """The result of several changes: those that were made and those that failed, in sentences."""

    says: Sequence[str]
    failed: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class AppsSetup:
    """Reads the known apps, and sets up what they need.

    Attributes:
        wake: called after an app was changed.
    """

    settings: Settings
    journal: SqlJournal
    backends: Mapping[str, Backend]
    wake: Callable[[], None]

    async def known(self) -> list[App]:
        """Return the known apps, by their labels."""
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
        says: list[str] = []
        failed = [*plan.unread]
        for app in plan.those:
            try:
                await adopter.switch(app, off=True, by=BY)
                says.append(app.label)
            except BridgeError as error:
                failed.append(f"{app.label}: {error}")
        return Done(says, failed)


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
