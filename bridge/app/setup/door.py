"""The routes of `/setup`; to everybody without a session there is nothing at that address."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any

from aiohttp import web

from bridge.app.setup import entry
from bridge.app.setup.home import home_route
from bridge.app.setup.page import Facts, is_public, policy, render, style
from bridge.app.setup.services import BY, AppsSetup, Checkup, Done, Service, prove, services, tried
from bridge.app.stored_settings import SettingUp
from bridge.app.wiring import Beginning, Parts
from bridge.core.errors import BridgeError, NotFound, Rejected
from bridge.listening.listener import NOTHING_THERE
from bridge.listening.log import RateLimitedLog
from bridge.ports.journal import Sessions
from bridge.settings import KeyPath, Settings
from bridge.web.answers import refusal
from bridge.web.browsers import (
    form_of,
    guard,
    is_from_here,
    origin_of,
    refusal_to,
    sent_to,
)

log = logging.getLogger(__name__)
_sparing = RateLimitedLog(log)

OVER = "this link was used, or is older than 30 minutes: `dokploy-bridge setup` prints a new one"

EVERYONE = "[{who: [everyone], may: [deploy, cancel]}]"
"""The grants that the page can give."""

Action = Callable[[web.Request, str, str], Awaitable[web.StreamResponse]]


def setup_routes(parts: Parts, beginning: Beginning) -> list[web.RouteDef]:
    """Return the routes of a running process, which `beginning` can start anew."""
    settings, journal = parts.settings, parts.stores.journal
    setting_up = SettingUp(settings, journal, beginning.file, beginning.environment, BY)
    apps = AppsSetup(settings, journal, parts.backends, parts.catalog.wake)
    checkup = Checkup(setting_up, journal)
    door = SetupDoor(settings, setting_up, journal, apps, checkup, beginning.anew)
    return [home_route(settings, journal, is_set_up=bool(parts.hosts)), *door.routes()]


@dataclass(slots=True)
class SetupDoor:
    """Serves the setup page to people with a session, and restarts the bridge with new settings."""

    settings: Settings
    setting_up: SettingUp
    sessions: Sessions
    apps: AppsSetup
    checkup: Checkup
    anew: Callable[[], None]
    _outdated: bool = False

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/setup", self._open, allow_head=False),
            web.get("/setup/style.css", self._admitted(self._style)),
            web.post("/setup/address", self._admitted(self._address)),
            web.post("/setup/access", self._admitted(self._access)),
            web.post("/setup/leave", self._admitted(self._leave)),
            web.post("/setup/connect/{key}", self._admitted(self._connect)),
            web.post("/setup/choose/{key}", self._admitted(self._choose)),
            web.post("/setup/test/{key}", self._admitted(self._test)),
            web.post("/setup/forget/{key}", self._admitted(self._forget)),
            web.post("/setup/hooks/{key}", self._admitted(self._hooks)),
            web.post("/setup/adopt", self._admitted(self._adopt)),
            web.post("/setup/check", self._admitted(self._check)),
            web.get("/setup/{key}", self._admitted(self._registered)),
        ]

    # ── who gets in ──────────────────────────────────────────────────────────────────────────────

    async def _open(self, request: web.Request) -> web.StreamResponse:
        link = request.query.get("link")
        if link is None:
            return await self._admitted(self._page)(request)
        session = await entry.redeem(self.sessions, link)
        if session is None:
            if await entry.is_in(self.sessions, entry.COOKIE.in_(request)):
                return sent_to("/setup")
            given = await entry.was_given(self.sessions, link)  # a guess finds nothing here
            _sparing.info("a setup link was refused: it is used, too old, or none of ours")
            return refusal_to(request, HTTPStatus.NOT_FOUND, OVER if given else NOTHING_THERE)
        response = sent_to("/setup")
        entry.COOKIE.keep(response, request, session)
        log.info("setup was opened with a link")
        return response

    def _admitted(
        self, action: Callable[[web.Request, str], Awaitable[web.StreamResponse]]
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """Return a handler that acts only for whoever has a session, and only from our own page."""

        async def handle(request: web.Request) -> web.StreamResponse:
            if (
                self._outdated
            ):  # on a connection from before the restart: the browser makes a new one
                response = sent_to(str(request.rel_url) if request.method == "GET" else "/setup")
                response.force_close()
                return response
            session = entry.COOKIE.in_(request)
            try:
                if not await entry.is_in(self.sessions, session):
                    return refusal_to(request, HTTPStatus.NOT_FOUND, NOTHING_THERE)
                if request.method != "GET" and not is_from_here(request):
                    return refusal(
                        HTTPStatus.FORBIDDEN, "this was sent by the page of another site"
                    )
                await asyncio.to_thread(services)  # its imports would hold the event loop
                return await action(request, session or "")
            except BridgeError as error:
                return await self._shown(request, session or "", refused=("", str(error)))

        return handle

    async def _leave(self, _request: web.Request, _session: str) -> web.StreamResponse:
        await entry.leave(self.sessions)
        return web.Response(text="signed out: a new link comes from `dokploy-bridge setup`\n")

    # ── the page ─────────────────────────────────────────────────────────────────────────────────

    async def _page(self, request: web.Request, session: str) -> web.StreamResponse:
        return await self._shown(request, session)

    async def _style(self, _request: web.Request, _session: str) -> web.StreamResponse:
        return web.Response(text=style(), content_type="text/css")

    async def _shown(self, request: web.Request, session: str, **others: Any) -> web.StreamResponse:
        return await self._drawn(replace(await self._facts(request, session), **others))

    async def _drawn(self, facts: Facts) -> web.StreamResponse:
        response = web.Response(
            status=HTTPStatus.UNPROCESSABLE_ENTITY if facts.refused[1] else HTTPStatus.OK,
            text=await asyncio.to_thread(render, facts),
            content_type="text/html",
        )
        response.headers["Content-Security-Policy"] = policy(facts)
        return guard(response)

    async def _facts(self, request: web.Request, session: str) -> Facts:
        known = services()
        connected = {k: one for k, one in known.items() if one.is_connected(self.settings)}
        asked = await asyncio.gather(*(tried(one, self.settings) for one in connected.values()))
        return Facts(
            settings=self.settings,
            origins=await self.setting_up.origins(),
            services=known,
            tried=dict(zip(connected, asked, strict=True)),
            origin=origin_of(request),
            state=await entry.new_state(self.sessions, session),
            org=request.query.get("org", "").strip()[:100],
            apps=await self.apps.known(),
            twice=await self.apps.twice(),
            without_webhook=await self.apps.without_webhook(),
        )

    # ── what it changes ──────────────────────────────────────────────────────────────────────────

    async def _connect(self, request: web.Request, session: str) -> web.StreamResponse:
        service = self._service(request)
        form = await form_of(request)
        try:
            origins = await self.setting_up.origins()
            values = service.values(form, self.settings, origins)
            values |= self._own_address(request)
            await prove(service, await self.setting_up.check(values))
            return await self._store(values, f"/setup#{service.key}")
        except BridgeError as error:
            refused = (service.key, str(error))
            return await self._shown(request, session, refused=refused, typed=form)

    async def _choose(self, request: web.Request, _session: str) -> web.StreamResponse:
        service = self._service(request)
        choice = service.setup.choice
        if choice is None:
            raise NotFound(f"{service.title} has nothing to choose")
        value = (await form_of(request)).get(choice.setting, "").strip()
        if not value:
            raise Rejected(f"{choice.label} is empty: choose one")
        values = {service.path(choice.setting): value}
        await prove(service, await self.setting_up.check(values), choice=True)
        return await self._store(values, f"/setup#{service.key}")

    async def _test(self, request: web.Request, session: str) -> web.StreamResponse:
        service = self._service(request)
        if service.setup.test is None:
            raise NotFound(f"{service.title} has nothing to test")
        try:
            said = await service.setup.test(service.section(self.settings))
        except BridgeError as error:
            return await self._shown(request, session, refused=(service.key, str(error)))
        return await self._shown(request, session, done=f"{service.title}: {said}")

    async def _forget(self, request: web.Request, _session: str) -> web.StreamResponse:
        service = self._service(request)
        paths = await self.setting_up.stored()
        await self.setting_up.remove([".".join(path) for path in paths if path[0] == service.key])
        return self._restarted(f"/setup#{service.key}")

    async def _hooks(self, request: web.Request, session: str) -> web.StreamResponse:
        service = self._service(request)
        done = await self.apps.make_webhooks(service.key)
        return await self._told(request, session, service.key, done, "no webhook is missing")

    async def _adopt(self, request: web.Request, session: str) -> web.StreamResponse:
        done = await self.apps.adopt()
        if done.says:
            said = f"Auto Deploy is switched off for {', '.join(done.says)}"
            done = replace(done, says=(said,))
        return await self._told(request, session, "", done, "no app deploys twice")

    async def _check(self, request: web.Request, session: str) -> web.StreamResponse:
        facts, findings = await asyncio.gather(
            self._facts(request, session), self.checkup.findings()
        )
        return await self._drawn(replace(facts, findings=findings))

    async def _told(
        self, request: web.Request, session: str, key: str, done: Done, nothing: str
    ) -> web.StreamResponse:
        said = "; ".join(done.says) or ("" if done.failed else nothing)
        refused = (key, "; ".join(done.failed)) if done.failed else ("", "")
        return await self._shown(request, session, done=said, refused=refused)

    async def _address(self, request: web.Request, _session: str) -> web.StreamResponse:
        value = (await form_of(request)).get("public_url", "").strip().rstrip("/")
        return await self._store({("public_url",): value}, "/setup")

    async def _access(self, request: web.Request, _session: str) -> web.StreamResponse:
        if (await form_of(request)).get("who") == "everyone":
            return await self._store({("access",): EVERYONE}, "/setup#access")
        await self.setting_up.remove(["access"])
        return self._restarted("/setup#access")

    async def _registered(self, request: web.Request, session: str) -> web.StreamResponse:
        """Come back from a registration, with the code that is exchanged for its secrets."""
        service = self._service(request)
        register = service.setup.register
        code, state = request.query.get("code", ""), request.query.get("state", "")
        if register is None or not code:
            raise NotFound(f"{service.title} was not registered: begin again here")
        if not await entry.is_state(self.sessions, state, session):
            raise Rejected(
                f"{service.title} was not registered from this page, or too long ago: begin again"
            )
        if why := service.hindrance(await self.setting_up.origins()):
            raise Rejected(why)
        section = service.section(self.settings)
        found = await register.redeem(section, code)
        values = {service.path(name): value for name, value in found.items()}
        settings = await self.setting_up.change(values | self._own_address(request))
        log.info("setup has registered the bridge", extra={"at": service.title})
        return self._restarted(await register.then(service.section(settings)))

    def _service(self, request: web.Request) -> Service:
        found = services().get(request.match_info["key"])
        if found is None:
            raise NotFound("there is no such service: begin again here")
        return found

    def _own_address(self, request: web.Request) -> dict[KeyPath, str]:
        """Return the address that the browser used, to be stored if none is set.

        One that leads here from this machine only is of no use to others.
        """
        origin = origin_of(request)
        if self.settings.public_url is not None or not is_public(origin):
            return {}
        return {("public_url",): origin}

    async def _store(self, values: Mapping[KeyPath, str], then: str) -> web.StreamResponse:
        await self.setting_up.change(values)
        names = sorted(".".join(path) for path in values)
        log.info("setup has stored settings", extra={"settings": ", ".join(names)})
        return self._restarted(then)

    def _restarted(self, then: str) -> web.StreamResponse:
        """Start the bridge anew once this response is sent; the next page waits for it."""
        self._outdated = True
        self.anew()
        response = sent_to(then)
        response.force_close()
        return response
