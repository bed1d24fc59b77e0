"""Which apps a Dokploy has, and where each comes from.

No documented endpoint tells the sources of several apps at once. Dokploy's dashboard puts several
questions into one request at `/api/trpc`, which takes the same key: that costs Dokploy a third of
the CPU (docs/notes/0025). Where it is not served, every app is asked for by itself.
"""

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from bridge.backends.dokploy import models
from bridge.backends.dokploy.answers import Forbidden
from bridge.backends.dokploy.calling import Calling
from bridge.backends.dokploy.configure import id_of
from bridge.backends.dokploy.reads import app_of, listed_at, places
from bridge.core.errors import BridgeError, Refused
from bridge.core.watch import App
from bridge.ports.backends import Listed

log = logging.getLogger(__name__)

BATCH = 40
"""Apps in one request, whose address then has about 4,200 characters; proxies take 8,000."""

BATCHES_AT_A_TIME = 2
"""More would keep Dokploy, which has one thread, from answering anybody else meanwhile."""

ALONE_FOR = 600.0
"""Seconds without batches after one that was not answered while single questions were."""

A = TypeVar("A")
T = TypeVar("T")


class Listing(Calling):
    """The apps of one server; implements `ReadsApps`."""

    _alone_until = 0.0

    @property
    def apps_per_request(self) -> int:
        """The apps that one request reads at the moment."""
        return BATCH if time.monotonic() >= self._alone_until else 1

    async def apps(self) -> list[App]:
        """Read every application and compose stack that the key may see, with its source.

        Trouble with any of them but its own fails the whole list: half a list would look as if
        apps had been deleted.
        """
        return await self.read_apps([one.app for one in await self.listing()])

    async def listing(self) -> list[Listed]:
        """List every application and compose stack that the key may see, by one request.

        Source: facts.md, "Cheaper reads" (`project.all`).
        """
        projects = await self._http.read("project.all", models.PROJECTS)
        origin = self._http.origin if self._http.has_dashboard else None
        return [listed_at(place, self.name, origin) for place in places(projects)]

    async def read_apps(self, apps: Sequence[App]) -> list[App]:
        """Read these apps, named as given or listed, in their order.

        One that has gone, or that the key may not read, is left out; any other trouble raises.
        """
        services: dict[str, models.Service] = {}
        if len(apps) > 1 and (size := self.apps_per_request) > 1:
            groups = [apps[begin : begin + size] for begin in range(0, len(apps), size)]
            for found in await _at_a_time(BATCHES_AT_A_TIME, self._batch, groups):
                services |= found
        alone = [app for app in apps if app.id not in services]
        for app, service in zip(
            alone, await _at_a_time(self._concurrency, self._one, alone), strict=True
        ):
            if service is not None:
                services[app.id] = service
        return [app_of(app, services[app.id]) for app in apps if app.id in services]

    async def _batch(self, apps: Sequence[App]) -> dict[str, models.Service]:
        """Put the questions about some apps into one request; return the answers by app.

        One may be missing because the app has gone, or because the database is away; the question
        by itself tells the two apart.
        """
        if self.apps_per_request == 1:  # found out by the batch before
            return {}
        paths = ",".join(f"{app.kind.value}.one" for app in apps)
        inputs = {str(at): {"json": id_of(app)} for at, app in enumerate(apps)}
        query: dict[str, str | int] = {
            "batch": 1,
            "input": json.dumps(inputs, separators=(",", ":")),
        }
        try:
            found = await self._http.read(
                "application.one, batched", models.BATCH, query, at=f"trpc/{paths}", retries=0
            )
            if len(found) != len(apps):
                raise Refused(self.name, f"{len(found)} answers to {len(apps)} questions")
        except BridgeError as error:
            # This raises where the server itself is in trouble.
            if (first := await self._one(apps[0])) is None:
                return {}
            self._alone_until = time.monotonic() + ALONE_FOR
            log.info("apps are read one by one", extra={"backend": self.name, "why": str(error)})
            return {apps[0].id: first}
        return {
            app.id: one.result.data.service
            for app, one in zip(apps, found, strict=True)
            if one.result is not None
        }

    async def _one(self, app: App) -> models.Service | None:
        path = f"{app.kind.value}.one"
        try:
            return await self._http.read(path, models.SERVICE, dict(id_of(app)))
        except Refused as error:
            if error.status != 404 and not isinstance(error, Forbidden):
                raise
            fields = {"backend": self.name, "app": app.id, "why": error.words}
            log.info("app_left_out", extra=fields)
            return None


async def _at_a_time(most: int, ask: Callable[[A], Awaitable[T]], those: Sequence[A]) -> list[T]:
    """Ask about each, `most` of them at a time; the first failure cuts the others off."""
    slots = asyncio.Semaphore(most)

    async def asked(one: A) -> T:
        async with slots:
            return await ask(one)

    try:
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(asked(one)) for one in those]
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return [task.result() for task in running]
