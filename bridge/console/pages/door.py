"""The routes of `/console`: admission, pages, actions and error pages."""

import asyncio
import hmac
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlsplit

from aiohttp import web

from bridge.console import render, visitors
from bridge.console.live import Live
from bridge.console.operations import Done, operate
from bridge.console.pages import PAGES, View
from bridge.console.pages.commands import again
from bridge.console.records import Asked, Records
from bridge.console.render import Page, draw, guard
from bridge.console.sharing import Part
from bridge.console.visitors import BEGUN, PATH, SignIn, Visitor, back_to, inside
from bridge.core.apps import of_people
from bridge.core.errors import BridgeError, NotFound, Rejected, Unreachable
from bridge.listening.log import RateLimitedLog
from bridge.web.answers import status_of
from bridge.web.browsers import READS, form_of, is_from_here, sent_to

log = logging.getLogger(__name__)
_sparing = RateLimitedLog(log)

PART = "Bridge-Part"
"""The header by which a page's script asks only for what changes on it."""

ONCE = secrets.token_urlsafe(12)
"""The placeholder in a shared part for the number of a form; each browser gets its own."""

Handle = Callable[[web.Request], Awaitable[web.StreamResponse]]
HandleVisitor = Callable[[web.Request, Visitor], Awaitable[web.StreamResponse]]


class Console:
    """Serves the pages to people who have signed in."""

    def __init__(self, records: Records, sign_in: SignIn, live: Live) -> None:
        self._records = records
        self._sign_in = sign_in
        self._live = live
        self._sessions = records.journal

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get(f"{PATH}/static/{{hash}}/{{name}}", self._public(_static), allow_head=False),
            web.get(f"{PATH}/sign-in", self._public(self._asks_to_sign_in), allow_head=False),
            web.get(f"{PATH}/sign-in/link", self._public(self._by_link), allow_head=False),
            # A GET: browsers apply `form-action` also to where a form is redirected.
            web.get(f"{PATH}/sign-in/{{way}}", self._public(self._goes_away), allow_head=False),
            web.get(back_to("", "{way}"), self._public(self._comes_back), allow_head=False),
            web.post(f"{PATH}/sign-out", self._admitted(self._leaves)),
            web.get(f"{PATH}/live", self._admitted(self._live.changes), allow_head=False),
            web.get(
                f"{PATH}/deployments/{{id}}/log", self._admitted(self._live.log), allow_head=False
            ),
            *(web.get(path, self._admitted(self._drawn(view))) for path, view in PAGES.items()),
            web.post(f"{PATH}/do/{{name}}", self._admitted(self._acts)),
            *(
                web.route("*", path, self._public(_nowhere))
                for path in (PATH, f"{PATH}/{{rest:.*}}")
            ),
        ]

    # ── who gets in ──────────────────────────────────────────────────────────────────────────────

    def _admitted(self, handle: HandleVisitor) -> Handle:
        """Return a handler for visitors with a session; others are asked to sign in."""

        async def admitted(request: web.Request) -> web.StreamResponse:
            secret = visitors.COOKIE.in_(request)
            visitor = await visitors.visitor_with(self._sessions, secret)
            if visitor is None or not self._records.grants_of(visitor):
                return await self._unknown(request)
            if request.method not in READS and not is_from_here(request):
                raise Rejected(FOREIGN)
            return await handle(request, visitor)

        return self._public(admitted)

    def _public(self, handle: Handle) -> Handle:
        """Return a handler whose errors become pages, and whose responses are guarded."""

        async def guarded(request: web.Request) -> web.StreamResponse:
            try:
                response = await handle(request)
            except BridgeError as error:
                response = await self._refused(request, error)
            except web.HTTPException:
                raise
            except Exception:  # a fault of ours: the browser gets a page, the log the traceback
                if "text/html" not in request.headers.get("Accept", ""):
                    raise  # a stream that has begun, or no browser: the listener answers
                log.exception("a page of the console failed unexpectedly")
                response = await self._failed(request)
            return response if response.prepared else guard(response)

        return guarded

    async def _unknown(self, request: web.Request) -> web.StreamResponse:
        """Answer a request without a session: send pages to the sign-in, refuse anything else."""
        if "text/event-stream" in request.headers.get("Accept", ""):
            return web.Response(status=HTTPStatus.UNAUTHORIZED, text="sign in at /console\n")
        if request.method in READS:
            return sent_to(f"{PATH}/sign-in?then={quote(request.path_qs, safe='')}")
        why = "Your session is over, so nothing was done: sign in, then do it again."
        page = Page("refused", "Not done", {"why": why, "back": _came_from(request)})
        return await self._page(request, None, page, HTTPStatus.UNAUTHORIZED)

    async def _refused(self, request: web.Request, error: BridgeError) -> web.StreamResponse:
        visitor = None
        if not isinstance(error, Unreachable):
            secret = visitors.COOKIE.in_(request)
            visitor = await visitors.visitor_with(self._sessions, secret)
        status = HTTPStatus.FORBIDDEN if str(error) == FOREIGN else status_of(error)
        facts = {"why": str(error), "back": _came_from(request)}
        page = Page("refused", _title(request, status), facts)
        return await self._page(request, visitor, page, status)

    async def _failed(self, request: web.Request) -> web.StreamResponse:
        """Answer that the bridge itself has failed, without reading anything for it."""
        facts = {"why": FAILED, "back": _came_from(request)}
        page = Page("refused", "Something went wrong", facts)
        return await self._page(request, None, page, HTTPStatus.INTERNAL_SERVER_ERROR)

    # ── signing in and out ───────────────────────────────────────────────────────────────────────

    async def _asks_to_sign_in(self, request: web.Request) -> web.StreamResponse:
        facts = {"ways": self._sign_in.ways, "then": visitors.inside(request.query.get("then", ""))}
        return await self._page(request, None, Page("sign_in", "Sign in", facts))

    async def _by_link(self, request: web.Request) -> web.StreamResponse:
        secret = visitors.COOKIE.in_(request)
        if not await visitors.redeem_link(self._sessions, request.query.get("link", "")):
            if await visitors.visitor_with(self._sessions, secret):
                return sent_to(PATH)
            _sparing.info("a link to the console was refused: it is used, too old, or none of ours")
            raise NotFound(
                "This link was used, or is older than 10 minutes: `dokploy-bridge console` prints"
                " a new one."
            )
        return await self._let_in(request, visitors.BY_LINK, PATH)

    async def _goes_away(self, request: web.Request) -> web.StreamResponse:
        way, then = request.match_info["way"], visitors.inside(request.query.get("then", ""))
        address, cookie = await self._sign_in.begin(self._records.journal, request, way, then)
        response = sent_to(address)
        BEGUN.keep(response, request, cookie)
        return response

    async def _comes_back(self, request: web.Request) -> web.StreamResponse:
        visitor, then = await self._sign_in.finish(
            self._records.journal, request, request.match_info["way"]
        )
        if self._records.grants_of(visitor):
            response = await self._let_in(request, visitor, self._landing(visitor, then))
        else:  # no session for somebody who may see nothing
            person = visitor.person
            _sparing.info("somebody without a grant came to the console", person=person.id)
            why = NO_GRANT.format(person.called, person.id)
            page = Page("refused", "Not let in", {"why": why, "back": ""})
            response = await self._page(request, None, page, HTTPStatus.FORBIDDEN)
        BEGUN.drop(response, request)
        return response

    def _landing(self, visitor: Visitor, then: str) -> str:
        """Return the page that somebody wanted; without one, that of the only app of theirs."""
        theirs = of_people(self._records.seen(visitor))
        only = theirs[0].id if len(theirs) == 1 else None
        return then if then != PATH or only is None else f"{PATH}/apps/{quote(only, safe='')}"

    async def _let_in(
        self, request: web.Request, visitor: Visitor, then: str
    ) -> web.StreamResponse:
        if (old := visitors.COOKIE.in_(request)) is not None:
            await visitors.leave(self._sessions, old)
        response = sent_to(then)
        visitors.COOKIE.keep(response, request, await visitors.begin(self._sessions, visitor))
        about = {"person": visitor.person.id, "way": visitor.how}
        log.info("somebody signed in to the console", extra=about)
        return response

    async def _leaves(self, request: web.Request, visitor: Visitor) -> web.StreamResponse:
        form = await form_of(request)
        if form.get("everywhere"):
            await visitors.leave_everywhere(self._sessions, visitor)
        else:
            await visitors.leave(self._sessions, visitors.COOKIE.in_(request) or "")
        response = sent_to(f"{PATH}/sign-in")
        visitors.COOKIE.drop(response, request)
        return response

    # ── pages and actions ────────────────────────────────────────────────────────────────────────

    def _drawn(self, view: View) -> HandleVisitor:
        async def handle(request: web.Request, visitor: Visitor) -> web.StreamResponse:
            asked = Asked(dict(request.match_info), dict(request.query))
            collected = partial(view, self._records, visitor, asked)
            if PART in request.headers and "said" not in request.query:
                return await self._part(request, visitor, collected)
            return await self._page(request, visitor, await collected())

        return handle

    async def _part(
        self, request: web.Request, visitor: Visitor, collected: Callable[[], Awaitable[Page]]
    ) -> web.StreamResponse:
        """Return what changes on a page, drawn once for all who may see the same."""

        async def draw_part() -> Part:
            page = await collected()
            frame = {"path": request.path, "said": "", "trouble": self._records.trouble()}
            return Part(await _drawn(page, frame | {"once": ONCE, "part": True}), page.live)

        key = (request.path_qs, self._records.grants_of(visitor))
        part = await self._live.parts.part(key, draw_part)
        html = part.html.replace(ONCE, secrets.token_urlsafe(12))
        return web.Response(text=html, content_type="text/html")

    async def _acts(self, request: web.Request, visitor: Visitor) -> web.StreamResponse:
        """Carry out what a form asks for."""
        form, parts = await form_of(request), dict(request.match_info)
        try:
            done = await operate(self._records, visitor, parts, form)
        except Rejected as error:
            if (kept := again(self._records, visitor, parts["name"], form)) is None:
                raise
            back = _came_from(request)
            opens = back.startswith(f"{PATH}/do/")
            facts = {"why": str(error), "back": back, "kept": kept, "open": opens}
            page = Page("refused", "Not done", facts)
            return await self._page(request, visitor, page, status_of(error))
        if isinstance(done, Done):
            said = quote(sealed(done.says, visitors.COOKIE.in_(request) or ""))
            return sent_to(f"{done.then}{'&' if '?' in done.then else '?'}said={said}")
        return await self._page(request, visitor, done)

    async def _page(
        self,
        request: web.Request,
        visitor: Visitor | None,
        page: Page,
        status: HTTPStatus = HTTPStatus.OK,
    ) -> web.StreamResponse:
        secret = visitors.COOKIE.in_(request) if visitor else None
        frame: dict[str, Any] = {
            "visitor": visitor,
            "path": request.path,
            "query": request.query.get("q", ""),
            "said": unsealed(request.query.get("said", ""), secret),
            "trouble": self._records.trouble() if visitor else {},
            "once": secrets.token_urlsafe(12),
            "part": False,
        }
        text = await _drawn(page, frame)
        return web.Response(status=status, text=text, content_type="text/html")


def _title(request: web.Request, status: HTTPStatus) -> str:
    """Return the heading of an error's page."""
    if status == HTTPStatus.NOT_FOUND:
        return "Not found"
    if status in (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.BAD_GATEWAY):
        return "Not available now"
    return "Can't be shown" if request.method in READS else "Not done"


def _came_from(request: web.Request) -> str:
    """Return the page of ours to go back to; "" if it is the first, or they come from elsewhere."""
    referer = urlsplit(request.headers.get("Referer", ""))
    if referer.netloc != request.host:
        return ""
    place = inside(f"{referer.path}?{referer.query}" if referer.query else referer.path)
    is_same = request.method in READS and place == request.path_qs
    return "" if place == PATH or is_same else place


async def _drawn(page: Page, frame: Mapping[str, Any]) -> str:
    return await asyncio.to_thread(draw, page, frame, time.time())


NO_GRANT = (
    "You are {} ({}), and no grant in `access` names you, so there is nothing for you to see."
    " Whoever runs the bridge can add one."
)

FAILED = (
    "The bridge could not show this page, and its log says why. What it does for deployments goes"
    " on. If you have sent a form, look whether it was carried out before you send it again."
)

FOREIGN = "This was sent by the page of another site, so nothing was done."

SEAL = 16
"""Characters of the seal in front of a sealed notice."""


def sealed(says: str, secret: str) -> str:
    """Return an action's notice, sealed for one session, so that no link can forge one."""
    seal = hmac.new(secret.encode(), says.encode(errors="replace"), "sha256").hexdigest()
    return seal[:SEAL] + says


def unsealed(said: str, secret: str | None) -> str:
    """Return the notice of an action in this session; "" if it is forged."""
    says = said[SEAL:]
    given, right = (
        one[:SEAL].encode(errors="replace") for one in (said, sealed(says, secret or ""))
    )
    return says if secret and hmac.compare_digest(given, right) else ""


async def _static(request: web.Request) -> web.StreamResponse:
    name = request.match_info["name"]
    kind = render.STATIC.get(name)
    if kind is None:
        return web.Response(status=HTTPStatus.NOT_FOUND, text="there is no such file\n")
    body = render.static_file(name)
    response = web.Response(body=body, content_type=kind, charset="utf-8")
    response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
    return response


async def _nowhere(request: web.Request) -> web.StreamResponse:
    if request.path == f"{PATH}/" and request.method in READS:
        return sent_to(PATH)
    raise NotFound("There is no page at this address.")
