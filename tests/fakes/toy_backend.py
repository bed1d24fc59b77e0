"""A backend that only tests know, in one record: Crane, with a wire of its own, and its yard.

A yard has loads, and lifts them one after the other: what is asked is posted to `/<what>`, with a
badge in `Crane-Badge`. A lift looks up the head of a branch and builds nothing. It keeps the words
that it was asked with to its end, and tells the commit beside them.
"""

import asyncio
import contextlib
import time
from asyncio.subprocess import PIPE, STDOUT
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from itertools import count
from typing import Any

import httpx
from aiohttp import web
from pydantic import Field

from bridge.core.apps import App, Source, SourceType
from bridge.core.errors import KeyRefused, Refused, Unanswered, Unreachable
from bridge.core.refs import normalise_url
from bridge.ports.backends import BackendDeployment, Progress, QueuedJob
from bridge.ports.providers import BackendParts, BackendProvider
from bridge.ports.settings import Address, Credential, Section
from tests.fakes.serving import served


class CraneSettings(Section):
    """A Crane."""

    yard: Address | None = Field(None, description="where it stands")
    badge: Credential | None = Field(None, description="lets the bridge in")


class Crane:
    """A yard, as the bridge asks it; implements `Backend` and no other ability."""

    def __init__(self, name: str, settings: CraneSettings, parts: BackendParts) -> None:
        assert settings.yard is not None
        assert settings.badge is not None
        self.name = name
        self._parts = parts
        self._http = httpx.AsyncClient(
            base_url=settings.yard,
            headers={"Crane-Badge": settings.badge.get_secret_value(), "Connection": "close"},
            trust_env=False,
        )

    async def _ask(self, what: str, *, changes: bool = False, **told: Any) -> Any:
        begun = self._parts.clock()
        try:
            answer = await self._http.post(f"/{what}", json=told)
        except httpx.ConnectError as error:
            raise Unreachable(self.name, "nobody is in the yard") from error
        except httpx.HTTPError as error:
            how = Unanswered if changes else Unreachable
            raise how(self.name, type(error).__name__) from error
        self._parts.observe(self.name, what, self._parts.clock() - begun)
        if answer.status_code == 401:
            raise KeyRefused(self.name, "another badge is needed")
        if answer.status_code == 409:
            raise Refused(self.name, answer.json()["no"], status=409)
        return answer.json()

    async def apps(self) -> list[App]:
        return [
            App(
                id=one["id"],
                name=one["name"],
                project="shop",
                backend=self.name,
                source=Source(
                    SourceType.GIT, url=normalise_url(one["origin"]), branch=one["branch"]
                ),
                watch_paths=tuple(one["watched"]) or None,
            )
            for one in await self._ask("loads")
        ]

    async def deploy(self, app: App, *, title: str, description: str) -> None:
        await self._ask("lift", changes=True, load=app.id, title=title, words=description)

    async def redeploy(self, app: App, *, title: str, description: str) -> None:
        await self._ask("again", changes=True, load=app.id, title=title, words=description)

    async def deployments(self, app: App) -> list[BackendDeployment]:
        return [
            BackendDeployment(
                id=one["id"],
                title=one["title"],
                description=one["words"],
                status=Progress(one["state"]),
                created_at=one["began"],
                started_at=one["began"],
                finished_at=one["ended"],
                commit=one["commit"],
            )
            for one in await self._ask("lifted", load=app.id)
        ]

    async def queue(self) -> list[QueuedJob] | None:
        return [
            QueuedJob(one["load"], one["title"], one["words"], one["state"] == Progress.RUNNING)
            for one in await self._ask("hanging")
        ]

    async def log_tail(self, deployment: BackendDeployment, lines: int) -> str:
        log: str = await self._ask("said", lift=deployment.id)
        return "\n".join(log.splitlines()[-lines:])

    async def drop_waiting(self, app: App) -> None:
        await self._ask("drop", changes=True, load=app.id)

    async def cancel(self, app: App) -> str:
        return str(await self._ask("halt", changes=True, load=app.id))

    async def version(self) -> str | None:
        return None

    async def healthy(self) -> bool:
        try:
            return await self._ask("loads") is not None
        except (Refused, Unreachable):
            return False

    async def close(self) -> None:
        await self._http.aclose()


CRANE = BackendProvider(
    key="crane",
    title="Crane",
    settings=lambda: CraneSettings,
    address="yard",
    example="https://yard.example.com",
    credential="badge",
    keys_at="the porter's lodge",
    open=Crane,
)


# ── The yard ────────────────────────────────────────────────────────────────────────────────────


@dataclass
class Load:
    """What is lifted: the head of a branch."""

    id: str
    name: str
    origin: str
    branch: str
    watched: tuple[str, ...]


@dataclass
class Lift:
    """One lift of a load; it has a record once it has begun."""

    id: str
    load: str
    title: str
    words: str
    again: bool
    state: str = "waiting"
    began: float | None = None
    ended: float | None = None
    commit: str | None = None
    log: str = ""


@dataclass
class Yard:
    """The server of a Crane."""

    badge: str = "a-badge-of-the-tests"
    refuses: bool = False
    url: str = ""
    loads: dict[str, Load] = field(default_factory=dict)
    lifts: list[Lift] = field(default_factory=list)
    _numbers: "count[int]" = field(default_factory=lambda: count(1))
    _at_work: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    _halted: dict[str, asyncio.Event] = field(default_factory=lambda: defaultdict(asyncio.Event))

    def bring(self, name: str, origin: str, branch: str = "main", *watched: str) -> str:
        """Bring a load; return its id."""
        load = Load(f"load-{next(self._numbers)}", name, origin, branch, watched)
        self.loads[load.id] = load
        return load.id

    @asynccontextmanager
    async def open(self) -> AsyncIterator["Yard"]:
        app = web.Application()
        app.router.add_post("/{what}", self._asked)
        try:
            async with served(app) as self.url:
                yield self
        finally:
            for task in self._at_work.values():
                task.cancel()
            await asyncio.gather(*self._at_work.values(), return_exceptions=True)

    async def _asked(self, request: web.Request) -> web.Response:
        if self.refuses or request.headers.get("Crane-Badge") != self.badge:
            return web.json_response({}, status=401)
        what, told = request.match_info["what"], await request.json()
        if what in ("lift", "again", "halt") and told["load"] not in self.loads:
            return web.json_response({"no": "no such load"}, status=409)
        return web.json_response(getattr(self, f"_{what}")(**told))

    def _loads(self) -> list[Any]:
        return [asdict(one) for one in self.loads.values()]

    def _lift(self, *, again: bool = False, **told: Any) -> None:
        lift = Lift(f"lift-{next(self._numbers)}", again=again, **told)
        lift.title = lift.title or "Lifted by hand"
        self.lifts.append(lift)
        if lift.load not in self._at_work:
            self._at_work[lift.load] = asyncio.create_task(self._work(lift.load))

    def _again(self, **told: str) -> None:
        self._lift(again=True, **told)

    def _lifted(self, load: str) -> list[Any]:
        return [asdict(one) for one in reversed(self.lifts) if one.began and one.load == load]

    def _hanging(self) -> list[Any]:
        return [asdict(one) for one in self.lifts if one.ended is None]

    def _said(self, lift: str) -> str:
        return next((one.log for one in self.lifts if one.id == lift), "")

    def _drop(self, load: str) -> None:
        waiting = [one for one in self.lifts if one.load == load and one.state == "waiting"]
        self.lifts = [one for one in self.lifts if one not in waiting]

    def _halt(self, load: str) -> str:
        self._halted[load].set()
        return "it is let down"

    async def _work(self, load: str) -> None:
        while lift := next(
            (one for one in self.lifts if one.load == load and one.state == "waiting"), None
        ):
            lift.state, lift.began = Progress.RUNNING, time.time()
            self._halted[load].clear()
            lift.state = await self._outcome(lift, self.loads[load])
            lift.ended = time.time()
        del self._at_work[load]

    async def _outcome(self, lift: Lift, load: Load) -> str:
        """Look up the head of its branch, or take the one before; return how that ended."""
        if lift.again:
            before = (one.commit for one in reversed(self.lifts) if one.load == load.id)
            lift.commit = next(filter(None, before), None)
            return Progress.DONE
        where = (load.origin, f"refs/heads/{load.branch}")
        git = await asyncio.create_subprocess_exec(
            "git", "ls-remote", "--exit-code", *where, stdout=PIPE, stderr=STDOUT
        )
        halted = asyncio.create_task(self._halted[load.id].wait())
        told = asyncio.create_task(git.communicate())
        try:
            await asyncio.wait({halted, told}, return_when=asyncio.FIRST_COMPLETED)
            if not told.done():
                return Progress.CANCELLED
        finally:
            halted.cancel()
            with contextlib.suppress(ProcessLookupError):
                git.kill()
            out, _ = await told
        lift.log = f"lifting {load.branch} of {load.origin}\n{out.decode()}"
        if git.returncode:
            return Progress.ERROR
        lift.commit = out.decode().split()[0]
        return Progress.DONE
