"""Ask a Git host which repository has the name that a webhook gives; see `core.hooks`."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Mapping

from bridge.core.errors import BridgeError, NotFound, Refused
from bridge.core.events import Repository
from bridge.core.hooks import SIGNED_FOR, Scope, confirmed, spoken_for
from bridge.ports.githosts import HostApi

HOLDS, HIDDEN_HOLDS = 3600.0, 60.0
"""Seconds for which an answer holds, and the same where our credential could not see it."""

PATIENCE = 5.0
"""Seconds for an answer; other deliveries wait meanwhile."""

PAUSE = 15.0
"""Seconds until a host that did not answer is asked again."""

MOST = 10_000
"""Answers that are kept."""

AT_A_TIME = 8
"""Requests to all hosts together."""


class Silent(Exception):
    """A Git host does not answer; the message says so for people."""


class Provenance:
    """Keeps of a webhook's repository only what somebody vouches for."""

    def __init__(self, apis: Mapping[str, HostApi]) -> None:
        """Take the hosts that can be asked."""
        self._apis = apis
        self._told: OrderedDict[tuple[str, str], tuple[float, Repository | None]] = OrderedDict()
        self._silent: dict[str, tuple[float, str]] = {}
        self._turn = asyncio.Semaphore(AT_A_TIME)

    async def of(self, headers: Mapping[str, str], repository: Repository) -> Repository:
        """Return a webhook's repository as far as it is vouched for.

        Args:
            headers: as kept with the delivery; they name the scope of its secret.

        Raises:
            Rejected: nobody vouches for it.
            Silent: its host must be asked and does not answer.
        """
        scope = Scope.read(headers[SIGNED_FOR])
        found = spoken_for(scope, repository)
        if found is None:
            async with self._turn:
                found = confirmed(scope, repository, await self._told_of(repository))
        return found

    async def _told_of(self, repository: Repository) -> Repository | None:
        """Return what a host has by a repository's name; None if it can't tell."""
        if (api := self._apis.get(repository.host)) is None:
            return None
        key = (repository.host, repository.name.lower())
        until, known = self._told.get(key, (0.0, None))
        agrees = known is not None and known.id == repository.id
        if until > time.monotonic() and (agrees or known is None):
            return known
        try:
            told = await self._ask(api, repository)
        except Silent:
            if agrees:
                return known
            raise
        holds = HIDDEN_HOLDS if told is None else HOLDS
        self._told[key] = time.monotonic() + holds, told
        self._told.move_to_end(key)
        if len(self._told) > MOST:
            self._told.popitem(last=False)
        return told

    async def _ask(self, api: HostApi, repository: Repository) -> Repository | None:
        host = repository.host
        until, why = self._silent.get(host, (0.0, ""))
        if until > time.monotonic():
            raise Silent(why)
        try:
            async with asyncio.timeout(PATIENCE):
                return await api.repository(repository.name)
        except (NotFound, Refused):
            return None  # our credential can't see it
        except (BridgeError, TimeoutError) as error:
            answer = str(error) or f"no answer within {PATIENCE:g} s"
            why = f"{host} is asked whether {repository.name} has this number: {answer}"
            self._silent[host] = time.monotonic() + PAUSE, why
            raise Silent(why) from None


def nobody_asked() -> Provenance:
    """Return what asks no host."""
    return Provenance({})
