"""Kills that are aimed: at each instant of asking the backend, and of following what it does.

The backend knows by the API key which process asks, and kills that one when the request has come,
when it is carried out, or when the answer lies in the stopped process's buffer. What the bridge
has written down before and after that instant is thereby known exactly.
"""

import asyncio

from aiohttp import web

from tests.chaos.dokploy.faults import Fault, Handler, cut_off
from tests.chaos.dokploy.jobs import COMMIT, DELIVERY
from tests.chaos.stage import Stage
from tests.chaos.troubles import RESTART, slow_builds

WITHIN = 10.0
"""Seconds in which an instant comes that is aimed at; else it is left out."""


async def killed_while_asking(stage: Stage) -> None:
    """Before it means to, before it has asked, before the answer, and before that is written.

    Where nothing has arrived, a person may have deployed the same app instead.
    """
    ask, look = "application.deploy", "deployment.all"
    for procedure, arrives, answered in (
        (look, False, False),  # before the intent: what was there before is being read
        (ask, False, False),  # the intent is written, and nothing has arrived
        (ask, True, False),  # it is done, and nobody was told
        (ask, True, True),  # the answer is there, and not written down
        ("deployment.queueList", True, True),  # it is followed
    ):
        await _one(stage, procedure, _Kills(stage, arrives=arrives, answered=answered))
    await _one(stage, ask, _Kills(stage, arrives=False, person_instead=True))


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
        person_instead: a person builds the same commit at that instant; passes by requests for
            commits that are the branch's head no more.
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
