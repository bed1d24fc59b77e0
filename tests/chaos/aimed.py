"""Aim kills at each instant of a request to the backend, and of following a deployment.

The backend identifies the requesting process by its API key, and kills it when the request arrives,
when it is carried out, or when the answer is in the stopped process's buffer. So it is known
exactly what the bridge had recorded at that instant.
"""

import asyncio
from contextlib import suppress

from aiohttp import web

from tests.chaos.dokploy.faults import Fault, Handler, cut_off
from tests.chaos.dokploy.jobs import COMMIT, DELIVERY
from tests.chaos.stage import Stage
from tests.chaos.troubles import RESTART, slow_builds

WITHIN = 10.0
"""Seconds to wait for an instant; if it does not come, it is left out."""


async def killed_while_asking(stage: Stage) -> None:
    """Kill before the intent, before the request, before the answer, and before it is recorded.

    If nothing arrived, a person may have deployed the same app instead.
    """
    ask, look = "application.deploy", "deployment.all"
    for procedure, arrives, answered in (
        (look, False, False),  # before the intent: the earlier deployments are being read
        (ask, False, False),  # the intent is recorded, and nothing has arrived
        (ask, True, False),  # it is done, but not answered
        (ask, True, True),  # the answer has arrived, but is not recorded
        ("deployment.queueList", True, True),  # it is followed
    ):
        await _one(stage, procedure, _Kills(stage, arrives=arrives, answered=answered))
    await _one(stage, ask, _Kills(stage, arrives=False, person_instead=True))


async def killed_while_asking_again(stage: Stage) -> None:
    """A restart lost it; "asked again" is recorded, and the request is either sent or not."""
    for arrives in (False, True):
        async with slow_builds(stage):
            await asyncio.sleep(1.5)
            await stage.backend.restart(RESTART)
            kills = _Kills(stage, arrives=arrives, only_again=True)
            await _one(stage, "application.deploy", kills)


async def killed_while_previewing(stage: Stage) -> None:
    """A preview's app is made, gets its address, or is removed, and nobody hears of it.

    `tests/integration/previews/test_death.py` has each step.
    """
    for procedure in ("application.create", "domain.create", "application.delete"):
        await _one(stage, procedure, _Kills(stage, arrives=True))


async def killed_while_going_back(stage: Stage) -> None:
    """A broken version is found, its way back is planned, asked for or done; nobody hears of it.

    `tests/integration/deployer/test_auto_rollback.py` has each step.
    """
    if await _found_broken(stage):
        for process in stage.fleet.processes:
            await process.kill()
        stage.aimed += 1
    for procedure in ("deployment.all", "application.one"):  # for the plan, and whether it fits
        if app := await _found_broken(stage):
            await _one(stage, procedure, _Kills(stage, arrives=False), app)
    for arrives, answered in ((False, False), (True, False), (True, True)):
        kills = _Kills(stage, arrives=arrives, answered=answered)
        await _one(stage, "rollback.rollback", kills)


async def _found_broken(stage: Stage) -> str:
    """Wait until the bridge has seen the page of a broken version; return its app, or ""."""
    assert stage.pages is not None
    found = stage.pages.found_broken = asyncio.get_running_loop().create_future()
    with suppress(TimeoutError):
        return str(await asyncio.wait_for(found, WITHIN))
    return ""


async def _one(stage: Stage, procedure: str, kills: "_Kills", app: str = "") -> None:
    stage.backend.fail(procedure, [kills.fault], app)
    try:
        async with asyncio.timeout(WITHIN):
            await kills.done.wait()
        stage.aimed += 1
    except TimeoutError:
        stage.backend.faults[procedure, app].clear()
    for process in stage.fleet.processes:
        await process.ready()


class _Kills:
    """Kills the next requesting process.

    Args:
        arrives: the request is carried out.
        answered: the answer is also sent to the stopped process, which is then killed.
        only_again: ignores first requests.
        person_instead: a person builds the same commit at that instant; ignores requests for
            commits that are no longer the branch's head.
    """

    def __init__(
        self,
        stage: Stage,
        *,
        arrives: bool,
        answered: bool = False,
        only_again: bool = False,
        person_instead: bool = False,
    ) -> None:
        self._stage = stage
        self._arrives = arrives
        self._answered = answered
        self._only_again = only_again
        self._person_instead = person_instead
        self.done = asyncio.Event()

    @property
    def fault(self) -> Fault:
        return self._asked

    async def _asked(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if await self._passes_by(request):
            procedure = request.path.removeprefix("/api/")
            self._stage.backend.fail(procedure, [self._asked])
            return await handler(request)
        process = self._stage.fleet.with_key(request.headers.get("x-api-key", ""))
        assert process is not None
        process.freeze()
        answer = await handler(request) if self._arrives else web.Response()
        if self._answered:
            await answer.prepare(request)
            await answer.write_eof()
        await process.kill()
        if self._person_instead:
            self._stage.backend.person_deploys((await request.json())["applicationId"])
        self.done.set()
        return answer if self._answered else cut_off(request)

    async def _passes_by(self, request: web.Request) -> bool:
        if not (self._only_again or self._person_instead):
            return False
        asked = await request.json()
        app, description = asked["applicationId"], asked["description"]
        if self._person_instead:
            head, commit = self._stage.backend.head(app), COMMIT.search(description)
            return head is None or commit is None or head[0] != commit[1]
        found = DELIVERY.search(description)
        wanted = app, found[1] if found else ""
        return all((one.app, one.delivery) != wanted for one in self._stage.backend.ledger)
