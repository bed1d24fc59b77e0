"""The files that pushes change, asked of their hosts where the webhooks did not say.

A question is asked in the background and its answer kept for a while; who asked before there
is one comes again. So a host that is slow, or does not know a fresh commit yet, holds up
nothing else, and after some seconds its silence is an answer, too.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from bridge.core.change_sets import Question, compared, with_paths
from bridge.core.errors import BridgeError, NotFound, Refused, Rejected, Unreachable
from bridge.core.events import RefPushed
from bridge.ports.clock import Clock
from bridge.ports.host_api import ChangeSet, HostApi

log = logging.getLogger(__name__)

MOST_KEPT = 256
MOST_PATHS_KEPT = 300_000
"""Of answers; some hold 100,000 paths."""

AT_A_TIME = 8
"""Questions that one host is asked at a time."""

CROWDED = 64
"""Questions that wait for their answers; from then on a list that may be right counts."""

SILENCE_HOLDS = 60.0
"""Seconds that "can't be told" is kept, so that all who asked get it; then it is asked anew."""

Sleep = Callable[[float], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class _Kept:
    found: ChangeSet
    until: float


@dataclass(frozen=True, slots=True)
class _Key:
    host: str
    repository: str
    base: str
    head: str


class Changes:
    """What differs between commits, by their hosts."""

    def __init__(
        self,
        apis: Mapping[str, HostApi],
        clock: Clock,
        *,
        patience: float = 10.0,
        pause: float = 1.0,
        sleep: Sleep = asyncio.sleep,
        ours: Callable[[RefPushed], bool] = lambda _: True,
    ) -> None:
        """Take the parts.

        Args:
            apis: by host; of the others nothing can be asked.
            patience: seconds for a host to know a commit, or to come back.
            pause: seconds between two tries.
            ours: whether a push is of the server whose API is asked.
        """
        self._apis = apis
        self._clock = clock
        self._patience = patience
        self._pause = pause
        self._sleep = sleep
        self._ours = ours
        self._kept: OrderedDict[_Key, _Kept] = OrderedDict()
        self._paths_kept = 0
        self._asking: dict[_Key, asyncio.Task[None]] = {}
        self._turns = {host: asyncio.Semaphore(AT_A_TIME) for host in apis}

    def can_ask(self, push: RefPushed) -> bool:
        """Whether we have a way to ask the host of a push."""
        return push.repository.host in self._apis and self._ours(push)

    def seen(self, push: RefPushed, question: Question) -> RefPushed | None:
        """The push as an app is to see it; None while that is being found out."""
        if not question.firm and len(self._asking) >= CROWDED:
            return push  # as after a day without us: it would take hours to ask about them all
        note = ""
        for bases in question.bases:
            found = [self._ask(push, base) for base in bases]
            if None in found:
                return None
            sets = [one for one in found if one is not None]
            if all(one.paths is not None for one in sets):
                paths = tuple(sorted({path for one in sets for path in one.paths or ()}))
                return with_paths(push, paths, compared(bases, push.after, paths))
            note = note or next(one.note for one in sets if one.paths is None)
        if not question.firm:
            return push
        return with_paths(push, None, f"{question.why}; {note}" if note else question.why)

    async def close(self) -> None:
        """Stop asking."""
        asking = list(self._asking.values())
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)

    async def settled(self) -> None:
        """Wait until everything that was asked has its answer."""
        while self._asking:
            await asyncio.gather(*self._asking.values(), return_exceptions=True)

    def _ask(self, push: RefPushed, base: str) -> ChangeSet | None:
        if base == push.after:
            return ChangeSet((), "the same commit")
        repository = push.repository
        # GitLab's numbers survive renames; GitHub's API knows names only.
        name = repository.id if repository.host == "gitlab" else repository.name
        key = _Key(repository.host, name, base, push.after)
        kept = self._kept.get(key)
        if kept is not None and self._clock() < kept.until:
            self._kept.move_to_end(key)
            return kept.found
        if key not in self._asking:
            name = f"compare {base[:7]}..{push.after[:7]}"
            self._asking[key] = asyncio.create_task(self._find(key), name=name)
        return None

    async def _find(self, key: _Key) -> None:
        try:
            async with self._turns[key.host]:
                found = await self._patiently(key)
        except Exception as error:  # a question without an answer would be asked for ever
            log.exception("changed files can't be found", extra={"commit": key.head})
            found = ChangeSet(None, f"the bridge failed inside ({type(error).__name__})")
        finally:
            del self._asking[key]
        self._keep(key, found)

    async def _patiently(self, key: _Key) -> ChangeSet:
        """The answer, also when it has to be waited for; in the end that there is none."""
        until = self._clock() + self._patience
        while True:
            try:
                async with asyncio.timeout(max(0.0, until - self._clock()) + self._pause):
                    return await self._apis[key.host].compare(key.repository, key.base, key.head)
            except TimeoutError:
                return ChangeSet(None, f"{key.host} did not answer in {self._patience:.0f} s")
            except BridgeError as error:
                hopeless = isinstance(error, Refused | Rejected) and not isinstance(error, NotFound)
                asked = error.retry_after if isinstance(error, Unreachable) else None
                pause = max(asked or 0.0, self._pause)
                if hopeless or self._clock() + pause > until:
                    return ChangeSet(None, str(error))
                await self._sleep(pause)

    def _keep(self, key: _Key, found: ChangeSet) -> None:
        # What differs between two commits never changes.
        until = float("inf") if found.paths is not None else self._clock() + SILENCE_HOLDS
        if (old := self._kept.pop(key, None)) is not None:
            self._paths_kept -= len(old.found.paths or ())
        self._kept[key] = _Kept(found, until)
        self._paths_kept += len(found.paths or ())
        while len(self._kept) > MOST_KEPT or (
            self._paths_kept > MOST_PATHS_KEPT and len(self._kept) > 1
        ):
            _, dropped = self._kept.popitem(last=False)
            self._paths_kept -= len(dropped.found.paths or ())
