"""Kills that are aimed: at each instant of asking the backend, and of following what it does.

The backend knows by the API key which process asks, and kills that one when the request has come,
when it is carried out, or when the answer lies in the stopped process's buffer. What the bridge
has written down before and after that instant is thereby known exactly.
"""

import asyncio

from aiohttp import web

from tests.chaos.dokploy.faults import Fault, Handler, cut_off
from tests.chaos.dokploy.jobs import DELIVERY
from tests.chaos.stage import Stage
from tests.chaos.troubles import RESTART, slow_builds

WITHIN = 10.0
"""Seconds in which an instant comes that is aimed at; else it is left out."""


async def killed_while_asking(stage: Stage) -> None:
    """Before it means to, before it has asked, before the answer, and before that is written."""
    ask, look = "application.deploy", "deployment.all"
    for procedure, arrives, answered in (
        (look, False, False),  # before the intent: what was there before is being read
        (ask, False, False),  # the intent is written, and nothing has arrived
        (ask, True, False),  # it is done, and nobody was told
        (ask, True, True),  # the answer is there, and not written down
        ("deployment.queueList", True, True),  # it is followed
    ):
        await _one(stage, procedure, _Kills(stage, arrives=arrives, answered=answered))


async def killed_while_asking_again(stage: Stage) -> None:
    """A restart has lost it; "asked again" is written, and the request is not sent, or is."""
    for arrives in (False, True):
        async with slow_builds(stage):
            await asyncio.sleep(1.5)
            await stage.backend.restart(RESTART)
            kills = _Kills(stage, arrives=arrives, only_again=True)
            await _one(stage, "application.deploy", kills)


async def _one(stage: Stage, procedure: str, kills: "_Kills") -> None:
    stage.backend.fail(procedure, [kills.fault])
    try:
        async with asyncio.timeout(WITHIN):
            await kills.done.wait()
        stage.aimed += 1
    except TimeoutError:
        stage.backend.faults[procedure, ""].clear()
    for process in stage.fleet.processes:
        await process.ready()


class _Kills:
    """Kills the process that asks next.

    Args:
        arrives: what was asked for is carried out.
        answered: and the answer is sent to the stopped process, which then is killed.
        only_again: passes by requests for what was never asked for before.
    """

    def __init__(
        self, stage: Stage, *, arrives: bool, answered: bool = False, only_again: bool = False
    ) -> None:
        self._stage = stage
        self._arrives = arrives
        self._answered = answered
        self._only_again = only_again
        self.done = asyncio.Event()

    @property
    def fault(self) -> Fault:
        return self._asked

    async def _asked(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if self._only_again and not await self._asked_before(request):
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
        self.done.set()
        return answer if self._answered else cut_off(request)

    async def _asked_before(self, request: web.Request) -> bool:
        asked = await request.json()
        found = DELIVERY.search(asked["description"])
        wanted = asked["applicationId"], found[1] if found else ""
        return any((one.app, one.delivery) == wanted for one in self._stage.backend.ledger)
